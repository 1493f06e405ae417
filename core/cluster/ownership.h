/*
 * ownership.h - who may run a guest (DESIGN "Fencing", "LPARs and hibernation"): the commits that
 * move /lpar/L from one owner or generation to the next, and what follows from their outcomes.
 *
 * A pure state machine, one for each thing that is done to one guest. It has no store and no guest:
 * it says what is `next`, its caller does that and tells what came of it, until `next` is one of
 * the last three. The caller paces: before it does again what failed it waits a little, and it
 * gives up (ownership_free) when its incarnation is fenced, for then its guests are dead.
 *
 *     next                  the caller                                   then calls
 *     OWNERSHIP_COMMIT      commits ownership_request()                  ownership_committed()
 *     OWNERSHIP_READ        reads the guest's record                     ownership_read()
 *     OWNERSHIP_DISKS       makes sure that nothing of the old owner     ownership_disks_fenced()
 *                           reaches the disks any more, see there
 *     OWNERSHIP_RUN         opens the exports; starts it, or continues   -
 *                           it, under ownership_generation()
 *     OWNERSHIP_GO_ON       opens the exports again and continues it,    -
 *                           for nothing was done
 *     OWNERSHIP_END         kills it, if there is one here: it is saved, -
 *                           stopped, or another's; ownership_why()
 *
 * Until RUN or GO_ON the guest stays paused, or is not started at all, whatever else happens: an
 * unknown commit may land at any time. Each commit that makes a node an owner compares that the
 * node's own fence is absent; all compare the revision of /lpar/L. Members of records that are not
 * known here stay as they are.
 *
 * A guest that is handed over becomes the other node's in the next generation, by one commit of the
 * node that gives it. That one alone sends it, so until it has the guest may go on as it was;
 * refused or unknown, it goes on in a generation of its own, or is the other's.
 *
 * A takeover is two commits. The first makes this node the owner, notes in `taken` from whom, and
 * frees the record of the `job` that held it there; the second, when the disks are fenced, removes
 * that note and names the new files. A guest with that note is never started: whoever finds it
 * after a crash goes on with OWNERSHIP_TAKEOVER.
 */
#ifndef CLUSTER_OWNERSHIP_H
#define CLUSTER_OWNERSHIP_H

#include "base/recorder.h"
#include "store/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OWNERSHIP_DISKS_MAX 8
#define OWNERSHIP_COMPARES_MAX (OWNERSHIP_DISKS_MAX + 4)
#define OWNERSHIP_CHANGES_MAX (OWNERSHIP_DISKS_MAX + 2)

enum ownership_kind {
    OWNERSHIP_START,     /* from its disks: it is nobody's, or this node's and not running */
    OWNERSHIP_TAKEOVER,  /* from its disks: its owner's fence is free; or one that was begun */
    OWNERSHIP_HIBERNATE, /* paused, its file complete, its exports drained: give it up */
    OWNERSHIP_RESTORE,   /* from the file: loaded, not yet run */
    OWNERSHIP_CONTINUE, /* this node's, paused, and nobody knows what an earlier daemon committed */
    OWNERSHIP_HAND_OVER, /* paused, its state loaded on another node, its exports drained: that
                            node's */
    OWNERSHIP_RELEASE    /* ended here: give it up */
};

enum ownership_next {
    OWNERSHIP_COMMIT,
    OWNERSHIP_READ,
    OWNERSHIP_DISKS,
    OWNERSHIP_RUN,
    OWNERSHIP_GO_ON,
    OWNERSHIP_END
};

/* What was read before, and after whatever was done to this guest before had ended, so that nothing
 * of that is taken for the outcome of this. All of it is copied. */
struct ownership_facts {
    const char *node; /* who does it */
    int64_t incarnation;
    const struct store_value *lpar;        /* /lpar/L */
    const struct store_value *hibernation; /* /hibernation/L; NULL: there is none */
    const struct store_value *fence;       /* of its owner's incarnation; NULL: there is none */
    const char *wanted;                    /* the record's `wanted` from then on; NULL: it stays */
    const json_t
        *saved;         /* HIBERNATE: what /hibernation/L says beside the generation; may be NULL */
    const char *target; /* HAND_OVER: whose it becomes; */
    int64_t target_incarnation; /* its fence is compared absent */
    struct recorder *recorder;  /* may be NULL */
};

struct ownership_request {
    struct store_compare compares[OWNERSHIP_COMPARES_MAX];
    size_t compare_count;
    struct store_change changes[OWNERSHIP_CHANGES_MAX];
    size_t change_count;
};

struct ownership;

/*
 * What is next is then OWNERSHIP_COMMIT, or OWNERSHIP_DISKS for a takeover that was begun. Refused,
 * and nothing is made, when the records do not allow it:
 *   VIOS_E_INVALID    a record is damaged
 *   VIOS_E_CONFLICT   it is another's, or nobody's who could give it up
 *   VIOS_E_LOCKED     the owner's fence is not free yet; or a takeover must be finished first
 *   VIOS_E_NOT_FOUND  there is no hibernation
 *   VIOS_E_STALE      the hibernation is of another generation than the guest
 */
int ownership_begin(struct ownership **ownership, enum ownership_kind kind,
                    const struct ownership_facts *facts, struct vios_error *error);
void ownership_free(struct ownership *ownership);

enum ownership_next ownership_next(const struct ownership *ownership);

/* Under which generation the guest runs, or is saved. */
int64_t ownership_generation(const struct ownership *ownership);

/* For people: what became of it. */
const char *ownership_why(const struct ownership *ownership);

/* The commit to make; the ownership's, until the next call. */
const struct ownership_request *ownership_request(const struct ownership *ownership);

/* What came of the commit, as store.h has it. */
enum ownership_next ownership_committed(struct ownership *ownership, int status, int64_t revision);

/* What the reading brought: VIOS_OK and the value, VIOS_E_NOT_FOUND, or that it failed. */
enum ownership_next ownership_read(struct ownership *ownership, int status,
                                   const struct store_value *lpar);

/*
 * After OWNERSHIP_DISKS. Where the pool can clone, each disk has a new file: a reflink under a
 * temporary name, synced, renamed to ownership_disk_file(), made *after* OWNERSHIP_DISKS was said;
 * `lus` are the records /lu/UDID that were read before the reflink. Where it cannot, fence-grace
 * has passed since; then `count` is 0. VIOS_E_INVALID for a record that is damaged: `next` stays.
 */
int ownership_disks_fenced(struct ownership *ownership, const struct store_value *lus, size_t count,
                           struct vios_error *error);

/* "<udid>.<generation>"; `key` is that of the record. Returns `name`. */
#define OWNERSHIP_FILE_SIZE 80
char *ownership_disk_file(const char *key, int64_t generation, char name[OWNERSHIP_FILE_SIZE]);

#endif
