/*
 * pager_internal.h - what the files of the pager share: pager.c (the export and its
 * configuration), pager_replica.c (connections and what they lack), pager_guest.c (the guest's
 * requests), pager_op.c (operations on pages, and their locks), pager_fetch.c, pager_write.c,
 * pager_fill.c, pager_push.c and pager_settle.c (what operations do), pager_send.c (requests to a
 * replica).
 * Everything runs on the home worker.
 *
 * A guest's request is cut into operations of at most PAGER_RUN pages in one region. An operation
 * holds its pages' locks from before its first step to after its last; one that finds a page
 * locked waits in `waiting`, in order. An operation that no replica can serve now waits in
 * `stalled` until one connects.
 */
#ifndef PAGING_PAGER_INTERNAL_H
#define PAGING_PAGER_INTERNAL_H

#include "base/histogram.h"
#include "nbd/client.h"
#include "paging/pager.h"
#include "paging/pager_state.h"

#define PAGER_RUN 64            /* pages of one operation: a mask has 64 bits */
#define PAGER_GUEST_PIECES 16   /* operations of one request at a time */
#define PAGER_FILLS 4           /* operations filling one replica at a time */
#define PAGER_PATIENCE_MS 20    /* of a write, with replicas that are being filled */
#define PAGER_FILL_AGAIN_MS 500 /* pages without a source are tried again */
#define PAGER_TICK_MS 100       /* stalled operations are looked at so often */
#define PAGER_BACK_OFF_MIN_MS 20
#define PAGER_BACK_OFF_MAX_MS 1000

struct pager;
struct pager_op;

struct pager_node { /* a replica of one region */
    struct pager *pager;
    struct pager_part *part;
    struct pager_state_replica *state;
    unsigned slot;
    bool used, ready;
    bool retiring; /* to be let go once another one is current */
    char address[sizeof(((struct pager_replica *)0)->address)];
    bool is_disk; /* a file takes the place of the node: always ready */
    int disk_fd;
    struct nbd_client *client; /* NULL: not even connecting */
    struct timer retry;
    int64_t back_off_ms;
    unsigned refusals; /* in a row: the number is too low, or nothing is granted */
    uint64_t dirty_count;
    bool filling;    /* pager_fill is on the stack */
    unsigned fills;  /* operations on their way */
    bool fill_short; /* some pages had no source, or did not arrive: it tries again later */
    struct pager_op *pushes;
    bool slow; /* a write lost its patience; until the last push arrived */
    int64_t fill_again_ms;
    uint64_t fill_next;
    uint64_t pages_in, pages_out; /* that went over, refills too */
    const char *reported;         /* state told to the hook last */
    char why[160];
};

struct pager_part { /* a region */
    struct pager_state_region *state;
    uint32_t index;
    uint64_t first, pages;
    struct pager_node nodes[PAGER_REPLICAS_MAX];
};

struct pager_guest { /* a request of the guest's */
    struct nbd_request *request;
    uint64_t next; /* offset of what was not started yet */
    unsigned running;
    bool starting;
    int error;
    int64_t started_ns;
    struct pager_guest *free_next;
};

enum pager_op_kind { PAGER_OP_READ, PAGER_OP_WRITE, PAGER_OP_FILL, PAGER_OP_SETTLE, PAGER_OP_PUSH };

struct pager_op {
    enum pager_op_kind kind;
    struct pager *pager;
    struct pager_part *part;
    uint64_t first; /* page of the device */
    unsigned count;
    uint8_t *data;  /* `count` pages; NULL: zeroes are written */
    uint8_t *owned; /* `data` when it is not the guest's */
    struct pager_guest *guest;
    uint64_t offset; /* the guest's bytes: all of the pages, or a part */
    uint32_t length;

    uint64_t need, good;                /* pages to be fetched, and those whose checksum fits */
    uint64_t tried[PAGER_REPLICAS_MAX]; /* pages that were asked of a replica in vain */
    uint64_t bad[PAGER_REPLICAS_MAX];   /* pages that it gave with a wrong checksum */
    uint64_t asked, holes;              /* of the read that is on its way */
    unsigned asked_slot;
    void (*fetched)(struct pager_op *op, int error);

