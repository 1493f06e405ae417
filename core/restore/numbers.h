/*
 * numbers.h - the numbers that may never go backwards (DESIGN "Fencing", "LPARs and hibernation"),
 * as the highest that any of several contents of a VIOS DB shows. Pure: no I/O.
 */
#ifndef RESTORE_NUMBERS_H
#define RESTORE_NUMBERS_H

#include "store/store.h"

#include <jansson.h>

/* A number of ours is never so high; a record that shows one is damaged. */
#define RESTORE_NUMBER_MAX (INT64_C(1) << 52)

struct restore_numbers {
    int64_t epoch;
    int64_t job;
    int64_t incident;
    int64_t split;
    int64_t restores;
    int64_t revision;     /* of the VIOS DB and its values */
    json_t *incarnations; /* {node: the highest}; 0: no incarnation of it is known */
    json_t *fences;       /* {"node/incarnation": true}, of each incarnation that is named */
    json_t *generations;  /* {LPAR: the highest} */
    json_t *regions;      /* {LPAR: the highest number of a region of its paging device} */
};

/* False: no memory. restore_numbers_clear() in any case. */
bool restore_numbers_start(struct restore_numbers *numbers);
void restore_numbers_clear(struct restore_numbers *numbers);

/* Raises them by all that `list` shows. What does not parse, as in a damaged VIOS DB, shows
 * nothing. */
void restore_numbers_add(struct restore_numbers *numbers, const struct store_list *list,
                         int64_t revision);

/* The text behind `prefix` in `key`, NULL when it does not begin so. */
const char *restore_key_behind(const char *key, const char *prefix);

#endif
