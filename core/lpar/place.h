/*
 * place.h - on which node an LPAR starts: by the memory that each has free for guests.
 */
#ifndef LPAR_PLACE_H
#define LPAR_PLACE_H

#include "lpar/record.h"
#include "node/method.h"

#define PLACE_ANY "any" /* instead of a node's name */

/*
 * The node with the most memory free for guests, of those that are up, not drained and no witness,
 * where the LPAR fits and the pools of its LUs are mounted. An LPAR that needs files of a node, its
 * kernel or a disk, is for this node: `why` says so then, and is "" otherwise.
 * VIOS_E_NO_SPACE: it fits nowhere, with the most that a node has.
 */
int place_choose(struct call *call, const struct lpar *lpar, char node[NAME_MAX_LENGTH + 1],
                 char why[96], struct operation *operation);

/* The method daemon.capacity: {memory_bytes, guests_bytes, lent_bytes, free_bytes, guests, pools}
 * of this node; `pools` are the names of those that are mounted here. */
int place_call_capacity(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation);

#endif
