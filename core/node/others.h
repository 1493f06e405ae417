/*
 * others.h - calls from this daemon to those of the other members, by TLS.
 *
 * A call is made on behalf of its caller: the other end learns the actor and its role, runs the
 * method with no more than that role, and audits it under that actor. It believes so much because
 * our certificate is a member's; a member could do anything anyway.
 */
#ifndef NODE_OTHERS_H
#define NODE_OTHERS_H

#include "base/parse.h"
#include "node/method.h"
#include "node/node.h"

struct rpc_handlers;

#define OTHERS_CONNECT_MS 5000 /* to connect and to say hello */

/* Calls `method` on node `name`, for the caller of `call`, who sees its progress. Takes over
 * `parameters`. `*result` is the caller's. VIOS_E_NOT_FOUND: no such node. VIOS_E_UNREACHABLE: it
 * does not answer. */
int others_call(struct call *call, const char *name, const char *method, json_t *parameters,
                json_t **result, struct operation *operation);

/* The same for this daemon itself, which calls as "node:NAME" with all a member may. */
int others_ask(struct node *node, const char *name, const char *method, json_t *parameters,
               json_t **result, struct operation *operation);

/* The same, with what goes to the other daemon and comes from it while the call runs (NULL:
 * nothing). */
int others_exchange(struct node *node, const char *name, const char *method, json_t *parameters,
                    const struct rpc_handlers *handlers, json_t **result,
                    struct operation *operation);

/* The same for the call itself, which is to be run there: with `parameters`, but for `node`, which
 * says where. */
int others_pass(struct call *call, const char *name, const char *method, const json_t *parameters,
                json_t **result, struct operation *operation);

/* others_call() for a method that may stream: items and bytes go to our caller as fast as it takes
 * them, and its bytes to the other node. `call` is to a METHOD_STREAM method. */
int others_stream(struct call *call, const char *name, const char *method, json_t *parameters,
                  json_t **result, struct operation *operation);

/* The node that is primary, when it is another one; "" when none, or this one, is. */
void others_primary(struct node *node, char name[NAME_MAX_LENGTH + 1]);

/* The method node.call. */
int node_call(struct call *call, const json_t *parameters, json_t **result,
              struct operation *operation);

#endif
