/*
 * change.h - what a call changed in the record of what it is about, for the audit: found by the
 * noun of the method and the name among its parameters, so that no method has to tell. A guest,
 * node, pool, LU, paging device, hibernation, threshold, or the cluster itself.
 *
 * Of a call whose job was not waited for it is what was changed by then; others who change the
 * record meanwhile are not told apart.
 */
#ifndef DAEMON_CHANGE_H
#define DAEMON_CHANGE_H

#include "node/method.h"

#define CHANGE_MEMBERS_MAX 24
#define CHANGE_VALUE_MAX 512 /* bytes of JSON of one value; a longer one becomes "..." */

/* The record as it is now, json_null() when there is none; NULL: the method is about no record, or
 * it cannot be read soon. */
json_t *change_look(struct node *node, const struct method *method, const json_t *parameters);

/* {"member": [before, after], ...} of the members that differ, null for what is not there, without
 * those that may be secret; NULL: none. Takes NULL for either, which says nothing. */
json_t *change_between(const json_t *before, const json_t *after);

#endif
