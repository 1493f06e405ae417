/* capture.c - the method image.capture; its job is in capture_job.c. */
#include "image/capture.h"

#include "base/json.h"
#include "image/begin.h"
#include "image/jobs.h"
#include "image/making.h"
#include "lpar/record.h"
#include "node/others.h"

#include <stdio.h>
#include <string.h>

static int find_owner(struct node *node, const char *name, char owner[NAME_MAX_LENGTH + 1],
                      struct operation *operation)
{
    struct store *store = NULL;
    struct lpar lpar;
    owner[0] = 0;
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = lpar_load(store, name, &lpar, operation);
        node_store_return(node, store);
    }
    if (status == VIOS_OK && strcmp(lpar.owner, node->name) != 0) {
        snprintf(owner, NAME_MAX_LENGTH + 1, "%s", lpar.owner);
    }
    return status;
}

int capture_call(struct call *call, const json_t *parameters, json_t **result,
                 struct operation *operation)
{
    struct image image = {.state = IMAGE_MAKING};
    char owner[NAME_MAX_LENGTH + 1], object[96];
    const char *name = json_get_text(parameters, "lpar");
    int status = find_owner(call->node, name, owner, operation);
    if (status == VIOS_OK && owner[0] && !strchr(call->actor, '@')) {
        return others_pass(call, owner, "image.capture", parameters, result, operation);
    }
    if (status == VIOS_OK) {
        status = image_begin(parameters, name, &image, &operation->error);
    }
    if (status == VIOS_OK) {
        status = image_choose_pool(call->node, parameters, image.pool, operation);
    }
    snprintf(image.source, sizeof image.source, "lpar %s", name);
    json_t *data = status == VIOS_OK ? making_data(&image) : NULL;
    if (!data) {
        return status == VIOS_OK ? operation_no_memory(operation, NULL) : status;
    }
    json_object_set_new(data, "lpar", json_string(name));
    return call_job(call, &image_capture_job, image_object(image.name, object), data, parameters,
                    result, operation);
}
