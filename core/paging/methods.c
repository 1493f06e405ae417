/* methods.c - paging.create, list, show, stat, remove; and the part that joins the daemon. */
#include "base/clock.h"
#include "base/json.h"
#include "node/members.h"
#include "node/others.h"
#include "paging/device.h"
#include "paging/jobs.h"
#include "paging/paging.h"
#include "paging/reconcile.h"
#include "paging/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE_BYTES_MIN (UINT64_C(1) << 20)
#define FOLLOW_INTERVAL_MS 1000
#define HOST_ASK_MS 2000

/* --- what is shown of a device --- */

/* [{node, region, state, ...}] of io's, or the published, regions. */
static json_t *show_replicas(const json_t *regions)
{
    json_t *list = json_array();
    size_t index, inner;
    json_t *region, *replica;
    json_array_foreach(regions, index, region)
    {
        json_array_foreach(json_object_get(region, "replicas"), inner, replica)
        {
            json_t *shown = json_deep_copy(replica);
            json_object_set(shown, "region", json_object_get(region, "index"));
            json_array_append_new(list, shown);
        }
    }
    return list;
}

/* Every replica the record names, as not known. */
static json_t *show_recorded(const struct paging_record *record)
{
    json_t *list = json_array();
    for (size_t i = 0; i < record->region_count; i++) {
        for (size_t r = 0; r < record->regions[i].replica_count; r++) {
            json_array_append_new(list, json_pack("{s:s, s:s, s:i}", "node",
                                                  record->regions[i].replicas[r], "state",
                                                  "unknown", "region", (int)i));
        }
    }
    return list;
}

/* What the hosting node last published; a new reference, or NULL. */
static json_t *published(struct store *store, const char *lpar, struct operation *operation)
{
    char key[PAGING_KEY_SIZE];
    struct store_value value = {0};
    json_t *run = NULL;
    if (store_get(store, paging_run_key(lpar, key), &value, operation) == VIOS_OK) {
        run = json_loads(value.json, 0, NULL);
        store_value_clear(&value);
    }
    return run;
}

static void copy_members(json_t *to, const json_t *from)
{
    static const char *const NAMES[] = {"pages_in",        "pages_out", "zero_pages", "repairs",
                                        "checksum_errors", "errors",    "in_us",      "out_us"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        json_t *value = json_object_get(from, NAMES[i]);
        json_object_set_new(to, NAMES[i], value ? json_deep_copy(value) : json_null());
    }
}

static json_t *show_device(struct node *node, struct store *store, const struct paging_view *view,
                           struct operation *operation)
{
    const struct paging_record *record = &view->record;
    bool here = strcmp(view->owner, node->name) == 0;
    json_t *source = here           ? paging_reconcile_export(node, record->uuid, view->generation)
                     : view->asleep ? NULL
                                    : published(store, record->lpar, operation);
    const char *state = json_get_text(source, "state");
    if (view->asleep) {
        state = "HIBERNATED";
    } else if (!state || (!here && node_member_state(node, view->owner) == MEMBER_DOWN)) {
        state = "DOWN";
    }
    json_t *regions = json_object_get(source, "regions");
    json_t *shown =
        json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:o}", "lpar", record->lpar, "uuid", record->uuid,
                  "size_bytes", (json_int_t)record->size_bytes, "policy",
                  paging_policy_name(record->policy), "state", state, "node", view->owner,
                  "replicas", regions ? show_replicas(regions) : show_recorded(record));
    if (here) {
        char name[160], uri[PAGING_PATH_SIZE + 200];
        paging_export_name(record->uuid, view->generation, name, sizeof name);
        snprintf(uri, sizeof uri, "nbd+unix:///%s?socket=%s/nbd.sock", name, node->run_dir);
        json_object_set_new(shown, "uri", json_string(uri));
    } else {
        json_object_set_new(shown, "uri", json_null());
    }
    copy_members(shown, here ? source : NULL);
    json_decref(source);
    return shown;
}

/* --- the methods --- */

