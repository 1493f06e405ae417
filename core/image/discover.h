/*
 * discover.h - what could be managed (MISSION §2: a director has an agent on each node discover
 * disks, images and partitions; discovery opens connections to them).
 *
 * The director is the primary: image.discover, typed on any node, is done there. The agent is the
 * method daemon.discover of each node.
 */
#ifndef IMAGE_DISCOVER_H
#define IMAGE_DISCOVER_H

#include "node/method.h"

#define DISCOVER_OBJECTS_MAX 1024 /* of one node */
#define DISCOVER_NODE_MS 10000    /* for one node's answer */

/* "node:node?": [{"kind": "disk", "image" or "partition", "name", "nodes", "size_bytes", "state",
 * "detail"}]. A node that does not answer is an object of kind "node". */
int discover_call(struct call *call, const json_t *parameters, json_t **result,
                  struct operation *operation);

/* The agent's: of this node alone. */
int discover_agent_call(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation);

#endif
