/* methods.c - the methods of images, and the part itself. */
#include "image/begin.h"
#include "image/capture.h"
#include "image/deploy.h"
#include "image/discover.h"
#include "image/image_part.h"
#include "image/image_store.h"
#include "image/import_source.h"
#include "image/jobs.h"
#include "image/making.h"
#include "image/spool.h"
#include "image/verify.h"
#include "image/view.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- import --- */

static int call_import(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    struct image image = {.state = IMAGE_MAKING};
    char object[96];
    json_t *source = NULL;
    const char *word = json_get_text(parameters, "source");
    int status = spool_is(word)
                     ? spool_source(call->node, word, &source, &image, &operation->error)
                     : import_source_from(call->node, word, &source, &image, &operation->error);
    if (status == VIOS_OK) {
        status = image_begin(parameters, word, &image, &operation->error);
    }
    if (status == VIOS_OK) {
        status = image_choose_pool(call->node, parameters, image.pool, operation);
    }
    json_t *data = status == VIOS_OK ? making_data(&image) : NULL;
    if (!data) {
        json_decref(source);
        return status == VIOS_OK ? operation_no_memory(operation, NULL) : status;
    }
    json_object_set_new(data, "source", source);
    return call_job(call, &image_import_job, image_object(image.name, object), data, parameters,
                    result, operation);
}

/* --- jobs on an image that is there --- */

static int find(struct node *node, const json_t *parameters, struct image *image,
                struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = image_find(store, json_get_text(parameters, "image"), image, operation);
        node_store_return(node, store);
    }
    return status;
}

static int submit(struct call *call, const struct job_kind *kind, const json_t *parameters,
                  json_t **result, struct operation *operation)
{
    struct image image;
    char object[96];
    int status = find(call->node, parameters, &image, operation);
    return status < 0
               ? status
               : call_job(call, kind, image_object(image.name, object),
                          json_pack("{s:s, s:s}", "handle", image.handle, "name", image.name),
                          parameters, result, operation);
}

static int call_verify(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    return submit(call, &image_verify_job, parameters, result, operation);
}

static int call_flatten(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    return submit(call, &image_flatten_job, parameters, result, operation);
}

static int call_remove(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    return submit(call, &image_remove_job, parameters, result, operation);
}

/* --- list, show, rename --- */

static int call_list(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct store *store = NULL;
    (void)parameters;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = view_images(store, result, operation);
        node_store_return(call->node, store);
    }
    return status;
}

static int show(struct store *store, const char *word, json_t **result, struct operation *operation)
{
    struct image image;
    int status = image_find(store, word, &image, operation);
    return status < 0 ? status : view_image(store, &image, result, operation);
}

static int call_show(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = show(store, json_get_text(parameters, "image"), result, operation);
        node_store_return(call->node, store);
    }
    return status;
}

static int rename_it(struct store *store, const json_t *parameters, struct operation *operation)
{
    struct image image;
    int status = image_find(store, json_get_text(parameters, "image"), &image, operation);
    if (status == VIOS_OK) {
        status = image_check_lock(&image, NULL, &operation->error);
    }
    return status < 0 ? status
                      : image_rename(store, &image, json_get_text(parameters, "name"), operation);
}

static int call_rename(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = rename_it(store, parameters, operation);
        if (status == VIOS_OK) {
            status = show(store, json_get_text(parameters, "name"), result, operation);
        }
        node_store_return(call->node, store);
    }
    return status;
}

static const struct method METHODS[] = {
    {"image.discover", "node:node?", ROLE_OPERATOR, METHOD_LASTS, discover_call},
    {"image.import", "source:text name:name? pool:pool? version:text? architecture:text?",
     ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB, call_import},
    {"image.capture", "lpar:lpar name:name? pool:pool? version:text? architecture:text?",
     ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB, capture_call},
    {"image.deploy",
     "image:image name:name memory:size cpus:integer? nic:list? accel:text? cpu:text? "
     "autostart:boolean? pool:pool? stopped:boolean? node:node?",
     ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB, deploy_call},
    {"image.list", "", ROLE_VIEWER, 0, call_list},
    {"image.show", "image:image", ROLE_VIEWER, 0, call_show},
    {"image.verify", "image:image", ROLE_OPERATOR, METHOD_JOB, call_verify},
    {"image.flatten", "image:image", ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB, call_flatten},
    {"image.rename", "image:image name:name", ROLE_ADMIN, METHOD_CHANGES, call_rename},
    {"image.remove", "image:image", ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB, call_remove},
    /* What image.import - sends first. */
    {"daemon.receive", "pool:pool?", ROLE_ADMIN, METHOD_STREAM, spool_receive_call},
    /* The agent of image.discover, for the director only. */
    {"daemon.discover", "", ROLE_OPERATOR, METHOD_LASTS, discover_agent_call},
};

static const struct method_group IMAGE_METHODS = {METHODS, sizeof METHODS / sizeof *METHODS};
static const struct job_kind *const JOB_KINDS[] = {&image_import_job,
                                                   &image_capture_job,
                                                   &image_deploy_job,
                                                   &image_remove_job,
                                                   &image_flatten_job,
                                                   &image_verify_job,
                                                   NULL};

/* --- the part --- */

static int part_start(struct node *node, struct vios_error *error)
{
    node->verified = verified_new();
    return node->verified ? VIOS_OK : error_no_memory(error, "image");
}

static void part_stop(struct node *node, bool stop_guests)
{
    (void)stop_guests;
    verified_free(node->verified);
    node->verified = NULL;
}

const struct part image_part = {
    .name = "image",
    .start = part_start,
    .stop = part_stop,
    .methods = &IMAGE_METHODS,
    .job_kinds = JOB_KINDS,
};
