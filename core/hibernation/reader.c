/* reader.c - see reader.h. */
#include "hibernation/reader.h"

#include "hibernation/crew.h"
#include "hibernation/damage.h"
#include "net/crypto.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_SIZE sizeof(struct hibernation_wire_header)
#define TRAILER_SIZE sizeof(struct hibernation_wire_trailer)
#define HEAD_SIZE sizeof(struct hibernation_wire_block)

struct hibernation_reader {
    int fd;
    unsigned workers;
    uint64_t size; /* of the file */
    char object[HIBERNATION_OBJECT_SIZE];
    struct hibernation_header header;
    struct hibernation_wire_header wire;
    struct hibernation_wire_trailer trailer; /* as in the file */
    struct hibernation_seal seal;
    bool sealed; /* there is a key, and the seal is right */
    struct hibernation_footer footer;
    _Atomic uint64_t plain_bytes, stored_bytes, blocks;
};

/* --- opening --- */

/* 1: all was read, 0: the file ends before; or -1 with errno. */
static int read_at(int fd, void *data, size_t size, uint64_t offset)
{
    uint8_t *at = data;
    while (size > 0) {
        ssize_t got = pread(fd, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return (int)got;
        }
        at += got;
        size -= (size_t)got;
        offset += (uint64_t)got;
    }
    return 1;
}

static int need(struct hibernation_reader *reader, void *data, size_t size, uint64_t offset,
                struct vios_error *error)
{
    int got = read_at(reader->fd, data, size, offset);
    return got > 0   ? VIOS_OK
           : got < 0 ? error_set_errno(error, NULL, "cannot be read")
                     : error_set(error, VIOS_E_CORRUPT, NULL, NULL, "becomes shorter");
}

static int open_file(struct hibernation_reader *reader, const struct hibernation_reading *reading,
                     struct vios_error *error)
{
    struct stat status;
    reader->fd =
        openat(reading->folder_fd, reading->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (reader->fd < 0 || fstat(reader->fd, &status) != 0) {
        return error_set_errno(error, NULL, "cannot be opened");
    }
    if (!S_ISREG(status.st_mode)) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL, "is no plain file");
    }
    reader->size = (uint64_t)status.st_size;
    return VIOS_OK;
}

/* The key that the header names; when there are none, nothing is sealed for us. */
static int find_key(struct hibernation_reader *reader, const struct hibernation_reading *reading,
                    struct vios_error *error)
{
    for (size_t i = 0; i < reading->key_count; i++) {
        if (reading->keys[i].id == reader->header.key_id) {
            reader->sealed = true;
            return hibernation_seal_make(&reader->seal, &reading->keys[i], reader->header.file,
                                         error);
        }
    }
    return reading->key_count == 0
               ? VIOS_OK
               : error_set(error, VIOS_E_INVALID, NULL, NULL,
                           "is sealed with key %u, which the cluster does not have",
                           (unsigned)reader->header.key_id);
}

static int read_header(struct hibernation_reader *reader, const struct hibernation_reading *reading,
                       struct vios_error *error)
{
    if (reader->size < HEADER_SIZE) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "ends in its header: it was cut short");
    }
    int status = need(reader, &reader->wire, HEADER_SIZE, 0, error);
    if (status == VIOS_OK) {
        status = hibernation_header_parse(&reader->wire, &reader->header, error);
    }
    if (status == VIOS_OK) {
        if (!reading->expected) {
            hibernation_object(reader->header.name, reader->object);
            return find_key(reader, reading, error);
        }
        status = hibernation_header_check_cluster(&reader->header, reading->expected, error);
    }
    return status < 0 ? status : find_key(reader, reading, error);
}

static int read_trailer(struct hibernation_reader *reader, struct vios_error *error)
{
    struct hibernation_wire_trailer *trailer = &reader->trailer;
    uint64_t least = HEADER_SIZE + sizeof(struct hibernation_wire_footer) + TRAILER_SIZE;
    if (reader->size < least) {
        return hibernation_damage_explain(reader->fd, reader->size, error);
    }
    int status = need(reader, trailer, TRAILER_SIZE, reader->size - TRAILER_SIZE, error);
    if (status < 0) {
        return status;
    }
    uint64_t footer = le64toh(trailer->footer_size);
    if (memcmp(trailer->magic, HIBERNATION_TRAILER_MAGIC, sizeof trailer->magic) != 0 ||
        le64toh(trailer->file_size) != reader->size || footer > HIBERNATION_FOOTER_MAX ||
        footer > reader->size - HEADER_SIZE - TRAILER_SIZE) {
        return hibernation_damage_explain(reader->fd, reader->size, error);
    }
    if (reader->sealed && !hibernation_seal_fits(&reader->seal, &reader->wire, trailer)) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL,
                         "its seal is wrong: it was changed, or another cluster's key sealed it");
    }
    return VIOS_OK;
}

