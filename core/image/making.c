/* making.c - see making.h. */
#include "image/making.h"

#include "base/file.h"
#include "base/log.h"
#include "image/fileset.h"
#include "image/image_store.h"
#include "image/view.h"
#include "node/node.h"
#include "storage/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DESCRIPTION_NAME "image.json"

/* --- what the job knows of its image --- */

static int keep(json_t *data, const struct image *image)
{
    char *text = image_format(image);
    int failed = !text || json_object_set_new(data, "image", json_string(text)) != 0;
    free(text);
    return failed ? VIOS_E_NO_SPACE : VIOS_OK;
}

json_t *making_data(const struct image *image)
{
    json_t *data = json_pack("{s:s}", "handle", image->handle);
    if (!data || keep(data, image) < 0) {
        json_decref(data);
        return NULL;
    }
    return data;
}

int making_image(const struct job *job, struct image *image, struct vios_error *error)
{
    return image_parse(job_text(job, "handle"), job_text(job, "image"), image, error);
}

bool making_is_existing(const struct job *job)
{
    return json_object_get(job->data, "existing") != NULL;
}

int making_set_files(struct job *job, struct image *image)
{
    for (size_t i = 0; i < image->file_count; i++) {
        if (!image->files[i].udid[0]) {
            uuid_make(image->files[i].udid);
        }
    }
    return keep(job->data, image) < 0 ? operation_no_memory(&job->operation, NULL) : VIOS_OK;
}

int making_save_digests(struct job *job, size_t i, int work, const struct chunks *chunks)
{
    struct image image;
    char name[UUID_TEXT_SIZE + sizeof FILESET_DIGESTS];
    int status = making_image(job, &image, &job->operation.error);
    if (status == VIOS_OK) {
        snprintf(name, sizeof name, "%s" FILESET_DIGESTS, image.files[i].udid);
        status = chunks_save(work, name, chunks, &job->operation.error);
    }
    if (status == VIOS_OK) {
        chunks_digest(chunks, image.files[i].digest);
        status = keep(job->data, &image) < 0 ? operation_no_memory(&job->operation, NULL) : VIOS_OK;
    }
    return status;
}

/* --- claim --- */

/* Waits until the record of another job's image changes. */
static int await_change(struct job *job, const struct image *other)
{
    char key[STORE_KEY_MAX];
    struct store_watch *watch = NULL;
    struct store_change_list changes;
    int status = store_watch_open(&watch, job->store, image_key(other->handle, key),
                                  other->revision, &job->operation);
    if (status == VIOS_OK) {
        status = store_watch_next(watch, &changes, &job->operation);
        if (status == VIOS_OK) {
            store_change_list_clear(&changes);
        }
        store_watch_close(watch);
    }
    return status == VIOS_E_COMPACTED ? VIOS_OK : status;
}

static bool is_same_source(const struct image *one, const struct image *other)
{
    return one->tag[0] && strcmp(one->tag, other->tag) == 0 &&
           strcmp(one->source, other->source) == 0;
}

static int refuse_existing(struct job *job, const struct image *image, const struct image *other)
{
    char object[96];
    return operation_fail(&job->operation, VIOS_E_EXISTS, image_object(image->name, object),
                          "choose another name with --name, or remove it first",
                          "there is an image of this name, from %.200s", other->source);
}

/* The name is taken by `handle`. 1: look again; VIOS_OK: claimed, or there already. */
static int meet(struct job *job, const struct image *image, const char *handle)
{
    struct image other;
    int status = image_load(job->store, handle, &other, &job->operation);
    if (status == VIOS_E_NOT_FOUND) {
        return 1;
    }
    if (status < 0 || strcmp(other.job, job->id) == 0) {
        return status;
    }
    if (other.state != IMAGE_READY) {
        status = await_change(job, &other);
        return status < 0 ? status : 1;
    }
    if (!is_same_source(image, &other)) {
        return refuse_existing(job, image, &other);
    }
    json_object_set_new(job->data, "existing", json_string(other.handle));
    return VIOS_OK;
}

static int commit_claim(struct job *job, const struct image *image)
{
    struct pool pool;
    char key[STORE_KEY_MAX], name_key[STORE_KEY_MAX], in_pool[STORE_KEY_MAX], name[64];
    int status = pool_load(job->store, image->pool, &pool, &job->operation);
    if (status == VIOS_OK) {
        status = pool_check(job_node(job), &pool, &job->operation.error);
    }
    if (status < 0) {
        return status;
    }
    char *json = image_format(image);
    struct store_compare compares[] = {
        {STORE_ABSENT, image_name_key(image->name, name_key), 0},
        {STORE_ABSENT, image_key(image->handle, key), 0},
        {STORE_REVISION_IS, pool_key(image->pool, in_pool), pool.revision}};
    struct store_change changes[] = {{key, json},
                                     {name_key, image_name_record(image->handle, name)}};
    status = json ? store_commit(job->store, compares, 3, changes, 2, NULL, &job->operation)
                  : operation_no_memory(&job->operation, NULL);
    free(json);
    return status;
}