    uint64_t checksums[PAGER_RUN]; /* of what is written */
    uint16_t intents[PAGER_RUN];
    bool has_intents;
    unsigned targets, failed;          /* a bit a replica */
    uint64_t have[PAGER_REPLICAS_MAX]; /* pages that a replica got */
    unsigned pushes;                   /* a bit a replica: that are on their way for this write */
    bool waits, waited;                /* for pushes, in `patient` */
    int64_t patient_until_ms;
    struct pager_op *parent; /* of a push: the write that waits for it, or NULL */
    unsigned pending;
    int error;
    void (*step)(struct pager_op *op); /* when nothing is pending any more */
    void (*resume)(struct pager_op *op);
    int64_t deadline_ms;
    struct pager_node *filled;
    struct pager_op *next;
};

struct pager_queue {
    struct pager_op *first, **end;
};

struct pager_send { /* one request to one replica */
    struct nbd_client_request request;
    struct pager_op *op; /* NULL: nobody waits for it */
    struct pager_node *node;
    struct pager_send *free_next;
};

struct pager {
    struct nbd_export export; /* first: the two are one pointer */
    struct pager_state state;
    struct worker *worker;
    struct pager_hooks hooks;
    enum pager_policy policy;
    int64_t late_ms, stall_ms;
    struct tls_context *tls;
    size_t part_count;
    struct pager_part *parts;
    uint64_t *locks; /* a bit a page */
    struct pager_queue waiting, stalled, no_intent, patient;
    bool scanning, rescan, closing;
    uint16_t free_intents[PAGER_INTENTS];
    unsigned free_intent_count;
    struct timer tick, patience;
    struct task closed_task;
    void (*closed)(struct nbd_export *export);
    unsigned ops; /* on their way */
    struct pager_op *op_pool;
    struct pager_send *send_pool;
    struct pager_guest *guest_pool;
    uint64_t pages_held; /* that are not all zero, now; the others are since this io began */
    uint64_t pages_in, pages_out, zero_pages, repairs, checksum_errors, lost_pages, errors;
    struct histogram in_us, out_us;
};

/* --- pager_replica.c --- */

/* Connects, and again with back-off, until the node is let go. */
void pager_node_start(struct pager_node *node);
void pager_node_stop(struct pager_node *node, const char *why);
/* The replica misbehaved: its connection ends. */
void pager_node_fail(struct pager_node *node, const char *why);
/* Takes a free slot of the part for a replica that has nothing yet. */
void pager_node_use(struct pager_node *node, const struct pager_replica *replica);
/* Lets go of it, unless it is the only one with some pages: then as soon as it is not. */
void pager_node_retire(struct pager_node *node);
void pager_node_dirty_set(struct pager_node *node, uint64_t page);
void pager_node_dirty_clear(struct pager_node *node, uint64_t page);
/* Policy `disk`: the node is this file, made when absent. */
int pager_node_open_disk(struct pager_node *node, const char *path, struct vios_error *error);
void pager_node_close_disk(struct pager_node *node);
/* Does the request at once; an errno. */
int pager_node_disk(struct pager_node *node, const struct nbd_client_request *request);
/* Tells the hook when the state changed. */
void pager_node_report(struct pager_node *node);
const char *pager_node_state(const struct pager_node *node);

/* --- pager_op.c: locks, waiting, the end of an operation --- */

/* NULL when memory is short. Its deadline is stall_ms from now. */
struct pager_op *pager_op_new(struct pager *pager, enum pager_op_kind kind);
/* Of one that was never run. */
void pager_op_free(struct pager_op *op);
/* Starts it as soon as its pages are free. */
void pager_op_run(struct pager_op *op);
/* Waits until a replica comes, or the tick. */
void pager_op_stall(struct pager_op *op, void (*resume)(struct pager_op *op));
/* Before sends: `step` follows when the last of them was answered, and the caller has released the
 * operation. */
