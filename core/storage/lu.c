/* lu.c - see lu.h. */
#include "storage/lu.h"

#include "base/clock.h"
#include "base/json.h"
#include "storage/repository.h"
#include "store/missing.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const STATE_NAMES[] = {"ready", "making", "deleting"};

#define LU_PREFIX "/lu/"
#define NAME_PREFIX "/lu-name/"

static bool is_file_name(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 "_.-");
    return length > 0 && length < LU_FILE_SIZE && !text[length] && text[0] != '.';
}

char *lu_object(const char *name, char text[96])
{
    snprintf(text, 96, "lu \"%.63s\"", name);
    return text;
}

/* --- the record --- */

static bool get_name(const json_t *json, const char *key, char out[NAME_MAX_LENGTH + 1], bool must)
{
    return json_read_text(json, key, out, NAME_MAX_LENGTH + 1) &&
           (out[0] ? parse_name(out, key, NULL) == VIOS_OK : !must);
}

static bool get_uuid(const json_t *json, const char *key, char out[UUID_TEXT_SIZE])
{
    return json_read_text(json, key, out, UUID_TEXT_SIZE) &&
           (!out[0] || parse_uuid(out, NULL) == VIOS_OK);
}

static bool get_size(const json_t *json, uint64_t *bytes)
{
    int64_t size;
    bool good = json_read_integer(json, "size_bytes", 0, (int64_t)LU_SIZE_MAX, &size);
    *bytes = (uint64_t)size;
    return good;
}

static bool get_state(const json_t *json, enum lu_state *state)
{
    int choice = json_get_choice(json, "state", STATE_NAMES, 3);
    *state = choice < 0 ? LU_MAKING : (enum lu_state)choice;
    return choice >= 0;
}

static const char *find_bad(const json_t *json, struct lu *lu)
{
    const json_t *thick = json_object_get(json, "thick");
    lu->thick = json_is_true(thick);
    return json_get_integer(json, "v") != 1          ? "v"
           : !get_name(json, "name", lu->name, true) ? "name"
           : !get_name(json, "pool", lu->pool, true) ? "pool"
           : !json_read_text(json, "file", lu->file, sizeof lu->file) || !is_file_name(lu->file)
               ? "file"
           : !get_size(json, &lu->size_bytes)                      ? "size_bytes"
           : thick && !json_is_boolean(thick)                      ? "thick"
           : !get_state(json, &lu->state)                          ? "state"
           : !json_read_text(json, "job", lu->job, sizeof lu->job) ? "job"
           : !get_name(json, "lpar", lu->lpar, false)              ? "lpar"
           : !get_uuid(json, "image", lu->image)                   ? "image"
           : !get_uuid(json, "origin", lu->origin)                 ? "origin"
                                                                   : NULL;
}

int lu_parse(const char *udid, const char *text, struct lu *lu, struct vios_error *error)
{
    char object[96];
    struct lu parsed = {0}; /* `udid` may be that of `lu` */
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *bad = parse_uuid(udid, NULL) < 0 ? "udid" : find_bad(json, &parsed);
    if (!bad) {
        snprintf(parsed.udid, sizeof parsed.udid, "%s", udid);
        *lu = parsed;
    }
    json_decref(json);
    return bad ? error_set(error, VIOS_E_CORRUPT, lu_object(udid, object), "look at it with db get",
                           "its record has a bad \"%s\"", bad)
               : VIOS_OK;
}

/* An empty text is no member. */
static int set_text(json_t *json, const char *key, const char *text)
{
    return text[0] ? json_object_set_new(json, key, json_string(text)) : json_object_del(json, key);
}

