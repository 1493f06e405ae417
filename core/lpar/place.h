/*
 * place.h - on which node an LPAR starts: by the memory that each has free for guests, unless the
 * administrators' function says another one (`cluster set placement`, node/place_function.h). Both
 * are asked the same for guests that are moved and for those that are started or restarted on
 * PLACE_ANY: who wants a guest on certain nodes wants it there whichever way it comes.
 */
#ifndef LPAR_PLACE_H
#define LPAR_PLACE_H

#include "lpar/record.h"
#include "node/method.h"

#define PLACE_ANY "any" /* instead of a node's name */

/* The nodes that may get guests, those that are up, not drained and no witness, as they answered.
 */
struct place {
    char node[NAME_MAX_LENGTH + 1];
    int64_t free_bytes; /* of memory, for guests */
    int64_t guests;
    json_t *pools; /* the names of those that are mounted there */
};

struct places {
    struct place *list;
    size_t count;
    char *function; /* the text of the administrators' function; NULL: there is none */
};

/* Asks them all; one that does not answer is left out. places_clear() it. */
int places_survey(struct node *node, struct places *places, struct operation *operation);
void places_clear(struct places *places);

/*
 * Of those where the LPAR fits and the pools of its LUs are mounted the one that the function says,
 * or else the one with the most memory free; of equals the one with the fewest guests, and of those
 * this node. `avoid` (may be NULL) is taken only when nothing else will do. What the LPAR needs is
 * then not free any more in `places`. VIOS_E_NO_SPACE: it fits nowhere, with the most that a node
 * has. A function that fails is in the log and the flight recorder, and the guest goes where the
 * built-in rule says; one that takes too long is not asked again for these places. It is told that
 * the LPAR leaves the node `from`; NULL: it is started, and leaves none.
 */
int places_pick(struct node *node, struct places *places, const struct lpar *lpar, const char *from,
                const char *avoid, char chosen[NAME_MAX_LENGTH + 1], struct operation *operation);

/* VIOS_OK: there is one, and what the LPAR needs is not free any more in `places`. */
int places_have(struct node *node, struct places *places, const struct lpar *lpar,
                struct operation *operation);

/* Both for one LPAR. One that needs files of a node, its kernel or a disk, is for this node: `why`
 * says so then, and is "" otherwise. */
int place_choose(struct call *call, const struct lpar *lpar, char node[NAME_MAX_LENGTH + 1],
                 char why[96], struct operation *operation);

/* The node that the "node" of a call means: this one without it; with PLACE_ANY the one that
 * place_choose() says, and `why` is its. */
int place_of_call(struct call *call, const struct lpar *lpar, const json_t *parameters,
                  char node[NAME_MAX_LENGTH + 1], char why[96], struct operation *operation);

/* The method daemon.capacity: {memory_bytes, guests_bytes, lent_bytes, free_bytes, guests, pools}
 * of this node; `pools` are the names of those that are mounted here. */
int place_call_capacity(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation);

#endif
