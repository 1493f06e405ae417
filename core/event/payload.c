/* payload.c - see payload.h. */
#include "event/payload.h"

#include "base/clock.h"
#include "base/json.h"
#include "net/crypto.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECT "payload file"
#define WORD_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

/* --- events --- */

static bool is_word(const char *text)
{
    size_t length = text ? strlen(text) : 0;
    return length > 0 && length <= EVENT_WORD_MAX && strspn(text, WORD_CHARACTERS) == length;
}

static bool is_text(const json_t *json, const char *key, size_t most)
{
    const json_t *value = json_object_get(json, key);
    size_t length = json_string_length(value);
    return !value || (json_is_string(value) && length > 0 && length <= most &&
                      strlen(json_string_value(value)) == length);
}

static const char *what_is_wrong(const json_t *json)
{
    static const char *const MEMBERS[] = {"time", "class", "object",     "operation",
                                          "old",  "new",   "correlator", "data"};
    size_t known = 0;
    for (size_t i = 0; i < sizeof MEMBERS / sizeof MEMBERS[0]; i++) {
        known += json_object_get(json, MEMBERS[i]) != NULL;
    }
    if (!json_is_object(json) || known != json_object_size(json)) {
        return "it has other members than those of an event";
    }
    if (!is_word(json_get_text(json, "class")) || !is_word(json_get_text(json, "operation"))) {
        return "its class and its operation must be words of a-z, 0-9 and _";
    }
    if (!json_object_get(json, "object") || !is_text(json, "object", EVENT_OBJECT_MAX)) {
        return "its object must be a text of 1 to 255 bytes";
    }
    if (!json_object_get(json, "time") || !is_text(json, "time", CLOCK_TEXT_SIZE)) {
        return "it has no time";
    }
    if (!is_text(json, "old", EVENT_STATE_MAX) || !is_text(json, "new", EVENT_STATE_MAX) ||
        !is_text(json, "correlator", EVENT_STATE_MAX)) {
        return "its states must be texts of 1 to 63 bytes";
    }
    const json_t *data = json_object_get(json, "data");
    if (data && !json_is_object(data)) {
        return "its data must be an object";
    }
    if (json_dumpb(json, NULL, 0, JSON_COMPACT) >= EVENT_LINE_MAX) {
        return "it is longer than 8191 bytes";
    }
    return NULL;
}

int event_check(const json_t *json, struct vios_error *error)
{
    const char *wrong = what_is_wrong(json);
    return wrong ? error_set(error, VIOS_E_CORRUPT, "event", NULL, "%s", wrong) : VIOS_OK;
}

int event_to_json(const struct event *event, int64_t wall_ms, json_t **json,
                  struct vios_error *error)
{
    char time[CLOCK_TEXT_SIZE];
    *json = json_pack("{s:s, s:s?, s:s?, s:s?, s:s*, s:s*, s:s*, s:O*}", "time",
                      clock_format(wall_ms, time), "class", event->class, "object", event->object,
                      "operation", event->operation, "old", event->old_state, "new",
                      event->new_state, "correlator", event->correlator, "data", event->data);
    const char *wrong = *json ? what_is_wrong(*json) : "its texts must be UTF-8";
    if (wrong) {
        json_decref(*json);
        *json = NULL;
        return error_set(error, VIOS_E_USAGE, "event", "see \"vios help event emit\"", "%s", wrong);
    }
    return VIOS_OK;
}

/* --- files --- */

void payload_name(struct payload *payload)
{
    char uuid[UUID_TEXT_SIZE];
    uuid_make(uuid);
    snprintf(payload->name, sizeof payload->name, "%lld-%s", (long long)payload->incarnation, uuid);
}

bool payload_name_is_valid(const char *name, int64_t *incarnation)
{
    int64_t number = 0;
    char digits[PAYLOAD_NAME_SIZE];
    size_t length = strspn(name, "0123456789");
    if (length == 0 || length + UUID_TEXT_SIZE > sizeof digits || name[length] != '-' ||
        name[0] == '0' || parse_uuid(name + length + 1, NULL) != VIOS_OK) {
        return false;
    }
    snprintf(digits, length + 1, "%s", name);
    if (parse_integer(digits, 1, INT64_MAX, &number, NULL) != VIOS_OK) {
        return false;
    }
    if (incarnation) {
        *incarnation = number;
    }
    return true;
}

static char *format_events(const struct payload *payload, size_t *size)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, size);
    bool good = stream != NULL;
    for (size_t i = 0; good && i < payload->count; i++) {
        good =
            json_dumpf(payload->events[i], stream, JSON_COMPACT) == 0 && fputc('\n', stream) != EOF;
    }
    if (stream && fclose(stream) != 0) {
        good = false;
    }
    if (!good) {
        free(text);
        return NULL;
    }
    return text;
}

static char *format_header(const struct payload *payload, int64_t count, const char *digest)
{
    return json_into_text(json_pack(
        "{s:i, s:s, s:s, s:I, s:I, s:I, s:s, s:I, s:s}", "v", 1, "cluster", payload->cluster,
        "node", payload->node, "incarnation", (json_int_t)payload->incarnation, "epoch",
        (json_int_t)payload->epoch, "derived", (json_int_t)payload->derived, "name", payload->name,
        "count", (json_int_t)count, "digest", digest));
}

/* Of the header with an empty digest in it, and the lines behind it. */
static int digest_of(const struct payload *payload, int64_t count, const char *events, size_t size,
                     char text[DIGEST_TEXT_SIZE], struct vios_error *error)
{
    uint8_t digest[DIGEST_SIZE];
    char *header = format_header(payload, count, "");
    int status = header ? crypto_digest(header, strlen(header), events, size, digest, error)
                        : error_no_memory(error, OBJECT);
    if (status == VIOS_OK) {
        crypto_hex(digest, sizeof digest, text);
    }
    free(header);
    return status;
}

