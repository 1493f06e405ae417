/* cleanup.c - see cleanup.h. */
#include "lpar/cleanup.h"

#include "base/json.h"
#include "lpar/hold.h"
#include "lpar/lookup.h"
#include "lpar/saved.h"

#include <unistd.h>

static int allow(struct job *job, struct lpar *lpar)
{
    (void)job;
    (void)lpar;
    return VIOS_OK; /* whatever it does */
}

static int cleanup_claim(struct job *job)
{
    struct lpar lpar;
    return lpar_job_claim(job, lpar_job_name(job), allow, &lpar);
}

static int cleanup_claim_undo(struct job *job)
{
    return lpar_job_release(job, lpar_job_name(job), NULL);
}

/* Which record it has, if any: one that says nothing about a hibernated LPAR is not touched, for
 * any file could be the one that it meant. */
static int find_record(struct job *job, const struct lpar *lpar, struct saved *saved, bool *is)
{
    int status = saved_load(job->store, lpar->name, saved, &job->operation);
    bool hibernated = !lpar->owner[0] && lpar->wanted == LPAR_HIBERNATED;
    *is = status != VIOS_E_NOT_FOUND;
    return status == VIOS_E_NOT_FOUND || (status == VIOS_E_CORRUPT && !hibernated) ? VIOS_OK
                                                                                   : status;
}

static int clean(struct job *job, const struct lpar *lpar, int folder, json_t *removed)
{
    char key[STORE_KEY_MAX];
    struct saved saved;
    bool is;
    int status = find_record(job, lpar, &saved, &is);
    if (status < 0) {
        return status;
    }
    bool current = is && saved.lu[0] && saved_is_current(lpar, &saved);
    status =
        saved_remove_others(folder, lpar->name, current ? saved.lu : "", removed, &job->operation);
    if (status == VIOS_OK && is && !current) {
        status = saved_forget(job->store, lpar->name, &saved, &job->operation);
        snprintf(key, sizeof key, SAVED_PREFIX "%s", lpar->name);
        if (status == VIOS_OK) {
            json_array_append_new(removed, json_string(key));
        }
    }
    return status;
}

static int cleanup_clean(struct job *job)
{
    struct lpar lpar;
    int status = lpar_job_load(job, lpar_job_name(job), &lpar);
    int folder =
        status == VIOS_OK ? saved_folder(job_node(job), job->store, &job->operation) : status;
    if (folder < 0) {
        return folder;
    }
    json_t *removed = json_array();
    status = clean(job, &lpar, folder, removed);
    json_object_set_new(job->data, "removed", removed);
    close(folder);
    return status;
}

static int cleanup_finish(struct job *job)
{
    int status = lpar_job_release(job, lpar_job_name(job), NULL);
    if (status == VIOS_OK) {
        job->result = json_pack("{s:s, s:O}", "name", lpar_job_name(job), "removed",
                                json_object_get(job->data, "removed"));
    }
    return status;
}

static const struct job_step STEPS[] = {
    {"claim", cleanup_claim, cleanup_claim_undo},
    {"clean", cleanup_clean, NULL},
    {"finish", cleanup_finish, NULL},
};

const struct job_kind lpar_cleanup_job = {"lpar.cleanup", STEPS, sizeof STEPS / sizeof *STEPS, 1,
                                          .is_local = true};

int lpar_call_cleanup(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    struct lpar lpar;
    char object[96];
    int status = lpar_of_call(call, parameters, &lpar, operation);
    return status < 0
               ? status
               : call_job(call, &lpar_cleanup_job, lpar_object(lpar.name, object),
                          json_pack("{s:s}", "name", lpar.name), parameters, result, operation);
}
