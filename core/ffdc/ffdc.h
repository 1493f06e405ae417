/*
 * ffdc.h - first failure data capture (MISSION §5) as a part of the daemon. What goes wrong is
 * signalled here once; then this node and, asked by it, every other member captures what it knows,
 * under one correlator, into the repository.
 *
 * A bundle is written to STATE_DIR/ffdc first and moved on to the repository (vault.h) from there:
 * while that is away it waits, within FFDC_SPOOL_BYTES. The manifest (manifest.h) has every node;
 * one that could not be asked, or whose bundle waits, is missing in it, and adds its part by itself
 * as soon as it can: it is late then.
 *
 * Threads: one that handles signals, one that adds late parts, one that watches /incident/ for it,
 * one that listens for events (listener.h); calls run on theirs. A node makes one part at a time.
 */
#ifndef FFDC_FFDC_H
#define FFDC_FFDC_H

#include "ffdc/manifest.h"

#include "node/part.h"

#define FFDC_SPOOL_BYTES (INT64_C(512) << 20)
#define FFDC_SPOOL_MAX 32                   /* incidents whose parts wait */
#define FFDC_QUEUE_MAX 16                   /* signals that wait; more are logged only */
#define FFDC_REPEAT_MS 1000                 /* between two counts of one signature */
#define FFDC_PART_MS 120000                 /* for another node's part */
#define FFDC_ASK_AT_ONCE 16                 /* nodes */
#define FFDC_LATE_MS INT64_C(86400000)      /* after a day a missing part is not made any more */
#define FFDC_LATE_LOOK_MS 5000              /* between two tries to add what is late, at first */
#define FFDC_LATE_LOOK_MAX_MS 60000         /* and in the end */
#define FFDC_INCIDENTS_MAX 64               /* kept; the oldest go */
#define FFDC_QUOTA_BYTES (INT64_C(4) << 30) /* of all their bundles, at first; likewise */

extern const struct part ffdc_part;

struct ffdc_signal {
    const char *trigger;   /* what was seen: "daemon crash"; for people */
    const char *component; /* what it is about, as manifest_check_component() wants it */
    const char *signature; /* equal ones are the same failure: counted, captured once */
    enum manifest_priority priority;
    int64_t delay_ms; /* it is captured that much later, and others like it until then with it */
};

/* From any thread; never blocks: the texts are copied, cut where they are too long. Nothing happens
 * while the part does not run. */
void ffdc_signal(struct node *node, const struct ffdc_signal *signal);

#endif
