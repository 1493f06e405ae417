/* deploy.c - the method image.deploy; its job is in deploy_job.c. */
#include "image/deploy.h"

#include "base/json.h"
#include "image/jobs.h"
#include "lpar/spec.h"
#include "node/others.h"
#include "storage/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int find(struct node *node, const json_t *parameters, struct image *image, struct pool *pool,
                struct operation *operation)
{
    struct store *store = NULL;
    const char *in = json_get_text(parameters, "pool");
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = image_find(store, json_get_text(parameters, "image"), image, operation);
        if (status == VIOS_OK) {
            status = pool_load(store, in ? in : image->pool, pool, operation);
        }
        node_store_return(node, store);
    }
    return status == VIOS_OK ? pool_check(node, pool, &operation->error) : status;
}

/* The LPAR with a disk for each file of the image. */
static int build(const json_t *parameters, const struct image *image, struct lpar *lpar,
                 struct vios_error *error)
{
    struct lu lus[IMAGE_FILES_MAX] = {{.size_bytes = 0}};
    for (size_t i = 0; i < image->file_count; i++) {
        uuid_make(lus[i].udid);
    }
    return spec_build(parameters, lus, image->file_count, lpar, error);
}

static json_t *make_data(const json_t *parameters, const struct image *image,
                         const struct pool *pool, const struct lpar *lpar)
{
    char *record = lpar_format(lpar);
    json_t *data = record ? json_pack("{s:s, s:s, s:s, s:s, s:b}", "handle", image->handle, "name",
                                      image->name, "pool", pool->name, "record", record, "stopped",
                                      (int)json_is_true(json_object_get(parameters, "stopped")))
                          : NULL;
    free(record);
    return data;
}

static int not_started(const char *name, const char *why, int code, struct operation *operation)
{
    char object[96], hint[200];
    snprintf(hint, sizeof hint, "lpar start %s, or lpar remove %s --disks", name, name);
    return operation_fail(operation, code, lpar_object(name, object), hint,
                          "it is deployed, but does not start: %.300s", why);
}

/* The deployed LPAR as it is once its start has ended. */
static int await_start(struct call *call, json_t **result, struct operation *operation)
{
    json_t *started = NULL, *deployed = *result;
    const char *job = json_get_text(deployed, "start");
    const char *why = json_get_text(deployed, "start_error");
    const char *name = json_get_text(deployed, "name");
    int status = VIOS_OK;
    if (name && why && why[0]) {
        status = not_started(name, why, VIOS_E_CONFLICT, operation);
    } else if (name && job && job[0]) {
        snprintf(call->job, sizeof call->job, "%s", job);
        call_tell_job(call);
        status = call_wait(call, &started, operation);
        if (status < 0 && !cancel_triggered(operation->cancel)) {
            struct vios_error reason = operation->error;
            status = not_started(name, reason.message, status, operation);
        }
    }
    if (status < 0 || started) {
        *result = started;
        json_decref(deployed);
    }
    return status;
}

int deploy_call(struct call *call, const json_t *parameters, json_t **result,
                struct operation *operation)
{
    struct image image;
    struct pool pool;
    struct lpar lpar;
    char object[96];
    const char *node = json_get_text(parameters, "node");
    if (node && strcmp(node, call->node->name) != 0) {
        return others_pass(call, node, "image.deploy", parameters, result, operation);
    }
    int status = find(call->node, parameters, &image, &pool, operation);
    if (status == VIOS_OK) {
        status = build(parameters, &image, &lpar, &operation->error);
    }
    json_t *data = status == VIOS_OK ? make_data(parameters, &image, &pool, &lpar) : NULL;
    if (!data) {
        return status == VIOS_OK ? operation_no_memory(operation, NULL) : status;
    }
    status = call_job(call, &image_deploy_job, lpar_object(lpar.name, object), data, parameters,
                      result, operation);
    return status == VIOS_OK ? await_start(call, result, operation) : status;
}