char *lu_format(const struct lu *lu, const char *text)
{
    char created[CLOCK_TEXT_SIZE];
    json_t *json = text ? json_loads(text, 0, NULL)
                        : json_pack("{s:i, s:s, s:[]}", "v", 1, "created",
                                    clock_format(clock_wall_ms(), created), "dead");
    if (!json_is_object(json)) {
        json_decref(json);
        return NULL;
    }
    set_text(json, "name", lu->name);
    set_text(json, "pool", lu->pool);
    set_text(json, "file", lu->file);
    json_object_set_new(json, "size_bytes", json_integer((json_int_t)lu->size_bytes));
    json_object_set_new(json, "thick", json_boolean(lu->thick));
    set_text(json, "state", STATE_NAMES[lu->state]);
    set_text(json, "job", lu->job);
    set_text(json, "lpar", lu->lpar);
    set_text(json, "image", lu->image);
    set_text(json, "origin", lu->origin);
    return json_into_text(json);
}

char *lu_key(const char *udid, char key[STORE_KEY_MAX])
{
    snprintf(key, STORE_KEY_MAX, LU_PREFIX "%s", udid);
    return key;
}

char *lu_name_key(const struct lu *lu, char key[STORE_KEY_MAX])
{
    snprintf(key, STORE_KEY_MAX, NAME_PREFIX "%s/%s", lu->pool, lu->name);
    return key;
}

char *lu_name_record(const struct lu *lu, char json[64])
{
    snprintf(json, 64, "{\"v\":1,\"udid\":\"%s\"}", lu->udid);
    return json;
}

/* --- the store --- */

int lu_load(struct store *store, const char *udid, struct lu *lu, struct store_value *value,
            struct operation *operation)
{
    char key[STORE_KEY_MAX], object[96];
    struct store_value found = {0};
    int status = store_get(store, lu_key(udid, key), &found, operation);
    if (status == VIOS_E_NOT_FOUND) {
        return operation_fail(operation, status, lu_object(udid, object), NULL,
                              "there is no such LU");
    }
    if (status == VIOS_OK) {
        status = lu_parse(udid, found.json, lu, &operation->error);
    }
    if (status == VIOS_OK && value) {
        *value = found;
    } else {
        store_value_clear(&found);
    }
    return status;
}

/* The UDID behind /lu-name/POOL/NAME. */
static int read_name(const char *json, char udid[UUID_TEXT_SIZE])
{
    json_t *record = json_loads(json, 0, NULL);
    bool good = get_uuid(record, "udid", udid) && udid[0];
    json_decref(record);
    return good ? VIOS_OK : VIOS_E_CORRUPT;
}

/* The UDID of NAME in any pool, from all names there are. */
static int search_name(struct store *store, const char *name, char udid[UUID_TEXT_SIZE],
                       struct operation *operation)
{
    struct store_list list;
    char object[96], first[LU_WORD_SIZE] = "";
    size_t found = 0;
    int status = store_list(store, NAME_PREFIX, &list, NULL, operation);
    for (size_t i = 0; status == VIOS_OK && i < list.count; i++) {
        const char *path = list.values[i].key + strlen(NAME_PREFIX);
        const char *slash = strchr(path, '/');
        if (slash && strcmp(slash + 1, name) == 0 && read_name(list.values[i].json, udid) == 0) {
            snprintf(first, sizeof first, "%s", path);
            found++;
        }
    }
    store_list_clear(&list);
    if (status == VIOS_OK && found > 1) {
        char hint[200];
        snprintf(hint, sizeof hint, "give POOL/NAME, such as %s", first);
        status = operation_fail(operation, VIOS_E_USAGE, lu_object(name, object), hint,
                                "%zu pools have an LU of this name", found);
    }
    return status == VIOS_OK && found == 0 ? VIOS_E_NOT_FOUND : status;
}

