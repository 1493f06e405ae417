/*
 * facts.h - the requirements on a primary that a node measures on itself (MISSION §7.8): the
 * repository mounted and writable with free space, and free memory.
 */
#ifndef NODE_FACTS_H
#define NODE_FACTS_H

#include "cluster/agent.h"
#include "node/node.h"

#define FACTS_PERIOD_MS 2000
#define FACTS_REPOSITORY_FREE_MIN (64ll << 20) /* bytes */
#define FACTS_MEMORY_FREE_MIN (32ll << 20)     /* bytes */

/* Measures; returns how many there are. May hang for as long as the repository does. */
size_t facts_measure(const struct node *node, struct agent_fact facts[AGENT_FACTS_MAX]);

#endif
