/*
 * roster.c - see roster.h.
 *
 * Members lie in an array by number; `order` lists the numbers sorted by name. Each listing first
 * marks everybody absent, then reads /node (who belongs), /alive, /fence, /primary and /split.
 */
#include "cluster/roster.h"

#include "base/json.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPLIT_TIME_MAX_MS 3600000 /* more time than any loser needs */

struct roster {
    char own[NAME_MAX_LENGTH + 1];
    int64_t asked_ms;
    bool listed;
    struct roster_member *members;
    size_t count, capacity;
    uint16_t *order; /* all numbers, by name */
    uint16_t *present;
    size_t present_count;
    struct roster_primary primary;
    char *primary_json;
    struct roster_cluster cluster;
    struct roster_split split;
    uint64_t hash;
};

const char *member_state_name(enum member_state state)
{
    static const char *const names[] = {"up", "suspect", "down", "drained"};
    assert(state >= MEMBER_UP && state <= MEMBER_DRAINED);
    return names[state];
}

static const char *const PREFIXES[ROSTER_PREFIXES] = {"/alive/", "/fence/", "/primary",
                                                      "/split/", "/node/",  "/cluster"};

const char *roster_prefix(size_t index)
{
    assert(index < ROSTER_PREFIXES);
    return PREFIXES[index];
}

struct store_list *roster_listing_part(struct roster_listing *listing, size_t index)
{
    struct store_list *const parts[ROSTER_PREFIXES] = {&listing->alive,   &listing->fences,
                                                       &listing->primary, &listing->splits,
                                                       &listing->nodes,   &listing->cluster};
    assert(index < ROSTER_PREFIXES);
    return parts[index];
}

void roster_listing_clear(struct roster_listing *listing)
{
    for (size_t i = 0; i < ROSTER_PREFIXES; i++) {
        store_list_clear(roster_listing_part(listing, i));
    }
}

struct roster *roster_new(const char *own)
{
    struct roster *roster = calloc(1, sizeof *roster);
    if (roster) {
        snprintf(roster->own, sizeof roster->own, "%s", own);
        roster->primary.node = ROSTER_NOBODY;
    }
    return roster;
}

void roster_free(struct roster *roster)
{
    if (roster) {
        free(roster->members);
        free(roster->order);
        free(roster->present);
        free(roster->primary_json);
        free(roster);
    }
}

bool roster_row_names(const struct roster_row *row, uint16_t node)
{
    for (size_t i = 0; i < row->count; i++) {
        if (row->hears[i] == node) {
            return true;
        }
    }
    return false;
}

/* --- numbers and names --- */

