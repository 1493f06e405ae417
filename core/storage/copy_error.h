/* copy_error.h - how what fills a file says that it failed: by the file's path, and, where the file
 * system is full, by the bytes that are missing. */
#ifndef STORAGE_COPY_ERROR_H
#define STORAGE_COPY_ERROR_H

#include "base/error.h"

#include <stdint.h>

#define COPY_PATH_SIZE 96 /* as much as an error's object takes */

/* The path of an open file; its end with "..." before it when it is long. */
void copy_path(int fd, char path[COPY_PATH_SIZE]);

/*
 * The error of errno, about `fd`, while `what` ("cannot write") was tried. When there is no space,
 * VIOS_E_NO_SPACE says how much of `left_bytes` - what was still to be written - is missing.
 */
int copy_error(int fd, const char *what, uint64_t left_bytes, struct vios_error *error);

/* The same for a failure that is known to be a full file system. */
int copy_error_full(int fd, uint64_t left_bytes, struct vios_error *error);

#endif