int making_claim(struct job *job)
{
    struct image image;
    char handle[UUID_TEXT_SIZE];
    int status = making_image(job, &image, &job->operation.error);
    snprintf(image.job, sizeof image.job, "%s", job->id);
    image.state = IMAGE_MAKING;
    bool again = status == VIOS_OK && !making_is_existing(job);
    while (again) {
        status = image_name_handle(job->store, image.name, handle, &job->operation);
        if (status == VIOS_OK) {
            status = meet(job, &image, handle);
        } else if (status == VIOS_E_NOT_FOUND) {
            status = commit_claim(job, &image);
        }
        again = status == 1 || status == VIOS_E_CONFLICT || status == VIOS_E_UNKNOWN;
        if (again && operation_check(&job->operation) < 0) {
            return job->operation.error.code;
        }
    }
    return status == VIOS_OK && keep(job->data, &image) < 0
               ? operation_no_memory(&job->operation, NULL)
               : status;
}

/* --- configure --- */

/* The record in the store, which is this job's. 1: it is not there, or another's. */
static int own(struct job *job, struct image *image)
{
    return image_load_own(job->store, job_text(job, "handle"), job->id, image, &job->operation);
}

static int taken(struct job *job)
{
    return operation_fail(&job->operation, VIOS_E_STALE, job->object, NULL,
                          "somebody else has taken its record");
}

/* What was found in the source becomes the record, which has no files yet. */
static int configure_once(struct job *job)
{
    struct image wanted, image;
    int status = own(job, &image);
    if (status != VIOS_OK || image.file_count > 0) {
        return status == 1 ? taken(job) : status; /* an earlier run of this step did it */
    }
    status = making_image(job, &wanted, &job->operation.error);
    wanted.revision = image.revision;
    return status < 0 ? status : image_commit(job->store, &wanted, &job->operation);
}

int making_configure(struct job *job)
{
    return making_is_existing(job) ? VIOS_OK : job_commit(job, configure_once);
}

/* Calls `forget` on the record as long as it is this job's and others are quicker. */
static int forget(struct job *job, int (*forget_it)(struct store *store, const struct image *image,
                                                    struct operation *operation))
{
    struct image image;
    struct store_tries tries = {0};
    int status;
    do {
        status = own(job, &image);
        if (status == VIOS_OK) {
            status = forget_it(job->store, &image, &job->operation);
        }
    } while (store_try_again(&tries, &status));
    return status > 0 ? VIOS_OK : status;
}

/* The LUs go; the claim stays. */
int making_configure_undo(struct job *job)
{
    return forget(job, image_forget_files);
}

/* Last of all undos: nothing is known of the image any more. */
int making_claim_undo(struct job *job)
{
    return forget(job, image_forget);
}

/* --- its files --- */

int making_clear_work(struct job *job)
{
    struct image image;
    int status = making_image(job, &image, &job->operation.error);
    return status < 0 ? status : fileset_remove_work(job_node(job), &image, &job->operation.error);
}

static int describe(struct job *job, const struct image *image)
{
    char *text = image_format(image);
    int folder = fileset_open_work(job_node(job), image, &job->operation.error);
    int status = folder;
    if (folder >= 0) {
        status = text ? file_replace(folder, DESCRIPTION_NAME, text, strlen(text), 0600,
                                     &job->operation.error)
                      : operation_no_memory(&job->operation, NULL);
        close(folder);
    }
    free(text);
    return status;
}

int making_publish(struct job *job, int (*fill)(struct job *job))
{
    struct image image;
    struct node *node = job_node(job);
    int status = making_image(job, &image, &job->operation.error);
    if (status < 0 || making_is_existing(job) || fileset_is_published(node, &image)) {
        return status; /* only what is whole gets the name */
    }
    if (!fileset_has_work(node, &image)) {
        status = fill(job);
    }
    if (status == VIOS_OK) { /* filling may have told digests */
        status = making_image(job, &image, &job->operation.error);
    }
    if (status == VIOS_OK) {
        status = describe(job, &image);
    }
    return status < 0 ? status : fileset_publish(node, &image, &job->operation.error);
}

int making_publish_undo(struct job *job)
{
    struct image image;
    int status = making_image(job, &image, &job->operation.error);
    return status < 0 || making_is_existing(job)
               ? status
               : fileset_remove(job_node(job), &image, &job->operation.error);
}

/* --- commit --- */

static int ready_once(struct job *job)
{
    struct image made, image;
    int status = making_image(job, &made, &job->operation.error);
    if (status == VIOS_OK) {
        status = image_load(job->store, made.handle, &image, &job->operation);
    }
    if (status < 0 || image.state == IMAGE_READY) {
        return status; /* an earlier run of this step did it */
    }
    if (strcmp(image.job, job->id) != 0) {
        return taken(job);
    }
    memcpy(image.files, made.files, sizeof image.files);
    image.file_count = made.file_count;
    image.state = IMAGE_READY;
    image.job[0] = 0;
    clock_format(clock_wall_ms(), image.created);
    return image_commit(job->store, &image, &job->operation);
}

int making_commit(struct job *job)
{
    struct image image;
    struct operation clearing = {.deadline_ms = OPERATION_NO_DEADLINE};
    bool existing = making_is_existing(job);
    int status = existing ? VIOS_OK : job_commit(job, ready_once);
    if (status == VIOS_OK) {
        const char *handle = job_text(job, existing ? "existing" : "handle");
        status = image_load(job->store, handle, &image, &job->operation);
    }
    if (status == VIOS_OK) {
        status = view_image(job->store, &image, &job->result, &job->operation);
    }
    if (status == VIOS_OK) {
        json_object_set_new(job->result, "existing", json_boolean(existing));
        if (fileset_remove_work(job_node(job), &image, &clearing.error) < 0) {
            log_warning("image", "%s: %s", image.name, clearing.error.message);
        }
    }
    return status;
}