/* Where `name` is, or belongs, in `order`. */
static size_t find_place(const struct roster *roster, const char *name, bool *found)
{
    size_t low = 0, high = roster->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(roster->members[roster->order[middle]].name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = false;
    return low;
}

uint16_t roster_find(const struct roster *roster, const char *name)
{
    bool found;
    size_t place = find_place(roster, name, &found);
    return found ? roster->order[place] : ROSTER_NOBODY;
}

static bool reserve(struct roster *roster, size_t capacity)
{
    if (capacity <= roster->capacity) {
        return true;
    }
    capacity = capacity > 2 * roster->capacity ? capacity : 2 * roster->capacity;
    void *members = realloc(roster->members, capacity * sizeof *roster->members);
    roster->members = members ? members : roster->members;
    void *order = realloc(roster->order, capacity * sizeof *roster->order);
    roster->order = order ? order : roster->order;
    void *present = realloc(roster->present, capacity * sizeof *roster->present);
    roster->present = present ? present : roster->present;
    if (!members || !order || !present) {
        return false;
    }
    roster->capacity = capacity;
    return true;
}

static void add_name(struct roster *roster, const char *name)
{
    bool found;
    size_t place = find_place(roster, name, &found);
    if (found) {
        return;
    }
    struct roster_member *member = &roster->members[roster->count];
    memset(member, 0, sizeof *member);
    snprintf(member->name, sizeof member->name, "%s", name);
    memmove(&roster->order[place + 1], &roster->order[place],
            (roster->count - place) * sizeof *roster->order);
    roster->order[place] = (uint16_t)roster->count++;
}

/* --- records --- */

/* The name behind the prefix, when it is one. */
static const char *key_name(const struct store_value *value, const char *prefix)
{
    const char *name = value->key + strlen(prefix);
    return parse_name(name, "node", NULL) == VIOS_OK ? name : NULL;
}

static bool add_names(struct roster *roster, const struct store_list *nodes)
{
    size_t new_count = 0;
    for (size_t i = 0; i < nodes->count; i++) {
        const char *name = key_name(&nodes->values[i], "/node/");
        new_count += name && roster_find(roster, name) == ROSTER_NOBODY;
    }
    if (roster->count + new_count > ROSTER_MEMBERS_MAX ||
        !reserve(roster, roster->count + new_count)) {
        return false;
    }
    for (size_t i = 0; i < nodes->count; i++) {
        const char *name = key_name(&nodes->values[i], "/node/");
        if (name) {
            add_name(roster, name);
        }
    }
    return true;
}

static void read_node(struct roster *roster, const struct store_value *value)
{
    const char *name = key_name(value, "/node/");
    json_t *record = name ? json_loads(value->json, 0, NULL) : NULL;
    if (json_is_object(record)) {
        struct roster_member *member = &roster->members[roster_find(roster, name)];
        member->present = true;
        member->witness = strcmp(json_get_word(record, "role"), "witness") == 0;
        member->drained = strcmp(json_get_word(record, "state"), "drained") == 0;
        member->level = json_get_integer(record, "level");
    }
    json_decref(record);
}

static void read_row(const struct roster *roster, const json_t *names, struct roster_row *row)
{
    row->count = 0;
    for (size_t i = 0; i < json_array_size(names) && row->count < ROSTER_ROW_MAX; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        uint16_t number = name ? roster_find(roster, name) : ROSTER_NOBODY;
        if (number != ROSTER_NOBODY) {
            row->hears[row->count++] = number;
        }
    }
}

static void take_alive(struct roster *roster, struct roster_member *member, const json_t *record,
                       int64_t revision, int64_t now_ms)
{
    int64_t incarnation = json_get_integer(record, "incarnation"),
            start = json_get_integer(record, "start");
    member->changed =
        member->revision != 0 || roster->listed || strcmp(member->name, roster->own) == 0;
    member->revision = revision;
    member->first_seen_ms = now_ms;
    if (member->incarnation != incarnation) {
        member->fence = FENCE_NONE; /* of the one before */
        member->fence_revision = 0;
    }
    if (member->incarnation != incarnation || member->start != start) {
        member->start_seen_ms = now_ms;
    }
    member->incarnation = incarnation;
    member->start = start;
    snprintf(member->unfit, sizeof member->unfit, "%s", json_get_word(record, "unfit"));
    read_row(roster, json_object_get(record, "row"), &member->row);
}

static void read_alive(struct roster *roster, const struct store_value *value, int64_t now_ms)
{
    const char *name = key_name(value, "/alive/");
    uint16_t number = name ? roster_find(roster, name) : ROSTER_NOBODY;
    if (number == ROSTER_NOBODY) {
        return;
    }
    struct roster_member *member = &roster->members[number];
    if (member->revision == value->revision) {
        member->recorded = true; /* nothing new, and its age goes on */
        return;
    }
    json_t *record = json_loads(value->json, 0, NULL);
    if (json_get_integer(record, "incarnation") > 0) {
        member->recorded = true;
        take_alive(roster, member, record, value->revision, now_ms);
    }
    json_decref(record);
}

/* "/fence/NAME/INCARNATION": matters when it is the member's present one. */
static void read_fence(struct roster *roster, const struct store_value *value, int64_t now_ms)
{
    char name[NAME_MAX_LENGTH + 1];
    const char *text = value->key + strlen("/fence/");
    size_t length = strcspn(text, "/");
    int64_t incarnation;
    if (length == 0 || length >= sizeof name || text[length] != '/' ||
        parse_integer(text + length + 1, 1, INT64_MAX, &incarnation, NULL) != VIOS_OK) {
        return;
    }
    memcpy(name, text, length);
    name[length] = '\0';
    uint16_t number = roster_find(roster, name);
    if (number == ROSTER_NOBODY || roster->members[number].incarnation != incarnation) {
        return;
    }
    struct roster_member *member = &roster->members[number];
    json_t *record = json_loads(value->json, 0, NULL);
    bool is_free = strcmp(json_get_word(record, "state"), "free") == 0;
    member->fence_alive = json_get_integer(record, "alive");
    json_decref(record);
    if (member->fence == FENCE_NONE) {
        member->fence_seen_ms = now_ms;
    }
    member->fence = is_free ? FENCE_FREE : FENCE_CLOSING;
    member->fence_revision = value->revision;
}

static enum primary_state state_of_primary(const char *text)
{
    return strcmp(text, "locking") == 0     ? PRIMARY_LOCKING
           : strcmp(text, "committed") == 0 ? PRIMARY_COMMITTED
                                            : PRIMARY_RESIGNED;
}

/* A holder without a name or with an epoch that none can follow is none: the next one may be
 * elected, over that revision. */
static void take_primary(struct roster_primary *primary, const json_t *record)
{
    const char *name = json_get_word(record, "node"), *to = json_get_word(record, "to");
    int64_t epoch = json_get_integer(record, "epoch");
    *primary = (struct roster_primary){.state = state_of_primary(json_get_word(record, "state")),
                                       .incarnation = json_get_integer(record, "incarnation"),
                                       .start = json_get_integer(record, "start"),
                                       .epoch = epoch > 0 && epoch < INT64_MAX ? epoch : 0};
    if (primary->epoch == 0 || parse_name(name, "node", NULL) != VIOS_OK) {
        primary->state = PRIMARY_RESIGNED;
    }
    if (primary->state != PRIMARY_RESIGNED) {
        snprintf(primary->name, sizeof primary->name, "%s", name);
    } else if (parse_name(to, "node", NULL) == VIOS_OK) {
        snprintf(primary->to, sizeof primary->to, "%s", to);
    }
}

static void read_primary(struct roster *roster, const struct store_list *list, int64_t now_ms)
{
    struct roster_primary *primary = &roster->primary;
    const struct store_value *value = list->count > 0 ? &list->values[0] : NULL;
    if (!value || strcmp(value->key, "/primary") != 0) {
        *primary = (struct roster_primary){.state = PRIMARY_NONE, .node = ROSTER_NOBODY};
        free(roster->primary_json);
        roster->primary_json = NULL;
        return;
    }
    if (value->revision != primary->revision) {
        json_t *record = json_loads(value->json, 0, NULL);
        take_primary(primary, record);
        primary->revision = value->revision;
        primary->first_seen_ms = now_ms;
        json_decref(record);
        free(roster->primary_json);
        roster->primary_json = strdup(value->json);
    }
    primary->node = roster_find(roster, primary->name);
}

static void read_losers(struct roster *roster, const json_t *losers)
{
    struct roster_split *split = &roster->split;
    split->loser_count = 0;
    for (size_t i = 0; i < json_array_size(losers) && i < ROSTER_MEMBERS_MAX; i++) {
        const json_t *loser = json_array_get(losers, i);
        uint16_t number = roster_find(roster, json_get_word(loser, "node"));
        if (number != ROSTER_NOBODY) {
            split->losers[split->loser_count].node = number;
            split->losers[split->loser_count++].incarnation =
                json_get_integer(loser, "incarnation");
        }
    }
}

static void read_splits(struct roster *roster, const struct store_list *list, int64_t now_ms)
{
    const struct store_value *newest = NULL;
    int64_t number, highest = roster->split.number;
    for (size_t i = 0; i < list->count; i++) {
        const char *text = list->values[i].key + strlen("/split/");
        if (parse_integer(text, 1, INT64_MAX - 1, &number, NULL) == VIOS_OK && number > highest) {
            highest = number;
            newest = &list->values[i];
        }
    }
    if (newest) {
        json_t *record = json_loads(newest->json, 0, NULL);
        roster->split.number = highest;
        int64_t allowed_ms = json_get_integer(record, "allowed_ms");
        allowed_ms = allowed_ms < SPLIT_TIME_MAX_MS ? allowed_ms : SPLIT_TIME_MAX_MS;
        roster->split.allowed_ms = allowed_ms > 0 ? allowed_ms : 0;
        roster->split.first_seen_ms = now_ms;
        read_losers(roster, json_object_get(record, "losers"));
        json_decref(record);
    }
}

static void read_cluster(struct roster *roster, const struct store_list *list)
{
    const struct store_value *value = list->count > 0 ? &list->values[0] : NULL;
    bool there = value && strcmp(value->key, "/cluster") == 0;
    json_t *record = there ? json_loads(value->json, 0, NULL) : NULL;
    bool is_set = json_is_integer(json_object_get(record, "split_time"));
    roster->cluster = (struct roster_cluster){
        .level = json_get_integer(record, "level"),
        .split_time_ms = is_set ? json_get_integer(record, "split_time") : ROSTER_SPLIT_TIME_MS,
        .has_placement = json_is_string(json_object_get(record, "placement"))};
    json_decref(record);
}

/* FNV-1a over the names present, in order. */
static void list_present(struct roster *roster)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    roster->present_count = 0;
    for (size_t i = 0; i < roster->count; i++) {
        const struct roster_member *member = &roster->members[roster->order[i]];
        if (!member->present) {
            continue;
        }
        roster->present[roster->present_count++] = roster->order[i];
        for (size_t k = 0; k <= strlen(member->name); k++) {
            hash = (hash ^ (uint8_t)member->name[k]) * UINT64_C(0x100000001b3);
        }
    }
    roster->hash = hash;
}

