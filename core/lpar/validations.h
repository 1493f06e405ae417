/* validations.h - the methods that ask nodes what validate.h finds there. */
#ifndef LPAR_VALIDATIONS_H
#define LPAR_VALIDATIONS_H

#include "node/method.h"
#include "node/node.h"

/* lpar.validate: {"lpar","node","ok","checks"}: both nodes are asked; one that does not answer is
 * a check that failed. With "only" as "hibernate", "restart" or "migrate" just what that job takes;
 * `node` is "" for the first. */
int lpar_call_validate(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation);

/* For a job that is to bring a guest, whose state is of that QEMU, to `target`: VIOS_E_CONFLICT
 * with the first reason why that node does not take it. */
int validations_require(struct node *node, const char *target, const char *lpar, const char *qemu,
                        struct operation *operation);

/* daemon.validate: the checks of this node, {"qemu","checks"}. */
int lpar_call_validate_here(struct call *call, const json_t *parameters, json_t **result,
                            struct operation *operation);

#endif
