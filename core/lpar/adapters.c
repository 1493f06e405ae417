/* adapters.c - see adapters.h. */
#include "lpar/adapters.h"

#include "base/json.h"
#include "lpar/record.h"
#include "lpar/view.h"
#include "node/node.h"
#include "paging/record.h"
#include "storage/lu.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { LPARS, LUS, PAGING, PREFIXES };
static const char *const prefixes[PREFIXES] = {"/lpar/", "/lu/", "/paging/"};

struct snapshot {
    struct node *node;
    struct store *store;
    struct store_list lists[PREFIXES];
};

/* Of the LPAR whose rows are made. */
struct rows {
    const struct snapshot *snapshot;
    const struct lpar *lpar;
    const char *state; /* of its guest */
    json_t *list;
};

static const char *find(const struct snapshot *snapshot, int prefix, const char *name)
{
    const struct store_list *list = &snapshot->lists[prefix];
    size_t length = strlen(prefixes[prefix]);
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->values[i].key + length, name) == 0) {
            return list->values[i].json;
        }
    }
    return NULL;
}

/* Takes over `size`. */
static void add(struct rows *rows, const char *id, const char *kind, int slot, const char *backing,
                const char *serial, const char *mac, json_t *size, bool read_only)
{
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:i, s:o, s:s, s:s, s:o, s:b, s:s, s:s}", "lpar",
                  rows->lpar->name, "id", id, "kind", kind, "slot", slot, "backing",
                  json_string(backing), "serial", serial, "mac", mac, "size_bytes", size,
                  "read_only", read_only, "node", rows->lpar->owner, "state", rows->state);
    assert(row);
    json_array_append_new(rows->list, row);
}

/* Of a file of this node, if the guest is, or may be, here. */
static json_t *file_size(const struct rows *rows, const char *path)
{
    struct stat file;
    const char *owner = rows->lpar->owner;
    bool here = !owner[0] || strcmp(owner, rows->snapshot->node->name) == 0;
    return here && stat(path, &file) == 0 && S_ISREG(file.st_mode) ? json_integer(file.st_size)
                                                                   : json_null();
}

static void add_disk(struct rows *rows, const struct lpar_disk *disk)
{
    struct lu lu;
    char backing[LU_WORD_SIZE];
    struct vios_error ignored;
    const char *json = disk->lu[0] ? find(rows->snapshot, LUS, disk->lu) : NULL;
    bool known = json && lu_parse(disk->lu, json, &lu, &ignored) == VIOS_OK;
    if (known) {
        snprintf(backing, sizeof backing, "%s/%s", lu.pool, lu.name);
    } else {
        snprintf(backing, sizeof backing, "%s", disk->lu); /* gone: its UDID is all there is */
    }
    json_t *size = known           ? json_integer((json_int_t)lu.size_bytes)
                   : disk->file[0] ? file_size(rows, disk->file)
                                   : json_null();
    add(rows, disk->id, "disk", disk->slot, disk->lu[0] ? backing : disk->file, disk->serial, "",
        size, disk->read_only);
}

static void add_nic(struct rows *rows, const struct lpar_nic *nic)
{
    char backing[32];
    lpar_backend_format(nic, backing, sizeof backing);
    add(rows, nic->id, "network", nic->slot, backing, "", nic->mac, json_null(), false);
}

static void add_paging(struct rows *rows)
{
    struct paging_record record;
    struct vios_error ignored;
    char backing[PAGING_PATH_SIZE + 32];
    const char *json = find(rows->snapshot, PAGING, rows->lpar->name);
    if (!json || paging_record_parse(json, &record, &ignored) < 0) {
        return;
    }
    const struct paging_region *first = &record.regions[0];
    if (record.policy == PAGING_DISK) {
        snprintf(backing, sizeof backing, "disk:%s", record.disk);
    } else {
        snprintf(backing, sizeof backing, "%s:%s%s%s", paging_policy_name(record.policy),
                 first->replicas[0], first->replica_count > 1 ? "," : "",
                 first->replica_count > 1 ? first->replicas[1] : "");
    }
    add(rows, "paging", "paging", LPAR_SLOT_PAGING, backing, "paging", "",
        json_integer((json_int_t)record.size_bytes), false);
}

