/*
 * node.h - what the parts of one daemon are given. One struct, made by the daemon's main
 * and handed down; there are no globals. Members that point are set before any method or job
 * runs, and live until all have ended.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "base/config.h"
#include "base/recorder.h"
#include "job/job.h"
#include "node/io_client.h"
#include "store/store.h"

#include <stdint.h>

struct node {
    const char *name;
    const char *cluster; /* "" until `cluster create` or `node join` */
    int64_t incarnation; /* grows with a boot or a fence (DESIGN "Fencing") */
    struct config *config;
    const char *config_path; /* for `config set` */
    const char *run_dir;     /* absolute; sockets; 0711 */
    const char *state_dir;   /* absolute; what survives a boot; 0700 */
    int run_dir_fd;
    int state_dir_fd;
    struct store_pool *stores; /* connections to the VIOS DB, see node_store() */
    struct jobs *jobs;
    struct io_client *io; /* the data plane of this node */
    struct recorder *recorder;
    struct members *members; /* see members.h; the alive lane's */
    struct paging *paging;   /* core/paging's own state; NULL until it started */
    struct lpars *lpars;     /* core/lpar's own state; likewise */
};

/* A connection for the calling thread, until node_store_return(); VIOS_E_UNREACHABLE with the way
 * out when the node has no store yet. */
int node_store(struct node *node, struct store **store, struct operation *operation);
void node_store_return(struct node *node, struct store *store);

#endif
