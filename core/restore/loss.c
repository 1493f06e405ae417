/* loss.c - see loss.h: both lists are walked at once, in the order of their keys. */
#include "restore/loss.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define KIND_SIZE 64

enum what { LOST, OLDER, RETURNS };
static const char *const WHATS[] = {"lost", "older", "returns"};

/* What others are told by running, or what follows from the rest. */
static const char *const PASSING[] = {"alive",
                                      "fence",
                                      "primary",
                                      "split",
                                      "lpar-run",
                                      "paging-run",
                                      "lock",
                                      "job-number",
                                      "job-operation",
                                      "token",
                                      "migration",
                                      "incident-number",
                                      "incident-signature"};

/* "lpar" of "/lpar/web1"; false when nobody cares, or it is no key at all, in a damaged store. */
static bool find_kind(const char *key, char kind[KIND_SIZE])
{
    if (!store_key_is_valid(key) || key[0] != '/') {
        return false;
    }
    snprintf(kind, KIND_SIZE, "%.*s", (int)strcspn(key + 1, "/"), key + 1);
    for (size_t i = 0; i < sizeof PASSING / sizeof PASSING[0]; i++) {
        if (strcmp(kind, PASSING[i]) == 0) {
            return false;
        }
    }
    return kind[0] != '\0';
}

static json_t *find_entry(json_t *entries, const char *kind, const char *what)
{
    size_t index;
    json_t *entry;
    json_array_foreach(entries, index, entry)
    {
        if (strcmp(json_get_text(entry, "kind"), kind) == 0 &&
            strcmp(json_get_text(entry, "what"), what) == 0) {
            return entry;
        }
    }
    entry = json_pack("{s:s, s:s, s:i, s:[]}", "kind", kind, "what", what, "count", 0, "names");
    return json_array_append_new(entries, entry) == 0 ? entry : NULL;
}

static bool add(json_t *entries, const char *key, enum what what)
{
    char kind[KIND_SIZE];
    if (!find_kind(key, kind)) {
        return true;
    }
    json_t *entry = find_entry(entries, kind, WHATS[what]);
    json_t *names = json_object_get(entry, "names");
    json_int_t count = json_get_integer(entry, "count");
    const char *name = key + 1 + strlen(kind);
    name += *name == '/';
    if (!entry || json_object_set_new(entry, "count", json_integer(count + 1)) != 0) {
        return false;
    }
    return count >= RESTORE_LOSS_NAMES_MAX || json_array_append_new(names, json_string(name)) == 0;
}

static bool same(const struct store_value *a, const struct store_value *b)
{
    if (strcmp(a->json, b->json) == 0) {
        return true;
    }
    json_t *one = json_loads(a->json, 0, NULL), *other = json_loads(b->json, 0, NULL);
    bool equal = one && other && json_equal(one, other);
    json_decref(one);
    json_decref(other);
    return equal;
}

json_t *restore_loss(const struct store_list *backup, const struct store_list *now)
{
    json_t *entries = json_array();
    size_t a = 0, b = 0;
    bool good = entries != NULL;
    while (good && (a < backup->count || b < now->count)) {
        int order = a == backup->count ? 1
                    : b == now->count  ? -1
                                       : strcmp(backup->values[a].key, now->values[b].key);
        if (order < 0) {
            good = add(entries, backup->values[a].key, RETURNS);
        } else if (order > 0) {
            good = add(entries, now->values[b].key, LOST);
        } else if (!same(&backup->values[a], &now->values[b])) {
            good = add(entries, backup->values[a].key, OLDER);
        }
        a += order <= 0;
        b += order >= 0;
    }
    if (!good) {
        json_decref(entries);
        return NULL;
    }
    return entries;
}
