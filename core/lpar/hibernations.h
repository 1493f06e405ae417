/*
 * hibernations.h - the methods lpar.hibernate and lpar.restart, which may be called on any node,
 * and those of the noun hibernation.
 */
#ifndef LPAR_HIBERNATIONS_H
#define LPAR_HIBERNATIONS_H

#include "node/method.h"

int lpar_call_hibernate(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation);
int lpar_call_restart(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation);

/* Each {lpar, lu, content, size_bytes, generation, state, ...}: state is "valid"; "stale", when the
 * LPAR has gone on without it; "damaged", when its record is. */
int hibernation_call_list(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation);
int hibernation_call_show(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation);

/* Reads all of the file, here. */
int hibernation_call_verify(struct call *call, const json_t *parameters, json_t **result,
                            struct operation *operation);

/* The LPAR is stopped then; its memory is lost. */
int hibernation_call_remove(struct call *call, const json_t *parameters, json_t **result,
                            struct operation *operation);

#endif
