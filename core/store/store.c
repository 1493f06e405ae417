/*
 * store.c - the VIOS DB in front of its back ends: the address picks one, and what store.h
 * promises about keys, values and limits is checked here, once for all of them.
 */
#include "store/store.h"

#include "store/backend.h"
#include "store/etcd.h"
#include "store/faulty.h"
#include "store/sqlite.h"

#include <assert.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct store {
    const struct store_backend *backend;
    void *state;
    char *address;
    struct store_guard guard;
    atomic_flag busy; /* held during a call: a store serves one at a time */
};

struct store_watch {
    const struct store_backend *backend;
    void *state;
};

struct store *store_wrap(const struct store_backend *backend, void *state)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store) {
        backend->close(state);
        return NULL;
    }
    store->backend = backend;
    store->state = state;
    atomic_flag_clear(&store->busy);
    return store;
}

int store_refuse_address(const char *address, struct operation *operation)
{
    return operation_fail(operation, VIOS_E_USAGE, "store",
                          "use sqlite:/path/to/file or etcd:http://HOST:PORT",
                          "\"%.200s\" is not the address of a store", address);
}

static int open_address(struct store **store, const char *address, bool create,
                        struct operation *operation)
{
    if (strncmp(address, "sqlite:", 7) == 0) {
        return sqlite_store_open(store, address + 7, create, operation);
    }
    if (strncmp(address, "etcd:", 5) == 0) {
        return etcd_store_open(store, address + 5, create, operation);
    }
#ifdef VIOS_TEST_HOOKS
    if (strncmp(address, "faulty:", 7) == 0) {
        return faulty_open(store, address + 7, create, operation);
    }
#endif
    return store_refuse_address(address, operation);
}

int store_open(struct store **store, const char *address, bool create, struct operation *operation)
{
    *store = NULL;
    int status = open_address(store, address, create, operation);
    if (status != VIOS_OK) {
        return status;
    }
    assert(*store);
    (*store)->address = strdup(address);
    if (!(*store)->address) {
        store_close(*store);
        *store = NULL;
        return operation_no_memory(operation, "store");
    }
    return VIOS_OK;
}

void store_set_guard(struct store *store, const struct store_guard *guard)
{
    store->guard = guard ? *guard : (struct store_guard){0};
}

const char *store_address(const struct store *store)
{
    return store->address ? store->address : store->backend->name;
}

void store_close(struct store *store)
{
    if (store) {
        store->backend->close(store->state);
        free(store->address);
        free(store);
    }
}

static void enter(struct store *store)
{
    bool was_busy = atomic_flag_test_and_set(&store->busy);
    assert(!was_busy);
    (void)was_busy;
}

static int leave(struct store *store, int status)
{
    atomic_flag_clear(&store->busy);
    return status;
}

/* How many bytes of a text may be a key's. */
static size_t key_span(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/-");
}

bool store_key_is_valid(const char *key)
{
    size_t length = key_span(key);
    return length > 0 && length <= STORE_KEY_MAX && key[length] == '\0';
}

/* A prefix may be empty: at least so many bytes. */
static int check_key(const char *key, size_t least, struct operation *operation)
{
    size_t length = key_span(key);
    if (key[length] != '\0') {
        return operation_fail(operation, VIOS_E_INVALID, "store key", NULL,
                              "\"%.200s\" has a byte other than A-Z a-z 0-9 . _ : / -", key);
    }
    if (length < least || length > STORE_KEY_MAX) {
        return operation_fail(operation, VIOS_E_INVALID, "store key", NULL,
                              "a key has 1 to %d bytes, this one %zu", STORE_KEY_MAX, length);
    }
    return VIOS_OK;
}

