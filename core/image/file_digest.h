/* file_digest.h - the digest of a whole file, as others publish it beside their images. */
#ifndef IMAGE_FILE_DIGEST_H
#define IMAGE_FILE_DIGEST_H

#include "storage/chunks.h"

#define FILE_DIGEST_TEXT 129 /* of SHA-512, with its NUL */

/* Lower-case hex of "sha1", "sha256" or "sha512". VIOS_E_INVALID for another name. */
int file_digest(int fd, const char *algorithm, char hex[FILE_DIGEST_TEXT],
                const struct copy_progress *progress, struct operation *operation);

#endif
