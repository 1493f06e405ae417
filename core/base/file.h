/*
 * file.h - files that must be whole or absent: written under a temporary name, synced,
 * renamed, and the folder synced.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Replaces `name` in the folder `directory_fd` with `size` bytes, durably, with `mode`. */
int file_replace(int directory_fd, const char *name, const void *data, size_t size, mode_t mode,
                 struct vios_error *error);

/* Reads a whole file of at most `limit` bytes; a NUL is put behind them. free() `*data`. */
int file_read(int directory_fd, const char *name, size_t limit, char **data, size_t *size,
              struct vios_error *error);

/* Makes `path` and the folders above it, those it makes with `mode`; an existing one is fine. */
int file_make_folders(const char *path, mode_t mode, struct vios_error *error);

/* Removes `path` and everything below, without following links. Absent is fine. */
int file_remove_tree(const char *path, struct vios_error *error);

/* write(2) until all is done. */
int file_write_all(int fd, const void *data, size_t size, struct vios_error *error);

/*
 * Takes the exclusive flock of `fd`, which ends with the process. Somebody else's is waited for
 * `wait_ms`: a process killed a moment ago holds its locks until it is gone. VIOS_E_LOCKED.
 */
int file_lock(int fd, int64_t wait_ms, struct vios_error *error);

#endif
