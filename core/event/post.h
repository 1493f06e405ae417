/*
 * post.h - what the callers are sent of an event: one line of JSON, made once for all of them.
 *
 *     {"event":{"seq":..,"restores":..,"epoch":..,"node":"n1","incarnation":4,"time":..,
 *      "class":..,"object":..,"operation":..,"old":..,"new":..,"correlator":..,"data":{...}}}
 *
 * The same object without its wrapping is an item of event.tail and event.list.
 */
#ifndef EVENT_POST_H
#define EVENT_POST_H

#include "event/payload.h"
#include "event/record.h"

/* An event with its number: a new object, the caller's. NULL: no memory. */
json_t *event_item(const struct payload *payload, size_t index, int64_t revision, int64_t restores);

struct event_post {
    int64_t sequence;
    char class_name[EVENT_WORD_MAX + 1];
    char object[EVENT_OBJECT_MAX + 1];
    size_t size; /* of the line, with its newline */
    char line[]; /* not ended by a NUL */
};

/* free() it. NULL: no memory. */
struct event_post *event_post_new(const struct payload *payload, size_t index, int64_t revision,
                                  int64_t restores);

#endif
