/*
 * writer.c - see writer.h. The caller's thread fills blocks, the crew encodes them, the author
 * writes them one behind the other and notes them for the footer.
 */
#include "hibernation/writer.h"

#include "base/file.h"
#include "base/thread.h"
#include "hibernation/configuration.h"
#include "hibernation/crew.h"
#include "net/crypto.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define WRITEBACK_SIZE ((uint64_t)32 << 20) /* what is written is sent to the disk each time */

struct hibernation_writer {
    int fd, folder_fd;
    char name[NAME_MAX + 1], temporary[NAME_MAX + 1];
    char object[HIBERNATION_OBJECT_SIZE];
    struct hibernation_header header;
    struct hibernation_wire_header wire;
    struct hibernation_seal seal;
    struct hibernation_footer footer; /* the author's until it ended */
    struct crew *crew;
    pthread_t author;
    bool has_author;
    uint64_t written, sent_back; /* bytes of the file; the author's */
    _Atomic uint64_t plain_bytes, stored_bytes, blocks;

    struct crew_piece *filling; /* NULL: none yet */
    uint64_t next_index;
    enum hibernation_kind kind;
    bool spoiled; /* a call failed: bytes are missing */
};

/* --- the author --- */

static int cannot_write(struct hibernation_writer *writer, struct vios_error *error)
{
    int number = errno;
    if (number == EIO) {
        return error_set(error, VIOS_E_IO, writer->object, NULL,
                         "cannot be written: the device failed");
    }
    int status = error_set_errno(error, writer->object, "cannot be written");
    if (error && status == VIOS_E_NO_SPACE) {
        snprintf(error->hint, sizeof error->hint, "make room in the repository");
    }
    return status;
}

static int write_vector(struct hibernation_writer *writer, struct iovec *parts, int count,
                        struct vios_error *error)
{
    while (count > 0) {
        ssize_t done = writev(writer->fd, parts, count);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return cannot_write(writer, error);
        }
        writer->written += (uint64_t)done;
        while (count > 0 && (size_t)done >= parts->iov_len) {
            done -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (uint8_t *)parts->iov_base + done;
            parts->iov_len -= (size_t)done;
        }
    }
    return VIOS_OK;
}

/* So that the sync at the end finds little left to do. */
static void send_back(struct hibernation_writer *writer)
{
    if (writer->written - writer->sent_back >= WRITEBACK_SIZE) {
        sync_file_range(writer->fd, (off_t)writer->sent_back,
                        (off_t)(writer->written - writer->sent_back), SYNC_FILE_RANGE_WRITE);
        writer->sent_back = writer->written;
    }
}

static int write_piece(struct hibernation_writer *writer, const struct crew_piece *taken,
                       struct vios_error *error)
{
    const struct hibernation_piece *piece = &taken->piece;
    struct iovec parts[2] = {
        {piece->stored, sizeof(struct hibernation_wire_block)},
        {(void *)piece->body, piece->entry.stored_size},
    };
    if (taken->status < 0) {
        *error = taken->error;
        return taken->status;
    }
    int status = hibernation_footer_add(&writer->footer, &piece->entry, error);
    if (status == VIOS_OK) {
        status = write_vector(writer, parts, 2, error);
    }
    if (status == VIOS_OK) {
        writer->plain_bytes += piece->entry.plain_size;
        writer->stored_bytes = writer->written;
        writer->blocks++;
        send_back(writer);
    }
    return status;
}

static void *author(void *argument)
{
    struct hibernation_writer *writer = argument;
    struct vios_error error = {0};
    struct crew_piece *piece;
    while ((piece = crew_take(writer->crew))) {
        int status = write_piece(writer, piece, &error);
        if (status < 0) {
            crew_fail(writer->crew, status, &error);
            return NULL;
        }
        crew_release(writer->crew);
    }
    return NULL;
}

static int encode(void *context, struct hibernation_coder *coder, struct crew_piece *piece,
                  struct vios_error *error)
{
    (void)context;
    return hibernation_block_encode(coder, &piece->piece, error);
}

/* --- its life --- */

/* The failure gets the file as its object when it has none. */
static int failed(const struct hibernation_writer *writer, int status, struct vios_error *error)
{
    if (status < 0 && error && !error->object[0]) {
        snprintf(error->object, sizeof error->object, "%s", writer->object);
    }
    return status;
}

static void end_threads(struct hibernation_writer *writer)
{
    struct vios_error error;
    if (writer->has_author) {
        crew_fail(writer->crew, error_set(&error, VIOS_E_CANCELLED, NULL, NULL, "given up"),
                  &error);
        pthread_join(writer->author, NULL);
        writer->has_author = false;
    }
    crew_stop(writer->crew);
    writer->crew = NULL;
}

static void release(struct hibernation_writer *writer)
{
    end_threads(writer);
    if (writer->fd >= 0) {
        close(writer->fd);
    }
    hibernation_footer_clear(&writer->footer);
    hibernation_seal_forget(&writer->seal);
    free(writer);
}

