/* split_oracle.h - what a split decision must be, written without a look at core/cluster/split.c:
 * a matrix of links, its closure, and the rules of MISSION §4.3 in their order. */
#ifndef SIM_SPLIT_ORACLE_H
#define SIM_SPLIT_ORACLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define SPLIT_ORACLE_MAX 16

struct split_facts {
    size_t count; /* in the order of names */
    const char *names[SPLIT_ORACLE_MAX];
    bool hears[SPLIT_ORACLE_MAX][SPLIT_ORACLE_MAX]; /* one way */
    size_t primary;                                 /* >= count: it takes no part */
};

/* NULL: the record says what follows from the facts; otherwise what is wrong with it. */
const char *split_oracle_judge(const struct split_facts *facts, const json_t *record);

#endif