static int parse_footer(struct hibernation_reader *reader, const uint8_t *data, size_t size,
                        struct vios_error *error)
{
    uint8_t digest[HIBERNATION_DIGEST_SIZE];
    int status = crypto_digest(data, size, "", 0, digest, error);
    if (status < 0) {
        return status;
    }
    if (memcmp(digest, reader->trailer.footer_digest, sizeof digest) != 0) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL,
                         "its footer is damaged (its digest differs)");
    }
    status = hibernation_footer_parse(data, size, reader->header.encrypted, &reader->footer, error);
    if (status == VIOS_OK &&
        reader->footer.stored_size != reader->size - HEADER_SIZE - TRAILER_SIZE - size) {
        status = error_set(error, VIOS_E_CORRUPT, NULL, NULL,
                           "its footer is wrong: the blocks have another size");
    }
    return status;
}

static int read_footer(struct hibernation_reader *reader, struct vios_error *error)
{
    size_t size = (size_t)le64toh(reader->trailer.footer_size);
    uint8_t *data = malloc(size ? size : 1);
    int status = data ? need(reader, data, size, reader->size - TRAILER_SIZE - size, error)
                      : error_no_memory(error, NULL);
    if (status == VIOS_OK) {
        status = parse_footer(reader, data, size, error);
    }
    free(data);
    return status;
}

static int open_all(struct hibernation_reader *reader, const struct hibernation_reading *reading,
                    struct vios_error *error)
{
    int status = open_file(reader, reading, error);
    if (status == VIOS_OK) {
        status = read_header(reader, reading, error);
    }
    if (status == VIOS_OK) {
        status = read_trailer(reader, error);
    }
    if (status == VIOS_OK) {
        status = read_footer(reader, error);
    }
    return status == VIOS_OK && reading->expected
               ? hibernation_header_check(&reader->header, reading->expected, error)
               : status;
}

int hibernation_reader_open(struct hibernation_reader **reader,
                            const struct hibernation_reading *reading, struct vios_error *error)
{
    struct vios_error own = {0};
    struct hibernation_reader *made = calloc(1, sizeof *made);
    *reader = NULL;
    if (!made) {
        return error_no_memory(error, reading->name);
    }
    made->fd = -1;
    made->workers = reading->workers;
    hibernation_object(reading->expected ? reading->expected->name : reading->name, made->object);
    int status = open_all(made, reading, &own);
    if (status < 0) {
        snprintf(own.object, sizeof own.object, "%s", made->object);
        if (error) {
            *error = own;
        }
        hibernation_reader_close(made);
        return status;
    }
    *reader = made;
    return VIOS_OK;
}

void hibernation_reader_close(struct hibernation_reader *reader)
{
    if (reader) {
        if (reader->fd >= 0) {
            close(reader->fd);
        }
        hibernation_seal_forget(&reader->seal);
        hibernation_footer_clear(&reader->footer);
        free(reader);
    }
}

/* --- what it is --- */

const struct hibernation_header *hibernation_reader_header(const struct hibernation_reader *reader)
{
    return &reader->header;
}

const char *hibernation_reader_configuration(const struct hibernation_reader *reader)
{
    return reader->footer.configuration;
}

void hibernation_reader_sizes(const struct hibernation_reader *reader,
                              struct hibernation_sizes *sizes)
{
    *sizes = (struct hibernation_sizes){.stream_bytes = reader->footer.stream_size,
                                        .pages_bytes = reader->footer.pages_size,
                                        .stored_bytes = reader->size,
                                        .blocks = reader->footer.count};
}

void hibernation_reader_progress(const struct hibernation_reader *reader,
                                 struct hibernation_progress *progress)
{
    *progress = (struct hibernation_progress){
        .plain_bytes = atomic_load(&reader->plain_bytes),
        .stored_bytes = atomic_load(&reader->stored_bytes),
        .blocks = atomic_load(&reader->blocks),
    };
}

/* --- blocks --- */

/* A run over blocks: from `next`, which lies at `offset`, to before `end`. */
struct run {
    struct hibernation_reader *reader;
    struct crew *crew;
    uint64_t next, end, offset;
    hibernation_sink *sink; /* NULL: they are only checked */
    void *context;
};

/* On a thread of the crew. */
static int decode(void *context, struct hibernation_coder *coder, struct crew_piece *piece,
                  struct vios_error *error)
{
    struct hibernation_reader *reader = context;
    size_t size = HEAD_SIZE + piece->piece.entry.stored_size;
    int got = read_at(reader->fd, piece->piece.stored, size, piece->offset);
    if (got < 0) {
        return errno == EIO ? error_set(error, VIOS_E_IO, NULL, NULL, "the device failed")
                            : error_set_errno(error, NULL, "cannot be read");
    }
    if (got == 0) {
        piece->wrong = "the file ends in it";
        return VIOS_OK;
    }
    return hibernation_block_decode(coder, reader->header.encrypted, &piece->piece, &piece->wrong,
                                    error);
}

