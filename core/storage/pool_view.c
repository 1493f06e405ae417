/* pool_view.c - see pool_view.h. */
#include "storage/pool_view.h"

#include "base/json.h"
#include "node/members.h"
#include "node/others.h"
#include "storage/lu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL_PREFIX "/pool/"
#define LU_PREFIX "/lu/"
#define IMAGE_PREFIX "/image/"
#define PERCENT 100

/* Pools, LUs and images, from one snapshot. */
enum { POOLS, LUS, IMAGES, LISTS };

static json_t *bytes_or_null(bool known, uint64_t bytes)
{
    return known ? json_integer((json_int_t)bytes) : json_null();
}

/* What is in the pool, by the records; a damaged one of another part is not counted. */
static void count_content(const struct store_list lists[LISTS], const char *name, json_t *view)
{
    uint64_t promised = 0;
    json_int_t lus = 0, images = 0;
    struct lu lu;
    for (size_t i = 0; i < lists[LUS].count; i++) {
        const struct store_value *value = &lists[LUS].values[i];
        if (lu_parse(value->key + strlen(LU_PREFIX), value->json, &lu, NULL) == VIOS_OK &&
            strcmp(lu.pool, name) == 0) {
            promised += lu.size_bytes;
            lus += !lu.image[0];
        }
    }
    for (size_t i = 0; i < lists[IMAGES].count; i++) {
        json_t *image = json_loads(lists[IMAGES].values[i].json, 0, NULL);
        const char *pool = json_get_text(image, "pool");
        images += pool && strcmp(pool, name) == 0;
        json_decref(image);
    }
    json_object_set_new(view, "promised_bytes", json_integer((json_int_t)promised));
    json_object_set_new(view, "lus", json_integer(lus));
    json_object_set_new(view, "images", json_integer(images));
}

static json_t *make_view(const struct store_list lists[LISTS], const struct pool *pool,
                         const struct pool_probe *probe)
{
    bool seen = probe->mounted;
    json_t *view =
        json_pack("{s:s, s:s, s:o, s:o}", "name", pool->name, "state", seen ? "OK" : "DOWN",
                  "size_bytes", bytes_or_null(seen, probe->space.size_bytes), "free_bytes",
                  bytes_or_null(seen, probe->space.free_bytes));
    count_content(lists, pool->name, view);
    json_object_set_new(view, "fence",
                        probe->writable ? json_string(lu_fence_name(probe->fence)) : json_null());
    json_object_set_new(view, "overcommit", json_integer(pool->overcommit));
    json_object_set_new(view, "why", json_string(probe->why));
    return view;
}

static int list_all(struct store *store, struct store_list lists[LISTS],
                    struct operation *operation)
{
    static const char *const PREFIXES[LISTS] = {POOL_PREFIX, LU_PREFIX, IMAGE_PREFIX};
    return store_list_many(store, PREFIXES, LISTS, lists, NULL, operation);
}

static void clear_all(struct store_list lists[LISTS])
{
    for (size_t i = 0; i < LISTS; i++) {
        store_list_clear(&lists[i]);
    }
}

int pool_view_list(struct node *node, struct store *store, json_t **list,
                   struct operation *operation)
{
    struct store_list lists[LISTS];
    struct pool pool;
    struct pool_probe probe;
    int status = list_all(store, lists, operation);
    *list = status == VIOS_OK ? json_array() : NULL;
    for (size_t i = 0; status == VIOS_OK && i < lists[POOLS].count; i++) {
        const struct store_value *value = &lists[POOLS].values[i];
        status =
            pool_parse(value->key + strlen(POOL_PREFIX), value->json, &pool, &operation->error);
        if (status == VIOS_OK && pool.state == POOL_READY) {
            pool_folder_probe(node, &pool, &probe);
            json_array_append_new(*list, make_view(lists, &pool, &probe));
        }
    }
    clear_all(lists);
    if (status != VIOS_OK) {
        json_decref(*list);
        *list = NULL;
    }
    return status;
}

static int view_pool(struct node *node, struct store *store, const struct pool *pool, json_t **view,
                     struct operation *operation)
{
    struct store_list lists[LISTS];
    struct pool_probe probe;
    int status = list_all(store, lists, operation);
    if (status == VIOS_OK) {
        pool_folder_probe(node, pool, &probe);
        *view = make_view(lists, pool, &probe);
        clear_all(lists);
    }
    return status;
}

int pool_view_one(struct node *node, struct store *store, const char *name, json_t **view,
                  struct operation *operation)
{
    struct pool pool;
    int status = pool_load(store, name, &pool, operation);
    return status == VIOS_OK ? view_pool(node, store, &pool, view, operation) : status;
}

