/*
 * threshold.h - when a threshold counts as crossed. Pure: no clock, no I/O.
 *
 * It is raised once the value was beyond the limit in so many samples in a row, and cleared once it
 * was back, beyond the clear limit, in as many. What lies between the two says nothing, and begins
 * the count anew. So a value that swings about its limit changes nothing, and neither does a peak.
 */
#ifndef ALERT_THRESHOLD_H
#define ALERT_THRESHOLD_H

#include <stdbool.h>

struct threshold {
    double limit, clear;
    bool less_is_worse; /* `limit` is a lower one */
    int samples;        /* in a row; at least 1 */
};

/* All zero: not crossed, nothing was seen yet. */
struct threshold_state {
    bool raised;
    int count; /* of samples in a row that ask for the other state */
};

enum threshold_change { THRESHOLD_STAYS, THRESHOLD_RAISES, THRESHOLD_CLEARS };

/*
 * Takes a sample, and says what is to be done. The state changes by threshold_settle() only, once
 * it is done: until then each further sample that asks for it says so again.
 */
enum threshold_change threshold_step(const struct threshold *threshold,
                                     struct threshold_state *state, double value);

/* It is raised, or not, as is recorded; when that is news the count begins anew. */
void threshold_settle(struct threshold_state *state, bool raised);

#endif