bool roster_update(struct roster *roster, const struct roster_listing *listing, int64_t asked_ms,
                   int64_t now_ms)
{
    if (!add_names(roster, &listing->nodes)) {
        return false;
    }
    for (size_t i = 0; i < roster->count; i++) {
        roster->members[i].present = roster->members[i].recorded = false;
    }
    for (size_t i = 0; i < listing->nodes.count; i++) {
        read_node(roster, &listing->nodes.values[i]);
    }
    for (size_t i = 0; i < listing->alive.count; i++) {
        read_alive(roster, &listing->alive.values[i], now_ms);
    }
    for (size_t i = 0; i < roster->count; i++) {
        if (!roster->members[i].recorded) {
            roster->members[i].revision = 0;
        }
    }
    for (size_t i = 0; i < listing->fences.count; i++) {
        read_fence(roster, &listing->fences.values[i], now_ms);
    }
    read_primary(roster, &listing->primary, now_ms);
    read_splits(roster, &listing->splits, now_ms);
    read_cluster(roster, &listing->cluster);
    list_present(roster);
    roster->listed = true;
    roster->asked_ms = asked_ms;
    return true;
}

void roster_unseen(struct roster *roster, int64_t unseen_ms)
{
    for (size_t i = 0; i < roster->count; i++) {
        roster->members[i].first_seen_ms += unseen_ms;
    }
}

