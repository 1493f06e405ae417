/* hold.c - see hold.h. */
#include "lpar/hold.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

static bool job_is_over(struct store *store, const char *id, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    struct store_value value;
    snprintf(key, sizeof key, "/job/%s", id);
    int status = store_get(store, key, &value, operation);
    if (status < 0) {
        return status == VIOS_E_NOT_FOUND;
    }
    json_t *json = json_loads(value.json, 0, NULL);
    const char *state = json_get_text(json, "state");
    bool over = !state || (strcmp(state, "running") != 0 && strcmp(state, "undoing") != 0);
    json_decref(json);
    store_value_clear(&value);
    return over;
}

int lpar_check_lock(struct store *store, const struct lpar *lpar, const char *id,
                    struct operation *operation)
{
    char object[96], hint[128];
    struct operation asking;
    operation_start(&asking, 5000, operation->cancel);
    if (lpar->taken) {
        return operation_fail(operation, VIOS_E_LOCKED, lpar_object(lpar->name, object),
                              "the takeover goes on by itself", "its takeover is not finished");
    }
    if (!lpar->job[0] || (id && strcmp(lpar->job, id) == 0) ||
        job_is_over(store, lpar->job, &asking)) {
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
