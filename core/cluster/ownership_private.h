/* ownership_private.h - the inside of an ownership: its state machine and its commits share it. */
#ifndef CLUSTER_OWNERSHIP_PRIVATE_H
#define CLUSTER_OWNERSHIP_PRIVATE_H

#include "base/parse.h"
#include "base/state_machine.h"
#include "cluster/ownership.h"

#define OWNERSHIP_KEY_SIZE 200
#define OWNERSHIP_WHY_SIZE 160

/* What the record says: a commit compares its revision, and so all of it. */
struct ownership_known {
    char owner[NAME_MAX_LENGTH + 1]; /* "": nobody */
    int64_t incarnation;             /* of the owner */
    int64_t generation, revision;
};

struct ownership {
    enum ownership_kind kind;
    struct state_machine machine;
    char machine_name[OWNERSHIP_KEY_SIZE + 16];
    char why[OWNERSHIP_WHY_SIZE];
    char node[NAME_MAX_LENGTH + 1];
    int64_t incarnation;
    char target[NAME_MAX_LENGTH + 1]; /* of a HAND_OVER */
    int64_t target_incarnation;
    char *wanted;   /* NULL: it stays */
    json_t *saved;  /* of a HIBERNATE */
    json_t *record; /* /lpar/L as it is known */
    struct ownership_known known;
    int64_t hibernation_revision, fence_revision; /* compared; 0: not */
    bool unsure;                                  /* a commit of ours is out that may land */
    bool conflict;                                /* the reading follows a conflict */

    char lpar_key[OWNERSHIP_KEY_SIZE], fence_key[OWNERSHIP_KEY_SIZE],
        owner_fence_key[OWNERSHIP_KEY_SIZE], target_fence_key[OWNERSHIP_KEY_SIZE],
        hibernation_key[OWNERSHIP_KEY_SIZE];
    struct ownership_request request;
    char *lpar_text, *hibernation_text;
    char *lu_keys[OWNERSHIP_DISKS_MAX], *lu_texts[OWNERSHIP_DISKS_MAX];
};

/* It runs here, and is to be no more this node's: when that fails it goes on. */
static inline bool ownership_gives(enum ownership_kind kind)
{
    return kind == OWNERSHIP_HIBERNATE || kind == OWNERSHIP_HAND_OVER;
}

/* ownership_request.c: each makes `request` anew, with texts that are good until the next one. */

/* This node's, under the next generation. */
void ownership_request_own(struct ownership *ownership);
/* The target's, under the next generation. */
void ownership_request_hand_over(struct ownership *ownership);
/* Nobody's, under the same generation. */
void ownership_request_give_up(struct ownership *ownership);
/* A takeover's second commit; see ownership_disks_fenced(). */
int ownership_request_disks(struct ownership *ownership, const struct store_value *lus,
                            size_t count, struct vios_error *error);
void ownership_request_clear(struct ownership *ownership);

#endif
