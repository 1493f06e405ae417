/*
 * part.h - a part of the daemon that lives as long as it does: paging, lpar, later events and
 * FFDC. The daemon joins them in daemon/parts.c, starts them in that order once the node has
 * its cluster, and stops them in reverse.
 */
#ifndef NODE_PART_H
#define NODE_PART_H

#include "job/job.h"
#include "node/method.h"
#include "node/node.h"

struct part {
    const char *name;
    /* Before start: the incarnation before was fenced. Ends what of it still runs; VIOS_OK when
     * nothing does any more. May be NULL. */
    int (*fenced)(struct node *node, struct operation *operation);
    int (*start)(struct node *node, struct vios_error *error); /* NULL: it has no state */
    /* A new io process has taken over and knows nothing of what was configured but what its
     * predecessor handed on: say everything again. On the io client's thread; may be NULL. */
    void (*restored)(struct node *node);
    /* `stop_guests`: the whole node goes down, not only its daemon. May be NULL. */
    void (*stop)(struct node *node, bool stop_guests);
    /* What it is doing, for a capture: appends objects to the array `lines`. It changes nothing,
     * and ends with the operation. Any thread; may be NULL. */
    void (*describe)(struct node *node, json_t *lines, struct operation *operation);
    const struct method_group *methods;
    const struct job_kind *const *job_kinds; /* NULL-terminated; may be NULL */
};

#endif
