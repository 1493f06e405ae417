/* chunks.c - see chunks.h. */
#include "storage/chunks.h"

#include "base/file.h"
#include "net/crypto.h"
#include "storage/chunk_walk.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_SIZE 24
#define TRAILER_SIZE CHUNK_DIGEST_SIZE
#define FILE_SIZE_MAX                                                                              \
    (HEADER_SIZE + CHUNKS_SIZE_MAX / CHUNK_SIZE * CHUNK_DIGEST_SIZE + TRAILER_SIZE)

static const char MAGIC[] = "vioschk1";

static size_t count_of(uint64_t size_bytes)
{
    return (size_t)((size_bytes + CHUNK_SIZE - 1) / CHUNK_SIZE);
}

int chunks_make(struct chunks *chunks, uint64_t size_bytes, struct vios_error *error)
{
    *chunks = (struct chunks){0};
    if (size_bytes > CHUNKS_SIZE_MAX) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL, "larger than %llu TiB",
                         (unsigned long long)(CHUNKS_SIZE_MAX >> 40));
    }
    size_t count = count_of(size_bytes);
    uint8_t *digests = calloc(count ? count : 1, CHUNK_DIGEST_SIZE);
    if (!digests) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for %zu digests", count);
    }
    *chunks = (struct chunks){.size_bytes = size_bytes, .count = count, .digests = digests};
    return VIOS_OK;
}

void chunks_clear(struct chunks *chunks)
{
    free(chunks->digests);
    *chunks = (struct chunks){0};
}

