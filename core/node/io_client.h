/*
 * io_client.h - the daemon's side of io's control socket (core/io/PROTOCOL.md).
 *
 * It starts io when none answers, starts it again when it died, and hands it what its
 * predecessor had: listening sockets, page-memory arena and pager state, whose descriptors it
 * keeps (SCM_RIGHTS). A call that finds io away waits for its successor within its deadline.
 */
#ifndef NODE_IO_CLIENT_H
#define NODE_IO_CLIENT_H

#include "base/operation.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define IO_CLIENT_LEVEL 1 /* of io's control protocol, for `hello` */

struct io_client;

struct io_client_settings {
    const char *program; /* libexec/vios/io */
    const char *run_dir;
    uint64_t page_memory_bytes; /* for an io that is started */
    /* Called on a thread of the client each time a successor was set up (may be NULL): whoever
     * configured exports, grants and guests does so again, idempotently. */
    void (*restored)(void *context);
    void *context;
};

/* Begins to connect to RUN_DIR/io.sock, or to execute the program, on a thread of its own. The
 * texts are copied. */
int io_client_start(struct io_client **client, const struct io_client_settings *settings,
                    struct vios_error *error);

/* Leaves io running, or ends it when `stop_io`. No call may be in progress. */
void io_client_stop(struct io_client *client, bool stop_io);

/* One request; `descriptors` go with it (not closed here). `*answer` (may be NULL) is the
 * caller's. io's own errors come back as ours. Takes over `request`. */
int io_client_call(struct io_client *client, json_t *request, const int *descriptors,
                   size_t descriptor_count, json_t **answer, struct operation *operation);

/* The same for a request that is answered with one descriptor, the caller's. */
int io_client_fetch(struct io_client *client, json_t *request, int *descriptor,
                    struct operation *operation);

/* "until" of the gate, by the driver: only notes it for a thread of the client, which also
 * tells it to a successor of io. */
void io_client_serve(struct io_client *client, int64_t until_stop_ms, int64_t until_kill_ms);

/* The process id of io, 0 while there is none. */
pid_t io_client_pid(const struct io_client *client);

/* What io said last of its page memory; 0 before it did. */
void io_client_page_memory(const struct io_client *client, uint64_t *size_bytes,
                           uint64_t *used_bytes);

#endif
