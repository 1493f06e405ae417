/*
 * bundle.h - bundles of captured data: tar archives, compressed with zstd, of plain files. Written
 * under a temporary name, synced and renamed; read without trust: only regular files with plain
 * names, and nothing larger than its limit.
 *
 * A name has one or two parts of [A-Za-z0-9._-], none of which begins with a dot:
 * "recorder.jsonl", "n1/recorder.jsonl".
 */
#ifndef FFDC_BUNDLE_H
#define FFDC_BUNDLE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BUNDLE_NAME_SIZE 160
#define BUNDLE_MEMBERS_MAX 8192
#define BUNDLE_MEMBER_MAX (INT64_C(1) << 30)
#define BUNDLE_DIGEST_SIZE 65

/* Whether a member may be called so. */
bool bundle_name_is_valid(const char *name);

/* --- writing --- */

struct bundle_writer;

/* Begins one that will be `name` in the folder; `folder_fd` stays the caller's, and open. */
int bundle_create(struct bundle_writer **writer, int folder_fd, const char *name,
                  struct vios_error *error);
/* A member of the given bytes. */
int bundle_add(struct bundle_writer *writer, const char *name, const void *data, size_t size,
               struct vios_error *error);
/* A member of the first `size` bytes of a file. */
int bundle_add_file(struct bundle_writer *writer, const char *name, int fd, uint64_t size,
                    struct vios_error *error);
/* A member in pieces, together `size` bytes; zeroes for what is missing of them. */
int bundle_add_begin(struct bundle_writer *writer, const char *name, uint64_t size,
                     struct vios_error *error);
int bundle_add_data(struct bundle_writer *writer, const void *data, size_t size,
                    struct vios_error *error);
/* Syncs it and gives it its name. Frees the writer, also when it fails. */
int bundle_finish(struct bundle_writer *writer, struct vios_error *error);
/* Nothing is left of it. NULL is fine. */
void bundle_abandon(struct bundle_writer *writer);

/* --- reading --- */

struct bundle_reader;

struct bundle_member {
    char name[BUNDLE_NAME_SIZE];
    uint64_t size_bytes;
};

/* `fd` stays the caller's. VIOS_E_CORRUPT: it is no bundle. */
int bundle_open(struct bundle_reader **reader, int fd, struct vios_error *error);
/* The next member: 1; at the end 0. VIOS_E_CORRUPT: it is damaged, or has what no bundle has. */
int bundle_next(struct bundle_reader *reader, struct bundle_member *member,
                struct vios_error *error);
/* Bytes of the member; 0 at its end; or a negative status. */
ssize_t bundle_read(struct bundle_reader *reader, void *data, size_t size,
                    struct vios_error *error);
/* All of the member, with a NUL behind it; free() it. VIOS_E_NO_SPACE beyond `limit`. */
int bundle_take(struct bundle_reader *reader, const struct bundle_member *member, size_t limit,
                char **data, size_t *size, struct vios_error *error);
/* NULL is fine. */
void bundle_close(struct bundle_reader *reader);

/* SHA-256 of a file, as hex, and its size. */
int bundle_digest(int fd, char digest[BUNDLE_DIGEST_SIZE], uint64_t *size_bytes,
                  struct vios_error *error);

#endif
