/*
 * removal.c - `node remove`, a job: one commit ends the membership, then the ring key changes.
 *
 * Without the record of the node nobody takes its certificate any more, and nobody opens its
 * keep-alives; but it knows the ring key, so that it could forge those of others. The key changes
 * without an outage (net/datagram.h): a new one is put beside the old one; when every member has
 * read it, all seal with it; when every member does, the old one goes. What a member has read is in
 * its `/alive` record ("ring", "seal"). A member that is down is not waited for: it reads the key
 * before it sends anything.
 *
 * The step looks at what the DB has and does what is next, so that it may be run again, and several
 * removals at once end with one change or two.
 */
#include "base/json.h"
#include "net/crypto.h"
#include "node/driver.h"
#include "node/members.h"
#include "node/membership.h"
#include "node/ring.h"
#include "store/missing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- whether it may be removed --- */

static bool names_node(const json_t *value, const char *name)
{
    size_t index;
    const char *key;
    json_t *item;
    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, item)
        {
            const char *text = json_string_value(item);
            if ((text && strcmp(text, name) == 0 &&
                 (strcmp(key, "node") == 0 || strcmp(key, "host") == 0)) ||
                (!text && names_node(item, name))) {
                return true;
            }
        }
    }
    json_array_foreach(value, index, item)
    {
        if (names_node(item, name)) {
            return true;
        }
    }
    return false;
}

/* Refused while a record below `prefix` says that the node runs or holds something. */
static int check_unused(struct store *store, const char *prefix, const char *noun, const char *name,
                        const char *hint, struct operation *operation)
{
    struct store_list list = {0};
    char object[96];
    int status = store_list(store, prefix, &list, NULL, operation);
    snprintf(object, sizeof object, "node \"%.63s\"", name);
    for (size_t i = 0; i < list.count && status == VIOS_OK; i++) {
        json_t *record = json_loads(list.values[i].json, 0, NULL);
        if (names_node(record, name)) {
            status = operation_fail(operation, VIOS_E_LOCKED, object, hint, "%s \"%.80s\" is on it",
                                    noun, list.values[i].key + strlen(prefix));
        }
        json_decref(record);
    }
    store_list_clear(&list);
    return status;
}

static int check_removable(struct node *node, struct store *store, const char *name,
                           struct operation *operation)
{
    char object[96];
    int64_t now_ms, epoch;
    snprintf(object, sizeof object, "node \"%.63s\"", name);
    const struct agent *agent = driver_lock(node->driver, &now_ms);
    bool is_primary = strcmp(agent_primary(agent, &epoch), name) == 0;
    driver_unlock(node->driver);
    if (is_primary) {
        return operation_fail(operation, VIOS_E_LOCKED, object, "run \"vios primary resign\" first",
                              "it is the primary");
    }
    if (strcmp(name, node->name) == 0) {
        return operation_fail(operation, VIOS_E_INVALID, object, "run it on another node",
                              "a node does not remove itself");
    }
    int status = check_unused(store, "/lpar/", "lpar", name, "stop or move it first", operation);
    return status == VIOS_OK ? check_unused(store, "/paging/", "paging device of lpar", name,
                                            "remove it first, or stop the node until its pages "
                                            "are on another one",
                                            operation)
                             : status;
}

/* --- the steps --- */

static int load_ring(struct store *store, struct ring *ring, int64_t *revision,
                     struct operation *operation)
{
    struct store_value value = {0};
    int status = store_get(store, RING_KEY, &value, operation);
    if (status == VIOS_OK) {
        status = ring_parse(value.json, ring, &operation->error);
        *revision = value.revision;
        store_value_clear(&value);
    }
    return status;
}

/* Notes which keys the node may know; what is newer when this runs again it does not. */
static int check(struct job *job)
{
    struct ring ring;
    int64_t revision;
    int status = check_removable(job_node(job), job->store, job_text(job, "node"), &job->operation);
    if (status == VIOS_OK) {
        status = load_ring(job->store, &ring, &revision, &job->operation);
    }
    if (status == VIOS_OK) {
        json_object_set_new(job->data, "known", json_integer(ring_newest(&ring)));
        ring_forget(&ring);
    }
    return status;
}

/* The key of the fence of the node's last incarnation, when it has lived and has none: a later node
 * of this name then begins above it. */
static int choose_fence(struct job *job, const char *alive_key, char *key, size_t size,
                        struct operation *operation)
{
    json_t *alive;
    bool fenced;
    key[0] = '\0';
    int status = node_record(job->store, alive_key, &alive, NULL, operation);
    if (status != VIOS_OK) {
        return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
    }
    snprintf(key, size, "/fence/%s/%lld", job_text(job, "node"),
             (long long)json_get_integer(alive, "incarnation"));
    json_decref(alive);
    status = node_has_record(job->store, key, &fenced, operation);
    if (fenced) {
        key[0] = '\0';
    }
    return status;
}

static int after_conflict(struct job *job, const char *node_key)
{
    bool there;
    if (node_has_record(job->store, node_key, &there, &job->operation) != VIOS_OK) {
        return VIOS_E_UNKNOWN;
    }
    return there ? operation_fail(&job->operation, VIOS_E_CONFLICT, job->object, "try again",
                                  "its record changed meanwhile")
                 : VIOS_OK; /* an earlier run did it */
}

