/*
 * offline.h - what `ffdc list`, `show`, `timeline` and `export` read without a daemon. What happens
 * is told line by line, as restore/restore.h has it:
 *
 *     {"say":"progress","text":"..."}     for people: what is damaged, or missing
 *     {"say":"item","item":{...}}         a row of the list, or of the timeline
 *     {"say":"result", ...}               the last one, when all went well
 *     {"say":"error","error":{"code","object","message","hint"}}     the last one otherwise
 *
 * An incident is looked for in `dir`; without one, in the repository and among what waits for it.
 * A row of the timeline is {time, node, epoch, part, text, sequence, wall, clock_offset_ms}.
 */
#ifndef FFDC_OFFLINE_H
#define FFDC_OFFLINE_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

struct offline_request {
    const char *verb;
    const char *correlator; /* NULL for list */
    const char *dir;        /* NULL: that of the repository and of the state folder */
    const char *repository, *state_dir;
    const char *to; /* of export */
    bool redact;
};

/* `say` takes over the line. What it returns was told. */
int offline_run(const struct offline_request *request, void (*say)(void *context, json_t *line),
                void *context);

#endif
