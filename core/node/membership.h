/*
 * membership.h - how a node becomes a member, and ceases to be one. The methods' rows are in
 * methods.c; each of them has a file of its own.
 *
 * founding.c: `cluster create` makes the authority and the first member. admission.c: `node token`
 * on the node with the authority's key, and `node.admit`, which a node that joins calls there.
 * joining.c: `node join` on that node. removal.c: `node remove`, and the change of the ring key.
 */
#ifndef NODE_MEMBERSHIP_H
#define NODE_MEMBERSHIP_H

#include "node/method.h"
#include "node/node.h"

#define MEMBERSHIP_TOKEN_VALID_MS 3600000LL       /* of a token, unless --valid says more */
#define MEMBERSHIP_TOKEN_VALID_MAX_MS 604800000LL /* a week */
#define MEMBERSHIP_TOKENS_PRUNED_MAX 32           /* expired ones, with each new one */

int cluster_create(struct call *call, const json_t *parameters, json_t **result,
                   struct operation *operation);
int node_token(struct call *call, const json_t *parameters, json_t **result,
               struct operation *operation);
int node_admit(struct call *call, const json_t *parameters, json_t **result,
               struct operation *operation);
int node_join(struct call *call, const json_t *parameters, json_t **result,
              struct operation *operation);
int node_remove(struct call *call, const json_t *parameters, json_t **result,
                struct operation *operation);

extern const struct job_kind node_remove_job;

/* Where this node is, for its record: the folder of its sockets, for nodes on the same machine. */
void membership_run_dir(const struct node *node, char *text, size_t size);

/* The record of a member. `role` is "member" or "witness". free() it; NULL: no memory. */
char *membership_record(const char *name, const char *address, const char *run_dir,
                        const char *role, int64_t level, const char *serial);

/* VIOS_E_LOCKED while this node founds or joins a cluster already; else membership_end() follows.
 */
int membership_begin(struct node *node, struct operation *operation);
void membership_end(struct node *node);

#endif