void hibernation_writer_abandon(struct hibernation_writer *writer)
{
    if (!writer) {
        return;
    }
    end_threads(writer);
    if (writer->fd >= 0) {
        unlinkat(writer->folder_fd, writer->temporary, 0);
    }
    release(writer);
}

/* Everything that can be refused, before there is a file. */
static int prepare(struct hibernation_writer *writer, const struct hibernation_writing *writing,
                   struct vios_error *error)
{
    struct hibernation_configuration configuration;
    size_t size = strlen(writing->configuration), length = strlen(writing->name);
    hibernation_object(writing->header.name, writer->object);
    writer->header = writing->header;
    writer->header.key_id = writing->key->id;
    uuid_make(writer->header.file);
    writer->kind = HIBERNATION_STREAM;
    writer->folder_fd = writing->folder_fd;
    if (length == 0 || length > HIBERNATION_FILE_NAME_MAX || strchr(writing->name, '/')) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL, "cannot have the name %.100s",
                         writing->name);
    }
    snprintf(writer->name, sizeof writer->name, "%s", writing->name);
    snprintf(writer->temporary, sizeof writer->temporary, ".%s.%s" HIBERNATION_TEMPORARY_END,
             writing->name, writer->header.file);
    int status = hibernation_header_encode(&writer->header, &writer->wire, error);
    if (status == VIOS_OK) {
        status =
            hibernation_configuration_parse(writing->configuration, size, &configuration, error);
        hibernation_configuration_clear(&configuration);
    }
    if (status < 0) {
        return status;
    }
    writer->footer.configuration = strdup(writing->configuration);
    writer->footer.configuration_size = (uint32_t)size;
    return writer->footer.configuration
               ? hibernation_seal_make(&writer->seal, writing->key, writer->header.file, error)
               : error_no_memory(error, NULL);
}

static int create(struct hibernation_writer *writer, struct vios_error *error)
{
    struct iovec header = {&writer->wire, sizeof writer->wire};
    writer->fd =
        openat(writer->folder_fd, writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return writer->fd < 0 ? error_set_errno(error, writer->object, "cannot be made")
                          : write_vector(writer, &header, 1, error);
}

static int start_threads(struct hibernation_writer *writer, unsigned workers,
                         struct vios_error *error)
{
    struct crew_work work = {
        .run = encode, .seal = writer->header.encrypted ? &writer->seal : NULL, .workers = workers};
    int status = crew_start(&writer->crew, &work, error);
    if (status < 0) {
        return status;
    }
    writer->has_author = thread_start(&writer->author, "hib-author", author, writer) == 0;
    return writer->has_author
               ? VIOS_OK
               : error_set(error, VIOS_E_SYSTEM, NULL, NULL, "cannot start a thread");
}

int hibernation_writer_begin(struct hibernation_writer **writer,
                             const struct hibernation_writing *writing, struct vios_error *error)
{
    struct hibernation_writer *made = calloc(1, sizeof *made);
    *writer = NULL;
    if (!made) {
        return error_no_memory(error, writing->name);
    }
    made->fd = -1;
    int status = prepare(made, writing, error);
    if (status == VIOS_OK) {
        status = create(made, error);
    }
    if (status == VIOS_OK) {
        status = start_threads(made, writing->workers, error);
    }
    if (status < 0) {
        failed(made, status, error);
        hibernation_writer_abandon(made);
        return status;
    }
    *writer = made;
    return VIOS_OK;
}

/* --- bytes --- */

static void submit(struct hibernation_writer *writer)
{
    writer->filling = NULL;
    writer->next_index++;
    crew_submit(writer->crew);
}

/* A block of that kind with room in it. */
static int claim(struct hibernation_writer *writer, enum hibernation_kind kind,
                 struct operation *operation)
{
    if (kind != writer->kind) {
        if (kind != HIBERNATION_PAGES) {
            return operation_fail(operation, VIOS_E_USAGE, writer->object, NULL,
                                  "the stream comes before the pages");
        }
        if (writer->filling && writer->filling->piece.entry.plain_size > 0) {
            submit(writer);
        }
        writer->kind = kind;
    }
    if (writer->filling) {
        writer->filling->piece.entry.kind = (uint8_t)kind;
        return VIOS_OK;
    }
    int status = operation_check(operation);
    if (status < 0) {
        return failed(writer, status, &operation->error);
    }
    writer->filling = crew_claim(writer->crew);
    if (!writer->filling) {
        return failed(writer, crew_status(writer->crew, &operation->error), &operation->error);
    }
    struct hibernation_piece *piece = &writer->filling->piece;
    piece->index = writer->next_index;
    piece->entry = (struct hibernation_entry){.kind = (uint8_t)kind};
    return VIOS_OK;
}

/* That many more are in the block. */
static void filled(struct hibernation_writer *writer, size_t size)
{
    struct hibernation_entry *entry = &writer->filling->piece.entry;
    entry->plain_size += (uint32_t)size;
    if (entry->plain_size == HIBERNATION_BLOCK_SIZE) {
        submit(writer);
    }
}

int hibernation_writer_write(struct hibernation_writer *writer, enum hibernation_kind kind,
                             const void *data, size_t size, struct operation *operation)
{
    const uint8_t *at = data;
    int status = VIOS_OK;
    while (size > 0 && (status = claim(writer, kind, operation)) == VIOS_OK) {
        struct hibernation_piece *piece = &writer->filling->piece;
        size_t room = HIBERNATION_BLOCK_SIZE - piece->entry.plain_size;
        size_t part = size < room ? size : room;
        memcpy(piece->plain + piece->entry.plain_size, at, part);
        filled(writer, part);
        at += part;
        size -= part;
    }
    writer->spoiled |= status < 0;
    return status;
}

/* 0 at the end. */
static int drain_some(struct hibernation_writer *writer, int fd, struct operation *operation)
{
    struct hibernation_piece *piece = &writer->filling->piece;
    int status = operation_wait(operation, fd, POLLIN);
    if (status < 0) {
        return failed(writer, status, &operation->error);
    }
    ssize_t got = read(fd, piece->plain + piece->entry.plain_size,
                       HIBERNATION_BLOCK_SIZE - piece->entry.plain_size);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
        return 1;
    }
    if (got < 0) {
        return error_set_errno(&operation->error, writer->object, "cannot read what it is made of");
    }
    if (got > 0) {
        filled(writer, (size_t)got);
    }
    return got > 0;
}

