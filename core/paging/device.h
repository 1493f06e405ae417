/*
 * device.h - within core/paging: one step of bringing io and the VIOS DB into agreement over one
 * LPAR's paging device. Everything is decided from the four things in a round.
 */
#ifndef PAGING_DEVICE_H
#define PAGING_DEVICE_H

#include "node/members.h"
#include "paging/view.h"

#include <jansson.h>

struct paging_round {
    struct node *node;
    struct store *store;
    struct member *members; /* all nodes */
    size_t member_count;
    struct paging_view *views; /* all devices */
    size_t view_count;
    bool views_whole;   /* no record is missing in them for being unreadable */
    json_t *statistics; /* io's answer */
    json_t *lost;       /* "uuid/region/node" -> since when (ms), kept between rounds; also the name
                         * of an export whose state is lost -> true: it was said */
    json_t *published;  /* "lpar" -> what /paging-run/ says, kept between rounds */
    struct operation *operation;
};

/* Grants what lies here; where this node hosts the LPAR, exports its pager, follows its region
 * numbers, replaces lost replicas, and publishes the state. */
int paging_device_reconcile(struct paging_round *round, struct paging_view *view);

/* Has io serve the device under `name`. With `state` (-1: none), what another pager knows of its
 * pages, in place of the one that is there. */
int paging_device_export(struct paging_round *round, const struct paging_view *view,
                         const char *name, int state);

/* Page memory and pagers that no record asks for any more are given back; nothing is while there
 * is a record that cannot be read, for it may be the one that asks. */
void paging_device_sweep(struct paging_round *round);

/* The nodes as placement wants them; free(). `count` is round->member_count. */
struct placement_node *paging_placement_nodes(const struct paging_round *round);

/* io's export object with this name; borrowed, or NULL. */
json_t *paging_find_export(const json_t *statistics, const char *name);

#endif
