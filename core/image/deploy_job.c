/*
 * deploy_job.c - image.deploy, step by step.
 *
 * partition (the LPAR, held by this job, and an LU for each of its disks, being made) -> copy (the
 * image is verified, and cloned or copied) -> attach (the LUs are ready) -> activate (the LPAR is
 * free, and its start submitted; the commit point). A guest never runs before all its disks are
 * there.
 *
 * The job's data: "handle" of the image, "record" of the new LPAR, "stopped". The LUs are those of
 * the record's disks, in the order of the image's files.
 */
#include "image/fileset.h"
#include "image/jobs.h"
#include "image/verify.h"
#include "lpar/jobs.h"
#include "lpar/view.h"
#include "node/node.h"
#include "storage/copy_told.h"
#include "storage/lu_file.h"
#include "storage/lu_make.h"
#include "storage/lu_store.h"
#include "storage/sparse_copy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The LPAR as it is to be made. */
static int wanted_lpar(struct job *job, struct lpar *lpar)
{
    return lpar_parse(job_text(job, "record"), lpar, &job->operation.error);
}

/* The LU of its disk `i`. */
static void wanted_lu(const struct job *job, const struct lpar *lpar, const struct image *image,
                      size_t i, struct lu *lu)
{
    memset(lu, 0, sizeof *lu);
    snprintf(lu->udid, sizeof lu->udid, "%s", lpar->disks[i].lu);
    snprintf(lu->name, sizeof lu->name, "%.50s-%.12s", lpar->name, lpar->disks[i].id);
    snprintf(lu->pool, sizeof lu->pool, "%s", job_text(job, "pool"));
    snprintf(lu->file, sizeof lu->file, "%s.0", lu->udid);
    snprintf(lu->job, sizeof lu->job, "%s", job->id);
    snprintf(lu->lpar, sizeof lu->lpar, "%s", lpar->name);
    snprintf(lu->origin, sizeof lu->origin, "%s", image->files[i].udid);
    lu->size_bytes = image->files[i].size_bytes;
    lu->state = LU_MAKING;
}

static int load_image(struct job *job, struct image *image)
{
    return image_load(job->store, job_text(job, "handle"), image, &job->operation);
}

/* --- partition --- */

#define CHANGES_MAX (2 + 2 * LPAR_DISKS_MAX)

struct batch {
    struct store_change changes[CHANGES_MAX];
    struct store_compare compares[CHANGES_MAX + 1];
    char keys[CHANGES_MAX][STORE_KEY_MAX];
    char pool_key[STORE_KEY_MAX];
    char names[LPAR_DISKS_MAX][64];
    char *texts[LPAR_DISKS_MAX + 2];
    size_t count, text_count;
};

/* `json` NULL: it is a text that stays, `name`. */
static void add(struct batch *batch, enum store_compare_kind kind, int64_t revision, char *json,
                const char *name)
{
    size_t i = batch->count++;
    batch->compares[i] = (struct store_compare){kind, batch->keys[i], revision};
    batch->changes[i] = (struct store_change){batch->keys[i], json ? json : name};
    if (!name) {
        batch->texts[batch->text_count++] = json;
    }
}

static void fill(struct job *job, struct batch *batch, struct lpar *lpar, const struct image *image)
{
    snprintf(lpar->job, sizeof lpar->job, "%s", job->id);
    snprintf(batch->keys[0], STORE_KEY_MAX, "/lpar/%s", lpar->name);
    add(batch, STORE_ABSENT, 0, lpar_format(lpar), NULL);
    /* The same again: so that an image.remove that looked for clones looks again. */
    image_key(image->handle, batch->keys[1]);
    add(batch, STORE_REVISION_IS, image->revision, image_format(image), NULL);
    for (size_t i = 0; i < lpar->disk_count; i++) {
        struct lu lu;
        wanted_lu(job, lpar, image, i, &lu);
        lu_key(lu.udid, batch->keys[batch->count]);
        add(batch, STORE_ABSENT, 0, lu_format(&lu, NULL), NULL);
        lu_name_key(&lu, batch->keys[batch->count]);
        add(batch, STORE_ABSENT, 0, NULL, lu_name_record(&lu, batch->names[i]));
    }
}

