/*
 * crew.h - threads that work on pieces side by side, which come out in the order in which they went
 * in. The pieces are as many as it takes to keep the threads busy, and that is all the memory used.
 *
 * One thread claims and submits, one takes and releases; both may be the same. A wait here lasts
 * until other threads of this process are through with a piece, and no longer.
 */
#ifndef HIBERNATION_CREW_H
#define HIBERNATION_CREW_H

#include "base/error.h"
#include "hibernation/block.h"

#include <stdbool.h>

#define CREW_WORKERS_MAX 8

struct crew_piece {
    struct hibernation_piece piece;
    int status; /* what the work returned; its error */
    struct vios_error error;
    uint64_t offset; /* in the file, and what is wrong with it: the reader's */
    const char *wrong;
};

struct crew_work {
    int (*run)(void *context, struct hibernation_coder *coder, struct crew_piece *piece,
               struct vios_error *error); /* on any of the threads */
    void *context;
    const struct hibernation_seal *seal; /* of the coders; not owned */
    unsigned workers;                    /* 0: as many as there are processors */
};

struct crew;

int crew_start(struct crew **crew, const struct crew_work *work, struct vios_error *error);

/* Ends the threads, whatever they have, and frees it. NULL is fine. */
void crew_stop(struct crew *crew);

/* The next piece to fill; waits until one is free. NULL: crew_fail() was called. */
struct crew_piece *crew_claim(struct crew *crew);

/* Whether crew_claim() would not wait. */
bool crew_has_free(struct crew *crew);

/* Gives the claimed one to the threads. */
void crew_submit(struct crew *crew);

/* No more are submitted. */
void crew_close(struct crew *crew);

/* The oldest that was submitted; waits until it was worked on. NULL: it is closed and all were
 * taken, or crew_fail() was called. */
struct crew_piece *crew_take(struct crew *crew);

/* The one that was taken is free again. */
void crew_release(struct crew *crew);

/* Whoever waits returns, and nothing more is worked on. The first failure is kept. */
void crew_fail(struct crew *crew, int status, const struct vios_error *error);

/* VIOS_OK, or the failure. */
int crew_status(struct crew *crew, struct vios_error *error);

#endif
