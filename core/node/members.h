/*
 * members.h - this node's view of all nodes, from /node/N and /alive/N as the alive lane listed
 * them last. A node is judged by whether its revision changed within a time of OUR clock;
 * nobody's clock is compared with another's.
 */
#ifndef NODE_MEMBERS_H
#define NODE_MEMBERS_H

#include "base/parse.h"
#include "node/node.h"

#define MEMBER_ADDRESS_SIZE 1024

enum member_state { MEMBER_UP, MEMBER_SUSPECT, MEMBER_DOWN, MEMBER_DRAINED };

struct member {
    char name[NAME_MAX_LENGTH + 1];
    enum member_state state;
    char address[MEMBER_ADDRESS_SIZE]; /* as in /node/N */
    char nbd[MEMBER_ADDRESS_SIZE];     /* "unix:/folder": its page server's sockets */
    int64_t incarnation;               /* the last one seen; 0: never alive */
    uint64_t page_memory_bytes;        /* what it offers to others */
};

/* "up", "suspect", "down", "drained". */
const char *member_state_name(enum member_state state);

/* A copy of the view, sorted by name; free() `*members`. Never blocks on the store. */
int node_members(struct node *node, struct member **members, size_t *count);

#endif
