/*
 * control.h - the methods lpar.start, lpar.stop and lpar.reset, which may be called on any node:
 * they act where the guest is to run, or runs.
 */
#ifndef LPAR_CONTROL_H
#define LPAR_CONTROL_H

#include "lpar/record.h"
#include "node/method.h"

/* Reads the record of the method's "name", so that an unknown one fails with near names, and not as
 * a job. */
int lpar_of_call(struct call *call, const json_t *parameters, struct lpar *lpar,
                 struct operation *operation);

/* It belongs to another node. */
bool lpar_is_elsewhere(const struct node *node, const struct lpar *lpar);

int lpar_call_start(struct call *call, const json_t *parameters, json_t **result,
                    struct operation *operation);
int lpar_call_stop(struct call *call, const json_t *parameters, json_t **result,
                   struct operation *operation);
int lpar_call_reset(struct call *call, const json_t *parameters, json_t **result,
                    struct operation *operation);

#endif