/* `*compact` becomes the text to store; free() it. */
static int check_value(const char *key, const char *json, char **compact,
                       struct operation *operation)
{
    json_error_t error;
    json_t *value = json_loads(json, JSON_REJECT_DUPLICATES, &error);
    if (!value) {
        return operation_fail(operation, VIOS_E_INVALID, key, NULL, "the value is not JSON: %s",
                              error.text);
    }
    if (!json_is_object(value) || !json_is_integer(json_object_get(value, "v"))) {
        json_decref(value);
        return operation_fail(operation, VIOS_E_INVALID, key, NULL,
                              "the value is not an object with its schema number \"v\"");
    }
    *compact = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    if (!*compact) {
        return operation_no_memory(operation, key);
    }
    size_t size = strlen(*compact);
    if (size > STORE_VALUE_MAX) {
        free(*compact);
        *compact = NULL;
        return operation_fail(operation, VIOS_E_INVALID, key, NULL,
                              "a value has at most %d bytes, this one %zu", STORE_VALUE_MAX, size);
    }
    return VIOS_OK;
}

static int check_compares(const struct store_compare *compares, size_t count,
                          struct operation *operation)
{
    if (count > STORE_CHANGES_MAX) {
        return operation_fail(operation, VIOS_E_INVALID, "store", NULL,
                              "a commit has at most %d compares, this one %zu", STORE_CHANGES_MAX,
                              count);
    }
    for (size_t i = 0; i < count; i++) {
        int status = check_key(compares[i].key, 1, operation);
        if (status != VIOS_OK) {
            return status;
        }
    }
    return VIOS_OK;
}

static int check_change(const struct store_change *changes, size_t index,
                        struct store_change *checked, struct operation *operation)
{
    int status = check_key(changes[index].key, 1, operation);
    for (size_t i = 0; i < index && status == VIOS_OK; i++) {
        if (strcmp(changes[i].key, changes[index].key) == 0) {
            status = operation_fail(operation, VIOS_E_INVALID, changes[i].key, NULL,
                                    "a commit changes it twice");
        }
    }
    checked->key = changes[index].key;
    if (status == VIOS_OK && changes[index].json) {
        char *compact = NULL;
        status = check_value(changes[index].key, changes[index].json, &compact, operation);
        checked->json = compact;
    }
    return status;
}

int store_get(struct store *store, const char *key, struct store_value *value,
              struct operation *operation)
{
    memset(value, 0, sizeof *value);
    int status = check_key(key, 1, operation);
    if (status == VIOS_OK) {
        status = operation_check(operation);
    }
    if (status != VIOS_OK) {
        return status;
    }
    enter(store);
    return leave(store, store->backend->get(store->state, key, value, operation));
}

void store_value_clear(struct store_value *value)
{
    free(value->key);
    free(value->json);
    memset(value, 0, sizeof *value);
}

int store_list(struct store *store, const char *prefix, struct store_list *list, int64_t *revision,
               struct operation *operation)
{
    return store_list_many(store, &prefix, 1, list, revision, operation);
}

int store_list_many(struct store *store, const char *const *prefixes, size_t count,
                    struct store_list *lists, int64_t *revision, struct operation *operation)
{
    int64_t unused;
    memset(lists, 0, count * sizeof *lists);
    if (count < 1 || count > STORE_PREFIXES_MAX) {
        return operation_fail(operation, VIOS_E_INVALID, "store", NULL,
                              "a list is of 1 to %d prefixes, this one of %zu", STORE_PREFIXES_MAX,
                              count);
    }
    int status = VIOS_OK;
    for (size_t i = 0; i < count && status == VIOS_OK; i++) {
        status = check_key(prefixes[i], 0, operation);
    }
    if (status == VIOS_OK) {
        status = operation_check(operation);
    }
    if (status != VIOS_OK) {
        return status;
    }
    enter(store);
    status = leave(store, store->backend->list(store->state, prefixes, count, lists,
                                               revision ? revision : &unused, operation));
    for (size_t i = 0; i < count && status != VIOS_OK; i++) {
        store_list_clear(&lists[i]);
    }
    return status;
}

void store_list_clear(struct store_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        store_value_clear(&list->values[i]);
    }
    free(list->values);
    memset(list, 0, sizeof *list);
}

