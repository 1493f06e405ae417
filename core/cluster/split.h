/*
 * split.h - which side of a split is the primary sub-cluster (MISSION §4.3): a pure function of
 * who hears whom, so that both sides, and `cluster simulate`, decide alike from the same facts.
 *
 * Two nodes are on one side when a chain of links that work both ways joins them. Of the sides
 *   (a) the only one that can commit to the VIOS DB, else
 *   (b) the one with a strict majority of the votes, a node each, else
 *   (c) the one with the current primary, else
 *   (d) the one with the lowest node name wins.
 * In (b) to (d) only sides that can commit count. If none can, nobody moves anything.
 */
#ifndef CLUSTER_SPLIT_H
#define CLUSTER_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPLIT_NODES_MAX 1024
#define SPLIT_NO_SIDE SIZE_MAX

enum split_rule {
    SPLIT_WHOLE,    /* there is but one side */
    SPLIT_NO_STORE, /* no side can commit: there is no winner */
    SPLIT_STORE,
    SPLIT_MAJORITY,
    SPLIT_PRIMARY,
    SPLIT_LOWEST_NAME
};

struct split_node {
    const char *name;
    bool commits;          /* it can commit to the VIOS DB */
    bool primary;          /* it is the current primary */
    const uint16_t *hears; /* places in the same array */
    size_t hears_count;
};

struct split_decision {
    enum split_rule rule;
    size_t side_count;
    size_t winner;                /* a side; SPLIT_NO_SIDE */
    size_t side[SPLIT_NODES_MAX]; /* of each node; sides are numbered by their first node */
};

/* `nodes` are sorted by name, at most SPLIT_NODES_MAX; a place in `hears` beyond them is a node
 * that does not take part. */
void split_decide(const struct split_node *nodes, size_t count, struct split_decision *decision);

/* "majority", for records and people. */
const char *split_rule_name(enum split_rule rule);

#endif
