/* hold.c - see hold.h. */
#include "lpar/hold.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

/* Nobody else goes on with these. */
static const char *const LOCAL_KINDS[] = {"lpar.start",   "lpar.stop",    "lpar.hibernate",
                                          "lpar.restart", "lpar.migrate", "lpar.cleanup"};

static bool is_local(const char *kind)
{
    for (size_t i = 0; i < sizeof LOCAL_KINDS / sizeof *LOCAL_KINDS; i++) {
        if (strcmp(kind, LOCAL_KINDS[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The record of this key as JSON; VIOS_OK and NULL when it is not there, or none. */
static int read_json(struct store *store, const char *key, json_t **json,
                     struct operation *operation)
{
    struct store_value value;
    *json = NULL;
    int status = store_get(store, key, &value, operation);
    if (status < 0) {
        return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
    }
    *json = json_loads(value.json, 0, NULL);
    store_value_clear(&value);
    return VIOS_OK;
}

/* Its node is fenced, and let others in: it holds nothing any more. */
static bool is_void(struct store *store, const struct lpar_work *work, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    json_t *fence = NULL;
    if (!is_local(work->kind)) {
        return false;
    }
    snprintf(key, sizeof key, "/fence/%s/%lld", work->node, (long long)work->incarnation);
    (void)read_json(store, key, &fence, operation);
    bool is = strcmp(json_get_word(fence, "state"), "free") == 0;
    json_decref(fence);
    return is;
}

int lpar_work(struct store *store, const struct lpar *lpar, struct lpar_work *work,
              struct operation *operation)
{
    char key[STORE_KEY_MAX];
    json_t *json = NULL;
    memset(work, 0, sizeof *work);
    if (!lpar->job[0]) {
        return VIOS_OK;
    }
    snprintf(key, sizeof key, "/job/%s", lpar->job);
    int status = read_json(store, key, &json, operation);
    const char *state = json_get_word(json, "state");
    if (status == VIOS_OK && (strcmp(state, "running") == 0 || strcmp(state, "undoing") == 0)) {
        snprintf(work->kind, sizeof work->kind, "%s", json_get_word(json, "kind"));
        snprintf(work->node, sizeof work->node, "%s", json_get_word(json, "node"));
        work->incarnation = json_get_integer(json, "incarnation");
        if (!is_void(store, work, operation)) {
            snprintf(work->job, sizeof work->job, "%s", lpar->job);
        }
    }
    json_decref(json);
    return status;
}

bool lpar_is_held(struct store *store, const struct lpar *lpar, struct operation *operation)
{
    struct lpar_work work;
    struct operation asking;
    operation_start(&asking, 5000, operation->cancel);
    return lpar->job[0] && (lpar_work(store, lpar, &work, &asking) != VIOS_OK || work.job[0]);
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