void pager_op_begin(struct pager_op *op, void (*step)(struct pager_op *op));
/* One of its sends was answered, or there are no more to come. */
void pager_op_release(struct pager_op *op);
/* Frees its intents and locks, answers the guest, runs who waited. */
void pager_op_end(struct pager_op *op);
void pager_lock_set(struct pager_op *op, bool set);
/* Lets go of its pages before its end. */
void pager_op_unlock(struct pager_op *op);
void pager_queue_add(struct pager_queue *queue, struct pager_op *op);
void pager_queue_remove(struct pager_queue *queue, struct pager_op *op);
void pager_tick_soon(struct pager *pager);
void pager_ticked(struct timer *timer);
/* A replica came: what is stalled goes on. */
void pager_resume(struct pager *pager);
/* Fails everything that waits. */
void pager_abandon(struct pager *pager);

/* --- pager_send.c --- */

/* A request to one replica. `op` may be NULL: nobody waits for it. */
void pager_send(struct pager_op *op, struct pager_node *node, uint16_t command, uint64_t first,
                unsigned count, uint8_t *data);
/* Writes these pages of the operation: zero pages without payload. */
void pager_send_pages(struct pager_op *op, struct pager_node *node, uint64_t pages);
/* WRITE_ZEROES over the whole region, that nobody waits for. */
void pager_send_zeroes(struct pager_node *node);

/* --- pager_fetch.c --- */

/* Reads the pages of `need` into data, each with its right checksum; then calls `fetched` with 0,
 * or EIO when some cannot be had: `good` says which were. */
void pager_fetch(struct pager_op *op, uint64_t need, void (*fetched)(struct pager_op *op, int));
/* The operation's pages that a replica lacks, and those that are not all zero. */
uint64_t pager_lacks(const struct pager_op *op, unsigned slot);
uint64_t pager_not_zero(const struct pager_op *op);

/* --- pager_write.c --- */

void pager_write_start(struct pager_op *op);
/* Sends once it has intents; it waits for free ones in `no_intent`. */
void pager_write_begin(struct pager_op *op);
/* The write has ended. `have` gets what each of the targets has; the set of those that have all. */
unsigned pager_write_done(struct pager_op *op);
/* Publishes that each replica `have`s: its bits, then the checksums, then the intents. */
void pager_write_publish(struct pager_op *op);
/* A push of the write's arrived, with these pages. */
void pager_write_pushed(struct pager_op *op, const struct pager_node *node, uint64_t pages);
void pager_patience_ended(struct timer *timer);
void pager_intents_clear(struct pager_op *op);

/* --- pager_fill.c --- */

/* Starts what the replica lacks, a few operations at a time. */
void pager_fill(struct pager_node *node);
void pager_fill_start(struct pager_op *op);

/* --- pager_push.c --- */

/* Sends these pages of the operation, which holds no locks from now on, has its own data, and
 * ends by itself when the caller releases it. */
void pager_push(struct pager_op *push, struct pager_node *node, uint64_t pages);
/* Pushes what a replica that is being filled had already. */
void pager_push_write(struct pager_op *op, struct pager_node *node);
/* The write waits no longer for its pushes; their replicas are `slow`. */
void pager_push_detach(struct pager_op *op, bool slow);
/* The operation's pages that are being pushed to the replica. */
uint64_t pager_pushed(const struct pager_op *op, const struct pager_node *node);

/* --- pager_settle.c --- */

/* Operations for the intents that a predecessor left. VIOS_E_NO_SPACE when memory is short. */
int pager_settle_all(struct pager *pager);
/* A write that came to no end in time: the guest gets its error, and the pages, whose content is
 * now one or the other, stay locked until that is settled. */
void pager_settle_instead(struct pager_op *op);
void pager_settle_go(struct pager_op *op);

/* --- pager_guest.c --- */

void pager_submit(struct nbd_export *export, struct nbd_request *request);
/* An operation of the request has ended. */
void pager_guest_piece_done(struct pager *pager, struct pager_guest *guest, int error);
void pager_read_fetched(struct pager_op *op, int error);
struct pager_part *pager_part_of(struct pager *pager, uint64_t page);

#define PAGER_BIT(i) (UINT64_C(1) << (i))

static inline uint64_t pager_mask(unsigned count)
{
    return count >= 64 ? UINT64_MAX : PAGER_BIT(count) - 1;
}

#endif
