/*
 * derive.h - which events the changes of the VIOS DB are. Pure: records in, events out.
 *
 * The primary derives them from the commits themselves, in their order, and notes in /events up to
 * which revision it has come, in the same commit that makes the events happen. So whatever is
 * committed becomes an event exactly once, whoever dies when: a node that ends behind its commit
 * owes nobody anything, and the next primary goes on where the last one was.
 *
 * What must be known beyond the record itself (who is up, who is apart since a split, the last
 * epoch) is part of /events too. The old value of a record is known when it was seen since this
 * primary began, or had not changed since; when not, a change is only called "changed".
 */
#ifndef EVENT_DERIVE_H
#define EVENT_DERIVE_H

#include "event/payload.h"
#include "store/store.h"

#include <jansson.h>

struct derivation;

/* With what /events says of it (NULL: nothing yet). VIOS_E_CORRUPT. */
int derivation_new(struct derivation **derivation, const json_t *known, struct vios_error *error);
void derivation_free(struct derivation *derivation);

/* {"up":{"n1":4},"apart":["n5"],"primary":"n1","epoch":7}, for /events; the caller's. */
json_t *derivation_known(const struct derivation *derivation);

/* The prefixes of all records that become events, for store_list_many(): their count. */
size_t derivation_prefixes(const char *prefixes[STORE_PREFIXES_MAX]);

/* A record as it is while nothing is derived from it. */
void derivation_learn(struct derivation *derivation, const struct store_value *value);

/* The same as the first look at a cluster whose events nobody derived yet. */
void derivation_begin(struct derivation *derivation, const struct store_value *value);

/* A change, as a watch gives it: appends its events, at most 2, to the array `events`. */
void derivation_change(struct derivation *derivation, const struct store_value *value,
                       int64_t wall_ms, json_t *events);

#endif
