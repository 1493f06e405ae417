/*
 * incident.h - incidents in the VIOS DB: /incident/C is the manifest of incident C,
 * /incident-number the last number given to one, and /incident-signature/H, H a digest of the
 * signature, says which incident was the first of its signature (MISSION §5.7).
 */
#ifndef FFDC_INCIDENT_H
#define FFDC_INCIDENT_H

#include "ffdc/manifest.h"
#include "store/store.h"

#define INCIDENT_AGE_MS                                                                            \
    (INT64_C(30) * 24 * 60 * 60 * 1000) /* a signature is remembered so long                       \
                                         */

/*
 * A new incident with the next correlator, which is put into `manifest`; or, when there is one of
 * the same signature, that one's count is raised by that of `manifest`, which then is that one:
 * `*repeated`. In one commit.
 */
int incident_open(struct store *store, struct manifest *manifest, bool *repeated,
                  struct operation *operation);

/* VIOS_E_NOT_FOUND. */
int incident_read(struct store *store, const char *correlator, struct manifest *manifest,
                  int64_t *revision, struct operation *operation);

/* The record as `change` makes it, tried again until nobody else changed it meanwhile. `change`
 * may be called several times; false: there is nothing to change. `manifest` is the outcome. */
int incident_change(struct store *store, const char *correlator,
                    bool (*change)(void *context, struct manifest *manifest), void *context,
                    struct manifest *manifest, struct operation *operation);

/* Writes the record of an incident that was opened while the VIOS DB was away; one that is there
 * already is left as it is. */
int incident_add(struct store *store, const struct manifest *manifest, struct operation *operation);

/* All of them, oldest first. Records that are damaged are left out, and logged. */
int incident_each(struct store *store, void (*each)(void *context, const struct manifest *),
                  void *context, struct operation *operation);

/* Deletes the record, and its signature's. Absent is fine. */
int incident_forget(struct store *store, const struct manifest *manifest,
                    struct operation *operation);

#endif
