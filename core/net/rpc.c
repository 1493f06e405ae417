/*
 * rpc.c - the framing of JSON-RPC lines, without any I/O.
 *
 * One buffer holds what was pushed and not yet popped. A pop first forgets what the pop before
 * it gave out, so the data of a "bytes" message may stay where it is until then. Newlines are
 * looked for only in what was not searched yet.
 */
#include "net/rpc.h"

#include "base/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What may wait: one line and its bytes, and as much again that was read with them. */
#define RPC_BUFFER_MAX (2 * (RPC_LINE_MAX + RPC_BYTES_MAX))
#define RPC_BUFFER_START 4096

struct rpc_framer {
    uint8_t *buffer;
    size_t capacity;
    size_t start;     /* the first byte not given out */
    size_t end;       /* behind the last byte */
    size_t searched;  /* no newline in [start, searched) */
    json_t *waiting;  /* a "bytes" whose data is not there yet */
    size_t data_size; /* of that data */
    bool broken;      /* the peer broke the protocol; nothing more comes out */
};

int rpc_level(void)
{
#ifdef VIOS_TEST_HOOKS
    const char *level = getenv("VIOS_LEVEL");
    return level ? atoi(level) : RPC_LEVEL;
#else
    return RPC_LEVEL;
#endif
}

struct rpc_framer *rpc_framer_new(void)
{
    return calloc(1, sizeof(struct rpc_framer));
}

void rpc_framer_free(struct rpc_framer *framer)
{
    if (framer) {
        json_decref(framer->waiting);
        free(framer->buffer);
        free(framer);
    }
}

/* Moves what is left to the front. */
static void framer_compact(struct rpc_framer *framer)
{
    memmove(framer->buffer, framer->buffer + framer->start, framer->end - framer->start);
    framer->end -= framer->start;
    framer->searched -= framer->start;
    framer->start = 0;
}

static int framer_reserve(struct rpc_framer *framer, size_t size, struct vios_error *error)
{
    if (framer->capacity - framer->end >= size) {
        return VIOS_OK;
    }
    if (framer->start > 0) {
        framer_compact(framer);
    }
    size_t needed = framer->end + size;
    if (needed > RPC_BUFFER_MAX) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "more than %d bytes wait to be read",
                         RPC_BUFFER_MAX);
    }
    size_t capacity = framer->capacity > 0 ? framer->capacity : RPC_BUFFER_START;
    while (capacity < needed) {
        capacity *= 2;
    }
    uint8_t *buffer = realloc(framer->buffer, capacity);
    if (!buffer) {
        return error_no_memory(error, NULL);
    }
    framer->buffer = buffer;
    framer->capacity = capacity;
    return VIOS_OK;
}

int rpc_framer_push(struct rpc_framer *framer, const void *data, size_t size,
                    struct vios_error *error)
{
    if (size == 0) {
        return VIOS_OK;
    }
    if (size > RPC_BUFFER_MAX) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "more than %d bytes at once",
                         RPC_BUFFER_MAX);
    }
    int status = framer_reserve(framer, size, error);
    if (status == VIOS_OK) {
        memcpy(framer->buffer + framer->end, data, size);
        framer->end += size;
    }
    return status;
}

/* The first line's length without its newline; -1: not whole yet; -2: too long. */
static ssize_t framer_line(struct rpc_framer *framer)
{
    const uint8_t *from = framer->buffer + framer->searched;
    const uint8_t *newline =
        framer->end > framer->searched ? memchr(from, '\n', framer->end - framer->searched) : NULL;
    size_t length = (newline ? (size_t)(newline - framer->buffer) : framer->end) - framer->start;
    if (length > RPC_LINE_MAX) {
        return -2;
    }
    if (!newline) {
        framer->searched = framer->end;
        return -1;
    }
    return (ssize_t)length;
}

/* The size of the data behind a "bytes"; 0 for other messages; negative: malformed. */
static ssize_t message_data_size(const json_t *json)
{
    const char *method = json_get_text(json, "method");
    if (!method || strcmp(method, "bytes") != 0) {
        return 0;
    }
    const json_t *parameters = json_object_get(json, "params");
    const json_t *count = json_object_get(parameters, "count");
    if (!json_is_integer(count) || !json_is_integer(json_object_get(parameters, "id")) ||
        !json_is_boolean(json_object_get(parameters, "end"))) {
        return -1;
    }
    json_int_t size = json_integer_value(count);
    return size >= 0 && size <= RPC_BYTES_MAX ? (ssize_t)size : -1;
}

