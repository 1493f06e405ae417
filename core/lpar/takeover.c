/*
 * takeover.c - see takeover.h.
 *
 * take (the commit point; it finds by itself how far it had come) -> finish (the record says that
 * the guest does not run). What the ownership wants next is done and told until it runs or ends.
 */
#include "lpar/takeover.h"

#include "base/json.h"
#include "base/log.h"
#include "lpar/adopt.h"
#include "lpar/hold.h"
#include "lpar/lookup.h"
#include "lpar/own.h"
#include "lpar/record.h"
#include "lpar/view.h"
#include "node/node.h"
#include "storage/lu.h"
#include "storage/lu_file.h"

#include <stdio.h>
#include <string.h>

#define STORE_TIMEOUT_MS 5000

/* --- the disks --- */

/* What keeps the old owner away from them; `lus` are the records, the caller's. */
struct disks {
    struct store_value values[OWNERSHIP_DISKS_MAX];
    struct lu lus[OWNERSHIP_DISKS_MAX];
    enum lu_fence fences[OWNERSHIP_DISKS_MAX];
    size_t count;
};

static void disks_clear(struct disks *disks)
{
    for (size_t i = 0; i < disks->count; i++) {
        store_value_clear(&disks->values[i]);
    }
    disks->count = 0;
}

static int refuse(const struct lpar *lpar, const char *hint, const char *what, const char *detail,
                  struct operation *operation)
{
    char object[96];
    return operation_fail(operation, VIOS_E_INVALID, lpar_object(lpar->name, object), hint,
                          "its disk %.60s %s", detail, what);
}

static int read_disk(struct node *node, struct store *store, const struct lpar *lpar,
                     const struct lpar_disk *disk, struct disks *disks, struct operation *operation)
{
    char folder[PATH_MAX];
    size_t i = disks->count;
    if (!disk->lu[0]) {
        return refuse(lpar, "start it where the file is", "is a file of one node", disk->id,
                      operation);
    }
    int status = lu_load(store, disk->lu, &disks->lus[i], &disks->values[i], operation);
    if (status < 0) {
        return status;
    }
    disks->count++;
    status = lu_folder(node, &disks->lus[i], folder, &operation->error);
    if (status == VIOS_OK) {
        status = lu_file_probe(folder, &disks->fences[i], &operation->error);
    }
    if (status == VIOS_OK && disks->fences[i] == LU_FENCE_LOCAL_ONLY) {
        status = refuse(lpar, "start it where it ran", "is on a pool without O_DIRECT", disk->id,
                        operation);
    }
    return status;
}

/* On failure nothing is left to clear. */
static int read_disks(struct node *node, struct store *store, const struct lpar *lpar,
                      struct disks *disks, struct operation *operation)
{
    int status = VIOS_OK;
    disks->count = 0;
    for (size_t i = 0; status == VIOS_OK && i < lpar->disk_count; i++) {
        status = read_disk(node, store, lpar, &lpar->disks[i], disks, operation);
    }
    if (status < 0) {
        disks_clear(disks);
    }
    return status;
}

int takeover_check(struct node *node, struct store *store, const struct lpar *lpar,
                   struct operation *operation)
{
    struct disks disks;
    int status = read_disks(node, store, lpar, &disks, operation);
    if (status == VIOS_OK) {
        disks_clear(&disks);
    }
    return status;
}

/* Of the job's LPAR, as its record is now. */
static int read_job_disks(struct job *job, struct disks *disks)
{
    struct lpar lpar;
    struct operation asking;
    disks->count = 0;
    job_limit(job, &asking, STORE_TIMEOUT_MS);
    int status = lpar_load(job->store, lpar_job_name(job), &lpar, &asking);
    if (status == VIOS_OK) {
        status = read_disks(job_node(job), job->store, &lpar, disks, &asking);
    }
    return job_keep(job, &asking, status);
}

/* The LUs that get a new file are put first; how many there are. */
static int renew(struct job *job, const struct ownership *ownership, struct disks *disks,
                 size_t *cloned)
{
    char folder[PATH_MAX], name[OWNERSHIP_FILE_SIZE];
    int status = VIOS_OK;
    *cloned = 0;
    for (size_t i = 0; status == VIOS_OK && i < disks->count; i++) {
        if (disks->fences[i] != LU_FENCE_CLONE) {
            continue;
        }
        ownership_disk_file(disks->values[i].key, ownership_generation(ownership), name);
        status = lu_folder(job_node(job), &disks->lus[i], folder, &job->operation.error);
        if (status == VIOS_OK) {
            status = lu_file_renew(folder, disks->lus[i].file, name, &job->operation.error);
        }
        struct store_value value = disks->values[i];
        disks->values[i] = disks->values[*cloned];
        disks->values[(*cloned)++] = value;
    }
    return status;
}