/* --- looking --- */

bool roster_listed(const struct roster *roster)
{
    return roster->listed;
}

int64_t roster_asked_ms(const struct roster *roster)
{
    return roster->asked_ms;
}

size_t roster_count(const struct roster *roster)
{
    return roster->count;
}

const struct roster_member *roster_member(const struct roster *roster, uint16_t number)
{
    assert(number < roster->count);
    return &roster->members[number];
}

const uint16_t *roster_present(const struct roster *roster, size_t *count)
{
    *count = roster->present_count;
    return roster->present;
}

const struct roster_primary *roster_primary(const struct roster *roster)
{
    return &roster->primary;
}

const char *roster_primary_json(const struct roster *roster)
{
    return roster->primary_json;
}

const struct roster_split *roster_split(const struct roster *roster)
{
    return &roster->split;
}

bool roster_lost_split(const struct roster *roster, uint16_t number)
{
    const struct roster_split *split = &roster->split;
    for (size_t i = 0; i < split->loser_count; i++) {
        if (split->losers[i].node == number) {
            return split->losers[i].incarnation == roster->members[number].incarnation;
        }
    }
    return false;
}

const struct roster_cluster *roster_cluster(const struct roster *roster)
{
    return &roster->cluster;
}

uint64_t roster_members_hash(const struct roster *roster)
{
    return roster->hash;
}

int64_t roster_age_ms(const struct roster *roster, uint16_t number)
{
    const struct roster_member *member = roster_member(roster, number);
    if (member->revision == 0) {
        return INT64_MAX;
    }
    int64_t age_ms = roster->asked_ms - member->first_seen_ms;
    return age_ms > 0 ? age_ms : 0;
}
