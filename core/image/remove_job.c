/*
 * remove_job.c - image.remove: mark (nobody sees it any more, nobody can deploy it; the commit
 * point) -> unlink (its folder) -> forget (its records).
 */
#include "image/fileset.h"
#include "image/image_store.h"
#include "image/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMED_MAX 8 /* clones that the refusal names */

static const char *job_handle(const struct job *job)
{
    return job_text(job, "handle");
}

/* `image "debian12": it has 2 linked clones: p1/web1-disk0 of lpar "web1", ...` */
static int refuse_clones(struct job *job, const struct image *image, const struct lu *clones,
                         size_t count)
{
    char names[320] = "", object[96], hint[160];
    size_t used = 0;
    for (size_t i = 0; i < count && i < NAMED_MAX && used < sizeof names; i++) {
        const struct lu *lu = &clones[i];
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s/%s%s%s", i ? ", " : "",
                                 lu->pool, lu->name, lu->lpar[0] ? " of " : "", lu->lpar);
    }
    snprintf(hint, sizeof hint, "cut the tie first: image flatten %s", image->name);
    return operation_fail(&job->operation, VIOS_E_CONFLICT, image_object(image->name, object), hint,
                          "%zu linked clone%s of it: %s%s", count, count == 1 ? "" : "s", names,
                          count > NAMED_MAX ? ", ..." : "");
}

int image_check_lock(const struct image *image, const char *job, struct vios_error *error)
{
    char object[96], hint[128];
    if (!image->job[0] || (job && strcmp(image->job, job) == 0)) {
        return VIOS_OK;
    }
    snprintf(hint, sizeof hint, "wait for it: job wait %s", image->job);
    return error_set(error, VIOS_E_LOCKED, image_object(image->name, object), hint,
                     "job %s is at work on it", image->job);
}

/* A deploy that begins meanwhile changes the image's revision. `*refused`: it has clones. */
static int mark_once(struct job *job, bool *refused)
{
    struct image image;
    struct lu *clones;
    size_t count;
    int status = image_load(job->store, job_handle(job), &image, &job->operation);
    if (status < 0 || (image.state == IMAGE_DELETING && strcmp(image.job, job->id) == 0)) {
        return status;
    }
    status = image_check_lock(&image, job->id, &job->operation.error);
    if (status == VIOS_OK) {
        status = image_dependents(job->store, &image, &clones, &count, &job->operation);
    }
    if (status == VIOS_OK) {
        *refused = count > 0;
        status = *refused ? refuse_clones(job, &image, clones, count) : VIOS_OK;
        free(clones);
    }
    image.state = IMAGE_DELETING;
    snprintf(image.job, sizeof image.job, "%s", job->id);
    return status < 0 ? status : image_commit(job->store, &image, &job->operation);
}

static int remove_mark(struct job *job)
{
    struct store_tries tries = {0};
    bool refused = false;
    int status;
    do {
        status = mark_once(job, &refused);
    } while (!refused && store_try_again(&tries, &status));
    return status;
}

static int remove_unlink(struct job *job)
{
    struct image image;
    int status = image_load_own(job->store, job_handle(job), job->id, &image, &job->operation);
    if (status == VIOS_OK) {
        status = fileset_remove(job_node(job), &image, &job->operation.error);
    }
    if (status == VIOS_OK) {
        status = fileset_remove_work(job_node(job), &image, &job->operation.error);
    }
    return status > 0 ? VIOS_OK : status;
}

static int remove_forget(struct job *job)
{
    struct image image;
    int status = image_load_own(job->store, job_handle(job), job->id, &image, &job->operation);
    if (status == VIOS_OK) {
        status = image_forget(job->store, &image, &job->operation);
    }
    if (status >= 0) {
        job->result = json_pack("{s:s, s:O}", "handle", job_handle(job), "name",
                                json_object_get(job->data, "name"));
        status = VIOS_OK;
    }
    return status;
}

static const struct job_step STEPS[] = {
    {"mark", remove_mark, NULL},
    {"unlink", remove_unlink, NULL},
    {"forget", remove_forget, NULL},
};

const struct job_kind image_remove_job = {"image.remove", STEPS, sizeof STEPS / sizeof *STEPS, 0};
