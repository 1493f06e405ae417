/*
 * limited.h - work that may hang, such as on a dead mount: on a thread of its own, with a time
 * limit. What does not end in time is given up: the thread is left to itself, and so must own, or
 * share by references, all that it touches.
 *
 * At most LIMITED_HANGING_MAX threads that were given up may hang at once; then nothing more is
 * begun until one of them ends.
 */
#ifndef FFDC_LIMITED_H
#define FFDC_LIMITED_H

#include "base/operation.h"

#define LIMITED_HANGING_MAX 8

struct limited;

/* Who starts such work; it and each of its threads hold it. NULL: no memory. */
struct limited *limited_new(void);
/* What hangs goes on hanging. NULL is fine. */
void limited_free(struct limited *limited);

struct limited_work {
    const char *name; /* of the thread; 15 bytes at most */
    int64_t limit_ms;
    /* Looks at `operation`, if it can: it ends with the limit, or when the caller gives up. */
    int (*run)(void *context, struct operation *operation);
    /* Once, by whoever is last: the thread, or limited_run(). */
    void (*release)(void *context);
    void *context;
};

/*
 * What run() returned, with its error; VIOS_E_TIMEOUT: it was given up. `context` is held for the
 * caller too, until it calls release() itself: so `work->release` counts two holders.
 */
int limited_run(struct limited *limited, const struct limited_work *work,
                struct operation *operation);

#endif
