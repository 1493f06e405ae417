/*
 * sparse_copy.h - copies of files with holes: with several threads, and with the digests of their
 * chunks made on the way.
 */
#ifndef STORAGE_SPARSE_COPY_H
#define STORAGE_SPARSE_COPY_H

#include "storage/chunks.h"

#define SPARSE_BLOCK_SIZE 4096                         /* zeroes of that size become a hole */
#define COPY_JOURNAL_EVERY_BYTES ((uint64_t)256 << 20) /* of data, between two syncs */
#define COPY_JOURNAL_EVERY_MS 5000

/*
 * Copies the first `size_bytes` of the regular file or device `from` into the regular file `to`
 * (open for writing), whose content is lost. Only data is read, as far as the file system knows its
 * holes, and blocks of zeroes are not written. Afterwards `to` has `size_bytes` and is synced. Both
 * files' offsets are moved.
 *
 * `chunks` may be NULL; otherwise it is made (chunks_clear() it), and empty after a failure.
 * `progress` may be NULL. VIOS_E_NO_SPACE says how many bytes are missing; VIOS_E_INVALID when
 * `from` is smaller; what was written of `to` is left, for the caller to remove.
 */
int sparse_copy(int from, int to, uint64_t size_bytes, struct chunks *chunks,
                const struct copy_progress *progress, struct operation *operation);

/* Where a copy notes what is durable. */
struct copy_journal {
    int folder_fd;        /* of the journal */
    const char *name;     /* its file; the caller removes it when the copy is used */
    uint64_t source_tag;  /* differs when the source does: made of its size, mtime, inode */
    uint64_t every_bytes; /* of data between two syncs; 0: COPY_JOURNAL_EVERY_BYTES */
    uint64_t kept_bytes;  /* told: how much was taken from an earlier copy, holes not counted */
};

/*
 * The same, but what an earlier call wrote before it was killed is not copied again: if `to` still
 * has `size_bytes`, and the journal is of the same source and size, chunks that it lists are
 * neither read nor written. The name of `to` must be durable before the first call. A second call
 * after one that succeeded copies nothing.
 */
int sparse_copy_resume(int from, int to, uint64_t size_bytes, struct chunks *chunks,
                       struct copy_journal *journal, const struct copy_progress *progress,
                       struct operation *operation);

/* The source tag of an open file. */
int sparse_copy_tag(int fd, uint64_t *tag, struct vios_error *error);

/* Makes `to` a clone of `from` that shares its blocks, synced. VIOS_E_INVALID where the file system
 * cannot, or the two are on different ones: copy then. */
int sparse_clone(int from, int to, struct vios_error *error);

#endif
