/* leaving.c - see leaving.h. */
#include "migration/leaving.h"

#include "base/json.h"
#include "node/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_BASIS UINT64_C(0xcbf29ce484222325) /* FNV-1a */
#define HASH_PRIME UINT64_C(0x100000001b3)

enum reason { FENCED, SPLIT, DRAINED };

struct one {
    char name[NAME_MAX_LENGTH + 1];
    int64_t incarnation;
    enum reason reason;
};

struct leaving {
    int64_t split;
    uint64_t signature;
    size_t count;
    struct one list[];
};

static void add(struct leaving *leaving, const struct roster_member *member, enum reason reason)
{
    struct one *one = &leaving->list[leaving->count++];
    *one = (struct one){.incarnation = member->incarnation, .reason = reason};
    snprintf(one->name, sizeof one->name, "%s", member->name);
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    return (hash ^ word) * HASH_PRIME;
}

static void note(struct leaving *leaving, const struct roster_member *member, bool loses)
{
    for (const char *at = member->name; *at; at++) {
        leaving->signature = mix(leaving->signature, (unsigned char)*at);
    }
    leaving->signature = mix(leaving->signature, (uint64_t)member->incarnation);
    leaving->signature = mix(leaving->signature,
                             (uint64_t)member->fence * 4 + (uint64_t)loses * 2 + member->drained);
}

static void collect(struct leaving *leaving, const struct roster *roster)
{
    size_t count;
    const uint16_t *present = roster_present(roster, &count);
    leaving->signature = HASH_BASIS;
    leaving->split = roster_split(roster)->number;
    for (size_t i = 0; i < count; i++) {
        const struct roster_member *member = roster_member(roster, present[i]);
        bool loses = roster_lost_split(roster, present[i]);
        note(leaving, member, loses);
        if (loses || member->fence != FENCE_NONE || member->drained) {
            add(leaving, member, loses ? SPLIT : member->fence != FENCE_NONE ? FENCED : DRAINED);
        }
    }
}

struct leaving *leaving_new(struct node *node)
{
    int64_t now_ms;
    const struct roster *roster = agent_roster(driver_lock(node->driver, &now_ms));
    struct leaving *leaving =
        calloc(1, sizeof *leaving + roster_count(roster) * sizeof leaving->list[0]);
    if (leaving) {
        collect(leaving, roster);
    }
    driver_unlock(node->driver);
    return leaving;
}

void leaving_free(struct leaving *leaving)
{
    free(leaving);
}

bool leaving_is_any(const struct leaving *leaving)
{
    return leaving->count > 0;
}

uint64_t leaving_signature(const struct leaving *leaving)
{
    return leaving->signature;
}

static const struct store_value *find_fence(const struct store_list *fences, const char *owner,
                                            int64_t incarnation)
{
    char key[STORE_KEY_MAX];
    snprintf(key, sizeof key, "/fence/%s/%lld", owner, (long long)incarnation);
    for (size_t i = 0; i < fences->count; i++) {
        if (strcmp(fences->values[i].key, key) == 0) {
            return &fences->values[i];
        }
    }
    return NULL;
}

static const struct one *find(const struct leaving *leaving, const char *owner, int64_t incarnation)
{
    for (size_t i = 0; i < leaving->count; i++) {
        const struct one *one = &leaving->list[i];
        if (strcmp(one->name, owner) == 0 && one->incarnation == incarnation) {
            return one;
        }
    }
    return NULL;
}

bool leaving_has(const struct leaving *leaving, const struct store_list *fences, const char *owner,
                 int64_t incarnation, char cause[MOVE_CAUSE_SIZE], bool *drains)
{
    const struct one *one = find(leaving, owner, incarnation);
    bool fenced = find_fence(fences, owner, incarnation) != NULL;
    *drains = one && one->reason == DRAINED && !fenced;
    if (one && one->reason == SPLIT) {
        snprintf(cause, MOVE_CAUSE_SIZE, "split %lld", (long long)leaving->split);
    } else {
        snprintf(cause, MOVE_CAUSE_SIZE, "%s is %s", owner, *drains ? "drained" : "lost");
    }
    return one || fenced;
}

bool leaving_is_free(const struct store_list *fences, const char *owner, int64_t incarnation)
{
    const struct store_value *fence = find_fence(fences, owner, incarnation);
    json_t *record = fence ? json_loads(fence->json, 0, NULL) : NULL;
    bool is = strcmp(json_get_word(record, "state"), "free") == 0;
    json_decref(record);
    return is;
}