static int fence_disks(struct job *job, struct ownership *ownership)
{
    struct disks disks;
    size_t cloned;
    int status = read_job_disks(job, &disks);
    if (status == VIOS_OK) {
        status = renew(job, ownership, &disks, &cloned);
    }
    if (status == VIOS_OK && cloned < disks.count) {
        log_notice("lpar", "%s: its pool cannot clone: %d s of grace", lpar_job_name(job),
                   LU_GRACE_MS / 1000);
        status = operation_sleep(&job->operation, LU_GRACE_MS);
    }
    if (status == VIOS_OK) {
        status = ownership_disks_fenced(ownership, disks.values, cloned, &job->operation.error);
    }
    disks_clear(&disks);
    return status;
}

/* --- the commit --- */

static int drive(struct job *job, struct ownership *ownership)
{
    char object[96];
    int status = own_drive(job, lpar_job_name(job), ownership, fence_disks);
    if (status == VIOS_OK && ownership_next(ownership) == OWNERSHIP_END) {
        status = operation_fail(
            &job->operation, VIOS_E_CONFLICT, lpar_object(lpar_job_name(job), object),
            "see who runs it: lpar show", "it is not taken over: %s", ownership_why(ownership));
    }
    return status;
}

/* --- the steps --- */

static int read_fence(struct job *job, const struct lpar *lpar, struct store_value *fence)
{
    char key[STORE_KEY_MAX];
    struct operation asking;
    snprintf(key, sizeof key, "/fence/%s/%lld", lpar->owner, (long long)lpar->owner_incarnation);
    job_limit(job, &asking, STORE_TIMEOUT_MS);
    int status = lpar->owner[0] ? store_get(job->store, key, fence, &asking) : VIOS_E_NOT_FOUND;
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : job_keep(job, &asking, status);
}

/* From the record as it is now, which is `lpar` too. */
static int take_it(struct job *job, const struct store_value *value, const struct lpar *lpar)
{
    struct node *node = job_node(job);
    struct store_value fence = {0};
    struct ownership *ownership = NULL;
    int status = read_fence(job, lpar, &fence);
    struct ownership_facts facts = {.node = node->name,
                                    .incarnation = node->incarnation,
                                    .lpar = value,
                                    .fence = fence.json ? &fence : NULL,
                                    .wanted = "stopped", /* until it is started */
                                    .recorder = node->recorder};
    if (status == VIOS_OK) {
        status = ownership_begin(&ownership, OWNERSHIP_TAKEOVER, &facts, &job->operation.error);
    }
    if (status == VIOS_OK) {
        status = drive(job, ownership);
    }
    if (status == VIOS_OK) {
        log_notice("lpar", "%s is taken over from %s, generation %lld", lpar->name, lpar->owner,
                   (long long)ownership_generation(ownership));
    }
    ownership_free(ownership);
    store_value_clear(&fence);
    return status;
}

static bool was_taken(const struct job *job, const struct lpar *lpar)
{
    const struct node *node = job_node(job);
    return !lpar->taken && strcmp(lpar->owner, node->name) == 0 &&
           lpar->owner_incarnation == node->incarnation &&
           lpar->generation > json_get_integer(job->data, "generation");
}

static int check_lock(struct job *job, const struct lpar *lpar)
{
    return lpar->taken ? VIOS_OK : lpar_check_lock(job->store, lpar, NULL, &job->operation);
}

static int takeover_take(struct job *job)
{
    struct store_value value;
    struct lpar lpar;
    struct operation asking;
    int status = own_read(job, lpar_job_name(job), &value, &lpar);
    if (status == VIOS_OK && !was_taken(job, &lpar)) {
        status = check_lock(job, &lpar);
        if (status == VIOS_OK) {
            job_limit(job, &asking, STORE_TIMEOUT_MS); /* what cannot be fenced is not taken */
            status =
                job_keep(job, &asking, takeover_check(job_node(job), job->store, &lpar, &asking));
        }
        if (status == VIOS_OK) {
            status = take_it(job, &value, &lpar);
        }
    }
    store_value_clear(&value);
    return status;
}

static int takeover_finish(struct job *job)
{
    struct node *node = job_node(job);
    int status = lpar_settle(node, job->store, lpar_job_name(job), &job->operation);
    return status < 0
               ? status
               : view_show(node, job->store, lpar_job_name(job), &job->result, &job->operation);
}

static const struct job_step STEPS[] = {
    {"take", takeover_take, NULL},
    {"finish", takeover_finish, NULL},
};

const struct job_kind lpar_takeover_job = {"lpar.takeover", STEPS, sizeof STEPS / sizeof *STEPS, 0,
                                           .is_local = true};

int lpar_call_takeover(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    struct lpar lpar;
    char object[96];
    int status = lpar_of_call(call, parameters, &lpar, operation);
    if (status < 0) {
        return status;
    }
    return call_job(call, &lpar_takeover_job, lpar_object(lpar.name, object),
                    json_pack("{s:s, s:I}", "name", lpar.name, "generation",
                              (json_int_t)(lpar.generation - lpar.taken)),
                    parameters, result, operation);
}
