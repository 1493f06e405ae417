/* caller.c - see caller.h. */
#include "event/caller.h"

#include "base/clock.h"
#include "base/json.h"
#include "store/missing.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(CALLER_TOKEN_SIZE == 2 * CALLER_TOKEN_BYTES + 1, "lower-case hex");

void caller_key(const char *id, char key[CALLER_KEY_SIZE])
{
    snprintf(key, CALLER_KEY_SIZE, "%s%.*s", CALLER_PREFIX, NAME_MAX_LENGTH, id);
}

/* --- the record --- */

static int corrupt(const char *key, const char *what, struct vios_error *error)
{
    return error_set(error, VIOS_E_CORRUPT, key, "unregister the caller, and register it again",
                     "%s", what);
}

static bool is_hash(const char *text)
{
    uint8_t digest[DIGEST_SIZE];
    return crypto_unhex(text, digest, sizeof digest);
}

/* What is wrong with it; NULL: nothing. The filter is read apart. */
static const char *read_members(const json_t *record, const char *id, struct caller *caller)
{
    int64_t version;
    if (!json_read_integer(record, "v", 1, 1, &version)) {
        return "it is of another release";
    }
    if (!json_read_text(record, "id", caller->id, sizeof caller->id) ||
        parse_name(caller->id, "caller", NULL) != VIOS_OK || strcmp(caller->id, id) != 0) {
        return "its id is not that of its key";
    }
    if (!json_read_text(record, "token", caller->token_hash, sizeof caller->token_hash) ||
        !is_hash(caller->token_hash)) {
        return "its token is no SHA-256";
    }
    if (!json_read_text(record, "registered", caller->registered, sizeof caller->registered) ||
        !json_read_text(record, "by", caller->by, sizeof caller->by)) {
        return "by whom it is, and since when, is malformed";
    }
    if (!json_read_integer(record, "restores", 0, INT64_MAX, &caller->seen.restores) ||
        !json_read_integer(record, "seen", 0, INT64_MAX, &caller->seen.sequence)) {
        return "what it has seen is no cursor";
    }
    return NULL;
}

int caller_parse(const struct store_value *value, struct caller *caller, struct vios_error *error)
{
    struct vios_error of_filter = {0};
    size_t prefix = strlen(CALLER_PREFIX);
    *caller = (struct caller){0};
    if (strncmp(value->key, CALLER_PREFIX, prefix) != 0) {
        return corrupt(value->key, "this is no key of a caller", error);
    }
    json_t *record = json_loads(value->json, JSON_REJECT_DUPLICATES, NULL);
    const char *wrong = json_is_object(record) ? read_members(record, value->key + prefix, caller)
                                               : "it is not a JSON object";
    if (!wrong && event_filter_read(json_object_get(record, "filter"), &caller->filter,
                                    &of_filter) != VIOS_OK) {
        wrong = of_filter.message;
    }
    json_decref(record);
    if (wrong) {
        caller_clear(caller);
        return corrupt(value->key, wrong, error);
    }
    caller->revision = value->revision;
    return VIOS_OK;
}

char *caller_format(const struct caller *caller)
{
    return json_into_text(json_pack("{s:i, s:s, s:o, s:s, s:s, s:s, s:I, s:I}", "v", 1, "id",
                                    caller->id, "filter", event_filter_to_json(&caller->filter),
                                    "token", caller->token_hash, "registered", caller->registered,
                                    "by", caller->by, "restores", (json_int_t)caller->seen.restores,
                                    "seen", (json_int_t)caller->seen.sequence));
}

void caller_clear(struct caller *caller)
{
    event_filter_clear(&caller->filter);
    *caller = (struct caller){0};
}

/* --- the token --- */

static int hash_token(const char *token, char hash[DIGEST_TEXT_SIZE], struct vios_error *error)
{
    uint8_t digest[DIGEST_SIZE];
    int status = crypto_digest(token, strlen(token), "", 0, digest, error);
    if (status == VIOS_OK) {
        crypto_hex(digest, sizeof digest, hash);
    }
    return status;
}

static int make_token(char token[CALLER_TOKEN_SIZE], char hash[DIGEST_TEXT_SIZE],
                      struct vios_error *error)
{
    uint8_t secret[CALLER_TOKEN_BYTES];
    int status = crypto_random(secret, sizeof secret, error);
    if (status == VIOS_OK) {
        crypto_hex(secret, sizeof secret, token);
        status = hash_token(token, hash, error);
    }
    OPENSSL_cleanse(secret, sizeof secret);
    return status;
}

bool caller_token_matches(const struct caller *caller, const char *token)
{
    static const char NOBODY[DIGEST_TEXT_SIZE] = {0};
    char hash[DIGEST_TEXT_SIZE] = "";
    const char *wanted = caller ? caller->token_hash : NOBODY;
    bool good = hash_token(token, hash, NULL) == VIOS_OK;
    bool same = CRYPTO_memcmp(hash, wanted, DIGEST_TEXT_SIZE) == 0;
    return good && same && caller;
}

/* --- registering --- */

static int commit_new(struct store *store, const struct caller *caller, struct operation *operation)
{
    char key[CALLER_KEY_SIZE], object[96];
    char *text = caller_format(caller);
    if (!text) {
        return operation_no_memory(operation, NULL);
    }
    caller_key(caller->id, key);
    struct store_compare absent = {.kind = STORE_ABSENT, .key = key};
    struct store_change change = {.key = key, .json = text};
    int status = store_commit(store, &absent, 1, &change, 1, NULL, operation);
    free(text);
    if (status != VIOS_E_CONFLICT) {
        return status;
    }
    snprintf(object, sizeof object, "caller \"%.63s\"", caller->id);
    return operation_fail(operation, VIOS_E_EXISTS, object,
                          "take another id, or unregister this one", "it is registered already");
}

int caller_register(struct store *store, const char *id, struct event_filter *filter,
                    const char *by, char token[CALLER_TOKEN_SIZE], struct operation *operation)
{
    struct caller caller = {.filter = *filter};
    *filter = (struct event_filter){0};
    int status = parse_name(id, "caller", &operation->error);
    if (status == VIOS_OK) {
        status = make_token(token, caller.token_hash, &operation->error);
    }
    if (status == VIOS_OK) {
        snprintf(caller.id, sizeof caller.id, "%s", id);
        snprintf(caller.by, sizeof caller.by, "%s", by);
        clock_format(clock_wall_ms(), caller.registered);
        status = commit_new(store, &caller, operation);
    }
    caller_clear(&caller);
    return status;
}

int caller_unregister(struct store *store, const char *id, struct operation *operation)
{
    char key[CALLER_KEY_SIZE];
    int status = parse_name(id, "caller", &operation->error);
    if (status != VIOS_OK) {
        return status;
    }
    caller_key(id, key);
    struct store_compare exists = {.kind = STORE_EXISTS, .key = key};
    struct store_change gone = {.key = key};
    status = store_commit(store, &exists, 1, &gone, 1, NULL, operation);
    if (status != VIOS_E_CONFLICT) {
        return status;
    }
    status = store_missing(store, CALLER_PREFIX, "caller", id, "it is not registered", operation);
    char *hint = operation->error.hint;
    if (strncmp(hint, "see ", 4) == 0) { /* there is no `caller list` */
        snprintf(hint, sizeof operation->error.hint, "see \"vios event callers\"");
    }
    return status;
}
