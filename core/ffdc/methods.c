/* methods.c - the methods of ffdc. `timeline` and `export` need no daemon: offline.h. */
#include "ffdc/ffdc_private.h"

#include "base/json.h"
#include "ffdc/incident.h"
#include "ffdc/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BY_HAND "by hand"
#define COMPONENT_BY_HAND "full" /* as clffdc calls it */

/* The manifest is large: one for the time of a call, freed by the caller. */
static struct manifest *manifest_new(struct operation *operation)
{
    struct manifest *manifest = calloc(1, sizeof *manifest);
    if (!manifest) {
        operation_no_memory(operation, NULL);
    }
    return manifest;
}

static int show(const struct manifest *manifest, json_t **result, struct operation *operation)
{
    *result = view_incident(manifest);
    return *result ? VIOS_OK : operation_no_memory(operation, NULL);
}

static int read_wanted(const json_t *parameters, struct ffdc_wanted *wanted,
                       struct operation *operation)
{
    char uuid[UUID_TEXT_SIZE];
    const char *trigger = json_get_text(parameters, "trigger");
    const char *component = json_get_text(parameters, "component");
    const char *priority = json_get_text(parameters, "priority");
    *wanted = (struct ffdc_wanted){.priority = PRIORITY_MEDIUM, .count = 1};
    uuid_make(uuid); /* never the same failure as another */
    snprintf(wanted->trigger, sizeof wanted->trigger, "%s", trigger ? trigger : BY_HAND);
    snprintf(wanted->signature, sizeof wanted->signature, BY_HAND " %s", uuid);
    int status = component ? manifest_check_component(component, &operation->error) : VIOS_OK;
    if (status == VIOS_OK && priority) {
        status = manifest_priority_parse(priority, &wanted->priority, &operation->error);
    }
    snprintf(wanted->component, sizeof wanted->component, "%s",
             component ? component : COMPONENT_BY_HAND);
    return status;
}

static int call_capture(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    struct ffdc_wanted wanted;
    bool repeated;
    int status = read_wanted(parameters, &wanted, operation);
    struct manifest *manifest = status == VIOS_OK ? manifest_new(operation) : NULL;
    if (!manifest) {
        return operation->error.code;
    }
    status = capture_run(call->node->ffdc, &wanted, call, manifest, &repeated, operation);
    if (status == VIOS_OK) {
        status = show(manifest, result, operation);
    }
    free(manifest);
    return status;
}

static int call_collect(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    const char *correlator = json_get_text(parameters, "correlator");
    int status = manifest_check_correlator(correlator, &operation->error);
    struct manifest *manifest = status == VIOS_OK ? manifest_new(operation) : NULL;
    if (!manifest) {
        return operation->error.code;
    }
    status = capture_again(call->node->ffdc, correlator, call, manifest, operation);
    if (status == VIOS_OK) {
        status = show(manifest, result, operation);
    }
    free(manifest);
    return status;
}

static void add_row(void *context, const struct manifest *manifest)
{
    if (manifest->state != MANIFEST_DELETING) {
        json_array_append_new(context, view_row(manifest));
    }
}

static int call_list(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct store *store = NULL;
    (void)parameters;
    *result = json_array();
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = incident_each(store, add_row, *result, operation);
        node_store_return(call->node, store);
    }
    if (status != VIOS_OK) {
        json_decref(*result);
        *result = NULL;
    }
    return status;
}

static int call_show(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct store *store = NULL;
    int64_t revision;
    const char *correlator = json_get_text(parameters, "correlator");
    int status = manifest_check_correlator(correlator, &operation->error);
    struct manifest *manifest = status == VIOS_OK ? manifest_new(operation) : NULL;
    if (!manifest) {
        return operation->error.code;
    }
    status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = incident_read(store, correlator, manifest, &revision, operation);
        node_store_return(call->node, store);
    }
    if (status == VIOS_OK) {
        status = show(manifest, result, operation);
    }
    free(manifest);
    return status;
}

static int call_prune(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    int removed = 0;
    const char *correlator = json_get_text(parameters, "correlator");
    int status = correlator ? manifest_check_correlator(correlator, &operation->error) : VIOS_OK;
    if (status == VIOS_OK) {
        status = prune_run(call->node->ffdc, correlator, json_get_integer(parameters, "older"),
                           &removed, operation);
    }
    if (status == VIOS_OK) {
        *result = json_pack("{s:i}", "removed", removed);
    }
    return status;
}

/* The message from the node that was signalled: capture too, under its correlator. */
static int call_part(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct manifest_node entry;
    const char *text = json_get_text(parameters, "incident");
    struct manifest *manifest = manifest_new(operation);
    if (!manifest) {
        return operation->error.code;
    }
    int status = manifest_parse(text, strlen(text), manifest, &operation->error);
    if (status == VIOS_OK) {
        part_make(call->node->ffdc, manifest, json_is_true(json_object_get(parameters, "again")),
                  &entry, operation);
        *result = manifest_node_json(&entry);
    }
    free(manifest);
    return status;
}

static const struct method METHODS[] = {
    {"ffdc.capture", "trigger:text? component:text? priority:text?", ROLE_OPERATOR,
     METHOD_CHANGES | METHOD_LASTS, call_capture},
    {"ffdc.list", "", ROLE_VIEWER, 0, call_list},
    {"ffdc.show", "correlator:text", ROLE_VIEWER, 0, call_show},
    {"ffdc.collect", "correlator:text", ROLE_OPERATOR, METHOD_CHANGES | METHOD_LASTS, call_collect},
    {"ffdc.prune", "correlator:text? older:duration?", ROLE_ADMIN, METHOD_CHANGES | METHOD_LASTS,
     call_prune},
    /* From node to node. */
    {"daemon.ffdc_part", "incident:text again:boolean", ROLE_OPERATOR, METHOD_LASTS, call_part},
};

const struct method_group ffdc_methods = {METHODS, sizeof METHODS / sizeof *METHODS};
