/* members.c - see members.h. A new listing makes a new table. */
#include "node/members.h"

#include "base/json.h"
#include "node/driver.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct members {
    pthread_mutex_t lock;
    struct member *members;
    size_t count;
};

struct members *members_new(void)
{
    struct members *members = calloc(1, sizeof *members);
    if (members) {
        pthread_mutex_init(&members->lock, NULL);
    }
    return members;
}

void members_free(struct members *members)
{
    if (members) {
        pthread_mutex_destroy(&members->lock);
        free(members->members);
        free(members);
    }
}

static void copy_text(char *to, size_t size, const json_t *record, const char *key)
{
    const char *text = json_get_text(record, key);
    snprintf(to, size, "%s", text ? text : "");
}

static uint64_t member_size(const json_t *record, const char *key)
{
    json_int_t value = json_get_integer(record, key);
    return value > 0 ? (uint64_t)value : 0;
}

static void read_node(struct member *member, const char *json)
{
    json_t *record = json_loads(json, 0, NULL);
    copy_text(member->address, sizeof member->address, record, "address");
    copy_text(member->nbd, sizeof member->nbd, record, "nbd");
    copy_text(member->serial, sizeof member->serial, record, "serial");
    copy_text(member->role, sizeof member->role, record, "role");
    copy_text(member->since, sizeof member->since, record, "since");
    member->level = json_get_integer(record, "level");
    json_decref(record);
}

/* Until the agent says more, a node is up that has ever been. */
static void read_alive(struct member *member, const char *json)
{
    json_t *record = json_loads(json, 0, NULL);
    const json_t *memory = json_object_get(record, "page_memory");
    json_int_t port = json_get_integer(record, "port");
    member->state = MEMBER_UP;
    member->port = port > 0 && port <= UINT16_MAX ? (int)port : 0;
    copy_text(member->nbd_tls, sizeof member->nbd_tls, record, "nbd");
    member->incarnation = json_get_integer(record, "incarnation");
    member->page_memory_bytes = member_size(memory, "size");
    member->page_memory_used_bytes = member_size(memory, "used");
    json_decref(record);
}

static void fill(struct member *member, const struct store_value *node,
                 const struct store_list *alive)
{
    const char *name = node->key + strlen("/node/");
    memset(member, 0, sizeof *member);
    member->state = MEMBER_DOWN;
    snprintf(member->name, sizeof member->name, "%s", name);
    read_node(member, node->json);
    for (size_t i = 0; i < alive->count; i++) {
        if (strcmp(alive->values[i].key + strlen("/alive/"), name) == 0) {
            read_alive(member, alive->values[i].json);
        }
    }
}

int members_update(struct members *members, const struct store_list *nodes,
                   const struct store_list *alive)
{
    struct member *made = calloc(nodes->count > 0 ? nodes->count : 1, sizeof *made);
    if (!made) {
        return VIOS_E_NO_SPACE;
    }
    for (size_t i = 0; i < nodes->count; i++) {
        fill(&made[i], &nodes->values[i], alive);
    }
    pthread_mutex_lock(&members->lock);
    struct member *before = members->members;
    members->members = made;
    members->count = nodes->count;
    pthread_mutex_unlock(&members->lock);
    free(before);
    return VIOS_OK;
}

static void judge(struct node *node, struct member *members, size_t count)
{
    int64_t now_ms;
    if (!node->driver) {
        return;
    }
    const struct agent *agent = driver_lock(node->driver, &now_ms);
    for (size_t i = 0; i < count; i++) {
        members[i].state = agent_member_state(agent, members[i].name, now_ms);
    }
    driver_unlock(node->driver);
}

int node_members(struct node *node, struct member **members, size_t *count)
{
    struct members *view = node->members;
    pthread_mutex_lock(&view->lock);
    *count = view->count;
    *members = malloc((view->count > 0 ? view->count : 1) * sizeof **members);
    if (*members && view->count > 0) {
        memcpy(*members, view->members, view->count * sizeof **members);
    }
    pthread_mutex_unlock(&view->lock);
    if (!*members) {
        return VIOS_E_NO_SPACE;
    }
    judge(node, *members, *count);
    return VIOS_OK;
}

int node_allows(struct node *node, const char *name, const char *serial, struct vios_error *error)
{
    struct members *view = node->members;
    bool known = false, same = false;
    pthread_mutex_lock(&view->lock);
    for (size_t i = 0; i < view->count; i++) {
        if (strcmp(view->members[i].name, name) == 0) {
            known = true;
            same = strcmp(view->members[i].serial, serial) == 0;
        }
    }
    pthread_mutex_unlock(&view->lock);
    if (same) {
        return VIOS_OK;
    }
    return known ? error_set(error, VIOS_E_DENIED, name, NULL,
                             "node %s has another certificate now", name)
                 : error_set(error, VIOS_E_DENIED, name, NULL,
                             "node %s is not of the cluster, or was removed", name);
}

enum member_state node_member_state(struct node *node, const char *name)
{
    struct member *members = NULL;
    size_t count = 0;
    enum member_state state = MEMBER_DOWN;
    if (node_members(node, &members, &count) == VIOS_OK) {
        for (size_t i = 0; i < count; i++) {
            if (strcmp(members[i].name, name) == 0) {
                state = members[i].state;
            }
        }
    }
    free(members);
    return state;
}
