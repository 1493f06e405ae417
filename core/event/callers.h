/*
 * callers.h - the registered callers' connections, and what is posted to them (MISSION §3.5): the
 * API of the primary. PROTOCOL.md says what is spoken.
 *
 * Connections come from the gateway after their TLS handshake (ALPN "event", no certificate of the
 * caller's), belong to one worker thread, and cost bounded memory whatever they do. On a node that
 * is not the primary a caller is told who is, and closed.
 *
 * Events lie in one ring of lines, made once, in the order of their numbers; each caller has a
 * place in it. A caller whose place is not in the ring any more because it reads too slowly gets
 * RESYNC: the current state, then what comes after it. A caller that connects with a cursor older
 * than the ring is served from the payload files by a thread of its own kind (catch-up), until its
 * place is in the ring; when its cursor is older than what is kept it gets RESYNC at once.
 */
#ifndef EVENT_CALLERS_H
#define EVENT_CALLERS_H

#include "event/post.h"
#include "net/transport.h"
#include "node/node.h"

#include <jansson.h>

#define CALLERS_MAX 16384         /* connections; the oldest that has not said hello goes */
#define CALLERS_UNGREETED_MAX 256 /* of these, that have not said hello; likewise */
#define CALLERS_HELLO_MS 10000    /* to say hello */
#define CALLERS_REFUSE_MS 500     /* from a wrong hello to its answer */
#define CALLERS_END_MS 2000       /* for the last line */
#define CALLERS_BEAT_MS 5000      /* of silence, then a heart-beat */
#define CALLERS_STALL_MS 120000   /* without taking a byte of what waits, then it is closed */
#define CALLERS_RING_BYTES (32 * 1024 * 1024)
#define CALLERS_RING_EVENTS 65536
#define CALLERS_LINE_MAX 4096            /* of what a caller sends */
#define CALLERS_SOCKET_BYTES (64 * 1024) /* that a socket keeps for who does not read */

struct callers;

struct callers_settings {
    struct node *node;
    /* The current state as an object, and the sequence number up to which events are in it. On the
     * catch-up thread; may block. */
    int (*state)(struct node *node, json_t **state, int64_t *sequence, struct operation *operation);
    /* The events behind `after`, at most one payload file of them, as posts in order: for catching
     * up. VIOS_E_COMPACTED: some of them are not kept any more. free() each post. On the catch-up
     * thread; may block. */
    int (*older)(struct node *node, int64_t after, struct event_post *posts[PAYLOAD_EVENTS_MAX],
                 size_t *count, struct operation *operation);
};

int callers_start(struct callers **callers, const struct callers_settings *settings,
                  struct vios_error *error);
/* Closes all. No other call may be under way. NULL does nothing. */
void callers_stop(struct callers *callers);

/* Takes over a connection whose handshake is done; from any thread. */
void callers_adopt(struct callers *callers, struct transport *transport, const char *address);

/*
 * This node is the primary of `epoch` from now on; posts follow, whose numbers are above
 * `sequence`. Reads the registrations, and follows them while it is open. From one thread, as all
 * below, which wait for the worker's turn to end, never for a caller.
 */
void callers_open(struct callers *callers, int64_t epoch, int64_t restores, int64_t sequence);

/* In the order of their numbers; one that is not newer than the last is dropped. Takes over the
 * posts. */
void callers_post(struct callers *callers, struct event_post *const *posts, size_t count);

/* Events up to `sequence` cannot be had: every caller gets RESYNC. */
void callers_resync(struct callers *callers, int64_t sequence, const char *why);

/* This node is not the primary any more: all connections are closed, nothing more is sent. */
void callers_close(struct callers *callers);

/* For `event callers`, of this node's connections: an array of {id, address, state, sent, seen, lag
 * (events), queue_bytes, resyncs, connects, since}; the caller's. From any thread. NULL: no memory.
 */
json_t *callers_show(struct callers *callers);

#endif
