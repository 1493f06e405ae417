/*
 * spool.h - payload files that wait on this node's own disk for the repository to come back:
 * state_dir/events/NUMBER-NAME, drained in the order in which they came. Bounded: what does not fit
 * is counted, and the count becomes an event of its own.
 */
#ifndef EVENT_SPOOL_H
#define EVENT_SPOOL_H

#include "event/payload.h"

#include <pthread.h>
#include <stdbool.h>

#define SPOOL_FILES_MAX 1024
#define SPOOL_BYTES_MAX (32LL * 1024 * 1024)

struct event_spool;

/* Takes up what an earlier daemon left. `state_dir_fd` stays the caller's, and open. Damaged files
 * are removed, with a line in the log. Thread-safe. */
int event_spool_open(struct event_spool **spool, int state_dir_fd, struct vios_error *error);
void event_spool_close(struct event_spool *spool);

/* How many files wait, and how many events were lost since the last call that asked (`lost` NULL:
 * does not ask). */
size_t event_spool_count(struct event_spool *spool, uint64_t *lost);

/* Durable when it returns VIOS_OK. VIOS_E_NO_SPACE: it is full; its events are counted as lost. */
int event_spool_add(struct event_spool *spool, const struct payload *payload,
                    struct vios_error *error);

/* The oldest one; VIOS_E_NOT_FOUND when there is none. It stays until event_spool_remove_first().
 * What cannot be read now (no memory, no descriptors) stays too, and is the failure. */
int event_spool_first(struct event_spool *spool, struct payload *payload, struct vios_error *error);
void event_spool_remove_first(struct event_spool *spool);

#endif
