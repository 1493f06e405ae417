/* copy_journal.c - see copy_journal.h. */
#include "storage/copy_journal.h"

#include "base/file.h"
#include "net/crypto.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "viosjrn1"
#define HEADER_BODY 32
#define HEADER_SIZE (HEADER_BODY + CHUNK_DIGEST_SIZE)
#define BATCH_HEADER (8 + CHUNK_DIGEST_SIZE)
#define RECORD_SIZE (8 + CHUNK_DIGEST_SIZE)
/* Each chunk once, and a batch header for each at the worst. */
#define JOURNAL_SIZE_MAX (HEADER_SIZE + CHUNKS_SIZE_MAX / CHUNK_SIZE * (RECORD_SIZE + BATCH_HEADER))

static void put_number(uint8_t *at, uint64_t number)
{
    number = htole64(number);
    memcpy(at, &number, 8);
}

static uint64_t number_at(const uint8_t *at)
{
    uint64_t number;
    memcpy(&number, at, 8);
    return le64toh(number);
}

static void digest_of(const void *one, size_t one_size, const void *two, size_t two_size,
                      uint8_t digest[CHUNK_DIGEST_SIZE])
{
    int status = crypto_digest(one, one_size, two, two_size, digest, NULL);
    assert(status == VIOS_OK);
    (void)status;
}

static void put_header(uint8_t header[HEADER_SIZE], uint64_t source_tag, uint64_t size_bytes)
{
    memcpy(header, MAGIC, 8);
    put_number(header + 8, source_tag);
    put_number(header + 16, size_bytes);
    put_number(header + 24, CHUNK_SIZE);
    digest_of(header, HEADER_BODY, "", 0, header + HEADER_BODY);
}

/* The size of the batch that these bytes begin with; 0 when it is not whole. */
static size_t batch_size(const uint8_t *at, size_t left, const struct chunks *chunks)
{
    uint8_t digest[CHUNK_DIGEST_SIZE];
    if (left < BATCH_HEADER) {
        return 0;
    }
    uint64_t count = number_at(at);
    if (count > COPY_JOURNAL_BATCH_MAX || (left - BATCH_HEADER) / RECORD_SIZE < count) {
        return 0;
    }
    size_t records = (size_t)count * RECORD_SIZE;
    digest_of(at, 8, at + BATCH_HEADER, records, digest);
    if (memcmp(digest, at + 8, sizeof digest) != 0) {
        return 0;
    }
    for (size_t i = 0; i < records; i += RECORD_SIZE) {
        if (number_at(at + BATCH_HEADER + i) >= chunks->count) {
            return 0;
        }
    }
    return BATCH_HEADER + records;
}

size_t copy_journal_parse(const void *data, size_t size, uint64_t source_tag, struct chunks *chunks,
                          uint8_t *durable)
{
    const uint8_t *bytes = data;
    uint8_t header[HEADER_SIZE];
    put_header(header, source_tag, chunks->size_bytes);
    if (size < HEADER_SIZE || memcmp(bytes, header, HEADER_SIZE) != 0) {
        return 0;
    }
    size_t at = HEADER_SIZE, batch;
    while ((batch = batch_size(bytes + at, size - at, chunks)) > 0) {
        for (size_t i = at + BATCH_HEADER; i < at + batch; i += RECORD_SIZE) {
            uint64_t index = number_at(bytes + i);
            durable[index] = 1;
            memcpy(chunks->digests + index * CHUNK_DIGEST_SIZE, bytes + i + 8, CHUNK_DIGEST_SIZE);
        }
        at += batch;
    }
    return at;
}

/* How much of the old journal is good; 0 when there is none. */
static int read_old(int folder_fd, const char *name, uint64_t source_tag, struct chunks *chunks,
                    uint8_t *durable, size_t *good, struct vios_error *error)
{
    char *data;
    size_t size;
    *good = 0;
    int status = file_read(folder_fd, name, JOURNAL_SIZE_MAX, &data, &size, error);
    if (status == VIOS_OK) {
        *good = copy_journal_parse(data, size, source_tag, chunks, durable);
        free(data);
    }
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

int copy_journal_open(int folder_fd, const char *name, uint64_t source_tag, bool keep,
                      struct chunks *chunks, uint8_t *durable, int *fd, struct vios_error *error)
{
    uint8_t header[HEADER_SIZE];
    size_t good = 0;
    int status = keep ? read_old(folder_fd, name, source_tag, chunks, durable, &good, error) : 0;
    if (status == VIOS_OK && good == 0) {
        put_header(header, source_tag, chunks->size_bytes);
        good = sizeof header;
        status = file_replace(folder_fd, name, header, sizeof header, 0600, error);
    }
    if (status < 0) {
        return status;
    }
    *fd = openat(folder_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0) {
        return error_set_errno(error, name, "cannot open the journal");
    }
    if (ftruncate(*fd, (off_t)good) != 0 || lseek(*fd, 0, SEEK_END) < 0) {
        status = error_set_errno(error, name, "cannot cut the journal");
        close(*fd);
        *fd = -1;
    }
    return status;
}

int copy_journal_append(int fd, const struct chunks *chunks, const uint64_t *indices, size_t count,
                        struct vios_error *error)
{
    assert(count <= COPY_JOURNAL_BATCH_MAX);
    size_t size = BATCH_HEADER + count * RECORD_SIZE;
    uint8_t *batch = malloc(size);
    if (!batch) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the journal");
    }
    put_number(batch, count);
    for (size_t i = 0; i < count; i++) {
        uint8_t *record = batch + BATCH_HEADER + i * RECORD_SIZE;
        put_number(record, indices[i]);
        memcpy(record + 8, chunks->digests + indices[i] * CHUNK_DIGEST_SIZE, CHUNK_DIGEST_SIZE);
    }
    digest_of(batch, 8, batch + BATCH_HEADER, count * RECORD_SIZE, batch + 8);
    int status = file_write_all(fd, batch, size, error);
    if (status == VIOS_OK && fdatasync(fd) != 0) {
        status = error_set_errno(error, NULL, "cannot sync the journal");
    }
    free(batch);
    return status;
}