/* --- what the nodes say --- */

json_t *pool_view_probe(const struct pool_probe *probe)
{
    return json_pack(
        "{s:b, s:b, s:o, s:o, s:s}", "mounted", probe->mounted, "writable", probe->writable,
        "fence", probe->writable ? json_string(lu_fence_name(probe->fence)) : json_null(),
        "free_bytes", bytes_or_null(probe->mounted, probe->space.free_bytes), "why", probe->why);
}

static json_t *unknown(const char *why)
{
    return json_pack("{s:n, s:n, s:n, s:n, s:s}", "mounted", "writable", "fence", "free_bytes",
                     "why", why);
}

static json_t *ask(struct call *call, const char *node, const struct pool *pool,
                   struct operation *operation)
{
    struct operation asking;
    json_t *answer = NULL;
    char why[sizeof((struct pool_probe *)0)->why];
    operation_start(&asking, POOL_PROBE_MS, operation->cancel);
    if (asking.deadline_ms > operation->deadline_ms) {
        asking.deadline_ms = operation->deadline_ms;
    }
    if (others_call(call, node, "daemon.pool_probe", json_pack("{s:s}", "name", pool->name),
                    &answer, &asking) != VIOS_OK) {
        snprintf(why, sizeof why, "it does not say: %.150s", asking.error.message);
        return unknown(why);
    }
    return answer;
}

static bool is_asked(const struct member *member)
{
    return member->state == MEMBER_UP || member->state == MEMBER_DRAINED;
}

static json_t *ask_member(struct call *call, const struct member *member, const struct pool *pool,
                          struct operation *operation)
{
    struct pool_probe probe;
    if (strcmp(member->name, call->node->name) == 0) {
        pool_folder_probe(call->node, pool, &probe);
        return pool_view_probe(&probe);
    }
    return is_asked(member) ? ask(call, member->name, pool, operation)
                            : unknown("the node is not up");
}

/* The worst fence of those that say one. A node that is up but does not answer may lack it; one
 * that is not up is not judged. */
struct sum {
    int up, whole;
    const char *fence;
};

static void add_to_sum(struct sum *sum, const json_t *one)
{
    static const char *const WORST[] = {"local-only", "grace", "clone"};
    const char *fence = json_get_text(one, "fence");
    sum->whole += json_is_true(json_object_get(one, "writable"));
    for (size_t i = 0; fence && i < 3; i++) {
        if (strcmp(fence, WORST[i]) == 0 || (sum->fence && strcmp(sum->fence, WORST[i]) == 0)) {
            sum->fence = WORST[i];
            return;
        }
    }
}

static int add_nodes(struct call *call, const struct pool *pool, json_t *view,
                     struct operation *operation)
{
    struct member *members = NULL;
    struct sum sum = {0};
    size_t count;
    json_t *nodes = json_array();
    int status = node_members(call->node, &members, &count);
    for (size_t i = 0; status == VIOS_OK && i < count; i++) {
        if (strcmp(members[i].role, "witness") != 0) {
            json_t *one = ask_member(call, &members[i], pool, operation);
            json_object_set_new(one, "node", json_string(members[i].name));
            sum.up += is_asked(&members[i]);
            add_to_sum(&sum, one);
            json_array_append_new(nodes, one);
        }
    }
    free(members);
    if (sum.up) {
        json_object_set_new(view, "state",
                            json_string(sum.whole == sum.up ? "OK"
                                        : sum.whole         ? "DEGRADED"
                                                            : "DOWN"));
        json_object_set_new(view, "fence", sum.fence ? json_string(sum.fence) : json_null());
    }
    json_object_set_new(view, "nodes", nodes);
    return status;
}

int pool_view_show(struct call *call, struct store *store, const char *name, json_t **view,
                   struct operation *operation)
{
    struct pool pool;
    char path[PATH_MAX] = "";
    int status = pool_load(store, name, &pool, operation);
    if (status == VIOS_OK) {
        status = view_pool(call->node, store, &pool, view, operation);
    }
    if (status != VIOS_OK) {
        return status;
    }
    double size = (double)json_get_integer(*view, "size_bytes");
    double promised = (double)json_get_integer(*view, "promised_bytes");
    json_object_set_new(*view, "promised_percent",
                        size > 0 ? json_integer((json_int_t)(promised / size * PERCENT))
                                 : json_null());
    json_object_set_new(*view, "uuid", json_string(pool.uuid));
    pool_path(call->node, name, NULL, path, NULL);
    json_object_set_new(*view, "path", json_string(path));
    return add_nodes(call, &pool, *view, operation);
}
