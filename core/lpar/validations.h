/* validations.h - the methods that ask nodes what validate.h finds there. */
#ifndef LPAR_VALIDATIONS_H
#define LPAR_VALIDATIONS_H

#include "node/method.h"

/* lpar.validate: {"lpar","node","ok","checks"}: both nodes are asked; one that does not answer is
 * a check that failed. With "only" as "hibernate" or "restart" just what that job takes; `node` is
 * "" without the latter. */
int lpar_call_validate(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation);

/* daemon.validate: the checks of this node, {"qemu","checks"}. */
int lpar_call_validate_here(struct call *call, const json_t *parameters, json_t **result,
                            struct operation *operation);

#endif