/* Which of the names is taken; VIOS_E_CONFLICT when it is something that may be tried again. */
static int explain_conflict(struct job *job, const struct lpar *lpar)
{
    char object[96], key[96];
    snprintf(key, sizeof key, "%s", job->operation.error.object);
    if (strncmp(key, "/lpar/", 6) == 0) {
        return operation_fail(&job->operation, VIOS_E_EXISTS, lpar_object(lpar->name, object),
                              "choose another name", "there is an LPAR of this name");
    }
    if (strncmp(key, "/lu-name/", 9) == 0) {
        return operation_fail(&job->operation, VIOS_E_EXISTS, lpar_object(lpar->name, object),
                              "choose another name for the LPAR, or remove the LU",
                              "there is an LU \"%.80s\" already", key + 9);
    }
    return VIOS_E_CONFLICT;
}

static int check_pool(struct job *job, const struct lpar *lpar, const struct image *image,
                      struct pool *pool)
{
    char object[96];
    int status = pool_load(job->store, job_text(job, "pool"), pool, &job->operation);
    if (status == VIOS_OK) {
        status = pool_check(job_node(job), pool, &job->operation.error);
    }
    return status < 0 ? status
                      : pool_check_promise(job_node(job), job->store, pool, image_size(image),
                                           lpar_object(lpar->name, object), &job->operation);
}

static bool is_made(struct job *job, const struct lpar *wanted)
{
    struct lpar lpar;
    struct operation asking;
    operation_start(&asking, 5000, job->operation.cancel);
    return lpar_load(job->store, wanted->name, &lpar, &asking) == VIOS_OK &&
           strcmp(lpar.uuid, wanted->uuid) == 0;
}

static int commit_partition(struct job *job, struct lpar *lpar)
{
    struct image image;
    struct pool pool;
    struct batch batch = {.count = 0};
    char object[96];
    int status = load_image(job, &image);
    if (status == VIOS_OK && image.state != IMAGE_READY) {
        status = operation_fail(&job->operation, VIOS_E_NOT_FOUND, image_object(image.name, object),
                                NULL, "it is being removed");
    }
    if (status == VIOS_OK) {
        status = check_pool(job, lpar, &image, &pool);
    }
    if (status < 0) {
        return status;
    }
    fill(job, &batch, lpar, &image);
    bool whole = true;
    for (size_t i = 0; i < batch.text_count; i++) {
        whole = whole && batch.texts[i];
    }
    batch.compares[batch.count] = (struct store_compare){
        STORE_REVISION_IS, pool_key(pool.name, batch.pool_key), pool.revision};
    status = whole ? store_commit(job->store, batch.compares, batch.count + 1, batch.changes,
                                  batch.count, NULL, &job->operation)
                   : operation_no_memory(&job->operation, NULL);
    for (size_t i = 0; i < batch.text_count; i++) {
        free(batch.texts[i]);
    }
    return status;
}

static int partition_once(struct job *job)
{
    struct lpar lpar;
    int status = wanted_lpar(job, &lpar);
    if (status < 0 || is_made(job, &lpar)) {
        return status;
    }
    status = commit_partition(job, &lpar);
    return status == VIOS_E_CONFLICT ? explain_conflict(job, &lpar) : status;
}

static int deploy_partition(struct job *job)
{
    return job_commit(job, partition_once);
}

/* The LPAR as it is, if this job still holds it; 1: it is not there, or it was let go: it stays. */
static int held_lpar(struct job *job, const struct lpar *wanted, struct lpar *lpar)
{
    int status = lpar_load(job->store, wanted->name, lpar, &job->operation);
    return status == VIOS_E_NOT_FOUND ||
                   (status == VIOS_OK &&
                    (strcmp(lpar->uuid, wanted->uuid) != 0 || strcmp(lpar->job, job->id) != 0))
               ? 1
               : status;
}