/* Parses one line into `waiting` and `data_size`. */
static int framer_parse(struct rpc_framer *framer, size_t length, struct vios_error *error)
{
    json_error_t why;
    const char *line = (const char *)framer->buffer + framer->start;
    json_t *json = json_loadb(line, length, JSON_REJECT_DUPLICATES, &why);
    if (!json) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL, "not a line of JSON: %s", why.text);
    }
    const char *version = json_get_text(json, "jsonrpc");
    ssize_t data_size = message_data_size(json);
    if (!json_is_object(json) || !version || strcmp(version, "2.0") != 0) {
        json_decref(json);
        return error_set(error, VIOS_E_INVALID, NULL, NULL, "not a JSON-RPC 2.0 object");
    }
    if (data_size < 0) {
        json_decref(json);
        return error_set(error, VIOS_E_INVALID, NULL, NULL,
                         "bytes without a good id, end, or count of at most %d", RPC_BYTES_MAX);
    }
    framer->start += length + 1;
    framer->searched = framer->start;
    framer->waiting = json;
    framer->data_size = (size_t)data_size;
    return VIOS_OK;
}

/* Takes the next line into `waiting`: 1, 0 or an error, as rpc_framer_pop(). */
static int framer_next(struct rpc_framer *framer, struct vios_error *error)
{
    ssize_t length = framer_line(framer);
    if (length == -1) {
        return 0;
    }
    int status = length == -2 ? error_set(error, VIOS_E_INVALID, NULL, NULL,
                                          "a line of more than %d bytes", RPC_LINE_MAX)
                              : framer_parse(framer, (size_t)length, error);
    framer->broken = status != VIOS_OK;
    return status == VIOS_OK ? 1 : status;
}

int rpc_framer_pop(struct rpc_framer *framer, struct rpc_message *message, struct vios_error *error)
{
    memset(message, 0, sizeof *message);
    if (framer->broken) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL, "the peer broke the protocol before");
    }
    if (!framer->waiting) {
        int found = framer_next(framer, error);
        if (found != 1) {
            return found;
        }
    }
    assert(framer->start <= framer->end);
    if (framer->end - framer->start < framer->data_size) {
        return 0;
    }
    message->json = framer->waiting;
    message->data = framer->buffer + framer->start;
    message->data_size = framer->data_size;
    framer->waiting = NULL;
    framer->start += framer->data_size;
    framer->searched = framer->start;
    framer->data_size = 0;
    return 1;
}

json_t *rpc_notification(const char *method, json_t *parameters)
{
    return json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method, "params", parameters);
}

json_t *rpc_answer(const json_t *id, json_t *result)
{
    return json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result);
}

json_t *rpc_failure(const json_t *id, const struct vios_error *error)
{
    return json_pack("{s:s, s:O?, s:o}", "jsonrpc", "2.0", "id", id, "error",
                     rpc_error_to_json(error));
}

char *rpc_format(const json_t *message, size_t *size)
{
    size_t length = json_dumpb(message, NULL, 0, JSON_COMPACT);
    char *line = length > 0 ? malloc(length + 2) : NULL;
    if (!line) {
        return NULL;
    }
    json_dumpb(message, line, length, JSON_COMPACT);
    line[length] = '\n';
    line[length + 1] = '\0';
    *size = length + 1;
    return line;
}

json_t *rpc_error_to_json(const struct vios_error *error)
{
    /* What went wrong may hold bytes of whoever sent nonsense; json_stringn refuses those. */
    json_t *object = json_string(error->object);
    json_t *message = json_string(error->message);
    json_t *hint = json_string(error->hint);
    const char *name = error_name(error->code);
    json_t *outer_message = json_string(error->message);
    return json_pack("{s:i, s:o, s:{s:s, s:o, s:o, s:o}}", "code", -32000, "message",
                     outer_message ? outer_message : json_string(name), "data", "code", name,
                     "object", object ? object : json_string(""), "message",
                     message ? message : json_string(name), "hint", hint ? hint : json_string(""));
}

int rpc_error_from_json(const json_t *json, struct vios_error *error)
{
    const json_t *data = json_object_get(json, "data");
    const char *name = json_get_word(data, "code");
    const char *message = json_get_word(data, "message");
    if (!message[0]) {
        message = json_get_word(json, "message");
    }
    int code = name[0] ? error_code(name) : VIOS_E_SYSTEM;
    return error_set(error, code < 0 ? code : VIOS_E_SYSTEM, json_get_word(data, "object"),
                     json_get_word(data, "hint"), "%s", message);
}
