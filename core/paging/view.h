/*
 * view.h - a paging record together with what decides who may use it: the LPAR's generation
 * and owner, read from the VIOS DB.
 */
#ifndef PAGING_VIEW_H
#define PAGING_VIEW_H

#include "node/node.h"
#include "paging/record.h"
#include "store/store.h"

#include <stdbool.h>

struct paging_lpar { /* what paging needs to know of /lpar/NAME */
    int64_t revision;
    int64_t generation;
    char uuid[UUID_TEXT_SIZE];
    char owner[NAME_MAX_LENGTH + 1]; /* "" while it has none: then its guest does not run */
    char job[48];                    /* that holds it; "" none */
    bool hibernated;                 /* its pages, if any, are in its file */
};

/* VIOS_E_NOT_FOUND names the LPAR and the nearest ones. */
int paging_lpar_load(struct store *store, const char *name, struct paging_lpar *lpar,
                     struct operation *operation);

struct paging_view {
    struct paging_record record;
    int64_t revision;                /* of /paging/NAME, for the next commit's compare */
    int64_t generation;              /* in which its QEMU started, or will: the export's */
    bool begins;                     /* that is a new one: its pages go, the numbers grow */
    bool asleep;                     /* hibernated: nobody hosts it, nothing is granted */
    char owner[NAME_MAX_LENGTH + 1]; /* the hosting partition: owner, or the record's host; the
                                        node that restarts it; "" while it is asleep */
    bool is_planned;                 /* the job of its plan holds the LPAR */
    bool running;                    /* the LPAR has an owner: its guest may be running */
};

/* VIOS_E_NOT_FOUND names the LPAR, and says which have a paging device. */
int paging_view_load(struct store *store, const char *lpar, struct paging_view *view,
                     struct operation *operation);

/* All of them; free() `*views`. Records that cannot be read, theirs or their LPAR's, are logged
 * and left out; `*whole` (may be NULL) says that there was none, so that what is not here is
 * really gone. */
int paging_views_list(struct store *store, struct paging_view **views, size_t *count, bool *whole,
                      struct operation *operation);

/* Writes the record back if nobody changed it meanwhile; raises view->revision. */
int paging_view_commit(struct store *store, struct paging_view *view, struct operation *operation);

/* The device of that LPAR, and a connection to the VIOS DB: free() the one, node_store_return() the
 * other. VIOS_E_NOT_FOUND: it has none. */
int paging_view_open(struct node *node, const char *lpar, struct paging_view **view,
                     struct store **store, struct operation *operation);

#endif