/* The LPAR and its LUs go in one commit. */
static int unmake_once(struct job *job)
{
    struct lpar wanted, lpar;
    struct store_change changes[2 + 2 * LPAR_DISKS_MAX];
    char keys[2 + 2 * LPAR_DISKS_MAX][STORE_KEY_MAX];
    size_t count = 2;
    int status = wanted_lpar(job, &wanted);
    if (status == VIOS_OK) {
        status = held_lpar(job, &wanted, &lpar);
    }
    if (status != VIOS_OK) {
        return status;
    }
    snprintf(keys[0], STORE_KEY_MAX, "/lpar/%s", lpar.name);
    snprintf(keys[1], STORE_KEY_MAX, "/lpar-run/%s", lpar.name);
    struct image none = {.file_count = 0};
    for (size_t i = 0; i < wanted.disk_count; i++) {
        struct lu lu;
        wanted_lu(job, &wanted, &none, i, &lu);
        lu_key(lu.udid, keys[count++]);
        lu_name_key(&lu, keys[count++]);
    }
    for (size_t i = 0; i < count; i++) {
        changes[i] = (struct store_change){keys[i], NULL};
    }
    struct store_compare same = {STORE_REVISION_IS, keys[0], lpar.revision};
    return store_commit(job->store, &same, 1, changes, count, NULL, &job->operation);
}

static int deploy_partition_undo(struct job *job)
{
    int status = job_commit(job, unmake_once);
    return status > 0 ? VIOS_OK : status;
}

/* --- copy --- */

/* Into `to`, an empty file. `*cloned` tells how. */
static int clone_or_copy(struct job *job, int from, int to, uint64_t size, bool *cloned,
                         const struct copy_progress *progress)
{
    int status = sparse_clone(from, to, &job->operation.error);
    *cloned = status == VIOS_OK;
    return status == VIOS_E_INVALID ? sparse_copy(from, to, size, NULL, progress, &job->operation)
                                    : status;
}

static int explain_space(struct job *job, const struct lu *lu, int status)
{
    char object[96];
    struct vios_error why = job->operation.error;
    return status == VIOS_E_NO_SPACE
               ? operation_fail(&job->operation, status, lu_object(lu->name, object),
                                "give --pool, or remove LUs", "no space in pool \"%s\": %.250s",
                                lu->pool, why.message)
               : status;
}