static int list_devices(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    struct store *store;
    struct paging_view *views = NULL;
    size_t count = 0;
    (void)parameters;
    int status = node_store(call->node, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = paging_views_list(store, &views, &count, NULL, operation);
    if (status == VIOS_OK) {
        *result = json_array();
        for (size_t i = 0; i < count; i++) {
            json_array_append_new(*result, show_device(call->node, store, &views[i], operation));
        }
    }
    free(views);
    node_store_return(call->node, store);
    return status;
}

/* Its host alone counts. When that does not answer soon, what is known here must do. A call that
 * came from another node is not sent on. */
static json_t *ask_host(struct call *call, const struct paging_view *view,
                        const struct operation *operation)
{
    json_t *answer = NULL;
    struct operation asking;
    const struct node *node = call->node;
    if (!view->owner[0] || strcmp(view->owner, node->name) == 0 || strchr(call->actor, '@') ||
        node_member_state(call->node, view->owner) == MEMBER_DOWN) {
        return NULL;
    }
    operation_start(&asking, HOST_ASK_MS, operation->cancel);
    if (others_call(call, view->owner, "paging.show", json_pack("{s:s}", "lpar", view->record.lpar),
                    &answer, &asking) != VIOS_OK) {
        return NULL;
    }
    json_object_set_new(answer, "uri", json_null()); /* it is a socket there */
    return answer;
}

static int show(struct call *call, const json_t *parameters, json_t **result,
                struct operation *operation)
{
    const char *lpar = json_get_text(parameters, "lpar");
    struct paging_view *view;
    struct store *store;
    int status = paging_view_open(call->node, lpar, &view, &store, operation);
    if (status == VIOS_OK) {
        json_t *answer = ask_host(call, view, operation);
        *result = answer ? answer : show_device(call->node, store, view, operation);
        node_store_return(call->node, store);
        free(view);
    }
    return status;
}

static int check_size(uint64_t size, const char *object, struct operation *operation)
{
    if (size < DEVICE_BYTES_MIN || size > PAGING_DEVICE_BYTES_MAX || size % PAGE_BYTES != 0) {
        return operation_fail(operation, VIOS_E_INVALID, object, "for example --size 256M",
                              "a paging device has 1M to 64G, in whole pages of 4096 bytes, "
                              "not %llu bytes",
                              (unsigned long long)size);
    }
    return VIOS_OK;
}

static int check_create(const json_t *parameters, enum paging_policy *policy, const char *object,
                        struct operation *operation)
{
    const char *text = json_get_text(parameters, "policy");
    const char *disk = json_get_text(parameters, "disk");
    int status = paging_policy_parse(text ? text : "mirror", policy, &operation->error);
    if (status != VIOS_OK) {
        return status;
    }
    if ((*policy == PAGING_DISK) != (disk != NULL) ||
        (disk && (disk[0] != '/' || strlen(disk) >= PAGING_PATH_SIZE))) {
        return operation_fail(operation, VIOS_E_INVALID, object,
                              "give --policy disk --disk /absolute/path",
                              "policy disk and an absolute path go together");
    }
    return check_size((uint64_t)json_get_integer(parameters, "size"), object, operation);
}

/* The hosting node makes the device, since its io serves it. */
static int check_here(struct node *node, const char *owner, const char *object,
                      struct operation *operation)
{
    if (owner[0] && strcmp(owner, node->name) != 0) {
        char hint[200];
        snprintf(hint, sizeof hint, "give --on %s", owner);
        return operation_fail(operation, VIOS_E_INVALID, object, hint,
                              "the LPAR is hosted by node %s, not by %s", owner, node->name);
    }
    return VIOS_OK;
}

static int check_lpar(struct node *node, const char *name, const char *object,
                      struct operation *operation)
{
    struct store *store;
    struct paging_lpar lpar;
    int status = node_store(node, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = paging_lpar_load(store, name, &lpar, operation);
    node_store_return(node, store);
    if (status == VIOS_OK && lpar.hibernated) { /* its memory goes with no device */
        status = operation_fail(operation, VIOS_E_CONFLICT, object,
                                "let it go on first with \"vios lpar restart\"",
                                "the LPAR is hibernated: it cannot get a paging device");
    }
    return status == VIOS_OK ? check_here(node, lpar.owner, object, operation) : status;
}

/* io opens the file some time later; what can be said at once is said at once. */
static int check_disk(const char *disk, const char *object, struct operation *operation)
{
    char folder[PAGING_PATH_SIZE];
    struct stat file;
    snprintf(folder, sizeof folder, "%s", disk);
    *(strrchr(folder, '/') + 1) = '\0';
    if (access(folder, W_OK | X_OK) != 0) {
        return operation_fail(operation, VIOS_E_INVALID, object,
                              "give --disk a file in a folder of this node",
                              "a file in %.200s cannot be made: %s", folder, strerror(errno));
    }
    if (lstat(disk, &file) == 0 && !S_ISREG(file.st_mode)) {
        return operation_fail(operation, VIOS_E_INVALID, object, "give --disk another name",
                              "%.250s is no plain file", disk);
    }
    return VIOS_OK;
}

static json_t *or_null(json_t *value)
{
    return value ? json_incref(value) : json_null();
}

static int create(struct call *call, const json_t *parameters, json_t **result,
                  struct operation *operation)
{
    enum paging_policy policy;
    char object[96];
    const char *lpar = json_get_text(parameters, "lpar");
    snprintf(object, sizeof object, "paging \"%s\"", lpar);
    int status = check_create(parameters, &policy, object, operation);
    if (status == VIOS_OK && policy == PAGING_DISK && call->role < ROLE_ADMIN) {
        status = operation_fail(operation, VIOS_E_DENIED, object, NULL,
                                "policy disk names a file of the node: it needs the role admin; "
                                "yours is %s",
                                role_name(call->role));
    }
    if (status == VIOS_OK) {
        status = check_lpar(call->node, lpar, object, operation);
    }
    if (status == VIOS_OK && policy == PAGING_DISK) {
        status = check_disk(json_get_text(parameters, "disk"), object, operation);
    }
    if (status != VIOS_OK) {
        return status;
    }
    json_t *data =
        json_pack("{s:s, s:O, s:s, s:o, s:o}", "lpar", lpar, "size_bytes",
                  json_object_get(parameters, "size"), "policy", paging_policy_name(policy), "disk",
                  or_null(json_object_get(parameters, "disk")), "nodes",
                  or_null(json_object_get(parameters, "node")));
    status = call_job(call, &paging_create_job, object, data, parameters, result, operation);
    if (status == VIOS_OK && !json_object_get(*result, "job")) {
        json_decref(*result);
        *result = NULL;
        status = show(call, parameters, result, operation);
    }
    return status;
}

static int remove_device(struct call *call, const json_t *parameters, json_t **result,
                         struct operation *operation)
{
    const char *lpar = json_get_text(parameters, "lpar");
    char object[96];
    struct paging_view *view;
    struct store *store;
    snprintf(object, sizeof object, "paging \"%s\"", lpar);
    int status = paging_view_open(call->node, lpar, &view, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    node_store_return(call->node, store);
    status = check_here(call->node, view->owner, object, operation);
    json_t *data =
        json_pack("{s:s, s:s, s:s, s:I}", "lpar", lpar, "uuid", view->record.uuid, "device",
                  view->record.job, "generation", (json_int_t)view->generation);
    free(view);
    if (status != VIOS_OK) {
        json_decref(data);
        return status;
    }
    return call_job(call, &paging_remove_job, object, data, parameters, result, operation);
}

/* One sample: the devices hosted here, or the one that was asked for. */
static int sample(struct call *call, const json_t *parameters, json_t **result,
                  struct operation *operation)
{
    if (json_object_get(parameters, "lpar")) {
        json_t *one = NULL;
        int status = show(call, parameters, &one, operation);
        *result = status == VIOS_OK ? json_pack("[o]", one) : NULL;
        return status;
    }
    return list_devices(call, parameters, result, operation);
}

static int stat_devices(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    if (!json_is_true(json_object_get(parameters, "follow"))) {
        return sample(call, parameters, result, operation);
    }
    int status;
    do {
        json_t *list = NULL;
        size_t index;
        json_t *item;
        paging_reconcile_poke(call->node);
        status = sample(call, parameters, &list, operation);
        json_array_foreach(list, index, item)
        {
            if (status == VIOS_OK) {
                status = call->operations->item(call, json_incref(item), operation);
            }
        }
        json_decref(list);
        if (status == VIOS_OK) {
            status = operation_sleep(operation, FOLLOW_INTERVAL_MS);
        }
    } while (status == VIOS_OK);
    return status;
}

static const struct method METHODS[] = {
    {"paging.create", "lpar:lpar size:size policy:text? node:list? disk:text?", ROLE_OPERATOR,
     METHOD_CHANGES | METHOD_JOB, create},
    {"paging.list", "", ROLE_VIEWER, 0, list_devices},
    {"paging.show", "lpar:lpar", ROLE_VIEWER, 0, show},
    {"paging.stat", "lpar:lpar? follow:boolean?", ROLE_VIEWER, METHOD_STREAM, stat_devices},
    {"paging.remove", "lpar:lpar", ROLE_OPERATOR, METHOD_CHANGES | METHOD_JOB, remove_device},
};

static const struct method_group PAGING_METHODS = {METHODS, sizeof METHODS / sizeof METHODS[0]};

static const struct job_kind *const JOB_KINDS[] = {&paging_create_job, &paging_remove_job, NULL};

const struct part paging_part = {
    .name = "paging",
    .start = paging_reconcile_start,
    .restored = paging_reconcile_restored,
    .stop = paging_reconcile_stop,
    .methods = &PAGING_METHODS,
    .job_kinds = JOB_KINDS,
};
