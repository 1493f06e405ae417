/*
 * etcd_json.c - answers of etcd: see etcd_json.h. Requests are in etcd_request.c.
 */
#include "store/etcd_json.h"

#include "base/json.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES_MAX (ETCD_SPACE_MAX + STORE_KEY_MAX)
#define TOKEN_MAX 4096

static int corrupt(struct vios_error *error, const char *what)
{
    return error_set(error, VIOS_E_CORRUPT, "etcd", "see whether the address is one of an etcd",
                     "its answer is not valid: %s", what);
}

/* Printable ASCII, so that nothing foreign reaches a terminal or a log. */
static void copy_printable(char *to, size_t size, const char *from)
{
    size_t i = 0;
    for (; from && from[i] && i + 1 < size; i++) {
        to[i] = from[i] >= ' ' && from[i] < 0x7f ? from[i] : '?';
    }
    to[i] = '\0';
}

/* A member that is a number as text or as itself; absent is 0. Never negative. */
static bool read_number(const json_t *object, const char *name, int64_t *number)
{
    const json_t *member = json_object_get(object, name);
    const char *text = json_string_value(member);
    char *end;
    *number = 0;
    if (!member) {
        return true;
    }
    if (json_is_integer(member)) {
        *number = json_integer_value(member);
        return *number >= 0;
    }
    if (!text || strlen(text) > 18 || strspn(text, "0123456789") != strlen(text) || !text[0]) {
        return false;
    }
    *number = strtoll(text, &end, 10);
    return *end == '\0';
}

/* As above, of ids, which use all 64 bits. */
static bool read_id(const json_t *object, const char *name, uint64_t *id)
{
    const json_t *member = json_object_get(object, name);
    const char *text = json_string_value(member);
    *id = 0;
    if (!member) {
        return true;
    }
    if (!text || strlen(text) > 20 || strspn(text, "0123456789") != strlen(text) || !text[0]) {
        return false;
    }
    *id = strtoull(text, NULL, 10);
    return true;
}

static bool read_boolean(const json_t *object, const char *name, bool *value)
{
    const json_t *member = json_object_get(object, name);
    *value = json_is_true(member);
    return !member || json_is_boolean(member);
}

/* The bytes of a base64 member, NUL-terminated, at most `most`; absent is "". NULL: not valid,
 * or no memory. A NUL within is not valid: neither keys nor JSON have one. */
static char *read_bytes(const json_t *object, const char *name, size_t most)
{
    const json_t *member = json_object_get(object, name);
    const char *text = member ? json_string_value(member) : "";
    size_t length = member ? json_string_length(member) : 0;
    if (!text || length % 4 != 0 || length / 4 > (most + 2) / 3) {
        return NULL;
    }
    size_t padding = length >= 2 ? (text[length - 1] == '=') + (text[length - 2] == '=') : 0;
    if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") !=
        length - padding) {
        return NULL;
    }
    char *bytes = malloc(length / 4 * 3 + 1);
    int decoded =
        bytes ? EVP_DecodeBlock((unsigned char *)bytes, (const unsigned char *)text, (int)length)
              : -1;
    if (decoded < 0 || (size_t)decoded - padding > most) {
        free(bytes);
        return NULL;
    }
    bytes[(size_t)decoded - padding] = '\0';
    if (strlen(bytes) != (size_t)decoded - padding) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

static bool read_header(const json_t *object, struct etcd_header *header)
{
    const json_t *member = json_object_get(object, "header");
    memset(header, 0, sizeof *header);
    return !member ||
           (json_is_object(member) && read_id(member, "cluster_id", &header->cluster_id) &&
            read_number(member, "revision", &header->revision));
}

int etcd_json_answer(const char *text, size_t size, json_t **answer, struct etcd_header *header,
                     struct vios_error *error)
{
    json_error_t unused;
    *answer = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &unused);
    if (!json_is_object(*answer) || !read_header(*answer, header)) {
        json_decref(*answer);
        *answer = NULL;
        return corrupt(error, "not an object with a header");
    }
    return VIOS_OK;
}

static void read_refusal(const json_t *json, struct etcd_refusal *refusal)
{
    const json_t *inner = json_object_get(json, "error"); /* an object in streams */
    const json_t *holder = json_is_object(inner) ? inner : json;
    const json_t *code = json_object_get(holder, json_is_object(inner) ? "grpc_code" : "code");
    const char *message = json_get_text(holder, "message");
    if (json_is_integer(code) && json_integer_value(code) > 0 && json_integer_value(code) < 100) {
        refusal->grpc = (int)json_integer_value(code);
    }
    if (message) {
        copy_printable(refusal->message, sizeof refusal->message, message);
    }
}

