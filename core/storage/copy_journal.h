/*
 * copy_journal.h - which chunks of a copy are durable, so that a copy that was killed goes on.
 *
 * A file that grows: a header that says of what it is, then batches, each written after the copy's
 * data was synced. All numbers are little endian.
 *
 *     header: 8 bytes "viosjrn1", 8 source tag, 8 size of the copy, 8 CHUNK_SIZE,
 *             32 SHA-256 of those
 *     batch:  8 bytes count, 32 SHA-256 of the count and of the records behind it,
 *             count * (8 index of the chunk, 32 its digest)
 *
 * What is torn at the end, or anything else that does not fit, counts as not written.
 */
#ifndef STORAGE_COPY_JOURNAL_H
#define STORAGE_COPY_JOURNAL_H

#include "storage/chunks.h"

#include <stdbool.h>

#define COPY_JOURNAL_BATCH_MAX 65536 /* records */

/*
 * Takes what journal bytes say of this source and size into `chunks` and sets the bytes of
 * `durable` (one for each chunk). Returns how many bytes of it are good: 0 when it is of something
 * else.
 */
size_t copy_journal_parse(const void *data, size_t size, uint64_t source_tag, struct chunks *chunks,
                          uint8_t *durable);

/*
 * Opens the journal for appending, as `*fd`: an old one that fits is parsed and cut behind its good
 * part if `keep`; otherwise it starts anew. The name is durable on return.
 */
int copy_journal_open(int folder_fd, const char *name, uint64_t source_tag, bool keep,
                      struct chunks *chunks, uint8_t *durable, int *fd, struct vios_error *error);

/* Appends the digests of these chunks (at most COPY_JOURNAL_BATCH_MAX), whose data is synced. */
int copy_journal_append(int fd, const struct chunks *chunks, const uint64_t *indices, size_t count,
                        struct vios_error *error);

#endif
