/*
 * roster.h - listings for tests, made from keys and values, in any order of keys within a part.
 */
#ifndef TESTS_CLUSTER_ROSTER_H
#define TESTS_CLUSTER_ROSTER_H

#include "cluster/roster.h"
#include "tests/tap.h"

static struct roster_listing listing;

__attribute__((unused)) static void put(const char *key, int64_t revision, const char *json)
{
    for (size_t i = 0; i < ROSTER_PREFIXES; i++) {
        struct store_list *part = roster_listing_part(&listing, i);
        if (strncmp(key, roster_prefix(i), strlen(roster_prefix(i))) == 0) {
            part->values = realloc(part->values, (part->count + 1) * sizeof *part->values);
            part->values[part->count++] = (struct store_value){
                .key = strdup(key), .json = strdup(json), .revision = revision};
            return;
        }
    }
    ok(false, "no part for %s", key);
}

__attribute__((unused)) static void put_node(const char *name)
{
    char key[STORE_KEY_MAX];
    snprintf(key, sizeof key, "/node/%s", name);
    put(key, 1, "{\"v\":1,\"role\":\"member\",\"state\":\"up\"}");
}

__attribute__((unused)) static void put_alive(const char *name, int64_t revision,
                                              int64_t incarnation, int64_t start)
{
    char key[STORE_KEY_MAX], json[256];
    snprintf(key, sizeof key, "/alive/%s", name);
    snprintf(json, sizeof json, "{\"v\":1,\"incarnation\":%lld,\"start\":%lld,\"n\":1,\"row\":[]}",
             (long long)incarnation, (long long)start);
    put(key, revision, json);
}

/* Takes the listing, and begins the next. */
__attribute__((unused)) static bool take(struct roster *roster, int64_t asked_ms, int64_t now_ms)
{
    bool taken = roster_update(roster, &listing, asked_ms, now_ms);
    roster_listing_clear(&listing);
    return taken;
}

#endif
