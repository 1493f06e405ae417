/*
 * peer.h - who is at the other end of a connection, and on whose behalf one of its calls is made.
 */
#ifndef DAEMON_PEER_H
#define DAEMON_PEER_H

#include "node/method.h"

#include <jansson.h>

struct connection_peer {
    enum role role;
    bool speaks_for_others;      /* a member's daemon: its calls may name an actor and a role */
    char actor[CALL_ACTOR_SIZE]; /* see struct call */
    char user[CALL_USER_SIZE];
    char from[CALL_FROM_SIZE];
};

/*
 * The parameters of rpc.limit, {"role"?, "from"?}: from now on the connection has at most that
 * role, whatever it had; a role is never raised again. `from` is what the other end says it came
 * from by SSH; what was said first stands. VIOS_E_INVALID: nothing is changed.
 */
int peer_limit(struct connection_peer *peer, const json_t *parameters, struct vios_error *error);

/* On whose behalf the call `message` is made: never with more than the connection's own role. Of
 * another node it is its caller, as that node knows it. */
int peer_caller(const struct connection_peer *peer, const json_t *message,
                struct connection_peer *caller, struct vios_error *error);

#endif
