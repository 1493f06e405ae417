/*
 * reader.h - reads a hibernation file (file_format.h) that may be anything. To open it is to
 * validate its header, trailer and footer wholly, and that it is the expected one; each block is
 * checked before anything of it is delivered. What is refused is refused with the reason:
 *
 *     hibernation of "web1": block 17 of 900 is damaged (its digest differs)
 *     hibernation of "web1": is of generation 4, the LPAR is at 6
 *     hibernation of "web1": ends in block 12: it was cut short
 *
 * Memory: the footer's entries, 44 bytes for each MiB of the guest (HIBERNATION_BLOCKS_MAX bounds
 * them), and a few blocks for each thread.
 *
 * One thread calls; hibernation_reader_progress() is for any. A cancel or deadline is seen with
 * each block, and while a pipe takes no more.
 */
#ifndef HIBERNATION_READER_H
#define HIBERNATION_READER_H

#include "base/operation.h"
#include "hibernation/header.h"
#include "hibernation/seal.h"
#include "hibernation/writer.h"

struct hibernation_reader;

struct hibernation_reading {
    int folder_fd; /* needed to open only */
    const char *name;
    const struct hibernation_expected *expected; /* NULL: whatever it is of, to show it */
    const struct hibernation_key *keys;          /* those of the cluster */
    size_t key_count; /* 0: the seal is not looked at, and nothing is delivered (to find damage) */
    unsigned workers; /* 0: as many as there are processors */
};

/* Nothing of `reading` is needed afterwards. VIOS_E_NOT_FOUND, VIOS_E_CORRUPT, VIOS_E_STALE (of
 * another generation), VIOS_E_INVALID (of another cluster, LPAR, key, ...). */
int hibernation_reader_open(struct hibernation_reader **reader,
                            const struct hibernation_reading *reading, struct vios_error *error);

/* NULL is fine. */
void hibernation_reader_close(struct hibernation_reader *reader);

const struct hibernation_header *hibernation_reader_header(const struct hibernation_reader *reader);

/* The configuration, as configuration.h has it; the reader's. */
const char *hibernation_reader_configuration(const struct hibernation_reader *reader);

struct hibernation_sizes {
    uint64_t stream_bytes, pages_bytes; /* plain */
    uint64_t stored_bytes;              /* of the file */
    uint64_t blocks;
};

void hibernation_reader_sizes(const struct hibernation_reader *reader,
                              struct hibernation_sizes *sizes);

/* Reads every block and checks it, down to its plain bytes if the key is there. */
int hibernation_reader_verify(struct hibernation_reader *reader, struct operation *operation);

/* Gets the plain bytes in order, a block at a time, on the caller's thread. */
typedef int hibernation_sink(void *context, const void *data, size_t size,
                             struct operation *operation);

/* Delivers all of a kind. VIOS_E_DENIED without a key. A failure of the sink ends it. */
int hibernation_reader_stream(struct hibernation_reader *reader, enum hibernation_kind kind,
                              hibernation_sink *sink, void *context, struct operation *operation);

/* The same into a pipe, socket or file. A pipe or socket is made non-blocking meanwhile, so that a
 * reader who hangs can be given up; SIGPIPE is ignored in a process that calls this. */
int hibernation_reader_stream_to(struct hibernation_reader *reader, enum hibernation_kind kind,
                                 int fd, struct operation *operation);

/* Of the verify or stream that is on its way, or the last one. Any thread's. */
void hibernation_reader_progress(const struct hibernation_reader *reader,
                                 struct hibernation_progress *progress);

#endif
