/*
 * running.h - one call in progress: shared by the loop, which feeds and cancels it, and the
 * thread that runs it. It holds its connection's outlet, never the connection.
 *
 * Credit (net/rpc.h) is kept here: a stream that has used up what its caller gave waits, and
 * so does one whose caller does not read; a caller that sends more bytes than it may has broken
 * the protocol.
 */
#ifndef DAEMON_RUNNING_H
#define DAEMON_RUNNING_H

#include "daemon/lanes.h"
#include "daemon/outlet.h"
#include "daemon/peer.h"
#include "node/method.h"

struct running {
    struct call call; /* what the method sees */
    const struct method *method;
    json_t *parameters; /* checked */
    struct lane_work work;
    struct cancel *cancel;
    struct running *next; /* in its connection's list, of the loop's */
    struct running_state *state;
};

/* NULL: no memory or no descriptors. Takes over `parameters` in any case. The call has two holders,
 * the loop and the thread: each releases it once. */
struct running *running_new(struct node *node, const struct method *method, json_t *parameters,
                            int64_t id, const struct connection_peer *caller,
                            struct outlet *outlet);
void running_release(struct running *running);

/* --- the thread's side --- */

/* Sends the answer (takes over `result`) and marks the call as ended. */
void running_answer(struct running *running, int status, json_t *result,
                    const struct vios_error *error);

/* --- the loop's side --- */

bool running_ended(const struct running *running);
/* The caller takes `items` more. */
void running_credit(struct running *running, int64_t items);
/* The outlet has room again. */
void running_room(struct running *running);
/* Bytes of the caller's. Not VIOS_OK: it had no credit for them. */
int running_input(struct running *running, const void *data, size_t size, bool end,
                  struct vios_error *error);

#endif
