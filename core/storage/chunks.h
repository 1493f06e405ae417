/*
 * chunks.h - the digest of a file by chunks of 1 MiB: what an image is checked against when it is
 * deployed, and where in a file it went bad.
 *
 * The digest of a chunk is its SHA-256; that of a chunk that is all zero is 32 zero bytes. So a
 * hole need not be read, and a file has the same digests wherever its holes are. The last chunk may
 * be short. The digests lie in a file of their own:
 *
 *     8 bytes  "vioschk1"
 *     8 bytes  size of the file that they are of   (little endian, as all numbers here)
 *     8 bytes  CHUNK_SIZE
 *     32 bytes for each chunk
 *     32 bytes SHA-256 of all that, which is also the digest of the whole
 */
#ifndef STORAGE_CHUNKS_H
#define STORAGE_CHUNKS_H

#include "base/operation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_SIZE ((uint64_t)1 << 20)
#define CHUNK_DIGEST_SIZE 32
#define CHUNKS_SIZE_MAX ((uint64_t)1 << 44) /* of the file: 16 TiB, half a GiB of digests */
#define CHUNKS_TEXT_SIZE 65                 /* a digest as lower-case hex, with its NUL */

struct chunks {
    uint64_t size_bytes; /* of the file */
    size_t count;        /* of chunks */
    uint8_t *digests;    /* count * CHUNK_DIGEST_SIZE bytes */
};

/* How far a long call is; told now and then, always on the thread that made the call. */
struct copy_progress {
    void (*told)(void *context, uint64_t done_bytes, uint64_t total_bytes); /* may be NULL */
    void *context;
};

/* Those of a file that is one hole. VIOS_E_INVALID beyond CHUNKS_SIZE_MAX. */
int chunks_make(struct chunks *chunks, uint64_t size_bytes, struct vios_error *error);

/* Frees the digests; a zeroed struct is fine. */
void chunks_clear(struct chunks *chunks);

/* Whether all of it is zero; of nothing, all is. */
bool chunk_is_zero(const void *data, size_t size);

/* The digest of one chunk. */
int chunk_digest(const void *data, size_t size, uint8_t digest[CHUNK_DIGEST_SIZE],
                 struct vios_error *error);

/* The digest of the whole, of its size and its content alone. */
void chunks_digest(const struct chunks *chunks, char hex[CHUNKS_TEXT_SIZE]);

/* Writes them into a file of the folder, durably, in place of another of that name. */
int chunks_save(int folder_fd, const char *name, const struct chunks *chunks,
                struct vios_error *error);

/* Reads such a file; chunks_clear() them. VIOS_E_CORRUPT names what does not fit. */
int chunks_load(int folder_fd, const char *name, struct chunks *chunks, struct vios_error *error);

/* The same of what was read already. */
int chunks_parse(const void *data, size_t size, const char *name, struct chunks *chunks,
                 struct vios_error *error);

/* Those of a file that is there; chunks_clear() them, empty after a failure. It moves the file's
 * offset. `progress` may be NULL. */
int chunks_of(int fd, uint64_t size_bytes, struct chunks *chunks,
              const struct copy_progress *progress, struct operation *operation);

/*
 * Reads the file (not its holes) with several threads, and compares. VIOS_E_CORRUPT names the file
 * and the offset of the chunk, or its size if that is another. It moves the file's
 * offset. `progress` may be NULL.
 */
int chunks_verify(int fd, const char *name, const struct chunks *chunks,
                  const struct copy_progress *progress, struct operation *operation);

#endif
