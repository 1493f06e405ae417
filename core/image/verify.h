/*
 * verify.h - whether the files of an image are what was imported: each is read and compared with
 * its chunks' digests, and those with the record.
 */
#ifndef IMAGE_VERIFY_H
#define IMAGE_VERIFY_H

#include "image/image.h"

#define VERIFIED_FILES_MAX 256
#define VERIFIED_VALID_MS (60 * 60 * 1000)

/* What this node found good in the last hour, and has not changed since by the file system's own
 * times: so that ten deploys of an image do not read it ten times. */
struct verified;
struct verified *verified_new(void);
void verified_free(struct verified *verified);

/* One file. VIOS_E_CORRUPT says which chunk. `verified` (NULL: none) may spare the reading, and
 * learns. `fd` is the caller's. */
int verify_file(const struct image *image, size_t i, int folder, int fd, struct verified *verified,
                const struct copy_progress *progress, struct operation *operation);

#endif