/* Whether the file system would have cloned a file that an earlier run of this step made. */
static bool would_clone(const struct lu_making *making, int from)
{
    int probe = open(making->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    bool clones = probe >= 0 && sparse_clone(from, probe, NULL) == VIOS_OK;
    if (probe >= 0) {
        close(probe);
    }
    return clones;
}

static int make_file(struct job *job, const struct lu *lu, int from, bool *cloned,
                     const struct copy_progress *progress)
{
    struct lu_making making;
    int status = lu_make_begin(&making, job_node(job), lu, &job->operation.error);
    if (status == VIOS_E_EXISTS) {
        *cloned = would_clone(&making, from);
        status = VIOS_OK;
    } else if (status == VIOS_OK) {
        status = clone_or_copy(job, from, making.fd, lu->size_bytes, cloned, progress);
        if (status == VIOS_OK) {
            status = lu_make_publish(&making, &job->operation.error);
        }
    }
    lu_make_end(&making);
    return explain_space(job, lu, status);
}

static int copy_file(struct job *job, const struct lu *lu, const struct image *image, size_t i,
                     int folder, struct copy_files *files)
{
    bool cloned = false;
    struct copy_progress progress = {copy_files_told, files};
    int fd = openat(folder, image->files[i].udid, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(&job->operation.error, image->files[i].name,
                               "cannot open this file of the image");
    }
    int status =
        verify_file(image, i, folder, fd, job_node(job)->verified, &progress, &job->operation);
    if (status == VIOS_OK) {
        status = make_file(job, lu, fd, &cloned, &progress);
    }
    if (status == VIOS_OK) {
        json_array_append_new(json_object_get(job->data, "cloned"), json_boolean(cloned));
    }
    close(fd);
    return status;
}

static int deploy_copy(struct job *job)
{
    struct lpar lpar;
    struct image image;
    struct copy_files files = {.job = job};
    int status = wanted_lpar(job, &lpar);
    if (status == VIOS_OK) {
        status = load_image(job, &image);
    }
    int folder = status < 0 ? status : fileset_open(job_node(job), &image, &job->operation.error);
    if (folder < 0) {
        return folder;
    }
    files.total_bytes = image_size(&image);
    json_object_set_new(job->data, "cloned", json_array());
    for (size_t i = 0; status == VIOS_OK && i < lpar.disk_count; i++) {
        struct lu lu;
        wanted_lu(job, &lpar, &image, i, &lu);
        files.size_bytes = lu.size_bytes;
        status = copy_file(job, &lu, &image, i, folder, &files);
        files.before_bytes += files.size_bytes;
    }
    close(folder);
    return status;
}

static int deploy_copy_undo(struct job *job)
{
    struct lpar wanted, lpar;
    struct image none = {.file_count = 0};
    char path[PATH_MAX];
    int status = wanted_lpar(job, &wanted);
    if (status == VIOS_OK) {
        status = held_lpar(job, &wanted, &lpar);
    }
    for (size_t i = 0; status == VIOS_OK && i < wanted.disk_count; i++) {
        struct lu lu;
        wanted_lu(job, &wanted, &none, i, &lu);
        status = lu_folder(job_node(job), &lu, path, &job->operation.error);
        if (status == VIOS_OK) {
            status = lu_file_remove_all(path, lu.udid, &job->operation.error);
        }
    }
    return status > 0 ? VIOS_OK : status;
}

/* --- attach --- */

static int deploy_attach(struct job *job)
{
    struct lpar lpar;
    char operation[UUID_TEXT_SIZE];
    const json_t *cloned = json_object_get(job->data, "cloned");
    int status = wanted_lpar(job, &lpar);
    for (size_t i = 0; status == VIOS_OK && i < lpar.disk_count; i++) {
        status = (json_is_true(json_array_get(cloned, i)) ? lu_publish : lu_publish_alone)(
            job->store, lpar.disks[i].lu, job->id, &job->operation);
    }
    uuid_make(operation);
    json_object_set_new(job->data, "start_operation", json_string(operation));
    json_object_set_new(job->data, "start_node", json_string(job_node(job)->name));
    return status;
}

/* --- activate --- */

static int free_lpar(struct job *job, const struct lpar *wanted, struct lpar *lpar)
{
    struct store_tries tries = {0};
    int status;
    do {
        status = lpar_load(job->store, wanted->name, lpar, &job->operation);
        if (status == VIOS_OK && strcmp(lpar->job, job->id) == 0) {
            lpar->job[0] = 0;
            status = lpar_save(job->store, lpar, &job->operation);
        }
    } while (store_try_again(&tries, &status));
    return status;
}

/* Under the id of the first try, so that a second one starts nothing else; a survivor has its own.
 */
static int submit_start(struct job *job, const struct lpar *lpar)
{
    char id[JOB_ID_SIZE], object[96], own[UUID_TEXT_SIZE];
    const char *operation = job_text(job, "start_operation");
    if (strcmp(job_text(job, "start_node"), job_node(job)->name) != 0) {
        uuid_make(own);
        operation = own;
    }
    int status = job_submit(job_node(job)->jobs, &lpar_start_job, lpar_object(lpar->name, object),
                            json_pack("{s:s}", "name", lpar->name), operation, id, &job->operation);
    if (status == VIOS_OK) {
        json_object_set_new(job->data, "start", json_string(id));
    }
    return status;
}

/* From here on the LPAR is anybody's, so that a start that cannot be submitted is told, and undoes
 * nothing. */
static int deploy_activate(struct job *job)
{
    struct lpar wanted, lpar;
    char why[sizeof job->operation.error.message] = "";
    int status = wanted_lpar(job, &wanted);
    if (status == VIOS_OK) {
        status = free_lpar(job, &wanted, &lpar);
    }
    if (status == VIOS_OK && !lpar.owner[0] &&
        !json_is_true(json_object_get(job->data, "stopped")) && submit_start(job, &lpar) < 0) {
        snprintf(why, sizeof why, "%s", job->operation.error.message);
    }
    if (status == VIOS_OK) {
        status = view_show(job_node(job), job->store, wanted.name, &job->result, &job->operation);
    }
    if (status == VIOS_OK) {
        json_object_set_new(job->result, "start", json_string(job_text(job, "start")));
        json_object_set_new(job->result, "start_error", json_string(why));
    }
    return status;
}

static const struct job_step STEPS[] = {
    {"partition", deploy_partition, deploy_partition_undo},
    {"copy", deploy_copy, deploy_copy_undo},
    {"attach", deploy_attach, NULL},
    {"activate", deploy_activate, NULL},
};

const struct job_kind image_deploy_job = {"image.deploy", STEPS, sizeof STEPS / sizeof *STEPS, 3};
