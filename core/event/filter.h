/*
 * filter.h - which events somebody wants: by class, and by the object's name.
 *
 *     class    a list of class names; empty: all classes
 *     object   a list of patterns with * and ?, as of a shell; empty: all objects
 */
#ifndef EVENT_FILTER_H
#define EVENT_FILTER_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define FILTER_WORDS_MAX 16
#define FILTER_WORD_MAX 255 /* bytes */

struct event_filter {
    char *classes[FILTER_WORDS_MAX], *objects[FILTER_WORDS_MAX];
    size_t class_count, object_count;
};

/* From two words of a command, each a list separated by commas; NULL or "": all. VIOS_E_USAGE,
 * and `*filter` is empty. */
int event_filter_parse(const char *classes, const char *objects, struct event_filter *filter,
                       struct vios_error *error);

/* The same from and to JSON: {"classes":[...],"objects":[...]}. VIOS_E_INVALID. */
int event_filter_read(const json_t *json, struct event_filter *filter, struct vios_error *error);
json_t *event_filter_to_json(const struct event_filter *filter);

void event_filter_clear(struct event_filter *filter);

bool event_filter_fits(const struct event_filter *filter, const char *class_name,
                       const char *object);

#endif
