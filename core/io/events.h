/* events.h - lines for those who watch: what io saw and nobody asked for. */
#ifndef IO_EVENTS_H
#define IO_EVENTS_H

#include "base/error.h"

#include <jansson.h>

#define EVENTS_WATCHERS_MAX 16

struct events;

int events_new(struct events **events, struct vios_error *error);

/* From now on `fd` (a socket, stays the caller's) gets each event as a line. One that does not keep
 * up is shut down: it must connect again, and ask for the statistics. */
int events_add(struct events *events, int fd, struct vios_error *error);
void events_remove(struct events *events, int fd);

/* Any thread, never blocks. Takes over `event`. */
void events_publish(struct events *events, json_t *event);

#endif