/* Keeps the threads busy. */
static void submit(struct run *run)
{
    while (run->next < run->end && crew_has_free(run->crew)) {
        struct crew_piece *piece = crew_claim(run->crew);
        if (!piece) {
            return;
        }
        piece->piece.index = run->next;
        piece->piece.entry = run->reader->footer.entries[run->next];
        piece->offset = run->offset;
        run->offset += HEAD_SIZE + piece->piece.entry.stored_size;
        run->next++;
        crew_submit(run->crew);
    }
}

static int accept_piece(struct run *run, const struct crew_piece *taken,
                        struct operation *operation)
{
    struct hibernation_reader *reader = run->reader;
    const struct hibernation_piece *piece = &taken->piece;
    unsigned long long number = piece->index + 1, count = reader->footer.count;
    if (taken->status < 0) {
        return operation_fail(operation, taken->status, reader->object, NULL,
                              "block %llu of %llu: %s", number, count, taken->error.message);
    }
    if (taken->wrong) {
        return operation_fail(operation, VIOS_E_CORRUPT, reader->object, NULL,
                              "block %llu of %llu is damaged (%s)", number, count, taken->wrong);
    }
    int status = run->sink
                     ? run->sink(run->context, piece->body, piece->entry.plain_size, operation)
                     : VIOS_OK;
    if (status == VIOS_OK) {
        reader->plain_bytes += piece->entry.plain_size;
        reader->stored_bytes += HEAD_SIZE + piece->entry.stored_size;
        reader->blocks++;
    }
    return status;
}

static int run_blocks(struct run *run, struct operation *operation)
{
    struct hibernation_reader *reader = run->reader;
    bool decrypts = reader->header.encrypted && reader->sealed;
    struct crew_work work = {.run = decode,
                             .context = reader,
                             .seal = decrypts ? &reader->seal : NULL,
                             .workers = reader->workers};
    reader->plain_bytes = reader->stored_bytes = reader->blocks = 0;
    int status = crew_start(&run->crew, &work, &operation->error);
    for (uint64_t left = run->end - run->next; status == VIOS_OK && left > 0; left--) {
        submit(run);
        struct crew_piece *piece = crew_take(run->crew);
        status = operation_check(operation);
        if (status == VIOS_OK) {
            status = accept_piece(run, piece, operation);
        }
        crew_release(run->crew);
    }
    crew_stop(run->crew);
    if (status < 0 && !operation->error.object[0]) {
        snprintf(operation->error.object, sizeof operation->error.object, "%s", reader->object);
    }
    return status;
}

int hibernation_reader_verify(struct hibernation_reader *reader, struct operation *operation)
{
    struct run run = {.reader = reader, .end = reader->footer.count, .offset = HEADER_SIZE};
    return run_blocks(&run, operation);
}

int hibernation_reader_stream(struct hibernation_reader *reader, enum hibernation_kind kind,
                              hibernation_sink *sink, void *context, struct operation *operation)
{
    const struct hibernation_footer *footer = &reader->footer;
    struct run run = {.reader = reader, .offset = HEADER_SIZE, .sink = sink, .context = context};
    if (!reader->sealed) {
        return operation_fail(operation, VIOS_E_DENIED, reader->object, NULL,
                              "its seal was not checked: there is no key");
    }
    while (run.next < footer->count && footer->entries[run.next].kind < kind) {
        run.offset += HEAD_SIZE + footer->entries[run.next++].stored_size;
    }
    run.end = run.next;
    while (run.end < footer->count && footer->entries[run.end].kind == kind) {
        run.end++;
    }
    return run_blocks(&run, operation);
}

static int sink_to_fd(void *context, const void *data, size_t size, struct operation *operation)
{
    int fd = *(const int *)context;
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t done = write(fd, at, size);
        if (done < 0 && errno == EAGAIN) {
            int status = operation_wait(operation, fd, POLLOUT);
            if (status < 0) {
                return status;
            }
        } else if (done < 0 && errno != EINTR) {
            return error_set_errno(&operation->error, NULL, "cannot be delivered");
        }
        at += done > 0 ? done : 0;
        size -= done > 0 ? (size_t)done : 0;
    }
    return VIOS_OK;
}

int hibernation_reader_stream_to(struct hibernation_reader *reader, enum hibernation_kind kind,
                                 int fd, struct operation *operation)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return error_set_errno(&operation->error, reader->object, "cannot be delivered");
    }
    int status = hibernation_reader_stream(reader, kind, sink_to_fd, &fd, operation);
    fcntl(fd, F_SETFL, flags);
    return status;
}
