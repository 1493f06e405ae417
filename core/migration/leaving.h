/*
 * leaving.h - which owners are lost or are to be left, at one time: by the fences that were listed,
 * the last split, and who is drained.
 */
#ifndef MIGRATION_LEAVING_H
#define MIGRATION_LEAVING_H

#include "migration/move.h"
#include "node/node.h"

struct leaving;

/* What this node's agent knows now; leaving_free() it. NULL: no memory. */
struct leaving *leaving_new(struct node *node);
void leaving_free(struct leaving *leaving);

/* Somebody does. Whoever was fenced, and rejoined since, does not any more, though guests may be
 * left that its former incarnation owned. */
bool leaving_is_any(const struct leaving *leaving);

/* Of all members' incarnations and states: another one when something changed. */
uint64_t leaving_signature(const struct leaving *leaving);

/* Whether the owner is to be left: one whose fence is in the list `fences` of /fence/, or that is
 * known to leave. Then `cause` says why, and `drains` whether it is well. */
bool leaving_has(const struct leaving *leaving, const struct store_list *fences, const char *owner,
                 int64_t incarnation, char cause[MOVE_CAUSE_SIZE], bool *drains);

/* Whether its fence is in the list, and free. */
bool leaving_is_free(const struct store_list *fences, const char *owner, int64_t incarnation);

#endif