int store_commit(struct store *store, const struct store_compare *compares, size_t compare_count,
                 const struct store_change *changes, size_t change_count, int64_t *revision,
                 struct operation *operation)
{
    struct store_change checked[STORE_CHANGES_MAX] = {0};
    int64_t unused;
    if (change_count > STORE_CHANGES_MAX) {
        return operation_fail(operation, VIOS_E_INVALID, "store", NULL,
                              "a commit has at most %d changes, this one %zu", STORE_CHANGES_MAX,
                              change_count);
    }
    int status = check_compares(compares, compare_count, operation);
    for (size_t i = 0; i < change_count && status == VIOS_OK; i++) {
        status = check_change(changes, i, &checked[i], operation);
    }
    if (status == VIOS_OK) {
        status = operation_check(operation);
    }
    if (status == VIOS_OK && store->guard.check) {
        status = store->guard.check(store->guard.context, operation);
    }
    if (status == VIOS_OK) {
        enter(store);
        status = leave(store, store->backend->commit(store->state, compares, compare_count, checked,
                                                     change_count, revision ? revision : &unused,
                                                     operation));
    }
    for (size_t i = 0; i < change_count; i++) {
        free((char *)checked[i].json);
    }
    return status;
}

bool store_try_again(struct store_tries *tries, int *status)
{
    tries->count++;
    tries->doubt |= *status == VIOS_E_UNKNOWN;
    if ((*status == VIOS_E_CONFLICT || *status == VIOS_E_UNKNOWN) && tries->count < STORE_TRIES) {
        return true;
    }
    *status = *status < 0 && tries->doubt ? VIOS_E_UNKNOWN : *status;
    return false;
}

int store_watch_open(struct store_watch **watch, struct store *store, const char *prefix,
                     int64_t revision, struct operation *operation)
{
    *watch = NULL;
    int status = check_key(prefix, 0, operation);
    struct store_watch *made = status == VIOS_OK ? calloc(1, sizeof *made) : NULL;
    if (!made) {
        return status != VIOS_OK ? status : operation_no_memory(operation, "store");
    }
    made->backend = store->backend;
    enter(store);
    status = leave(
        store, store->backend->watch_open(store->state, &made->state, prefix, revision, operation));
    if (status != VIOS_OK) {
        free(made);
        return status;
    }
    *watch = made;
    return VIOS_OK;
}

int store_watch_next(struct store_watch *watch, struct store_change_list *changes,
                     struct operation *operation)
{
    memset(changes, 0, sizeof *changes);
    return watch->backend->watch_next(watch->state, changes, operation);
}

void store_change_list_clear(struct store_change_list *changes)
{
    struct store_list list = {changes->values, changes->count};
    store_list_clear(&list);
    memset(changes, 0, sizeof *changes);
}

void store_watch_close(struct store_watch *watch)
{
    if (watch) {
        watch->backend->watch_close(watch->state);
        free(watch);
    }
}

int store_compact(struct store *store, int64_t revision, struct operation *operation)
{
    enter(store);
    return leave(store, store->backend->compact(store->state, revision, operation));
}

int store_backup(struct store *store, const char *path, struct operation *operation)
{
    enter(store);
    return leave(store, store->backend->backup(store->state, path, operation));
}

int store_check(struct store *store, struct operation *operation)
{
    enter(store);
    return leave(store, store->backend->check(store->state, operation));
}

int store_gather_add(struct store_gather *gather, const struct store_value *value,
                     struct operation *operation)
{
    if (gather->count == gather->capacity) {
        size_t capacity = gather->capacity ? 2 * gather->capacity : 16;
        struct store_value *values = reallocarray(gather->values, capacity, sizeof *values);
        if (!values) {
            return operation_no_memory(operation, "store");
        }
        gather->values = values;
        gather->capacity = capacity;
    }
    struct store_value *copy = &gather->values[gather->count];
    *copy = *value;
    copy->key = strdup(value->key);
    copy->json = value->json ? strdup(value->json) : NULL;
    if (!copy->key || (value->json && !copy->json)) {
        store_value_clear(copy);
        return operation_no_memory(operation, "store");
    }
    gather->count++;
    return VIOS_OK;
}

void store_gather_clear(struct store_gather *gather)
{
    struct store_list list = {gather->values, gather->count};
    store_list_clear(&list);
    memset(gather, 0, sizeof *gather);
}
