/*
 * renewal.h - what is known of one's own /alive record, as a pure state: which commit to try
 * next, and at which *sending* time the last known success was sent. No I/O, so that every order
 * of outcomes can be tested.
 */
#ifndef CLUSTER_RENEWAL_H
#define CLUSTER_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

/* Attempts whose sending time is remembered; an older one that succeeded renewed nothing that is
 * not over, but its record is ours all the same. */
#define RENEWAL_ATTEMPTS 16

struct renewal {
    int64_t incarnation;
    int64_t start;                     /* random, of this daemon */
    int64_t n;                         /* of the last attempt */
    int64_t revision;                  /* of the record as known; 0: there is none */
    int64_t renewed_ms;                /* sending time of the last known success; 0: none yet */
    int64_t sent_ms[RENEWAL_ATTEMPTS]; /* of attempt n, at n % RENEWAL_ATTEMPTS */
};

enum renewal_reading {
    RENEWAL_OURS,        /* one of our attempts: it succeeded, at its sending time */
    RENEWAL_BEFORE_US,   /* what was there before our first success; go on from it */
    RENEWAL_PREDECESSOR, /* an earlier daemon's, that landed late: go on from it. One that does so
                          * again and again is no predecessor */
    RENEWAL_FOREIGN      /* another daemon writes under our name */
};

void renewal_begin(struct renewal *renewal, int64_t incarnation, int64_t start, int64_t n,
                   int64_t revision);

/* The next attempt is sent now: its n. */
int64_t renewal_attempt(struct renewal *renewal, int64_t now_ms);

/* The attempt is known to have made `revision`. */
void renewal_succeeded(struct renewal *renewal, int64_t revision);

/* After a conflict or an unknown outcome the record was read again. */
enum renewal_reading renewal_read(struct renewal *renewal, int64_t incarnation, int64_t start,
                                  int64_t n, int64_t revision);

/* It was read again, and there is none. */
void renewal_read_absent(struct renewal *renewal);

#endif
