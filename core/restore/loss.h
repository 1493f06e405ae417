/*
 * loss.h - what a restore would lose: the difference between a backup and what is there now. Pure.
 */
#ifndef RESTORE_LOSS_H
#define RESTORE_LOSS_H

#include "store/store.h"

#include <jansson.h>

#define RESTORE_LOSS_NAMES_MAX 100 /* of one kind that are named; all are counted */

/*
 * An array of {kind, what, count, names}, by kind ("lpar", "node", ...), of both, sorted lists:
 *     lost      it is there now, and not in the backup
 *     older     the backup has another, older state of it
 *     returns   it was removed since, and comes back
 * What changes by itself while a cluster runs is left out. NULL: no memory.
 */
json_t *restore_loss(const struct store_list *backup, const struct store_list *now);

#endif
