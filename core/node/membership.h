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

#include "net/token.h"
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

/* Who asks to be a member; the texts are of the parameters. */
struct applicant {
    const char *node, *request, *address, *run_dir, *role;
    int64_t level; /* of its software */
    struct token token;
    char key[STORE_KEY_MAX]; /* of the token's record, with its revision */
    int64_t revision;
};

/* The parameters of node.admit, checked by its row: all that is taken from outside is validated,
 * before any of it is used. Knows nothing of the cluster; token_forget() the token in any case.
 * VIOS_E_DENIED: no token can be such. VIOS_E_INVALID, VIOS_E_USAGE: a folder or an address. */
int membership_read_applicant(const json_t *parameters, struct applicant *applicant,
                              struct operation *operation);

/* VIOS_E_LOCKED while this node founds or joins a cluster already; else membership_end() follows.
 */
int membership_begin(struct node *node, struct operation *operation);
void membership_end(struct node *node);

#endif
