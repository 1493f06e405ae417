/*
 * reader.h - captured data on disk, looked at without a daemon: the folders of incidents in one or
 * several places, such as <repository>/ffdc and STATE_DIR/ffdc. Nothing that lies there is trusted.
 */
#ifndef FFDC_READER_H
#define FFDC_READER_H

#include "ffdc/manifest.h"

#include <limits.h>

#define READER_PLACES_MAX 2
#define READER_INCIDENTS_MAX 4096

struct reader_places {
    char paths[READER_PLACES_MAX][PATH_MAX];
    size_t count;
};

/* Each incident of which a manifest lies there, in any order, once; of those that are damaged
 * `bad` is told. */
void reader_each_incident(const struct reader_places *places,
                          void (*each)(void *context, const struct manifest *manifest),
                          void (*bad)(void *context, const char *correlator,
                                      const struct vios_error *why),
                          void *context);

/* VIOS_E_NOT_FOUND: there is none in any of the places. */
int reader_manifest(const struct reader_places *places, const char *correlator,
                    struct manifest *manifest, struct vios_error *error);

/* Each bundle of the incident, by nodes, whether or not the manifest has it. `fd` is closed by the
 * reader. Returns how many. */
size_t reader_each_bundle(const struct reader_places *places, const char *correlator,
                          void (*each)(void *context, const char *node, int fd), void *context);

#endif
