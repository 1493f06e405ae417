/*
 * members.c - see members.h.
 *
 * For each node the revision of its /alive record is kept with the time we first saw it. A new
 * listing makes a new table, which takes those times over from the old one.
 */
#include "node/members.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct member member;
    int64_t revision;      /* of /alive/N; 0: none */
    int64_t first_seen_ms; /* that revision, by our clock */
    bool changed;          /* seen to change (or to appear) since we look */
};

struct members {
    pthread_mutex_t lock;
    const char *own;
    int64_t ttl_ms;
    int64_t listed_ms; /* 0: never */
    struct entry *entries;
    size_t count;
};

struct members *members_new(const char *own, int64_t ttl_ms)
{
    struct members *members = calloc(1, sizeof *members);
    if (members) {
        pthread_mutex_init(&members->lock, NULL);
        members->own = own;
        members->ttl_ms = ttl_ms;
    }
    return members;
}

void members_free(struct members *members)
{
    if (members) {
        pthread_mutex_destroy(&members->lock);
        free(members->entries);
        free(members);
    }
}

static void copy_text(char *to, size_t size, const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    snprintf(to, size, "%s", text ? text : "");
}

static uint64_t member_size(const json_t *record, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(record, key));
    return value > 0 ? (uint64_t)value : 0;
}

static void entry_read_node(struct entry *entry, const char *json)
{
    struct member *member = &entry->member;
    json_t *record = json_loads(json, 0, NULL);
    copy_text(member->address, sizeof member->address, record, "address");
    copy_text(member->nbd, sizeof member->nbd, record, "nbd");
    copy_text(member->role, sizeof member->role, record, "role");
    copy_text(member->since, sizeof member->since, record, "since");
    member->level = json_integer_value(json_object_get(record, "level"));
    const char *state = json_string_value(json_object_get(record, "state"));
    member->state = state && strcmp(state, "drained") == 0 ? MEMBER_DRAINED : MEMBER_UP;
    json_decref(record);
}

static void entry_read_alive(struct entry *entry, const char *json)
{
    json_t *record = json_loads(json, 0, NULL);
    const json_t *memory = json_object_get(record, "page_memory");
    entry->member.incarnation = json_integer_value(json_object_get(record, "incarnation"));
    entry->member.page_memory_bytes = member_size(memory, "size");
    entry->member.page_memory_used_bytes = member_size(memory, "used");
    json_decref(record);
}

static const struct entry *find_entry(const struct members *members, const char *name)
{
    for (size_t i = 0; i < members->count; i++) {
        if (strcmp(members->entries[i].member.name, name) == 0) {
            return &members->entries[i];
        }
    }
    return NULL;
}

static const struct store_value *find_alive(const struct store_list *alive, const char *name)
{
    for (size_t i = 0; i < alive->count; i++) {
        if (strcmp(alive->values[i].key + strlen("/alive/"), name) == 0) {
            return &alive->values[i];
        }
    }
    return NULL;
}

/* How long the revision has stood still, against the TTL. */
static void entry_judge(struct entry *entry, int64_t now_ms, int64_t ttl_ms)
{
    int64_t age_ms = now_ms - entry->first_seen_ms;
    if (entry->revision == 0 || age_ms >= ttl_ms) {
        entry->member.state = MEMBER_DOWN;
    } else if (entry->member.state != MEMBER_DRAINED &&
               (!entry->changed || age_ms >= ttl_ms * 3 / 5)) {
        entry->member.state = MEMBER_SUSPECT;
    }
}

static void entry_fill(struct entry *entry, const struct members *before,
                       const struct store_value *node, const struct store_value *alive,
                       int64_t now_ms)
{
    const struct entry *old = find_entry(before, node->key + strlen("/node/"));
    memset(entry, 0, sizeof *entry);
    snprintf(entry->member.name, sizeof entry->member.name, "%s", node->key + strlen("/node/"));
    entry_read_node(entry, node->json);
    if (alive) {
        entry_read_alive(entry, alive->json);
        bool same = old && old->revision == alive->revision;
        entry->revision = alive->revision;
        entry->first_seen_ms = same ? old->first_seen_ms : now_ms;
        /* what is new since our first listing has just been written */
        entry->changed =
            same ? old->changed
                 : old || before->listed_ms > 0 || strcmp(entry->member.name, before->own) == 0;
    }
    entry_judge(entry, now_ms, before->ttl_ms);
}

int members_update(struct members *members, const struct store_list *nodes,
                   const struct store_list *alive, int64_t now_ms)
{
    struct entry *entries = calloc(nodes->count > 0 ? nodes->count : 1, sizeof *entries);
    if (!entries) {
        return VIOS_E_NO_SPACE;
    }
    pthread_mutex_lock(&members->lock);
    for (size_t i = 0; i < nodes->count; i++) {
        const char *name = nodes->values[i].key + strlen("/node/");
        entry_fill(&entries[i], members, &nodes->values[i], find_alive(alive, name), now_ms);
    }
    struct entry *before = members->entries;
    members->entries = entries;
    members->count = nodes->count;
    members->listed_ms = now_ms;
    pthread_mutex_unlock(&members->lock);
    free(before);
    return VIOS_OK;
}

int node_members(struct node *node, struct member **members, size_t *count)
{
    struct members *view = node->members;
    pthread_mutex_lock(&view->lock);
    *count = view->count;
    *members = malloc((view->count > 0 ? view->count : 1) * sizeof **members);
    for (size_t i = 0; *members && i < view->count; i++) {
        (*members)[i] = view->entries[i].member;
    }
    pthread_mutex_unlock(&view->lock);
    return *members ? VIOS_OK : VIOS_E_NO_SPACE;
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
