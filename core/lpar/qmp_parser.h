/*
 * qmp_parser.h - the lines of QEMU's machine protocol, no I/O: push what was read, pop messages.
 *
 * A guest that took over its QEMU may send anything here, so a message is validated completely
 * before anybody acts on it: one JSON object a line, of exactly one of the four shapes below,
 * with members of the right type. Unknown further members are fine (QEMU adds some with each
 * release).
 */
#ifndef LPAR_QMP_PARSER_H
#define LPAR_QMP_PARSER_H

#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

#define QMP_LINE_MAX (256 * 1024)

enum qmp_kind {
    QMP_GREETING, /* {"QMP": {…}} */
    QMP_RETURN,   /* {"return": …, "id": …} */
    QMP_ERROR,    /* {"error": {"class": "…", "desc": "…"}, "id": …} */
    QMP_EVENT     /* {"event": "…", "data": {…}, "timestamp": {…}} */
};

struct qmp_message {
    enum qmp_kind kind;
    json_t *json; /* the whole object; the caller's */
};

struct qmp_parser;

/* Aborts when memory is gone. */
struct qmp_parser *qmp_parser_new(void);
void qmp_parser_free(struct qmp_parser *parser);

/* VIOS_E_NO_SPACE when a line grows beyond QMP_LINE_MAX. */
int qmp_parser_push(struct qmp_parser *parser, const void *data, size_t size,
                    struct vios_error *error);

/* 1: a message; 0: more bytes are needed; VIOS_E_CORRUPT: not QMP, close the connection. */
int qmp_parser_pop(struct qmp_parser *parser, struct qmp_message *message,
                   struct vios_error *error);

#endif
