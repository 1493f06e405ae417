/*
 * timeline.h - the flight recorders of several nodes in one order. Pure.
 *
 * The order is by wall time, minus the node's clock offset as its manifest entry has it. Within one
 * boot of a node the boot-time clock says how much earlier than its last record another one is, so
 * that a clock that was set does not change the order.
 *
 * `epoch` of a record is the one that the node had told of before it ("primary is n1, epoch 3"): 0
 * until it did, and the manifest's when it never did within its recorder.
 */
#ifndef FFDC_TIMELINE_H
#define FFDC_TIMELINE_H

#include "base/error.h"
#include "base/parse.h"

#include <stddef.h>
#include <stdint.h>

#define TIMELINE_ENTRIES_MAX 500000
#define TIMELINE_LINE_MAX 4096

struct timeline;

struct timeline_entry {
    int64_t time_ms; /* corrected */
    int64_t wall_ms; /* as the node noted it */
    int64_t boot_ms;
    int64_t epoch;
    int64_t sequence;
    char node[NAME_MAX_LENGTH + 1];
    char part[16];
    char text[200];
};

struct timeline *timeline_new(void);
void timeline_free(struct timeline *timeline);

/* Adds what collect_ring() wrote. Lines that are none are passed over; `*bad` is how many. What was
 * added before of the same node is known again by its sequence, and taken once. VIOS_E_NO_SPACE. */
int timeline_add(struct timeline *timeline, const char *node, int64_t clock_offset_ms,
                 int64_t epoch, char *text, size_t *bad, struct vios_error *error);

/* All entries in order; the timeline's. */
const struct timeline_entry *timeline_sort(struct timeline *timeline, size_t *count);

#endif
