/*
 * driver.h - what drives this node's agent (cluster/agent.h): the thread that gives it time and
 * messages, its UDP socket, and a thread for each lane on which it asks the store. What the agent
 * wants done reaches io's gate, the other nodes, and the view of members.
 *
 * One lock guards the agent; nothing that may block is done under it but the note of promises,
 * which must be durable before the promise is sent. Methods look at the agent between driver_lock()
 * and driver_unlock().
 */
#ifndef NODE_DRIVER_H
#define NODE_DRIVER_H

#include "cluster/agent.h"
#include "node/node.h"

struct driver_settings {
    const char *store_address;
    int udp;         /* a bound socket; taken over */
    int64_t start;   /* of this daemon; higher than its predecessors' */
    int64_t known_n; /* of the own /alive record that is there, with its revision; 0: none */
    int64_t known_revision;
    int64_t rejoins; /* the fenced incarnation of this node that ends now; 0: none */
    /* This incarnation is fenced, or the node was removed: begin anew. On a thread of the driver,
     * under its lock. */
    void (*fenced)(void *context);
    void *context;
};

/* Starts the threads, and waits until the node renewed and listed once. node->incarnation and
 * node->members are set before. */
int driver_start(struct driver **driver, struct node *node, const struct driver_settings *settings,
                 struct operation *operation);

/* Nobody waits, or has it locked, any more. The gate runs out by itself after this. NULL does
 * nothing. */
void driver_stop(struct driver *driver);

/* The agent and the time, until driver_unlock(). */
struct agent *driver_lock(struct driver *driver, int64_t *now_ms);
void driver_unlock(struct driver *driver);

/* What a primary's acts are bound to. */
struct driver_term {
    int64_t epoch;
    int64_t revision;      /* of /primary: compared by each of its commits */
    int64_t until_stop_ms; /* clock_now_ms() at which it may not act any more, as known now */
};

/* Whether this node is the committed primary, and its time is not over; `term` may be NULL. */
bool driver_term(struct driver *driver, struct driver_term *term);

/* The longest that a commit of the agent took since this was asked last, whatever became of it, in
 * microseconds; -1: there was none. Of one who asks. */
int64_t driver_take_commit_us(struct driver *driver);

/* How many packets came of each kind, see datagrams_counts(). The caller's. */
json_t *driver_keepalives(struct driver *driver);

/* Waits until something changed in the cluster since the count was `*seen` (start with 0), and puts
 * the new count there. Looks at what changed itself. */
int driver_await_change(struct driver *driver, uint64_t *seen, struct operation *operation);

/* Waits until a primary other than `other_than` (NULL: any) is committed. */
int driver_await_primary(struct driver *driver, const char *other_than,
                         struct operation *operation);

/* VIOS_OK, or why nothing may be committed now: this node promised not to (DESIGN "The store is
 * away"). For store_set_guard(); `driver` is a struct driver. */
int driver_guard(void *driver, struct operation *operation);

#endif
