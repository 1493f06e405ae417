/* view.c - joining /paging/NAME with /lpar/NAME. */
#include "paging/view.h"

#include "base/json.h"
#include "base/log.h"
#include "store/missing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_lpar(const struct store_value *value, struct paging_lpar *lpar)
{
    json_int_t generation;
    json_t *owner = NULL;
    const char *uuid, *node = "";
    json_t *root = json_loads(value->json, 0, NULL);
    int status = VIOS_E_CORRUPT;
    memset(lpar, 0, sizeof *lpar);
    if (root &&
        json_unpack(root, "{s:I, s:s, s?o}", "generation", &generation, "uuid", &uuid, "owner",
                    &owner) == 0 &&
        parse_uuid(uuid, NULL) == VIOS_OK &&
        (!json_is_object(owner) || (json_unpack(owner, "{s:s}", "node", &node) == 0 &&
                                    parse_name(node, "node", NULL) == VIOS_OK))) {
        lpar->revision = value->revision;
        lpar->generation = generation;
        memcpy(lpar->uuid, uuid, strlen(uuid) + 1);
        memcpy(lpar->owner, node, strlen(node) + 1);
        snprintf(lpar->job, sizeof lpar->job, "%s", json_get_word(root, "job"));
        lpar->hibernated = !node[0] && strcmp(json_get_word(root, "wanted"), "hibernated") == 0;
        status = VIOS_OK;
    }
    json_decref(root);
    return status;
}

/* The plan has come true, or is under way: while nobody owns it, only one for a QEMU that is yet to
 * run, and only for as long as its job holds the LPAR. Whose it is then; NULL: it does not count.
 */
static const char *node_by_plan(const struct paging_plan *plan, const struct paging_lpar *lpar,
                                bool is_held)
{
    bool restarts = is_held && plan->start == plan->generation && !plan->target[0];
    if (!lpar->owner[0]) {
        return restarts && lpar->generation + 1 == plan->generation ? plan->node : NULL;
    }
    if (lpar->generation != plan->generation) {
        return NULL;
    }
    return strcmp(lpar->owner, plan->node) == 0     ? plan->node
           : strcmp(lpar->owner, plan->target) == 0 ? plan->target
                                                    : NULL;
}

static void add_lpar(struct paging_view *view, const struct paging_lpar *lpar)
{
    const struct paging_record *record = &view->record;
    const struct paging_plan *plan = &record->plan;
    view->running = lpar->owner[0] != '\0';
    view->is_planned = plan->job[0] && strcmp(lpar->job, plan->job) == 0;
    const char *node = node_by_plan(plan, lpar, view->is_planned);
    if (node) {
        view->generation = node == plan->target ? plan->generation : plan->start;
        snprintf(view->owner, sizeof view->owner, "%s", node);
        return;
    }
    view->begins = record->generation < lpar->generation;
    view->asleep = lpar->hibernated;
    if (record->generation != lpar->generation) {
        view->generation = lpar->generation;
    }
    if (view->running || view->asleep) {
        memcpy(view->owner, lpar->owner, sizeof view->owner);
    }
}

static int take_record(const struct store_value *value, struct paging_view *view,
                       struct vios_error *error)
{
    memset(view, 0, sizeof *view);
    int status = paging_record_parse(value->json, &view->record, error);
    view->revision = value->revision;
    view->generation = view->record.start;
    memcpy(view->owner, view->record.host, sizeof view->owner);
    return status;
}

int paging_lpar_load(struct store *store, const char *name, struct paging_lpar *lpar,
                     struct operation *operation)
{
    char key[PAGING_KEY_SIZE];
    struct store_value value = {0};
    snprintf(key, sizeof key, "/lpar/%s", name);
    int status = store_get(store, key, &value, operation);
    if (status == VIOS_E_NOT_FOUND) {
        return store_missing(store, "/lpar/", "lpar", name, "there is no such LPAR", operation);
    }
    if (status == VIOS_OK) {
        status = parse_lpar(&value, lpar);
        store_value_clear(&value);
        if (status != VIOS_OK) {
            operation_fail(operation, status, key, "run \"vios db check\"", "damaged record");
        }
    }
    return status;
}

