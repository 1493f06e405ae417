/* change.c - see change.h. */
#include "daemon/change.h"

#include "base/json.h"
#include "node/node.h"
#include "storage/lu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_TIMEOUT_MS 1000
#define WORD_SIZE 160

/* The records of a noun, and the parameters that may name one, the first that is given. */
struct noun {
    const char *name;
    const char *prefix; /* "": there is one record, `name` */
    const char *words[2];
};

static const struct noun NOUNS[] = {
    {"alert", "/alert/", {"name", "metric"}},
    {"cluster", ""},
    {"hibernation", "/hibernation/", {"lpar"}},
    {"lpar", "/lpar/", {"name"}},
    {"lu", NULL, {"lu", "name"}}, /* found by lu_find() */
    {"node", "/node/", {"node"}},
    {"paging", "/paging/", {"lpar"}},
    {"pool", "/pool/", {"name"}},
};

static const struct noun *noun_of(const struct method *method)
{
    size_t size = strcspn(method->name, ".");
    for (size_t i = 0; i < sizeof NOUNS / sizeof NOUNS[0]; i++) {
        if (strlen(NOUNS[i].name) == size && strncmp(NOUNS[i].name, method->name, size) == 0) {
            return &NOUNS[i];
        }
    }
    return NULL;
}

/* The name among the parameters, of an LU with its pool; NULL: none is given. */
static const char *read_word(const struct noun *noun, const json_t *parameters,
                             char word[WORD_SIZE])
{
    const char *pool = json_get_text(parameters, "pool");
    for (size_t i = 0; i < 2 && noun->words[i]; i++) {
        const char *text = json_get_text(parameters, noun->words[i]);
        if (text) {
            bool whole = noun->prefix || !pool || strchr(text, '/');
            snprintf(word, WORD_SIZE, "%s%s%s", whole ? "" : pool, whole ? "" : "/", text);
            return word;
        }
    }
    return NULL;
}

static int read_record(struct store *store, const struct noun *noun, const char *word,
                       struct store_value *value, struct operation *operation)
{
    char key[WORD_SIZE + 32];
    struct lu lu;
    if (!noun->prefix) {
        return lu_find(store, word, &lu, value, operation);
    }
    snprintf(key, sizeof key, "%s%s", noun->prefix[0] ? noun->prefix : "/",
             noun->prefix[0] ? word : noun->name);
    return store_key_is_valid(key) ? store_get(store, key, value, operation) : VIOS_E_USAGE;
}

json_t *change_look(struct node *node, const struct method *method, const json_t *parameters)
{
    char buffer[WORD_SIZE];
    struct operation operation;
    struct store *store = NULL;
    struct store_value value = {0};
    json_t *record = NULL;
    const struct noun *noun = method->flags & METHOD_CHANGES ? noun_of(method) : NULL;
    const char *word = noun ? read_word(noun, parameters, buffer) : NULL;
    if (!noun || (!word && noun->words[0])) {
        return NULL;
    }
    operation_start(&operation, LOOK_TIMEOUT_MS, NULL);
    int status = node_store(node, &store, &operation);
    if (status == VIOS_OK) {
        status = read_record(store, noun, word, &value, &operation);
        record = status == VIOS_OK ? json_loads(value.json, 0, NULL) : NULL;
        record = status == VIOS_E_NOT_FOUND ? json_null() : record;
    }
    store_value_clear(&value);
    node_store_return(node, store);
    return record;
}

/* What may be secret, and the number of the record's form. */
static bool is_left_out(const char *name)
{
    static const char *const parts[] = {"key", "secret", "token", "hash", "pass"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(name, parts[i])) {
            return true;
        }
    }
    return strcmp(name, "ring") == 0 || strcmp(name, "v") == 0;
}

static json_t *bounded(json_t *value)
{
    if (!value) {
        return json_null();
    }
    return json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) <= CHANGE_VALUE_MAX
               ? json_incref(value)
               : json_string("...");
}

/* The members of `from` that differ in the other, which is the one before when `is_after`. */
static void compare(json_t *changes, const json_t *from, const json_t *other, bool is_after)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)from, name, value)
    {
        json_t *theirs = json_object_get(other, name);
        bool equal = theirs ? json_equal(value, theirs) : json_is_null(value);
        if (equal || is_left_out(name) || json_object_get(changes, name) ||
            json_object_size(changes) >= CHANGE_MEMBERS_MAX) {
            continue;
        }
        json_t *before = bounded(is_after ? theirs : value);
        json_object_set_new(changes, name,
                            json_pack("[o, o]", before, bounded(is_after ? value : theirs)));
    }
}

json_t *change_between(const json_t *before, const json_t *after)
{
    if (!before || !after) {
        return NULL;
    }
    json_t *changes = json_object();
    compare(changes, before, after, false);
    compare(changes, after, before, true);
    if (json_object_size(changes) == 0) {
        json_decref(changes);
        return NULL;
    }
    return changes;
}
