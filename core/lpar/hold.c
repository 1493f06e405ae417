/* hold.c - see hold.h. */
#include "lpar/hold.h"

#include "base/json.h"
#include "node/node.h"

#include <stdio.h>
#include <string.h>

#define ASK_MS 5000

/* The jobs that hold an LPAR and that no survivor of their node goes on with (is_local). */
static const char *const LOCAL[] = {"lpar.start", "lpar.stop", "lpar.hibernate", "lpar.restart"};

static bool is_local(const char *kind)
{
    for (size_t i = 0; i < sizeof LOCAL / sizeof LOCAL[0]; i++) {
        if (strcmp(LOCAL[i], kind) == 0) {
            return true;
        }
    }
    return false;
}

/* The job is a local one of a node whose fence is free: it holds nothing any more (DESIGN "Fencing
 * N"). */
static bool is_void(struct store *store, const json_t *job, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    json_t *fence = NULL;
    if (!is_local(json_get_word(job, "kind"))) {
        return false;
    }
    snprintf(key, sizeof key, "/fence/%.*s/%lld", NAME_MAX_LENGTH, json_get_word(job, "node"),
             (long long)json_get_integer(job, "incarnation"));
    bool is = node_record(store, key, &fence, NULL, operation) == VIOS_OK &&
              strcmp(json_get_word(fence, "state"), "free") == 0;
    json_decref(fence);
    return is;
}

static bool job_holds(struct store *store, const char *id, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    json_t *job = NULL;
    snprintf(key, sizeof key, "/job/%s", id);
    int status = node_record(store, key, &job, NULL, operation);
    if (status < 0) {
        return status != VIOS_E_NOT_FOUND;
    }
    const char *state = json_get_word(job, "state");
    bool is_over = strcmp(state, "running") != 0 && strcmp(state, "undoing") != 0;
    bool holds = !is_over && !is_void(store, job, operation);
    json_decref(job);
    return holds;
}

bool lpar_is_held(struct store *store, const struct lpar *lpar, struct operation *operation)
{
    struct operation asking;
    operation_start(&asking, ASK_MS, operation->cancel);
    return lpar->job[0] && job_holds(store, lpar->job, &asking);
}

int lpar_check_lock(struct store *store, const struct lpar *lpar, const char *id,
                    struct operation *operation)
{
    char object[96], hint[128];
    if (lpar->taken) {
        return operation_fail(operation, VIOS_E_LOCKED, lpar_object(lpar->name, object),
                              "the takeover goes on by itself", "its takeover is not finished");
    }
    if ((id && strcmp(lpar->job, id) == 0) || !lpar_is_held(store, lpar, operation)) {
        return VIOS_OK;
    }
    snprintf(hint, sizeof hint, "wait for it: job wait %s", lpar->job);
    return operation_fail(operation, VIOS_E_LOCKED, lpar_object(lpar->name, object), hint,
                          "job %s is at work on it", lpar->job);
}

const char *lpar_job_name(const struct job *job)
{
    return job_text(job, "name");
}

int lpar_job_fail(struct job *job, int code, const char *hint, const char *what)
{
    char object[96];
    return operation_fail(&job->operation, code, lpar_object(lpar_job_name(job), object), hint,
                          "%s", what);
}

static bool is_held(const struct job *job, const struct lpar *lpar)
{
    return strcmp(lpar->job, job->id) == 0;
}

int lpar_job_claim(struct job *job, const char *name, int (*change)(struct job *, struct lpar *),
                   struct lpar *lpar)
{
    struct store_tries tries = {0};
    int status;
    do {
        status = lpar_load(job->store, name, lpar, &job->operation);
        if (status == VIOS_OK && is_held(job, lpar)) {
            return VIOS_OK;
        }
        if (status == VIOS_OK) {
            status = lpar_check_lock(job->store, lpar, NULL, &job->operation);
        }
        if (status == VIOS_OK) {
            snprintf(lpar->job, sizeof lpar->job, "%s", job->id);
            status = change(job, lpar);
        }
        if (status < 0) {
            return status;
        }
        status = lpar_save(job->store, lpar, &job->operation);
    } while (store_try_again(&tries, &status));
    return status;
}

int lpar_job_load(struct job *job, const char *name, struct lpar *lpar)
{
    char object[96];
    int status = lpar_load(job->store, name, lpar, &job->operation);
    if (status == VIOS_OK && !is_held(job, lpar)) {
        status = operation_fail(&job->operation, VIOS_E_STALE, lpar_object(lpar->name, object),
                                NULL, "somebody else has taken it over");
    }
    return status;
}

int lpar_job_release(struct job *job, const char *name,
                     void (*change)(const struct job *, struct lpar *))
{
    struct lpar lpar;
    struct store_tries tries = {0};
    int status;
    do {
        status = lpar_load(job->store, name, &lpar, &job->operation);
        if (status == VIOS_E_NOT_FOUND || (status == VIOS_OK && !is_held(job, &lpar))) {
            return VIOS_OK;
        }
        if (status < 0) {
            return status;
        }
        lpar.job[0] = 0;
        if (change) {
            change(job, &lpar);
        }
        status = lpar_save(job->store, &lpar, &job->operation);
    } while (store_try_again(&tries, &status));
    return status;
}