int hibernation_writer_drain(struct hibernation_writer *writer, enum hibernation_kind kind, int fd,
                             struct operation *operation)
{
    int status;
    do {
        status = claim(writer, kind, operation);
        if (status == VIOS_OK) {
            status = drain_some(writer, fd, operation);
        }
    } while (status > 0);
    writer->spoiled |= status < 0;
    return status;
}

void hibernation_writer_progress(const struct hibernation_writer *writer,
                                 struct hibernation_progress *progress)
{
    *progress = (struct hibernation_progress){
        .plain_bytes = atomic_load(&writer->plain_bytes),
        .stored_bytes = atomic_load(&writer->stored_bytes),
        .blocks = atomic_load(&writer->blocks),
    };
}

const struct hibernation_header *hibernation_writer_header(const struct hibernation_writer *writer)
{
    return &writer->header;
}

/* --- the end --- */

static int write_blocks(struct hibernation_writer *writer, struct vios_error *error)
{
    if (writer->spoiled) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL, "bytes of it are missing");
    }
    if (writer->filling && writer->filling->piece.entry.plain_size > 0) {
        submit(writer);
    }
    crew_close(writer->crew);
    pthread_join(writer->author, NULL);
    writer->has_author = false;
    return crew_status(writer->crew, error);
}

static int write_footer(struct hibernation_writer *writer, struct vios_error *error)
{
    struct hibernation_wire_trailer trailer = {0};
    uint8_t *footer;
    size_t size;
    int status = hibernation_footer_encode(&writer->footer, &footer, &size, error);
    if (status < 0) {
        return status;
    }
    trailer.footer_size = htole64(size);
    trailer.file_size = htole64(writer->written + size + sizeof trailer);
    memcpy(trailer.magic, HIBERNATION_TRAILER_MAGIC, sizeof trailer.magic);
    status = crypto_digest(footer, size, "", 0, trailer.footer_digest, error);
    if (status == VIOS_OK) {
        status =
            hibernation_seal_compute(&writer->seal, &writer->wire, &trailer, trailer.seal, error);
    }
    if (status == VIOS_OK) {
        struct iovec parts[2] = {{footer, size}, {&trailer, sizeof trailer}};
        status = write_vector(writer, parts, 2, error);
    }
    free(footer);
    return status;
}

/* From here on it is there, or it is not: a name without a synced folder is taken back. */
static int publish(struct hibernation_writer *writer, struct vios_error *error)
{
    if (fsync(writer->fd) != 0) {
        return cannot_write(writer, error);
    }
    if (renameat(writer->folder_fd, writer->temporary, writer->folder_fd, writer->name) != 0) {
        return error_set_errno(error, writer->object, "cannot be given its name");
    }
    if (fsync(writer->folder_fd) != 0) {
        int status = error_set_errno(error, writer->object, "its folder cannot be synced");
        unlinkat(writer->folder_fd, writer->name, 0);
        return status;
    }
    return VIOS_OK;
}

int hibernation_writer_finish(struct hibernation_writer *writer, uint64_t *size_bytes,
                              struct operation *operation)
{
    struct vios_error *error = &operation->error;
    int status = write_blocks(writer, error);
    if (status == VIOS_OK) {
        status = write_footer(writer, error);
    }
    if (status == VIOS_OK) {
        status = operation_check(operation);
    }
    if (status == VIOS_OK) {
        status = publish(writer, error);
    }
    if (status < 0) {
        failed(writer, status, error);
        hibernation_writer_abandon(writer);
        return status;
    }
    if (size_bytes) {
        *size_bytes = writer->written;
    }
    release(writer);
    return VIOS_OK;
}
