/* qmp_parser.c - QMP lines, cut and validated. See the header. */
#include "lpar/qmp_parser.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct qmp_parser {
    char *data;
    size_t used;    /* bytes in `data` */
    size_t scanned; /* of those, known to hold no newline */
    size_t room;    /* allocated */
};

struct qmp_parser *qmp_parser_new(void)
{
    struct qmp_parser *parser = calloc(1, sizeof *parser);
    assert(parser);
    return parser;
}

void qmp_parser_free(struct qmp_parser *parser)
{
    if (parser) {
        free(parser->data);
        free(parser);
    }
}

int qmp_parser_push(struct qmp_parser *parser, const void *data, size_t size,
                    struct vios_error *error)
{
    /* A burst may hold several lines, so the buffer may be larger than one line. */
    if (size > QMP_LINE_MAX || parser->used > 2 * (size_t)QMP_LINE_MAX - size) {
        return error_set(error, VIOS_E_NO_SPACE, "qmp", NULL, "a line is longer than %d bytes",
                         QMP_LINE_MAX);
    }
    if (parser->used + size > parser->room) {
        size_t room = parser->room ? parser->room : 4096;
        while (room < parser->used + size) {
            room *= 2;
        }
        parser->data = realloc(parser->data, room);
        assert(parser->data);
        parser->room = room;
    }
    memcpy(parser->data + parser->used, data, size);
    parser->used += size;
    return VIOS_OK;
}

static bool is_error(const json_t *error)
{
    return json_is_string(json_object_get(error, "class")) &&
           json_is_string(json_object_get(error, "desc"));
}

static bool is_event(const json_t *json)
{
    const json_t *data = json_object_get(json, "data");
    return json_is_string(json_object_get(json, "event")) && (!data || json_is_object(data));
}

/* The kind of a message, -1 when it is none of the four. */
static int classify(const json_t *json)
{
    int shapes = 0;
    int kind = -1;
    if (json_is_object(json_object_get(json, "QMP"))) {
        shapes++;
        kind = QMP_GREETING;
    }
    if (json_object_get(json, "return")) {
        shapes++;
        kind = QMP_RETURN;
    }
    if (is_error(json_object_get(json, "error"))) {
        shapes++;
        kind = QMP_ERROR;
    }
    if (is_event(json)) {
        shapes++;
        kind = QMP_EVENT;
    }
    return shapes == 1 ? kind : -1;
}

static int parse_line(const char *line, size_t size, struct qmp_message *message,
                      struct vios_error *error)
{
    json_error_t why;
    json_t *json = json_loadb(line, size, JSON_REJECT_DUPLICATES, &why);
    if (!json) {
        return error_set(error, VIOS_E_CORRUPT, "qmp", NULL, "not JSON: %s", why.text);
    }
    int kind = classify(json);
    if (kind < 0) {
        json_decref(json);
        return error_set(error, VIOS_E_CORRUPT, "qmp", NULL, "a message of no known shape");
    }
    message->kind = (enum qmp_kind)kind;
    message->json = json;
    return 1;
}

static bool is_blank(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (line[i] != '\r' && line[i] != ' ' && line[i] != '\t') {
            return false;
        }
    }
    return true;
}

int qmp_parser_pop(struct qmp_parser *parser, struct qmp_message *message, struct vios_error *error)
{
    int result = 0;
    while (result == 0) {
        char *newline =
            parser->used > parser->scanned
                ? memchr(parser->data + parser->scanned, '\n', parser->used - parser->scanned)
                : NULL;
        size_t size = newline ? (size_t)(newline - parser->data) : parser->used;
        if (size > QMP_LINE_MAX) {
            return error_set(error, VIOS_E_NO_SPACE, "qmp", NULL, "a line is longer than %d bytes",
                             QMP_LINE_MAX);
        }
        if (!newline) {
            parser->scanned = parser->used;
            return 0;
        }
        if (!is_blank(parser->data, size)) {
            result = parse_line(parser->data, size, message, error);
        }
        parser->used -= size + 1;
        parser->scanned = 0;
        memmove(parser->data, newline + 1, parser->used);
    }
    return result;
}
