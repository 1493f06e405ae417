/*
 * collectors.h - what a node captures of itself: one table of collectors, short ones first, each
 * with a time limit and a size cap (MISSION §5.8). None of them can hang the daemon: each runs as
 * limited.h has it, and touches only a `struct collector_source`, which it shares, and its file.
 */
#ifndef FFDC_COLLECTORS_H
#define FFDC_COLLECTORS_H

#include "ffdc/limited.h"

#include "base/operation.h"
#include "node/node.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLLECTORS_MAX 32
#define COLLECTOR_CRASHED "recorder.crashed" /* in STATE_DIR: the ring of a daemon that crashed */

enum collector_snapshot {
    SNAPSHOT_MATRIX,
    SNAPSHOT_PRIMARY,
    SNAPSHOT_ELECTIONS,
    SNAPSHOT_IO,
    SNAPSHOT_GUESTS,
    SNAPSHOTS
};

/* What collectors look at: copies, so that one that was given up harms nobody. */
struct collector_source;

/* Asks the agent, io and the guests of the node, within a moment. NULL: no memory. */
struct collector_source *collector_source_new(struct node *node, struct operation *operation);
struct collector_source *collector_source_hold(struct collector_source *source);
void collector_source_release(struct collector_source *source);

/* Where a collector writes. */
struct collection {
    int fd;
    uint64_t size_bytes, cap_bytes;
    bool cut; /* it had more than its cap */
};

/* False: it is full, there is nothing more to be written. */
bool collection_write(struct collection *collection, const void *data, size_t size);

struct collector {
    const char *name;
    const char *file; /* in the bundle */
    int limit_ms;
    uint64_t cap_bytes;
    /* VIOS_E_NOT_FOUND: there is nothing of it here. */
    int (*collect)(const struct collector *collector, const struct collector_source *source,
                   struct collection *collection, struct operation *operation);
    const char *path;                 /* for those that copy a file */
    enum collector_snapshot snapshot; /* for those that write one */
};

/* Whether a file in RUN_DIR is a core dump. */
bool collector_is_core(const char *name);

/* In the order in which they run. */
const struct collector *collectors_all(size_t *count);

/* What became of one. */
struct collected {
    const struct collector *collector;
    int fd; /* of a file without a name; -1: none */
    uint64_t size_bytes;
    bool cut;
    int status; /* VIOS_E_TIMEOUT: given up; what it had until then is there */
    int64_t took_ms;
    char why[160];
};

/* Runs `count` of them one after the other, with files in `folder_fd`, and fills as many `results`;
 * none can fail the others. collected_close() each. */
void collectors_run(const struct collector *table, size_t count, struct collector_source *source,
                    struct limited *limited, int folder_fd, struct collected *results,
                    struct operation *operation);
void collected_close(struct collected *results, size_t count);

/* Copies the ring of a flight recorder as lines of JSON, {sequence, wall_ms, boot_ms, part, text}.
 */
int collect_ring(const char *path, struct collection *collection, struct vios_error *error);

#endif
