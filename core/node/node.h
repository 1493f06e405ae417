/*
 * node.h - what the parts of one daemon are given. One struct, made by the daemon's main
 * and handed down; there are no globals. Members that point are set before any method or job
 * runs, and live until all have ended. Before the node has a cluster only METHOD_UNCONFIGURED
 * methods run: they must not touch what the second half of the struct points to.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "base/config.h"
#include "base/recorder.h"
#include "job/job.h"
#include "node/io_client.h"
#include "store/store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODE_SOFTWARE_LEVEL 1 /* of this program, as /node/N has it */

struct node;
struct method_group;
struct identity;

/* What methods ask of the daemon that runs them. */
struct node_hooks {
    /* /cluster and /node/self are in the store: take part. VIOS_OK when it does already. */
    int (*activate)(struct node *node, struct operation *operation);
    /* The VIOS DB is at this address from now on; before activate. */
    int (*use_store)(struct node *node, const char *address, struct operation *operation);
    /* Somebody did not get in: at `port` ("RPC", "NBD", "UDP"), who, and why. Any thread; never
     * blocks. */
    void (*refused)(struct node *node, const char *port, const char *who, const char *why);
    /* Other certificates are allowed than before: close the connections of those that are not. */
    void (*peers_changed)(struct node *node);
    /* Ends the daemon and begins it anew in the same process: this incarnation is over. Any thread.
     */
    void (*restart)(struct node *node);
    /* What the part of that name is doing, see part.h; while there are parts. */
    void (*describe)(struct node *node, const char *part, json_t *lines,
                     struct operation *operation);
    /* Ends the daemon once what runs has answered; with the guests and io, or without. */
    void (*stop)(struct node *node, bool stop_guests);
};

struct node {
    const char *name;
    struct config *config;
    const char *config_path; /* for `config set`; NULL: none was given */
    const char *program_dir; /* where the programs are that it starts */
    const char *run_dir;     /* absolute; sockets; 0711 */
    const char *state_dir;   /* absolute; what survives a boot; 0700 */
    int run_dir_fd;
    int state_dir_fd;
    struct recorder *recorder;
    struct store_pool *stores; /* connections to the VIOS DB, see node_store() */
    const struct node_hooks *hooks;
    const struct method_group *const *method_groups; /* NULL-terminated: all methods there are */

    atomic_bool changes_cluster; /* it founds or joins a cluster, see membership_begin() */

    atomic_bool active;        /* it takes part in a cluster: the rest is there */
    const char *cluster;       /* "" until `cluster create` or `node join` */
    int64_t incarnation;       /* grows with a boot or a fence (DESIGN "Fencing") */
    int port;                  /* TCP and UDP, as bound */
    struct identity *identity; /* certificate and key, see identity.h */
    struct jobs *jobs;
    struct io_client *io;        /* the data plane of this node */
    struct guests *guests;       /* stop when this node's time is over, see base/guests.h */
    struct driver *driver;       /* of its agent, see driver.h; NULL in tests that have none */
    struct members *members;     /* see members.h; the driver fills it */
    struct paging *paging;       /* core/paging's own state; NULL until it started */
    struct lpars *lpars;         /* core/lpar's own state; likewise */
    struct verified *verified;   /* core/image's own state; likewise */
    struct ffdc *ffdc;           /* core/ffdc's own state; likewise */
    struct watcher *watcher;     /* core/alert's own state; likewise */
    struct mover *mover;         /* core/migration's own state; likewise */
    struct departure *departure; /* likewise */
    const struct lu_guest_operations *lu_guests; /* of core/lpar; likewise; storage/lu_guest.h */

    struct events *events;           /* core/event's own state; likewise */
    struct callers *_Atomic callers; /* its registered callers', see event/callers.h; likewise */
};

/* The level of this software; in a build with VIOS_TEST_HOOKS the environment variable VIOS_LEVEL
 * says another one. */
int64_t node_level(void);

/* The node whose daemon runs the job. */
static inline struct node *job_node(const struct job *job)
{
    return job->context;
}

/* A connection for the calling thread, until node_store_return(); VIOS_E_UNREACHABLE with the way
 * out when the node has no store yet. */
int node_store(struct node *node, struct store **store, struct operation *operation);
void node_store_return(struct node *node, struct store *store);

/* The same, and makes the VIOS DB when it is absent: for `cluster create`. */
int node_store_create(struct node *node, struct store **store, struct operation *operation);

/* The pool behind it. `address` is copied; nothing is opened yet. */
struct store_pool *store_pool_new(const char *address);
void store_pool_free(struct store_pool *pool);
/* Another address, while no other thread borrows one. False: no memory. */
bool store_pool_move(struct store_pool *pool, const char *address);
/* Of all its connections from now on; NULL: none. While no other thread borrows one. */
void store_pool_guard(struct store_pool *pool, const struct store_guard *guard);

/* A record of the store as JSON, with its revision (may be NULL); VIOS_E_NOT_FOUND when absent,
 * VIOS_E_CORRUPT when it is not an object. */
int node_record(struct store *store, const char *key, json_t **record, int64_t *revision,
                struct operation *operation);

/* Whether there is a record of this key. */
int node_has_record(struct store *store, const char *key, bool *has, struct operation *operation);

/* Tokens and keys: what lies below this is shown to nobody, and captured by nobody. */
bool node_key_is_secret(const char *key);

extern const struct method_group node_methods;

#endif
