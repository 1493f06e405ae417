/*
 * guests.h - the guests that io stops when the gate closes, so that one that others may take over
 * does not go on computing and talking on the network, and lets go on when it opens again.
 */
#ifndef IO_GUESTS_H
#define IO_GUESTS_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

#define GUESTS_MAX 1024

struct guests;

int guests_new(struct guests **guests, struct vios_error *error);

/* Takes over `pidfd` when it succeeds; it replaces an earlier one of the same LPAR. A takeable
 * guest is stopped at once while the gate is closed. */
int guests_add(struct guests *guests, const char *lpar, bool takeable, int pidfd,
               struct vios_error *error);
/* Absent is fine. It is not let go on. */
void guests_remove(struct guests *guests, const char *lpar);

/* The gate opened or closed. */
void guests_gate(struct guests *guests, bool open);

/* [{"lpar","takeable"}] */
json_t *guests_describe(struct guests *guests);

#endif
