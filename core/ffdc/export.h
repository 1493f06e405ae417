/*
 * export.h - all bundles of one incident in one archive, for somebody else to look at:
 * manifest.json and NODE/FILE; as they are, or redacted (redact.h). What cannot be redacted, for it
 * is no text, is left out then, and counted.
 */
#ifndef FFDC_EXPORT_H
#define FFDC_EXPORT_H

#include "ffdc/reader.h"

#define EXPORT_TEXT_MAX ((size_t)32 << 20) /* of a file that is redacted */

struct export_result {
    int64_t files, left_out, damaged; /* damaged: bundles */
    uint64_t size_bytes;              /* of the archive */
};

/* Writes `path`, which must not exist. `note` is told of what is damaged or left out. */
int export_run(const struct reader_places *places, const char *correlator, const char *path,
               bool redact, void (*note)(void *context, const char *text), void *context,
               struct export_result *result, struct vios_error *error);

#endif
