/*
 * guest.h - the guests: what everybody has in common (an LPAR, its disk, its hibernation files) and
 * its copies, a QEMU on a node each. A copy that runs writes to its disk through its node's io, and
 * takes each answer for a promise. Invariants 5 to 7.
 */
#ifndef SIM_GUEST_H
#define SIM_GUEST_H

#include "store/store.h"
#include "tests/sim/disk.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

#define COPY_REQUESTS 2 /* at once */

struct memory { /* a hibernation file: what that memory knows of the disk */
    struct memory *next;
    int64_t generation;
    int64_t blocks[DISK_BLOCKS];
};

struct lpar {
    struct world *world;
    size_t number;
    char name[24];
    char key[40], hibernation_key[40], lu_key[40], job_key[40];
    bool clone;
    struct disk disk;
    struct copy *copies; /* the newest first; also those that are dead */
    struct memory *memories;
};

enum copy_state {
    COPY_LOADED, /* from a hibernation file, never run */
    COPY_PAUSED,
    COPY_RUNNING
};

struct request {
    bool busy;
    size_t block;
    int64_t number;
};

struct copy {
    struct copy *next;
    struct lpar *lpar;
    struct node *node;
    int64_t generation, incarnation;
    enum copy_state state;
    bool alive;
    bool stopped_by_io, stopped_by_daemon; /* SIGSTOP */
    struct inode *inode;
    struct memory memory; /* while LOADED */
    struct request requests[COPY_REQUESTS];
    bool thinking; /* its next step is posted */
    int64_t acknowledged_us;
};

void guests_new(struct world *world);
void guests_free(struct world *world);

struct copy *copy_new(struct lpar *lpar, struct node *node, int64_t generation,
                      enum copy_state state, struct inode *inode);
void copy_kill(struct copy *copy);
/* The one that lives on the node; NULL. */
struct copy *copy_find(const struct lpar *lpar, const struct node *node);
/* It runs from now on, under that generation. */
void copy_run(struct copy *copy, int64_t generation);
void copy_pause(struct copy *copy);
/* Let go on, as far as the stops allow. */
void copy_kick(struct copy *copy);
bool copy_is_drained(const struct copy *copy);

/* An answer to its request arrived. */
void copy_answered(struct copy *copy, size_t slot);

void guest_judge_stopped(struct node *node, int64_t incarnation);
void guest_judge_commit(struct world *world, const struct store_change *changes, size_t count,
                        struct oracle_counts *counts);
bool guest_all_well(struct world *world, char why[200]);

#endif
