/* own.c - see own.h. */
#include "lpar/own.h"

#include "base/log.h"

#include <stdio.h>

#define STORE_TIMEOUT_MS 5000
#define AGAIN_MS 200 /* between tries of what failed */

static void do_commit(struct job *job, struct ownership *ownership)
{
    struct operation asking;
    int64_t revision = 0;
    const struct ownership_request *request = ownership_request(ownership);
    job_limit(job, &asking, STORE_TIMEOUT_MS);
    int status = store_commit(job->store, request->compares, request->compare_count,
                              request->changes, request->change_count, &revision, &asking);
    ownership_committed(ownership, status, revision);
}

static int get(const struct job *job, const char *name, struct store_value *value,
               struct operation *asking)
{
    char key[STORE_KEY_MAX];
    snprintf(key, sizeof key, "/lpar/%s", name);
    job_limit(job, asking, STORE_TIMEOUT_MS);
    return store_get(job->store, key, value, asking);
}

int own_read(struct job *job, const char *name, struct store_value *value, struct lpar *lpar)
{
    struct operation asking;
    *value = (struct store_value){0};
    int status = job_keep(job, &asking, get(job, name, value, &asking));
    return status == VIOS_OK ? lpar_parse(value->json, lpar, &job->operation.error) : status;
}

static void do_read(struct job *job, const char *name, struct ownership *ownership)
{
    struct store_value value = {0};
    struct operation asking;
    int status = get(job, name, &value, &asking);
    ownership_read(ownership, status, &value);
    store_value_clear(&value);
}

/* Does what is next. Behind the first commit only a cancel is a failure: the rest is repeated. */
static int step(struct job *job, const char *name, struct ownership *ownership,
                int (*disks)(struct job *job, struct ownership *ownership))
{
    enum ownership_next before = ownership_next(ownership);
    int status = VIOS_OK;
    if (before == OWNERSHIP_COMMIT) {
        do_commit(job, ownership);
    } else if (before == OWNERSHIP_READ) {
        do_read(job, name, ownership);
    } else {
        status = disks(job, ownership);
    }
    if (status < 0) {
        log_warning("lpar", "%s of %s waits: %s: %s", job->kind->name, name,
                    job->operation.error.object, job->operation.error.message);
    }
    return ownership_next(ownership) == before ? operation_sleep(&job->operation, AGAIN_MS)
                                               : VIOS_OK;
}

static bool is_decided(const struct ownership *ownership)
{
    enum ownership_next next = ownership_next(ownership);
    return next == OWNERSHIP_RUN || next == OWNERSHIP_GO_ON || next == OWNERSHIP_END;
}

int own_drive(struct job *job, const char *name, struct ownership *ownership,
              int (*disks)(struct job *job, struct ownership *ownership))
{
    int status = operation_check(&job->operation);
    while (status == VIOS_OK && !is_decided(ownership)) {
        status = step(job, name, ownership, disks);
    }
    return status;
}
