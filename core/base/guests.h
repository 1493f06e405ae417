/*
 * guests.h - the guests of this node that stop (SIGSTOP) when its time is over, so that one that
 * others may take over does not go on computing and talking on the network, and go on when it has
 * time again (DESIGN "The gate"). io keeps such a list beside its gate, and the daemon another by
 * its own clock: either of them may be frozen or dead.
 */
#ifndef BASE_GUESTS_H
#define BASE_GUESTS_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

#define GUESTS_MAX 1024

struct guests;

/* At first there is no time: the gate is closed. */
int guests_new(struct guests **guests, struct vios_error *error);
/* The guests stay as they are. NULL does nothing. */
void guests_free(struct guests *guests);

/* Takes over `pidfd` when it succeeds; it replaces an earlier one of the same LPAR. A takeable
 * guest is stopped at once while the gate is closed; otherwise it goes on, if somebody who is gone
 * had stopped it. */
int guests_add(struct guests *guests, const char *lpar, bool takeable, int pidfd,
               struct vios_error *error);
/* Absent is fine. It is not let go on. */
void guests_remove(struct guests *guests, const char *lpar);

/* The gate opened or closed. */
void guests_gate(struct guests *guests, bool open);

/* [{"lpar","takeable"}] */
json_t *guests_describe(struct guests *guests);

#endif
