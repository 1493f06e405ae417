/*
 * members.h - this node's view of all nodes, from /node/N and /alive/N as they were listed last,
 * with the state that the agent gives each at the time of asking (cluster/agent.h).
 */
#ifndef NODE_MEMBERS_H
#define NODE_MEMBERS_H

#include "base/parse.h"
#include "cluster/roster.h"
#include "net/certificate.h"
#include "node/node.h"

#define MEMBER_ADDRESS_SIZE 1024
#define MEMBER_PORT_SIZE 80 /* of "tcp:HOST:PORT" */

struct member {
    char name[NAME_MAX_LENGTH + 1];
    enum member_state state;
    char address[MEMBER_ADDRESS_SIZE]; /* as in /node/N */
    char nbd[MEMBER_ADDRESS_SIZE];     /* "unix:/folder": its page server's sockets */
    char nbd_tls[MEMBER_PORT_SIZE];    /* "tcp:HOST:PORT": its page server by TLS; "": none yet */
    char serial[CERTIFICATE_SERIAL_SIZE]; /* of its certificate */
    int port;                             /* TCP and UDP; 0: it was never alive */
    char role[16];                        /* "member" or "witness" */
    char since[32];                       /* it belongs to the cluster since then, RFC 3339 */
    int64_t level;                        /* of its software */
    int64_t incarnation;                  /* the last one seen; 0: never alive */
    uint64_t page_memory_bytes;           /* what it offers to others */
    uint64_t page_memory_used_bytes;      /* of that, as it said last */
};

/* A copy of the view, sorted by name; free() `*members`. Never blocks on the store. */
int node_members(struct node *node, struct member **members, size_t *count);

/* The state of one of them; MEMBER_DOWN for a node that is not there. */
enum member_state node_member_state(struct node *node, const char *name);

/* Whether this certificate is its node's now; else VIOS_E_DENIED says why not. */
int node_allows(struct node *node, const char *name, const char *serial, struct vios_error *error);

/* --- for the driver --- */

struct members;
struct members *members_new(void);
void members_free(struct members *members);

/* Takes what was listed below /node/ and /alive/. VIOS_E_NO_SPACE: the view is as it was. */
int members_update(struct members *members, const struct store_list *nodes,
                   const struct store_list *alive);

#endif
