/*
 * store_lane.h - one of the agent's ways to the VIOS DB (cluster/agent.h): executes its requests,
 * one at a time, on a connection of its own. Of one thread; blocks as the operation says.
 */
#ifndef NODE_STORE_LANE_H
#define NODE_STORE_LANE_H

#include "base/recorder.h"
#include "cluster/agent.h"
#include "node/ring.h"

struct store_lane {
    const char *name;    /* "the renewal", for the log */
    const char *address; /* of the VIOS DB */
    struct recorder *recorder;
    struct store *store; /* NULL: not opened yet */
    struct ring ring;    /* as listed last; count 0: not */
    bool failing;        /* said so */
};

/* Fills the answer, its status too, and says in the log when requests begin to fail, and when that
 * is over. A listing also reads the ring key, which no agent needs to know. */
void store_lane_execute(struct store_lane *lane, const struct agent_request *request,
                        struct agent_answer *answer, struct operation *operation);

/* Forgets the ring key too. */
void store_lane_close(struct store_lane *lane);

#endif
