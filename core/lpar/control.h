/*
 * control.h - the methods lpar.start, lpar.stop and lpar.reset, which may be called on any node:
 * they act where the guest is to run, or runs.
 */
#ifndef LPAR_CONTROL_H
#define LPAR_CONTROL_H

#include "node/method.h"

int lpar_call_start(struct call *call, const json_t *parameters, json_t **result,
                    struct operation *operation);
int lpar_call_stop(struct call *call, const json_t *parameters, json_t **result,
                   struct operation *operation);
int lpar_call_reset(struct call *call, const json_t *parameters, json_t **result,
                    struct operation *operation);

#endif