bool chunk_is_zero(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

int chunk_digest(const void *data, size_t size, uint8_t digest[CHUNK_DIGEST_SIZE],
                 struct vios_error *error)
{
    if (chunk_is_zero(data, size)) {
        memset(digest, 0, CHUNK_DIGEST_SIZE);
        return VIOS_OK;
    }
    return crypto_digest(data, size, "", 0, digest, error);
}

/* --- the file --- */

static void put_header(uint8_t header[HEADER_SIZE], uint64_t size_bytes)
{
    uint64_t size = htole64(size_bytes), chunk = htole64(CHUNK_SIZE);
    memcpy(header, MAGIC, 8);
    memcpy(header + 8, &size, 8);
    memcpy(header + 16, &chunk, 8);
}

static void whole_digest(const struct chunks *chunks, uint8_t digest[CHUNK_DIGEST_SIZE])
{
    uint8_t header[HEADER_SIZE];
    put_header(header, chunks->size_bytes);
    int status = crypto_digest(header, sizeof header, chunks->digests,
                               chunks->count * CHUNK_DIGEST_SIZE, digest, NULL);
    assert(status == VIOS_OK);
    (void)status;
}

void chunks_digest(const struct chunks *chunks, char hex[CHUNKS_TEXT_SIZE])
{
    uint8_t digest[CHUNK_DIGEST_SIZE];
    whole_digest(chunks, digest);
    crypto_hex(digest, sizeof digest, hex);
}

int chunks_save(int folder_fd, const char *name, const struct chunks *chunks,
                struct vios_error *error)
{
    size_t digests_size = chunks->count * CHUNK_DIGEST_SIZE;
    size_t size = HEADER_SIZE + digests_size + TRAILER_SIZE;
    uint8_t *data = malloc(size);
    if (!data) {
        return error_set(error, VIOS_E_NO_SPACE, name, NULL, "no memory for %zu bytes", size);
    }
    put_header(data, chunks->size_bytes);
    memcpy(data + HEADER_SIZE, chunks->digests, digests_size);
    whole_digest(chunks, data + HEADER_SIZE + digests_size);
    int status = file_replace(folder_fd, name, data, size, 0600, error);
    free(data);
    return status;
}

static int not_ours(const char *name, const char *why, struct vios_error *error)
{
    return error_set(error, VIOS_E_CORRUPT, name, "import the image again",
                     "not a list of digests: %s", why);
}

int chunks_parse(const void *data, size_t size, const char *name, struct chunks *chunks,
                 struct vios_error *error)
{
    const uint8_t *bytes = data;
    uint8_t header[HEADER_SIZE], digest[CHUNK_DIGEST_SIZE];
    uint64_t size_bytes;
    *chunks = (struct chunks){0};
    if (size < HEADER_SIZE + TRAILER_SIZE) {
        return not_ours(name, "it is too short", error);
    }
    memcpy(&size_bytes, bytes + 8, 8);
    size_bytes = le64toh(size_bytes);
    put_header(header, size_bytes);
    if (memcmp(bytes, header, HEADER_SIZE) != 0 || size_bytes > CHUNKS_SIZE_MAX) {
        return not_ours(name, "its header is another's", error);
    }
    if (size != HEADER_SIZE + count_of(size_bytes) * CHUNK_DIGEST_SIZE + TRAILER_SIZE) {
        return not_ours(name, "its length does not fit", error);
    }
    int status = chunks_make(chunks, size_bytes, error);
    if (status < 0) {
        return status;
    }
    memcpy(chunks->digests, bytes + HEADER_SIZE, chunks->count * CHUNK_DIGEST_SIZE);
    whole_digest(chunks, digest);
    if (memcmp(digest, bytes + size - TRAILER_SIZE, TRAILER_SIZE) != 0) {
        chunks_clear(chunks);
        return not_ours(name, "its own checksum is wrong", error);
    }
    return VIOS_OK;
}

int chunks_load(int folder_fd, const char *name, struct chunks *chunks, struct vios_error *error)
{
    char *data;
    size_t size;
    *chunks = (struct chunks){0};
    int status = file_read(folder_fd, name, FILE_SIZE_MAX, &data, &size, error);
    if (status == VIOS_OK) {
        status = chunks_parse(data, size, name, chunks, error);
        free(data);
    }
    return status;
}

/* --- of a file --- */

static int digest_one(void *context, size_t index, const uint8_t *data, size_t size,
                      struct vios_error *error)
{
    const struct chunks *chunks = context;
    return chunk_digest(data, size, chunks->digests + index * CHUNK_DIGEST_SIZE, error);
}

int chunks_of(int fd, uint64_t size_bytes, struct chunks *chunks,
              const struct copy_progress *progress, struct operation *operation)
{
    struct chunk_walk walk = {
        .fd = fd, .size_bytes = size_bytes, .visit = digest_one, .context = chunks};
    int status = chunks_make(chunks, size_bytes, &operation->error);
    if (status == VIOS_OK) {
        status = chunk_walk(&walk, progress, operation);
    }
    if (status < 0) {
        chunks_clear(chunks);
    }
    return status;
}

/* --- verifying --- */

struct verify {
    const struct chunks *chunks;
    const char *name;
    uint8_t *seen; /* a byte for each chunk; one that is not seen is a hole */
};

static int wrong_chunk(const struct verify *verify, size_t index, struct vios_error *error)
{
    unsigned long long at = index * CHUNK_SIZE;
    return error_set(error, VIOS_E_CORRUPT, verify->name, NULL,
                     "not what it was: the MiB at byte %llu has another digest", at);
}

static int compare(void *context, size_t index, const uint8_t *data, size_t size,
                   struct vios_error *error)
{
    struct verify *verify = context;
    uint8_t digest[CHUNK_DIGEST_SIZE];
    verify->seen[index] = 1;
    int status = chunk_digest(data, size, digest, error);
    if (status == VIOS_OK && memcmp(digest, verify->chunks->digests + index * CHUNK_DIGEST_SIZE,
                                    CHUNK_DIGEST_SIZE) != 0) {
        status = wrong_chunk(verify, index, error);
    }
    return status;
}

static int compare_holes(const struct verify *verify, struct vios_error *error)
{
    for (size_t i = 0; i < verify->chunks->count; i++) {
        if (!verify->seen[i] &&
            !chunk_is_zero(verify->chunks->digests + i * CHUNK_DIGEST_SIZE, CHUNK_DIGEST_SIZE)) {
            return wrong_chunk(verify, i, error);
        }
    }
    return VIOS_OK;
}

int chunks_verify(int fd, const char *name, const struct chunks *chunks,
                  const struct copy_progress *progress, struct operation *operation)
{
    struct verify verify = {.chunks = chunks, .name = name};
    off_t size = lseek(fd, 0, SEEK_END);
    if (size < 0) {
        return error_set_errno(&operation->error, name, "cannot be read");
    }
    if ((uint64_t)size != chunks->size_bytes) {
        return operation_fail(operation, VIOS_E_CORRUPT, name, NULL,
                              "not what it was: it has %lld bytes, its digests are of %llu",
                              (long long)size, (unsigned long long)chunks->size_bytes);
    }
    verify.seen = calloc(chunks->count ? chunks->count : 1, 1);
    if (!verify.seen) {
        return operation_fail(operation, VIOS_E_NO_SPACE, name, NULL, "no memory to verify it");
    }
    struct chunk_walk walk = {
        .fd = fd, .size_bytes = chunks->size_bytes, .visit = compare, .context = &verify};
    int status = chunk_walk(&walk, progress, operation);
    if (status == VIOS_OK) {
        status = compare_holes(&verify, &operation->error);
    }
    free(verify.seen);
    return status;
}
