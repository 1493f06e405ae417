/* lookup.h - which LPAR a call is about, and whether it is here. */
#ifndef LPAR_LOOKUP_H
#define LPAR_LOOKUP_H

#include "lpar/record.h"
#include "node/method.h"

/* Reads the record of the method's "name", so that an unknown one fails with near names, and not as
 * a job. */
int lpar_of_call(struct call *call, const json_t *parameters, struct lpar *lpar,
                 struct operation *operation);

/* It belongs to another node. */
bool lpar_is_elsewhere(const struct node *node, const struct lpar *lpar);

#endif
