/*
 * pager.h - the export that a guest pages to: a back end over regions, each of them kept on
 * several nodes' page memory (DESIGN "Pager").
 *
 * The pager's state (a checksum for each page, what each replica lacks, writes on their way)
 * lives in a memfd, handed to the next io process like the arena. After kill -9 at any
 * instruction a successor that gets the memfd goes on: no acknowledged write is lost, and a
 * write that was on its way is either done or not, the same on every replica.
 *
 * A replica is `current` (connected, lacks nothing), `filling` (connected, lacks pages; gets
 * them in the background, and new writes while it keeps up with them) or `lost` (not connected;
 * tried again with back-off). A write is acknowledged when all current replicas have it, or, while
 * there is none, all that are filling. A page is read from a replica only when that lacks it not,
 * and only its checksum makes it valid.
 *
 * Threads: pager_open, pager_claim, pager_set_regions and pager_state_descriptor from any one
 * control thread; everything else happens on the home worker.
 */
#ifndef PAGING_PAGER_H
#define PAGING_PAGER_H

#include "base/error.h"
#include "nbd/backend.h"

#include <stddef.h>
#include <stdint.h>

#define PAGER_REGIONS_MAX 1024 /* of one device */
#define PAGER_REPLICAS_MAX 4   /* of one region */
#define PAGER_LATE_MS 2000     /* a replica that takes longer for a request is lost */
#define PAGER_STALL_MS 30000   /* requests wait so long for any replica, then EIO */
#define PAGER_SIZE_MAX (UINT64_C(1) << 42)

enum pager_policy { PAGER_MIRROR, PAGER_SINGLE, PAGER_DISK };

struct pager_replica {
    char node[64];
    char address[160]; /* transport.h: "unix:/…/peer/n1.sock", plain; "tcp:…", by TLS */
};

struct pager_region {
    uint32_t index;      /* 0, 1, … in the order of their offsets */
    uint64_t number;     /* at least this: the pager raises it with each reconnect */
    uint64_t offset;     /* where the previous region ends */
    uint64_t size_bytes; /* whole pages */
    struct pager_replica replicas[PAGER_REPLICAS_MAX];
    size_t replica_count;
};

struct pager_hooks {
    /* A replica became `lost`, `filling` or `current`. On the home worker; must not block. */
    void (*replica)(void *context, const char *lpar, uint32_t region, uint64_t number,
                    const char *node, const char *state, const char *why);
    void *context;
};

struct tls_context;

struct pager_configuration {
    const char *name; /* of the export, `paging/<lpar uuid>/<start>` */
    const char *lpar; /* uuid */
    uint64_t generation;
    uint64_t size_bytes; /* the sum of the regions; `disk`: of the file */
    enum pager_policy policy;
    const char *disk; /* policy `disk`: the file, made when absent; regions are not used then */
    const struct pager_region *regions;
    size_t region_count;
    int64_t late_ms, stall_ms; /* 0: PAGER_LATE_MS, PAGER_STALL_MS */
    struct tls_context *tls;   /* for replicas by TLS; outlives the pager. NULL: there are none */
};

/*
 * Makes the export. With `state_fd` >= 0 (stays the caller's) it goes on where the pager left off
 * that had it; it must be of the same LPAR and size (VIOS_E_INVALID). Without, the device is
 * empty: all zeroes, whatever the replicas hold. Connecting happens in the background;
 * requests wait for it. The export ends by its `close` operation.
 */
int pager_open(struct nbd_export **export, const struct pager_configuration *configuration,
               int state_fd, struct worker *home, const struct pager_hooks *hooks,
               struct vios_error *error);

/* Takes the LPAR's new generation (VIOS_E_STALE when lower), reconnecting under it. */
int pager_claim(struct nbd_export *export, uint64_t generation, struct vios_error *error);

/* The regions' replicas are these now: those that stay keep what they have, new ones are filled,
 * others are let go. Sizes and offsets must be the same (VIOS_E_INVALID). */
int pager_set_regions(struct nbd_export *export, const struct pager_region *regions, size_t count,
                      struct vios_error *error);

/* The state memfd, for `give pager`; owned by the pager. */
int pager_state_descriptor(const struct nbd_export *export);

/* The generation that a state memfd has; 0 when it is none. */
uint64_t pager_state_generation(int state_fd);

/* Whether this export is a pager. */
int pager_is(const struct nbd_export *export);

#endif
