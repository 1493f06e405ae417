/*
 * writer.h - writes a hibernation file (file_format.h): bytes go in in any pieces, are cut into
 * blocks, compressed by several threads, and written in order by one more. Until it is finished the
 * file has another name, and nobody reads it; what fails, or is given up, leaves nothing.
 *
 * One thread calls; hibernation_writer_progress() is for any. A cancel or deadline is seen with
 * each block, and while more bytes are awaited; not while the disk takes what it was given. A
 * process that writes files that may become too large ignores SIGXFSZ.
 */
#ifndef HIBERNATION_WRITER_H
#define HIBERNATION_WRITER_H

#include "base/operation.h"
#include "hibernation/header.h"
#include "hibernation/seal.h"

/* Of the temporary name: ".<name>.<uuid of the file>.tmp". What a daemon that died has left is
 * known by it. */
#define HIBERNATION_TEMPORARY_END ".tmp"
#define HIBERNATION_FILE_NAME_MAX 200

struct hibernation_writer;

struct hibernation_writing {
    int folder_fd;    /* stays the caller's, and open */
    const char *name; /* of the file when it is finished; another of that name is replaced */
    struct hibernation_header header; /* `file` and `key_id` are filled in */
    const char *configuration;        /* see configuration.h */
    const struct hibernation_key
        *key;         /* to seal it with, and to encrypt it if the header says so */
    unsigned workers; /* that compress; 0: as many as there are processors */
};

struct hibernation_progress {
    uint64_t plain_bytes;  /* written, or delivered, so far */
    uint64_t stored_bytes; /* that they take in the file */
    uint64_t blocks;
};

/* Begins one. Nothing of `writing` is needed afterwards but the folder. VIOS_E_INVALID for what no
 * reader would take. */
int hibernation_writer_begin(struct hibernation_writer **writer,
                             const struct hibernation_writing *writing, struct vios_error *error);

/* More bytes of that kind; pages follow the stream. After a failure it can only be abandoned: bytes
 * are missing, and it cannot be finished. */
int hibernation_writer_write(struct hibernation_writer *writer, enum hibernation_kind kind,
                             const void *data, size_t size, struct operation *operation);

/* All that can be read from `fd`, a pipe, socket or file, until its end. */
int hibernation_writer_drain(struct hibernation_writer *writer, enum hibernation_kind kind, int fd,
                             struct operation *operation);

/* Any thread's. */
void hibernation_writer_progress(const struct hibernation_writer *writer,
                                 struct hibernation_progress *progress);

/* The header as it is written: with the uuid of the file. */
const struct hibernation_header *hibernation_writer_header(const struct hibernation_writer *writer);

/*
 * Writes the rest, syncs the file, gives it its name and syncs the folder. Frees the writer, also
 * when it fails; then nothing is under that name. `size_bytes`, of the file, may be NULL.
 */
int hibernation_writer_finish(struct hibernation_writer *writer, uint64_t *size_bytes,
                              struct operation *operation);

/* Nothing is left of it. NULL is fine. */
void hibernation_writer_abandon(struct hibernation_writer *writer);

#endif
