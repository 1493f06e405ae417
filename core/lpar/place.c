/* place.c - see place.h. Each node is asked when it is needed: what it said before may be old. */
#include "lpar/place.h"

#include "base/json.h"
#include "lpar/guest.h"
#include "node/members.h"
#include "node/others.h"
#include "storage/lu.h"
#include "storage/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_TIMEOUT_MS 5000 /* for the answer of one node */

/* --- capacity --- */

/* A pool that this node cannot see is just not in the list. */
static int list_pools(const struct node *node, struct store *store, json_t *names,
                      struct operation *operation)
{
    struct store_list list;
    int status = store_list(store, "/pool/", &list, NULL, operation);
    for (size_t i = 0; status == VIOS_OK && i < list.count; i++) {
        struct pool pool;
        struct vios_error ignored;
        const char *name = list.values[i].key + strlen("/pool/");
        if (pool_parse(name, list.values[i].json, &pool, &ignored) == VIOS_OK &&
            pool_check(node, &pool, &ignored) == VIOS_OK) {
            json_array_append_new(names, json_string(name));
        }
    }
    store_list_clear(&list);
    return status;
}

int place_call_capacity(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    struct store *store = NULL;
    struct lpars_capacity has;
    (void)parameters;
    int status = node_store(call->node, &store, operation);
    if (status < 0) {
        return status;
    }
    json_t *pools = json_array();
    status = list_pools(call->node, store, pools, operation);
    node_store_return(call->node, store);
    if (status < 0) {
        json_decref(pools);
        return status;
    }
    lpars_capacity(call->node->lpars, &has);
    *result = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:o}", "memory_bytes", (json_int_t)has.memory_bytes,
        "guests_bytes", (json_int_t)has.guests_bytes, "lent_bytes", (json_int_t)has.lent_bytes,
        "free_bytes", (json_int_t)has.free_bytes, "guests", (json_int_t)has.guests, "pools", pools);
    return VIOS_OK;
}

/* --- choosing --- */

/* The pools of its LUs, in `needs`. */
static int list_needs(struct node *node, const struct lpar *lpar, json_t *needs,
                      struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(node, &store, operation);
    if (status < 0) {
        return status;
    }
    for (size_t i = 0; status == VIOS_OK && i < lpar->disk_count; i++) {
        struct lu lu;
        status = lu_load(store, lpar->disks[i].lu, &lu, NULL, operation);
        if (status == VIOS_OK) {
            json_array_append_new(needs, json_string(lu.pool));
        }
    }
    node_store_return(node, store);
    return status;
}

static bool has_all(const json_t *has, const json_t *needs)
{
    size_t i, k;
    json_t *need, *one;
    json_array_foreach(needs, i, need)
    {
        bool found = false;
        json_array_foreach(has, k, one)
        {
            found = found || json_equal(one, need);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* What `name` has free; negative when it does not answer or lacks a pool. */
static int64_t ask(struct call *call, const char *name, const json_t *needs,
                   struct operation *operation)
{
    json_t *answer = NULL;
    struct operation asking;
    operation_start(&asking, ASK_TIMEOUT_MS, operation->cancel);
    int status = strcmp(name, call->node->name) == 0
                     ? place_call_capacity(call, NULL, &answer, &asking)
                     : others_call(call, name, "daemon.capacity", json_object(), &answer, &asking);
    int64_t bytes = status == VIOS_OK && has_all(json_object_get(answer, "pools"), needs)
                        ? json_get_integer(answer, "free_bytes")
                        : -1;
    json_decref(answer);
    return bytes;
}

static int choose(struct call *call, const struct lpar *lpar, const json_t *needs,
                  char node[NAME_MAX_LENGTH + 1], struct operation *operation)
{
    struct member *members = NULL;
    size_t count = 0;
    int64_t most = -1;
    char object[96];
    if (node_members(call->node, &members, &count) != VIOS_OK) {
        return operation_no_memory(operation, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        if (members[i].state == MEMBER_UP && strcmp(members[i].role, "witness") != 0) {
            int64_t bytes = ask(call, members[i].name, needs, operation);
            bool self = strcmp(members[i].name, call->node->name) == 0;
            if (bytes > most || (bytes == most && bytes >= 0 && self)) {
                most = bytes;
                snprintf(node, NAME_MAX_LENGTH + 1, "%s", members[i].name);
            }
        }
    }
    free(members);
    if (most < 0) {
        return operation_fail(operation, VIOS_E_NO_SPACE, lpar_object(lpar->name, object),
                              "see node list and pool list",
                              "no node that is up and not drained has the pools of its disks");
    }
    if ((uint64_t)most < lpar->memory_bytes) {
        return operation_fail(
            operation, VIOS_E_NO_SPACE, lpar_object(lpar->name, object), "stop a guest",
            "it needs %llu MiB; node \"%s\" has the most, %llu MiB",
            (unsigned long long)(lpar->memory_bytes >> 20), node, (unsigned long long)(most >> 20));
    }
    return VIOS_OK;
}

int place_choose(struct call *call, const struct lpar *lpar, char node[NAME_MAX_LENGTH + 1],
                 char why[96], struct operation *operation)
{
    why[0] = 0;
    if (lpar->kernel[0] || !lpar_is_shared(lpar)) {
        snprintf(node, NAME_MAX_LENGTH + 1, "%s", call->node->name);
        snprintf(why, 96, "its %s is a file of this node", lpar->kernel[0] ? "kernel" : "disk");
        return VIOS_OK;
    }
    json_t *needs = json_array();
    int status = list_needs(call->node, lpar, needs, operation);
    if (status == VIOS_OK) {
        status = choose(call, lpar, needs, node, operation);
    }
    json_decref(needs);
    return status;
}
