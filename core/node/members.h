/*
 * members.h - this node's view of all nodes, from /node/N and /alive/N as the alive lane listed
 * them last. A node is judged by whether its revision changed within a time of OUR clock;
 * nobody's clock is compared with another's.
 *
 * up: it changed within 3/5 of the TTL. suspect: not for that long, or it was never seen to change
 * since this daemon started. down: not for the TTL. drained: the administrator said so, and it
 * is not down. While the store cannot be listed nothing is judged anew.
 */
#ifndef NODE_MEMBERS_H
#define NODE_MEMBERS_H

#include "base/parse.h"
#include "cluster/roster.h"
#include "node/node.h"

#define MEMBER_ADDRESS_SIZE 1024

struct member {
    char name[NAME_MAX_LENGTH + 1];
    enum member_state state;
    char address[MEMBER_ADDRESS_SIZE]; /* as in /node/N */
    char nbd[MEMBER_ADDRESS_SIZE];     /* "unix:/folder": its page server's sockets */
    char role[16];                     /* "member" or "witness" */
    char since[32];                    /* it belongs to the cluster since then, RFC 3339 */
    int64_t level;                     /* of its software */
    int64_t incarnation;               /* the last one seen; 0: never alive */
    uint64_t page_memory_bytes;        /* what it offers to others */
    uint64_t page_memory_used_bytes;   /* of that, as it said last */
};

/* A copy of the view, sorted by name; free() `*members`. Never blocks on the store. */
int node_members(struct node *node, struct member **members, size_t *count);

/* The state of one of them; MEMBER_DOWN for a node that is not there. */
enum member_state node_member_state(struct node *node, const char *name);

/* --- for the alive lane --- */

struct members;
/* `own`, the name of this node: its record is what it has just written itself. Not copied. */
struct members *members_new(const char *own, int64_t ttl_ms);
void members_free(struct members *members);

/* Takes what was listed below /node/ and /alive/ at `now_ms` of our clock. */
int members_update(struct members *members, const struct store_list *nodes,
                   const struct store_list *alive, int64_t now_ms);

#endif