/* One commit ends the membership; the node's next renewal finds no /node and serves no more. */
static int remove_record(struct job *job)
{
    char node_key[STORE_KEY_MAX], alive_key[STORE_KEY_MAX], fence_key[STORE_KEY_MAX];
    snprintf(node_key, sizeof node_key, "/node/%s", job_text(job, "node"));
    snprintf(alive_key, sizeof alive_key, "/alive/%s", job_text(job, "node"));
    int status = choose_fence(job, alive_key, fence_key, sizeof fence_key, &job->operation);
    if (status != VIOS_OK) {
        return status;
    }
    const struct store_compare compares[] = {{.kind = STORE_REVISION_IS,
                                              .key = node_key,
                                              .revision = json_get_integer(job->data, "revision")},
                                             {.kind = STORE_ABSENT, .key = fence_key}};
    const struct store_change changes[] = {
        {.key = node_key},
        {.key = alive_key},
        {.key = fence_key, .json = "{\"v\":1,\"state\":\"free\",\"by\":\"node remove\"}"}};
    size_t fences = fence_key[0] ? 1 : 0;
    status =
        store_commit(job->store, compares, 1 + fences, changes, 2 + fences, NULL, &job->operation);
    return status == VIOS_E_CONFLICT ? after_conflict(job, node_key) : status;
}

static bool has_key(const json_t *alive, uint32_t id)
{
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(alive, "ring"), index, item)
    {
        if (json_integer_value(item) == id) {
            return true;
        }
    }
    return false;
}

/* Whether every member that lives has read key `id` and, when `seals`, seals with it. */
static int all_have(struct job *job, uint32_t id, bool seals, bool *all)
{
    struct store_list list;
    int status = store_list(job->store, "/alive/", &list, NULL, &job->operation);
    *all = status == VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < list.count; i++) {
        const char *name = list.values[i].key + strlen("/alive/");
        json_t *alive = json_loads(list.values[i].json, 0, NULL);
        bool has = has_key(alive, id) && (!seals || json_get_integer(alive, "seal") == id);
        *all = *all && (has || node_member_state(job_node(job), name) == MEMBER_DOWN);
        json_decref(alive);
    }
    if (status == VIOS_OK) {
        store_list_clear(&list);
    }
    return status;
}

static int save_ring(struct job *job, const struct ring *ring, int64_t revision)
{
    char *text = ring_format(ring);
    struct store_compare compare = {
        .kind = STORE_REVISION_IS, .key = RING_KEY, .revision = revision};
    struct store_change change = {.key = RING_KEY, .json = text};
    int status = text ? store_commit(job->store, &compare, 1, &change, 1, NULL, &job->operation)
                      : operation_fail(&job->operation, VIOS_E_NO_SPACE, NULL, NULL, "no memory");
    crypto_forget(text);
    return status == VIOS_E_CONFLICT ? VIOS_OK : status; /* somebody else's change: look again */
}

/* What is next, if the others are ready for it. `*done`: the removed node knows no key of it. */
static int advance(struct job *job, struct ring *ring, int64_t revision, bool *done)
{
    uint32_t newest = ring_newest(ring);
    bool ready = true, sealed = ring->seal == newest;
    *done = ring->count == 1 && ring->seal > json_get_integer(job->data, "known");
    if (*done) {
        return VIOS_OK;
    }
    int status = ring->count == 1 ? ring_add(ring, &job->operation.error)
                                  : all_have(job, newest, sealed, &ready);
    if (status != VIOS_OK || !ready) {
        return status;
    }
    if (ring->count == DATAGRAM_KEYS_MAX && ring_newest(ring) == newest) {
        if (sealed) {
            ring_drop_old(ring);
        } else {
            ring->seal = newest;
        }
    }
    return save_ring(job, ring, revision);
}

static int change_ring(struct job *job)
{
    struct node *node = job_node(job);
    uint64_t seen = 0;
    for (;;) {
        struct ring ring;
        int64_t revision;
        bool done = false;
        int status = load_ring(job->store, &ring, &revision, &job->operation);
        if (status == VIOS_OK) {
            status = advance(job, &ring, revision, &done);
            ring_forget(&ring);
        }
        if (status == VIOS_OK && !done) {
            status = driver_await_change(node->driver, &seen, &job->operation);
        }
        if (done || status != VIOS_OK) {
            return status;
        }
    }
}

static int tell(struct job *job)
{
    job->result = json_pack("{s:s}", "name", job_text(job, "node"));
    return VIOS_OK;
}

static const struct job_step STEPS[] = {
    {"check", check, NULL},
    {"record", remove_record, NULL},
    {"ring", change_ring, NULL},
    {"tell", tell, NULL},
};

const struct job_kind node_remove_job = {"node.remove", STEPS, 4, 1};

/* --- the method --- */

int node_remove(struct call *call, const json_t *parameters, json_t **result,
                struct operation *operation)
{
    const char *name = json_get_text(parameters, "node");
    char key[STORE_KEY_MAX], object[96];
    struct store *store = NULL;
    json_t *record = NULL;
    int64_t revision = 0;
    snprintf(key, sizeof key, "/node/%s", name);
    snprintf(object, sizeof object, "node \"%.63s\"", name);
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = node_record(store, key, &record, &revision, operation);
    }
    if (status == VIOS_E_NOT_FOUND) {
        status = store_missing(store, "/node/", "node", name, "there is no such node", operation);
    }
    json_decref(record);
    node_store_return(call->node, store);
    if (status != VIOS_OK) {
        return status;
    }
    json_t *data = json_pack("{s:s, s:I}", "node", name, "revision", (json_int_t)revision);
    return call_job(call, &node_remove_job, object, data, parameters, result, operation);
}