int payload_format(const struct payload *payload, char **text, size_t *size,
                   struct vios_error *error)
{
    char digest[DIGEST_TEXT_SIZE], *header = NULL;
    int64_t count = (int64_t)payload->count;
    size_t events_size = 0;
    *text = NULL;
    char *events = format_events(payload, &events_size);
    int status = events ? digest_of(payload, count, events, events_size, digest, error)
                        : error_no_memory(error, OBJECT);
    if (status == VIOS_OK) {
        header = format_header(payload, count, digest);
        int length = header ? asprintf(text, "%s\n%s", header, events) : -1;
        if (length < 0) {
            *text = NULL;
            status = error_no_memory(error, OBJECT);
        } else {
            *size = (size_t)length;
        }
    }
    free(header);
    free(events);
    return status;
}

static int damaged(struct vios_error *error, const char *why)
{
    return error_set(error, VIOS_E_CORRUPT, OBJECT, "look at its disk, and at \"vios event list\"",
                     "%s", why);
}

static int read_header(const json_t *header, struct payload *payload, int64_t *count,
                       char digest[DIGEST_TEXT_SIZE], struct vios_error *error)
{
    int64_t version, incarnation;
    bool good = json_object_size(header) == 9 && json_read_integer(header, "v", 1, 1, &version) &&
                json_read_text(header, "cluster", payload->cluster, sizeof payload->cluster) &&
                json_read_text(header, "node", payload->node, sizeof payload->node) &&
                json_read_integer(header, "incarnation", 1, INT64_MAX, &payload->incarnation) &&
                json_read_integer(header, "epoch", 0, INT64_MAX, &payload->epoch) &&
                json_read_integer(header, "derived", 0, INT64_MAX, &payload->derived) &&
                json_read_text(header, "name", payload->name, sizeof payload->name) &&
                json_read_integer(header, "count", 1, PAYLOAD_EVENTS_MAX, count) &&
                json_read_text(header, "digest", digest, DIGEST_TEXT_SIZE);
    good = good && parse_name(payload->cluster, "cluster", NULL) == VIOS_OK &&
           parse_name(payload->node, "node", NULL) == VIOS_OK &&
           payload_name_is_valid(payload->name, &incarnation) &&
           incarnation == payload->incarnation;
    return good ? VIOS_OK : damaged(error, "its first line is no header");
}

/* The line that begins at `*at`, without its newline; `*at` is behind it then. False: no newline
 * comes within `most` bytes. */
static bool take_line(const char **at, const char *end, size_t most, const char **line,
                      size_t *length)
{
    size_t left = (size_t)(end - *at);
    const char *newline = memchr(*at, '\n', left < most ? left : most);
    if (!newline) {
        return false;
    }
    *line = *at;
    *length = (size_t)(newline - *at);
    *at = newline + 1;
    return true;
}

static int read_events(const char *at, const char *end, int64_t count, struct payload *payload,
                       struct vios_error *error)
{
    const char *line;
    size_t length;
    for (int64_t i = 0; i < count; i++) {
        if (!take_line(&at, end, EVENT_LINE_MAX, &line, &length)) {
            return damaged(error, "it has fewer events than its header says");
        }
        json_t *event = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
        const char *wrong = event ? what_is_wrong(event) : "one of its lines is no JSON";
        if (wrong) {
            json_decref(event);
            return damaged(error, wrong);
        }
        payload->events[payload->count++] = event;
    }
    return at == end ? VIOS_OK : damaged(error, "something is behind its last event");
}

/* Whether the line is byte for byte what payload_format() makes of what was read from it. */
static bool is_header(const struct payload *payload, int64_t count, const char *digest,
                      const char *line, size_t length)
{
    char *made = format_header(payload, count, digest);
    bool same = made && strlen(made) == length && memcmp(made, line, length) == 0;
    free(made);
    return same;
}

/* Takes the first line; `*at` is behind it then. */
static int parse_header(const char **at, const char *end, struct payload *payload, int64_t *count,
                        struct vios_error *error)
{
    char said[DIGEST_TEXT_SIZE] = "", is[DIGEST_TEXT_SIZE];
    const char *line;
    size_t length;
    if (!take_line(at, end, PAYLOAD_HEADER_MAX, &line, &length)) {
        return damaged(error, "its first line is no header");
    }
    json_t *header = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    int status = read_header(header, payload, count, said, error);
    json_decref(header);
    if (status == VIOS_OK && !is_header(payload, *count, said, line, length)) {
        status = damaged(error, "its first line is no header");
    }
    if (status == VIOS_OK) {
        status = digest_of(payload, *count, *at, (size_t)(end - *at), is, error);
    }
    if (status == VIOS_OK && strcmp(said, is) != 0) {
        status = damaged(error, "its digest is another one than its header says");
    }
    return status;
}

int payload_parse(const char *text, size_t size, struct payload *payload, struct vios_error *error)
{
    const char *at = text, *end = text + size;
    int64_t count = 0;
    *payload = (struct payload){0};
    int status = parse_header(&at, end, payload, &count, error);
    if (status == VIOS_OK) {
        status = read_events(at, end, count, payload, error);
    }
    if (status != VIOS_OK) {
        payload_clear(payload);
        *payload = (struct payload){0};
    }
    return status;
}

void payload_clear(struct payload *payload)
{
    while (payload->count > 0) {
        json_decref(payload->events[--payload->count]);
    }
}
