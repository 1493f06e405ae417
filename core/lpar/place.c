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

static int capacity(struct node *node, json_t **result, struct operation *operation)
{
    struct store *store = NULL;
    struct lpars_capacity has;
    int status = node_store(node, &store, operation);
    if (status < 0) {
        return status;
    }
    json_t *pools = json_array();
    status = list_pools(node, store, pools, operation);
    node_store_return(node, store);
    if (status < 0) {
        json_decref(pools);
        return status;
    }
    lpars_capacity(node->lpars, &has);
    *result = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:o}", "memory_bytes", (json_int_t)has.memory_bytes,
        "guests_bytes", (json_int_t)has.guests_bytes, "lent_bytes", (json_int_t)has.lent_bytes,
        "free_bytes", (json_int_t)has.free_bytes, "guests", (json_int_t)has.guests, "pools", pools);
    return VIOS_OK;
}

int place_call_capacity(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    (void)parameters;
    return capacity(call->node, result, operation);
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

/* False: it does not answer. */
static bool ask(struct node *node, const char *name, struct place *place,
                struct operation *operation)
{
    json_t *answer = NULL;
    struct operation asking;
    operation_start(&asking, ASK_TIMEOUT_MS, operation->cancel);
    int status = strcmp(name, node->name) == 0
                     ? capacity(node, &answer, &asking)
                     : others_ask(node, name, "daemon.capacity", json_object(), &answer, &asking);
    snprintf(place->node, sizeof place->node, "%s", name);
    place->free_bytes = json_get_integer(answer, "free_bytes");
    place->guests = json_get_integer(answer, "guests");
    place->pools = json_incref(json_object_get(answer, "pools"));
    json_decref(answer);
    return status == VIOS_OK;
}

int places_survey(struct node *node, struct places *places, struct operation *operation)
{
    struct member *members = NULL;
    size_t count = 0;
    *places = (struct places){0};
    if (node_members(node, &members, &count) != VIOS_OK ||
        !(places->list = calloc(count + 1, sizeof *places->list))) {
        free(members);
        return operation_no_memory(operation, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        if (members[i].state == MEMBER_UP && strcmp(members[i].role, "witness") != 0 &&
            ask(node, members[i].name, &places->list[places->count], operation)) {
            places->count++;
        }
    }
    free(members);
    return operation_check(operation);
}

void places_clear(struct places *places)
{
    for (size_t i = 0; i < places->count; i++) {
        json_decref(places->list[i].pools);
    }
    free(places->list);
    *places = (struct places){0};
}

static bool is_better(const struct node *node, const char *avoid, const struct place *one,
                      const struct place *other)
{
    bool avoided = avoid && strcmp(one->node, avoid) == 0;
    if (!other || (avoid && strcmp(other->node, avoid) == 0) != avoided) {
        return !other || !avoided;
    }
    if (one->free_bytes != other->free_bytes) {
        return one->free_bytes > other->free_bytes;
    }
    return one->guests != other->guests ? one->guests < other->guests
                                        : strcmp(one->node, node->name) == 0;
}

static struct place *best(const struct node *node, struct places *places, const json_t *needs,
                          const char *avoid, int64_t bytes)
{
    struct place *best = NULL;
    for (size_t i = 0; i < places->count; i++) {
        struct place *place = &places->list[i];
        if (has_all(place->pools, needs) && place->free_bytes >= bytes &&
            is_better(node, avoid, place, best)) {
            best = place;
        }
    }
    return best;
}

static int fits_nowhere(const struct node *node, struct places *places, const struct lpar *lpar,
                        const json_t *needs, struct operation *operation)
{
    char object[96];
    const struct place *most = best(node, places, needs, NULL, 0);
    lpar_object(lpar->name, object);
    return most ? operation_fail(operation, VIOS_E_NO_SPACE, object, "stop a guest",
                                 "it needs %lld MiB; node \"%s\" has the most, %lld MiB",
                                 (long long)(lpar->memory_bytes >> 20), most->node,
                                 (long long)(most->free_bytes >> 20))
                : operation_fail(operation, VIOS_E_NO_SPACE, object, "see node list and pool list",
                                 "no node that is up and not drained has the pools of its disks");
}

int places_pick(struct node *node, struct places *places, const struct lpar *lpar,
                const char *avoid, char chosen[NAME_MAX_LENGTH + 1], struct operation *operation)
{
    json_t *needs = json_array();
    int status = list_needs(node, lpar, needs, operation);
    if (status == VIOS_OK) {
        struct place *place = best(node, places, needs, avoid, (int64_t)lpar->memory_bytes);
        if (place) {
            snprintf(chosen, NAME_MAX_LENGTH + 1, "%s", place->node);
            place->free_bytes -= (int64_t)lpar->memory_bytes;
            place->guests++;
        } else {
            status = fits_nowhere(node, places, lpar, needs, operation);
        }
    }
    json_decref(needs);
    return status;
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
    struct places places;
    int status = places_survey(call->node, &places, operation);
    if (status == VIOS_OK) {
        status = places_pick(call->node, &places, lpar, NULL, node, operation);
    }
    places_clear(&places);
    return status;
}

int place_of_call(struct call *call, const struct lpar *lpar, const json_t *parameters,
                  char node[NAME_MAX_LENGTH + 1], char why[96], struct operation *operation)
{
    const char *wanted = json_get_text(parameters, "node");
    why[0] = 0;
    if (wanted && strcmp(wanted, PLACE_ANY) == 0) {
        return place_choose(call, lpar, node, why, operation);
    }
    snprintf(node, NAME_MAX_LENGTH + 1, "%s", wanted ? wanted : call->node->name);
    return VIOS_OK;
}