void etcd_json_refusal(const char *text, size_t size, struct etcd_refusal *refusal)
{
    json_t *json = json_loadb(text, size, JSON_DISABLE_EOF_CHECK, NULL);
    refusal->grpc = ETCD_GRPC_NONE;
    snprintf(refusal->message, sizeof refusal->message, "not an answer of etcd's JSON gateway");
    if (json_is_object(json)) {
        read_refusal(json, refusal);
    }
    json_decref(json);
}

/* One KeyValue into `gather`: `deleted` has no value and no creation. */
static int add_value(const json_t *kv, const char *space, bool deleted, bool keys_only,
                     struct store_gather *gather, struct operation *operation)
{
    struct store_value value = {0};
    int status = VIOS_OK;
    char *key = read_bytes(kv, "key", KEY_BYTES_MAX);
    char *json = deleted ? NULL : read_bytes(kv, "value", STORE_VALUE_MAX);
    size_t length = strlen(space);
    if (!json_is_object(kv) || !key || strncmp(key, space, length) != 0 ||
        !store_key_is_valid(key + length)) {
        status = corrupt(&operation->error, "a key that is not ours");
    } else if (!read_number(kv, "mod_revision", &value.revision) ||
               !read_number(kv, "create_revision", &value.created) || value.revision < 1 ||
               value.created > value.revision || (!deleted && value.created < 1)) {
        status = corrupt(&operation->error, "revisions that cannot be");
    } else if (!deleted && (!json || (!keys_only && !json[0]))) {
        status = corrupt(&operation->error, "a value that is empty, too large or not text");
    } else {
        value.key = key + length;
        value.json = json;
        status = store_gather_add(gather, &value, operation);
    }
    free(key);
    free(json);
    return status;
}

int etcd_json_values(const json_t *answer, const char *space, bool keys_only,
                     struct store_gather *gather, bool *more, struct operation *operation)
{
    const json_t *kvs = json_object_get(answer, "kvs");
    if ((kvs && !json_is_array(kvs)) || !read_boolean(answer, "more", more)) {
        return corrupt(&operation->error, "not the values of a range");
    }
    int status = VIOS_OK;
    for (size_t i = 0; i < json_array_size(kvs) && status == VIOS_OK; i++) {
        status = add_value(json_array_get(kvs, i), space, false, keys_only, gather, operation);
    }
    if (status == VIOS_OK && *more && json_array_size(kvs) == 0) {
        status = corrupt(&operation->error, "more keys, and none given");
    }
    return status;
}

int etcd_json_succeeded(const json_t *answer, bool *succeeded, struct vios_error *error)
{
    return read_boolean(answer, "succeeded", succeeded) ? VIOS_OK
                                                        : corrupt(error, "not that of a commit");
}

int etcd_json_ranges_answer(const json_t *answer, size_t count, const json_t **parts,
                            struct vios_error *error)
{
    const json_t *responses = json_object_get(answer, "responses");
    bool succeeded = false;
    if (!read_boolean(answer, "succeeded", &succeeded) || !succeeded ||
        json_array_size(responses) != count) {
        return corrupt(error, "not the values of several ranges");
    }
    for (size_t i = 0; i < count; i++) {
        parts[i] = json_object_get(json_array_get(responses, i), "response_range");
        if (!json_is_object(parts[i])) {
            return corrupt(error, "not the values of several ranges");
        }
    }
    return VIOS_OK;
}

/* What one range within a txn found: one key or none. */
static bool read_seen(const json_t *response, bool mark, struct etcd_seen *seen)
{
    const json_t *range = json_object_get(response, "response_range");
    const json_t *kvs = json_object_get(range, "kvs");
    memset(seen, 0, sizeof *seen);
    if (!json_is_object(range) || (kvs && (!json_is_array(kvs) || json_array_size(kvs) > 1))) {
        return false;
    }
    const json_t *kv = json_array_get(kvs, 0);
    if (!kv) {
        return true;
    }
    if (!json_is_object(kv) || !read_number(kv, "mod_revision", &seen->mod_revision) ||
        seen->mod_revision < 1) {
        return false;
    }
    char *value = mark ? read_bytes(kv, "value", ETCD_MARK_MAX) : NULL;
    if (value) {
        snprintf(seen->value, sizeof seen->value, "%s", value);
    }
    free(value); /* a mark that is none of ours stays "" */
    return true;
}

