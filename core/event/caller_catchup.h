/*
 * caller_catchup.h - what the callers' worker needs and must not wait for: the current state, and
 * events older than the ring. A thread for each, as either may block; the worker asks, is poked
 * when there is an answer, and takes it. What was asked before a reset is never answered.
 */
#ifndef EVENT_CALLER_CATCHUP_H
#define EVENT_CALLER_CATCHUP_H

#include "event/callers.h"

#define CATCHUP_STATE_MS 30000 /* for one look at the state */
#define CATCHUP_OLDER_MS 30000 /* for one payload file */

struct caller_catchup;

/* Shared text, of the worker's thread: the line of the state, without its end. */
struct caller_state {
    int references;
    int64_t as_of;
    size_t size;
    char *text;
};

/* Events of the payload files, in order, for all callers that are somewhere in them. */
struct caller_batch {
    int references;
    int64_t from, through; /* all events behind `from` up to `through` are in it */
    size_t count;
    struct event_post *posts[PAYLOAD_EVENTS_MAX];
};

void caller_state_release(struct caller_state *state);
void caller_batch_release(struct caller_batch *batch);

/* `answered` is called on its threads. */
int catchup_new(struct caller_catchup **catchup, const struct callers_settings *settings,
                void (*answered)(void *context), void *context, struct vios_error *error);
/* Waits for what is under way. NULL does nothing. */
void catchup_free(struct caller_catchup *catchup);

/* Forgets what was asked, and answers to it. */
void catchup_reset(struct caller_catchup *catchup);

/* Returns the number of this asking: an answer of this or a higher number was looked at later. */
uint64_t catchup_ask_state(struct caller_catchup *catchup);

/* An answer, if there is one (false: none): VIOS_OK and the state, which is the caller's; or why
 * not. */
bool catchup_take_state(struct caller_catchup *catchup, struct caller_state **state,
                        uint64_t *number, struct vios_error *error);

/* Asks for what is behind `after`; `floor` is the ring's: when there is nothing, there is nothing
 * up to it. Not again before the answer is taken. */
void catchup_ask_older(struct caller_catchup *catchup, int64_t after, int64_t floor);

/* Likewise; `*after` is as it was asked. error->code VIOS_E_COMPACTED: some are not kept any more.
 */
bool catchup_take_older(struct caller_catchup *catchup, struct caller_batch **batch, int64_t *after,
                        struct vios_error *error);

#endif
