/*
 * plan.h - what a VIOS DB is to hold after `db restore`: the records of the backup, changed so that
 * nothing goes backwards and so that nothing that ran before can go on. Pure: no I/O.
 *
 * What happened between the backup and the loss is not known. So each number begins again above
 * everything that is seen anywhere, and RESTORE_STEP higher: more than can have happened. Only an
 * earlier restore of the same backup, all of which was lost, may have raised it as far. So those
 * that fence begin at no less than the milliseconds since 1970: none grows faster than they. A
 * wrong clock does no harm, for it can only make them higher.
 *
 *     epoch          /primary has no holder, and a higher epoch
 *     incarnation    each node's /alive is of one that nobody was, with a free fence: the node
 *                    kills its guests and rejoins as the next one (daemon/boot.c). Each
 *                    incarnation that is seen anywhere has a free fence too
 *     generation     of each LPAR; nobody owns it. A hibernation is of a lower one from then on,
 *                    and says that it is invalid: an old memory never meets a newer disk
 *     regions        of paging devices, which begin anew, empty
 *     jobs           the number of the next one; those that ran have failed, and hold nothing
 *     splits         the number of the next decision
 *     restores       +1, and no less than the seconds since 1970, so that no event cursor from
 *                    before means anything else now
 *     revision       of a store in a file (an etcd counts by itself)
 *
 * Locks, tokens, migrations under way, and what was only true while somebody ran, are left out.
 */
#ifndef RESTORE_PLAN_H
#define RESTORE_PLAN_H

#include "restore/numbers.h"

#define RESTORE_STEP INT64_C(1000000)
#define RESTORE_REVISION_STEP INT64_C(1000000000) /* two years of 16 commits a second */
#define RESTORE_SCHEMA_MAX 1 /* the highest "v" of any record that this vios knows */

struct restore_content {
    const struct store_list *list;
    int64_t revision;
};

/* Who restores what, and when; for the audit too. */
struct restore_act {
    int64_t wall_ms;
    const char *actor; /* "uid:0" */
    const char *file;
};

struct restore_plan {
    struct store_list list; /* sorted by key */
    int64_t revision, epoch, restores;
    json_t *nodes;        /* array: the members */
    json_t *start;        /* array: LPARs that were to run */
    json_t *hibernations; /* array: LPARs whose hibernation is invalid now */
    json_t *jobs;         /* array: those that had not ended */
};

/* Checks a backup completely: keys, JSON, schema numbers, what the plan needs of each record, and
 * that it is a cluster's. VIOS_E_CORRUPT or VIOS_E_INVALID, naming the record. */
int restore_check(const struct store_list *list, struct vios_error *error);

/* From contents[0], the backup, which was checked; the others are what else is known of this
 * cluster. restore_plan_clear() also after a failure. */
int restore_plan_make(struct restore_plan *plan, const struct restore_content *contents,
                      size_t count, const struct restore_act *act, struct vios_error *error);
void restore_plan_clear(struct restore_plan *plan);

#endif