int etcd_json_txn_answer(const json_t *answer, const struct etcd_txn *txn, bool *succeeded,
                         struct etcd_seen *seen, struct vios_error *error)
{
    int status = etcd_json_succeeded(answer, succeeded, error);
    if (status != VIOS_OK || *succeeded || !txn->look) {
        return status;
    }
    const json_t *responses = json_object_get(answer, "responses");
    size_t marks = txn->mark_key ? 1 : 0;
    if (json_array_size(responses) != marks + txn->compare_count + (txn->mark_void ? 1 : 0)) {
        return corrupt(error, "a failed commit does not say what it saw");
    }
    for (size_t i = 0; i < marks + txn->compare_count; i++) {
        if (!read_seen(json_array_get(responses, i), i < marks, &seen[i])) {
            return corrupt(error, "a failed commit does not say what it saw");
        }
    }
    return VIOS_OK;
}

int etcd_json_token(const json_t *answer, char **token, struct vios_error *error)
{
    const char *text = json_get_text(answer, "token");
    size_t length = text ? strlen(text) : 0;
    if (length == 0 || length > TOKEN_MAX ||
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                     "0123456789._-+/=") != length) {
        return corrupt(error, "a token that cannot be");
    }
    *token = strdup(text);
    return *token ? VIOS_OK : error_no_memory(error, NULL);
}

static int add_events(const json_t *events, const char *space, int64_t after,
                      struct etcd_watch_message *message, struct store_gather *gather,
                      struct operation *operation)
{
    int status = VIOS_OK;
    for (size_t i = 0; i < json_array_size(events) && status == VIOS_OK; i++) {
        const json_t *event = json_array_get(events, i);
        const json_t *kv = json_object_get(event, "kv");
        const char *type = json_get_text(event, "type");
        int64_t revision;
        if (!kv || (type && strcmp(type, "PUT") != 0 && strcmp(type, "DELETE") != 0) ||
            !read_number(kv, "mod_revision", &revision) || revision < message->revision) {
            return corrupt(&operation->error, "an event out of order or of no known type");
        }
        message->revision = revision;
        if (revision > after) {
            status = add_value(kv, space, type && type[0] == 'D', false, gather, operation);
        }
    }
    return status;
}

int etcd_json_watch_message(const char *text, size_t size, const char *space, int64_t after,
                            struct etcd_watch_message *message, struct store_gather *gather,
                            struct operation *operation)
{
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    const json_t *result = json_object_get(json, "result");
    const json_t *events = json_object_get(result, "events");
    int status = VIOS_OK;
    memset(message, 0, sizeof *message);
    message->refusal.grpc = ETCD_GRPC_NONE;
    if (json_object_get(json, "error")) {
        message->refusal.grpc = 0;
        read_refusal(json, &message->refusal);
    } else if (!json_is_object(result) || !read_header(result, &message->header) ||
               !read_boolean(result, "created", &message->created) ||
               !read_boolean(result, "canceled", &message->canceled) ||
               !read_number(result, "compact_revision", &message->compact_revision) ||
               (events && !json_is_array(events))) {
        status = corrupt(&operation->error, "not a message of a watch");
    } else {
        const char *reason = json_get_text(result, "cancel_reason");
        copy_printable(message->refusal.message, sizeof message->refusal.message, reason);
        status = add_events(events, space, after, message, gather, operation);
    }
    json_decref(json);
    return status;
}

int etcd_json_status(const json_t *answer, struct etcd_status *status, struct vios_error *error)
{
    uint64_t leader;
    const json_t *errors = json_object_get(answer, "errors");
    memset(status, 0, sizeof *status);
    if (!read_id(answer, "leader", &leader) || (errors && !json_is_array(errors)) ||
        !json_is_string(json_object_get(answer, "version"))) {
        return corrupt(error, "not the status of a member");
    }
    status->has_leader = leader != 0;
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const char *text = json_string_value(json_array_get(errors, i));
        if (!text) {
            return corrupt(error, "not the status of a member");
        }
        status->corrupt = status->corrupt || strstr(text, "CORRUPT") != NULL;
        if (!status->trouble[0]) {
            copy_printable(status->trouble, sizeof status->trouble, text);
        }
    }
    return VIOS_OK;
}