int paging_view_load(struct store *store, const char *lpar, struct paging_view *view,
                     struct operation *operation)
{
    char key[PAGING_KEY_SIZE];
    struct store_value value = {0};
    int status = store_get(store, paging_record_key(lpar, key), &value, operation);
    if (status == VIOS_E_NOT_FOUND) {
        return store_missing(store, "/paging/", "paging", lpar, "this LPAR has no paging device",
                             operation);
    }
    if (status != VIOS_OK) {
        return status;
    }
    status = take_record(&value, view, &operation->error);
    store_value_clear(&value);
    if (status != VIOS_OK) {
        return status;
    }
    struct paging_lpar owner;
    status = paging_lpar_load(store, lpar, &owner, operation);
    if (status == VIOS_OK) {
        add_lpar(view, &owner);
    }
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

/* One view of a record and its LPAR's, which may be NULL. False, and logged: not to be read. */
static bool join_one(const struct store_value *record, const struct store_value *lpar,
                     struct paging_view *view)
{
    struct vios_error error = {0};
    struct paging_lpar owner;
    if (take_record(record, view, &error) != VIOS_OK) {
        log_error("paging", "%s: %s", error.object, error.message);
        return false;
    }
    if (lpar && parse_lpar(lpar, &owner) != VIOS_OK) {
        log_error("paging", "%s: damaged record", lpar->key);
        return false;
    }
    if (lpar) {
        add_lpar(view, &owner);
    }
    return true;
}

/* Both lists are sorted by name, so one walk joins them. */
static size_t join(const struct store_list *records, const struct store_list *lpars,
                   struct paging_view *views)
{
    size_t count = 0, l = 0;
    for (size_t i = 0; i < records->count; i++) {
        const char *name = records->values[i].key + strlen("/paging/");
        int order = -1;
        while (l < lpars->count &&
               (order = strcmp(lpars->values[l].key + strlen("/lpar/"), name)) < 0) {
            l++;
        }
        const struct store_value *lpar = l < lpars->count && order == 0 ? &lpars->values[l] : NULL;
        count += join_one(&records->values[i], lpar, &views[count]);
    }
    return count;
}

int paging_views_list(struct store *store, struct paging_view **views, size_t *count, bool *whole,
                      struct operation *operation)
{
    static const char *const PREFIXES[] = {"/paging/", "/lpar/"};
    struct store_list lists[2] = {0};
    const struct store_list *records = &lists[0], *lpars = &lists[1];
    *views = NULL;
    *count = 0;
    /* From one snapshot, as a plan and the owner that it is for are changed one after the other. */
    int status = store_list_many(store, PREFIXES, 2, lists, NULL, operation);
    if (status == VIOS_OK && records->count) {
        *views = calloc(records->count, sizeof **views);
        if (*views) {
            *count = join(records, lpars, *views);
        } else {
            status = operation_no_memory(operation, NULL);
        }
    }
    if (whole) {
        *whole = *count == records->count;
    }
    store_list_clear(&lists[0]);
    store_list_clear(&lists[1]);
    return status;
}

int paging_view_commit(struct store *store, struct paging_view *view, struct operation *operation)
{
    char key[PAGING_KEY_SIZE];
    paging_record_key(view->record.lpar, key);
    char *json = paging_record_format(&view->record);
    if (!json) {
        return operation_no_memory(operation, NULL);
    }
    struct store_compare compare = {STORE_REVISION_IS, key, view->revision};
    struct store_change change = {key, json};
    int status = store_commit(store, &compare, 1, &change, 1, &view->revision, operation);
    free(json);
    return status;
}
