/*
 * adoption.h - a survivor goes on with the jobs of nodes that are gone (DESIGN "Jobs, RPC,
 * threads"): while this node is primary it looks, after each change in the cluster and every
 * ADOPTION_LOOK_MS, for unfinished jobs of incarnations whose fence is free.
 */
#ifndef DAEMON_ADOPTION_H
#define DAEMON_ADOPTION_H

#include "node/node.h"

#define ADOPTION_LOOK_MS 5000

struct adoption;

/* Starts the thread that looks; node->driver and node->jobs are there until adoption_stop(). */
int adoption_start(struct adoption **adoption, struct node *node, struct vios_error *error);
/* NULL is fine. */
void adoption_stop(struct adoption *adoption);

#endif