static int find_udid(struct store *store, const char *word, char udid[UUID_TEXT_SIZE],
                     struct operation *operation)
{
    char key[STORE_KEY_MAX];
    struct store_value value = {0};
    if (parse_uuid(word, NULL) == VIOS_OK) {
        snprintf(udid, UUID_TEXT_SIZE, "%s", word);
        return VIOS_OK;
    }
    if (!strchr(word, '/')) {
        return search_name(store, word, udid, operation);
    }
    snprintf(key, sizeof key, NAME_PREFIX "%.300s", word);
    int status =
        store_key_is_valid(key) ? store_get(store, key, &value, operation) : VIOS_E_NOT_FOUND;
    if (status == VIOS_OK) {
        status = read_name(value.json, udid);
    }
    store_value_clear(&value);
    return status;
}

/* Names are shown as POOL/NAME when the word was one, else without their pool. */
static int missing(struct store *store, const char *word, struct operation *operation)
{
    char prefix[STORE_KEY_MAX] = NAME_PREFIX;
    const char *slash = strchr(word, '/');
    if (slash) {
        snprintf(prefix, sizeof prefix, NAME_PREFIX "%.*s", (int)(slash - word) + 1, word);
        word = slash + 1;
    }
    return store_missing(store, prefix, "lu", word, "there is no such LU", operation);
}

int lu_find(struct store *store, const char *word, struct lu *lu, struct store_value *value,
            struct operation *operation)
{
    char udid[UUID_TEXT_SIZE];
    struct store_value found = {0};
    int status = find_udid(store, word, udid, operation);
    if (status == VIOS_OK) {
        status = lu_load(store, udid, lu, &found, operation);
    }
    if (status == VIOS_OK && lu->state != LU_READY) {
        status = VIOS_E_NOT_FOUND;
    }
    if (status == VIOS_OK && value) {
        *value = found;
    } else {
        store_value_clear(&found);
    }
    return status == VIOS_E_NOT_FOUND ? missing(store, word, operation) : status;
}

int lu_check_lock(const struct lu *lu, const char *job, struct vios_error *error)
{
    char object[96], hint[128];
    if (!lu->job[0] || (job && strcmp(lu->job, job) == 0)) {
        return VIOS_OK;
    }
    snprintf(hint, sizeof hint, "wait for it: job wait %s", lu->job);
    return error_set(error, VIOS_E_LOCKED, lu_object(lu->name, object), hint,
                     "job %s is at work on it", lu->job);
}

int lu_save(struct store *store, const struct lu *lu, struct store_value *value,
            struct operation *operation)
{
    char key[STORE_KEY_MAX];
    int64_t revision = 0;
    char *json = lu_format(lu, value->json);
    if (!json) {
        return operation_no_memory(operation, NULL);
    }
    struct store_compare same = {STORE_REVISION_IS, lu_key(lu->udid, key), value->revision};
    struct store_change change = {key, json};
    int status = store_commit(store, &same, 1, &change, 1, &revision, operation);
    if (status == VIOS_OK) {
        free(value->json);
        value->json = json;
        value->revision = revision;
    } else {
        free(json);
    }
    return status;
}

/* --- its file --- */

int lu_folder(const struct node *node, const struct lu *lu, char path[PATH_MAX],
              struct vios_error *error)
{
    char object[96];
    const char *repository;
    int status = repository_path(node, lu_object(lu->name, object), &repository, error);
    if (status < 0) {
        return status;
    }
    int length = lu->image[0] ? snprintf(path, PATH_MAX, "%s/pools/%s/image/%s", repository,
                                         lu->pool, lu->image)
                              : snprintf(path, PATH_MAX, "%s/pools/%s/lu", repository, lu->pool);
    return length < PATH_MAX - LU_FILE_SIZE
               ? VIOS_OK
               : error_set(error, VIOS_E_INVALID, lu_object(lu->name, object),
                           "mount the repository elsewhere", "its path is too long");
}

int lu_path(const struct node *node, const struct lu *lu, char path[PATH_MAX],
            struct vios_error *error)
{
    int status = lu_folder(node, lu, path, error);
    if (status == VIOS_OK) {
        size_t length = strlen(path);
        snprintf(path + length, PATH_MAX - length, "/%s", lu->file);
    }
    return status;
}