static void add_lpar(const struct snapshot *snapshot, const struct lpar *lpar,
                     char state[VIEW_STATE_SIZE], json_t *list, struct operation *operation)
{
    struct rows rows = {snapshot, lpar, state, list};
    view_state(snapshot->node, snapshot->store, lpar, state, operation);
    for (size_t i = 0; i < lpar->disk_count; i++) {
        add_disk(&rows, &lpar->disks[i]);
    }
    for (size_t i = 0; i < lpar->nic_count; i++) {
        add_nic(&rows, &lpar->nics[i]);
    }
    add_paging(&rows);
}

static int open_snapshot(struct node *node, struct snapshot *snapshot, struct operation *operation)
{
    memset(snapshot, 0, sizeof *snapshot);
    snapshot->node = node;
    int status = node_store(node, &snapshot->store, operation);
    return status == VIOS_OK ? store_list_many(snapshot->store, prefixes, PREFIXES, snapshot->lists,
                                               NULL, operation)
                             : status;
}

static void close_snapshot(struct snapshot *snapshot)
{
    for (int i = 0; i < PREFIXES; i++) {
        store_list_clear(&snapshot->lists[i]);
    }
    node_store_return(snapshot->node, snapshot->store);
}

static int list_all(const struct snapshot *snapshot, json_t *list, struct operation *operation)
{
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < snapshot->lists[LPARS].count; i++) {
        struct lpar lpar;
        char state[VIEW_STATE_SIZE];
        status = lpar_parse(snapshot->lists[LPARS].values[i].json, &lpar, &operation->error);
        if (status == VIOS_OK) {
            add_lpar(snapshot, &lpar, state, list, operation);
        }
    }
    return status;
}

/* The rows of one LPAR, or with NULL of all; `*lpar` is that one, and `state` its guest's. */
static int list_rows(struct node *node, const char *name, struct lpar *lpar,
                     char state[VIEW_STATE_SIZE], json_t **list, struct operation *operation)
{
    struct snapshot snapshot;
    *list = json_array();
    int status = open_snapshot(node, &snapshot, operation);
    if (status == VIOS_OK && !name) {
        status = list_all(&snapshot, *list, operation);
    } else if (status == VIOS_OK) {
        status = lpar_load(snapshot.store, name, lpar, operation);
        if (status == VIOS_OK) {
            add_lpar(&snapshot, lpar, state, *list, operation);
        }
    }
    close_snapshot(&snapshot);
    if (status < 0) {
        json_decref(*list);
        *list = NULL;
    }
    return status;
}

int adapters_call_list(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    struct lpar lpar;
    char state[VIEW_STATE_SIZE];
    return list_rows(call->node, json_get_text(parameters, "lpar"), &lpar, state, result,
                     operation);
}

int adapters_call_show(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    struct lpar lpar;
    char hash[65], state[VIEW_STATE_SIZE];
    json_t *list = NULL;
    int status =
        list_rows(call->node, json_get_text(parameters, "lpar"), &lpar, state, &list, operation);
    if (status < 0) {
        return status;
    }
    lpar_adapter_hash(&lpar, hash);
    *result = json_pack("{s:s, s:s, s:s, s:s, s:o}", "lpar", lpar.name, "node", lpar.owner, "state",
                        state, "adapter_hash", hash, "adapters", list);
    return VIOS_OK;
}

int adapters_add(struct node *node, const char *name, json_t *shown, struct operation *operation)
{
    static const char *const SAID_ALREADY[] = {"lpar", "node", "state"};
    struct lpar lpar;
    char state[VIEW_STATE_SIZE];
    json_t *list = NULL, *row;
    size_t i;
    int status = list_rows(node, name, &lpar, state, &list, operation);
    json_array_foreach(list, i, row)
    {
        for (size_t k = 0; k < sizeof SAID_ALREADY / sizeof SAID_ALREADY[0]; k++) {
            json_object_del(row, SAID_ALREADY[k]);
        }
    }
    if (status == VIOS_OK) {
        json_object_set_new(shown, "adapters", list);
    }
    return status;
}
