/*
 * caller_ring.h - the newest events as the lines that callers are sent, in the order of their
 * numbers, made once for all of them. A caller has a place in it, which is a number that only
 * grows; when the ring is full its oldest lines go, and with them the places of who was too slow.
 *
 * It has everything behind its floor: what is asked for behind an older number lies in the payload
 * files, or nowhere. Used from one thread.
 */
#ifndef EVENT_CALLER_RING_H
#define EVENT_CALLER_RING_H

#include "event/filter.h"
#include "event/post.h"

#define RING_VISITS_MAX 4096 /* lines looked at in one turn, also when no filter takes them */

struct caller_ring;

/* Of so many events, a power of two, and bytes at most. NULL: no memory. */
struct caller_ring *caller_ring_new(size_t events, size_t bytes);
void caller_ring_free(struct caller_ring *ring);

/* Empty, with everything behind `sequence` to come. */
void caller_ring_reset(struct caller_ring *ring, int64_t sequence);

/* Takes over the post. One that is not newer than the newest is dropped: it is in the ring. */
void caller_ring_add(struct caller_ring *ring, struct event_post *post);

/* Of the newest event, or the floor when it has none. */
int64_t caller_ring_newest(const struct caller_ring *ring);
int64_t caller_ring_floor(const struct caller_ring *ring);

/* The place behind the newest line. */
uint64_t caller_ring_end(const struct caller_ring *ring);

/* Whether what is at this place, and all behind it, is still there. */
bool caller_ring_has(const struct caller_ring *ring, uint64_t place);

/* The place of the first event behind `after`. False: `after` is older than the floor. */
bool caller_ring_find(const struct caller_ring *ring, int64_t after, uint64_t *place);

/*
 * Copies whole lines that fit the filter from `*place` on, which the ring has, and moves it and
 * `*after`, the sequence number up to which all was taken. Events up to `*after` are left out.
 * Returns how many bytes; `size` is more than a line has.
 */
size_t caller_ring_take(const struct caller_ring *ring, const struct event_filter *filter,
                        uint64_t *place, int64_t *after, char *data, size_t size);

/* Of the lines from this place on, which the ring has. */
size_t caller_ring_bytes(const struct caller_ring *ring, uint64_t place);

#endif
