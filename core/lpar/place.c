/* place.c - see place.h. Each node is asked when it is needed: what it said before may be old. */
#include "lpar/place.h"

#include "base/json.h"
#include "base/log.h"
#include "lpar/guest.h"
#include "node/members.h"
#include "node/others.h"
#include "node/place_function.h"
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
    int status = operation_check(operation);
    return status == VIOS_OK ? place_function_load(node, &places->function, operation) : status;
}

void places_clear(struct places *places)
{
    for (size_t i = 0; i < places->count; i++) {
        json_decref(places->list[i].pools);
    }
    free(places->list);
    free(places->function);
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

static bool fits(const struct place *place, const json_t *needs, int64_t bytes)
{
    return has_all(place->pools, needs) && place->free_bytes >= bytes;
}

static struct place *best(const struct node *node, struct places *places, const json_t *needs,
                          const char *avoid, int64_t bytes)
{
    struct place *best = NULL;
    for (size_t i = 0; i < places->count; i++) {
        struct place *place = &places->list[i];
        if (fits(place, needs, bytes) && is_better(node, avoid, place, best)) {
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

/* --- the administrators' function --- */

struct search {
    const struct lpar *lpar;
    const char *from, *avoid; /* as places_pick() has them */
    json_t *needs;            /* the pools of its LUs */
};

static json_t *describe_lpar(const struct search *search)
{
    const struct lpar *lpar = search->lpar;
    json_t *described = json_pack("{s:s, s:I, s:I, s:I}", "name", lpar->name, "memory_bytes",
                                  (json_int_t)lpar->memory_bytes, "cpus", (json_int_t)lpar->cpus,
                                  "disks", (json_int_t)lpar->disk_count);
    if (search->from) {
        json_object_set_new(described, "from", json_string(search->from));
    }
    return described;
}

/* Those that it may choose from. */
static json_t *describe_places(const struct places *places, const struct search *search)
{
    json_t *described = json_array();
    for (size_t i = 0; i < places->count; i++) {
        const struct place *place = &places->list[i];
        bool avoided = search->avoid && strcmp(place->node, search->avoid) == 0;
        if (!avoided && fits(place, search->needs, (int64_t)search->lpar->memory_bytes)) {
            json_array_append_new(described,
                                  json_pack("{s:s, s:I, s:I, s:O}", "node", place->node,
                                            "free_bytes", (json_int_t)place->free_bytes, "guests",
                                            (json_int_t)place->guests, "pools", place->pools));
        }
    }
    return described;
}

static void note_failure(const struct node *node, const struct lpar *lpar,
                         const struct place *usual, const struct vios_error *error)
{
    char object[96];
    lpar_object(lpar->name, object);
    log_warning("lpar", "%s: the placement function: %s: the built-in rule takes node \"%s\"",
                object, error->message, usual->node);
    recorder_note(node->recorder, "lpar", "%s: placement function: %s; to %s", lpar->name,
                  error->message, usual->node);
}

/* Where the function says; `usual` when it says nothing, or nothing sensible. */
static struct place *by_function(const struct node *node, struct places *places,
                                 const struct search *search, struct place *usual,
                                 struct operation *operation)
{
    char chosen[NAME_MAX_LENGTH + 1] = "";
    struct operation asking = *operation;
    json_t *nodes = describe_places(places, search), *lpar = describe_lpar(search);
    int status = json_array_size(nodes) == 0
                     ? VIOS_OK
                     : place_function_ask(node, places->function, lpar, nodes, chosen, &asking);
    json_decref(nodes);
    json_decref(lpar);
    if (status != VIOS_OK && operation_check(operation) == VIOS_OK) {
        note_failure(node, search->lpar, usual, &asking.error);
    }
    if (status == VIOS_E_TIMEOUT) {
        free(places->function);
        places->function = NULL;
    }
    for (size_t i = 0; i < places->count; i++) {
        if (strcmp(places->list[i].node, chosen) == 0) {
            recorder_note(node->recorder, "lpar", "%s: placement function: %s", search->lpar->name,
                          chosen);
            return &places->list[i];
        }
    }
    return usual;
}

/* --- picking --- */

static void take(struct place *place, const struct lpar *lpar)
{
    place->free_bytes -= (int64_t)lpar->memory_bytes;
    place->guests++;
}

/* By the built-in rule; not taken yet. The caller's are the needs, also of one that fails. */
static int find(struct node *node, struct places *places, struct search *search,
                struct place **place, struct operation *operation)
{
    const struct lpar *lpar = search->lpar;
    search->needs = json_array();
    int status = list_needs(node, lpar, search->needs, operation);
    if (status == VIOS_OK) {
        *place = best(node, places, search->needs, search->avoid, (int64_t)lpar->memory_bytes);
        status = *place ? VIOS_OK : fits_nowhere(node, places, lpar, search->needs, operation);
    }
    return status;
}

int places_pick(struct node *node, struct places *places, const struct lpar *lpar, const char *from,
                const char *avoid, char chosen[NAME_MAX_LENGTH + 1], struct operation *operation)
{
    struct search search = {.lpar = lpar, .from = from, .avoid = avoid};
    struct place *place;
    int status = find(node, places, &search, &place, operation);
    if (status == VIOS_OK) {
        place = places->function ? by_function(node, places, &search, place, operation) : place;
        snprintf(chosen, NAME_MAX_LENGTH + 1, "%s", place->node);
        take(place, lpar);
    }
    json_decref(search.needs);
    return status;
}

int places_have(struct node *node, struct places *places, const struct lpar *lpar,
                struct operation *operation)
{
    struct search search = {.lpar = lpar};
    struct place *place;
    int status = find(node, places, &search, &place, operation);
    if (status == VIOS_OK) {
        take(place, lpar);
    }
    json_decref(search.needs);
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
        status = places_pick(call->node, &places, lpar, NULL, NULL, node, operation);
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
