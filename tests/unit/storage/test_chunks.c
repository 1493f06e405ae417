/* test_chunks.c - digests by chunks: of holes, of a short end, in their file, and of bad files. */
#include "base/file.h"
#include "net/crypto.h"
#include "storage/chunks.h"
#include "tests/tap.h"

#include <fcntl.h>

#define MIB (1 << 20)
#define SIZE (5 * MIB + 4096 + 7)

static int folder_fd;

static int new_file(const char *name)
{
    int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    is_int(ftruncate(fd, SIZE), 0);
    return fd;
}

/* Data in the second chunk, zeroes that are written in the third, data in the last seven bytes. */
static int made_file(void)
{
    static const char zeroes[MIB];
    int fd = new_file("file");
    is_int(pwrite(fd, "data", 4, MIB + 100), 4);
    is_int(pwrite(fd, zeroes, sizeof zeroes, 2L * MIB), MIB);
    is_int(pwrite(fd, "the end", 7, SIZE - 7), 7);
    return fd;
}

/* By hand, each chunk read. */
static void expected(int fd, struct chunks *chunks)
{
    static char data[MIB];
    is_int(chunks_make(chunks, SIZE, NULL), VIOS_OK);
    for (size_t i = 0; i < chunks->count; i++) {
        ssize_t got = pread(fd, data, MIB, (off_t)i * MIB);
        is_int(chunk_digest(data, (size_t)got, chunks->digests + i * CHUNK_DIGEST_SIZE, NULL), 0);
    }
}

static int verified(int fd, const struct chunks *chunks, struct operation *operation)
{
    operation_start(operation, OPERATION_NO_DEADLINE, NULL);
    return chunks_verify(fd, "file", chunks, NULL, operation);
}

static void a_zero_chunk_has_a_zero_digest(void)
{
    static const char zeroes[100];
    uint8_t digest[CHUNK_DIGEST_SIZE], none[CHUNK_DIGEST_SIZE] = {0};
    char hex[CHUNKS_TEXT_SIZE];
    is_int(chunk_digest(zeroes, sizeof zeroes, digest, NULL), VIOS_OK);
    is_int(memcmp(digest, none, sizeof none), 0);
    is_int(chunk_digest("abc", 3, digest, NULL), VIOS_OK);
    crypto_hex(digest, sizeof digest, hex);
    is_text(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void a_file_verifies(void)
{
    struct operation operation;
    struct chunks chunks;
    int fd = made_file();
    expected(fd, &chunks);
    is_int(chunks.count, 6);
    ok(verified(fd, &chunks, &operation) == VIOS_OK, "%s", operation.error.message);
    chunks_clear(&chunks);
    close(fd);
}

static void told(void *context, uint64_t done, uint64_t total)
{
    uint64_t *last = context;
    ok(done >= *last && done <= total, "%llu after %llu", (unsigned long long)done,
       (unsigned long long)*last);
    *last = done;
}

static void those_of_a_file_are_the_same(void)
{
    struct operation operation;
    struct chunks one, other;
    int fd = made_file();
    expected(fd, &one);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(chunks_of(fd, SIZE, &other, NULL, &operation), VIOS_OK);
    is_int(memcmp(one.digests, other.digests, one.count * CHUNK_DIGEST_SIZE), 0);
    chunks_clear(&other);
    is_int(chunks_of(fd, SIZE + 1, &other, NULL, &operation), VIOS_E_IO);
    ok(!other.digests, "a failure leaves none");
    chunks_clear(&one);
    close(fd);
}

static void progress_ends_at_the_size(void)
{
    struct operation operation;
    struct chunks chunks;
    uint64_t last = 0;
    struct copy_progress progress = {told, &last};
    int fd = made_file();
    expected(fd, &chunks);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(chunks_verify(fd, "file", &chunks, &progress, &operation), VIOS_OK);
    is_int(last, SIZE);
    chunks_clear(&chunks);
    close(fd);
}

static void a_changed_byte_is_named(void)
{
    struct operation operation;
    struct chunks chunks;
    int fd = made_file();
    expected(fd, &chunks);
    is_int(pwrite(fd, "!", 1, 3 * MIB + 5), 1); /* in what was a hole */
    is_int(verified(fd, &chunks, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.object, "file");
    is_text(operation.error.message, "not what it was: the MiB at byte 3145728 has another digest");
    chunks_clear(&chunks);
    close(fd);
}

static void lost_data_is_named(void)
{
    struct operation operation;
    struct chunks chunks;
    int fd = made_file();
    expected(fd, &chunks);
    close(fd);
    fd = new_file("file"); /* all is a hole */
    is_int(verified(fd, &chunks, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.message, "not what it was: the MiB at byte 1048576 has another digest");
    chunks_clear(&chunks);
    close(fd);
}

static void another_size_is_named(void)
{
    struct operation operation;
    struct chunks chunks;
    int fd = made_file();
    expected(fd, &chunks);
    is_int(ftruncate(fd, SIZE - 1), 0);
    is_int(verified(fd, &chunks, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.message,
            "not what it was: it has 5246982 bytes, its digests are of 5246983");
    chunks_clear(&chunks);
    close(fd);
}

static void a_cancel_ends_it(void)
{
    struct operation operation;
    struct chunks chunks;
    struct cancel *cancel = cancel_new();
    int fd = made_file();
    expected(fd, &chunks);
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    cancel_trigger(cancel);
    is_int(chunks_verify(fd, "file", &chunks, NULL, &operation), VIOS_E_CANCELLED);
    cancel_free(cancel);
    chunks_clear(&chunks);
    close(fd);
}

static void they_are_saved_and_loaded(void)
{
    struct vios_error error;
    struct chunks chunks, again;
    char hex[CHUNKS_TEXT_SIZE], again_hex[CHUNKS_TEXT_SIZE];
    int fd = made_file();
    expected(fd, &chunks);
    close(fd);
    is_int(chunks_save(folder_fd, "digests", &chunks, &error), VIOS_OK);
    ok(chunks_load(folder_fd, "digests", &again, &error) == VIOS_OK, "%s", error.message);
    is_int(again.size_bytes, SIZE);
    is_int(memcmp(again.digests, chunks.digests, chunks.count * CHUNK_DIGEST_SIZE), 0);
    chunks_digest(&chunks, hex);
    chunks_digest(&again, again_hex);
    is_text(hex, again_hex);
    chunks_clear(&again);
    is_int(chunks_make(&again, SIZE + 1, NULL), VIOS_OK); /* the size is in the digest */
    memcpy(again.digests, chunks.digests, chunks.count * CHUNK_DIGEST_SIZE);
    chunks_digest(&again, again_hex);
    ok(strcmp(hex, again_hex) != 0, "another size has the same digest");
    chunks_clear(&again);
    chunks_clear(&chunks);
}

static void refused(const void *data, size_t size, const char *why)
{
    struct vios_error error;
    struct chunks chunks;
    is_int(chunks_parse(data, size, "digests", &chunks, &error), VIOS_E_CORRUPT);
    is_text(error.object, "digests");
    is_text(error.message, why);
    ok(!chunks.digests, "something was made");
}

static void bad_files_are_refused(void)
{
    struct chunks chunks;
    char *data;
    size_t size;
    is_int(chunks_make(&chunks, 3L * MIB, NULL), VIOS_OK);
    is_int(chunks_save(folder_fd, "digests", &chunks, NULL), VIOS_OK);
    chunks_clear(&chunks);
    is_int(file_read(folder_fd, "digests", 1000, &data, &size, NULL), VIOS_OK);
    is_int(size, 24 + 3 * 32 + 32);
    refused(data, 55, "not a list of digests: it is too short");
    refused(data, size - 1, "not a list of digests: its length does not fit");
    data[60] ^= 1;
    refused(data, size, "not a list of digests: its own checksum is wrong");
    data[0] ^= 1;
    refused(data, size, "not a list of digests: its header is another's");
    free(data);
}

static void a_size_beyond_the_limit_is_refused(void)
{
    struct vios_error error;
    struct chunks chunks;
    is_int(chunks_make(&chunks, CHUNKS_SIZE_MAX + 1, &error), VIOS_E_INVALID);
    is_text(error.message, "larger than 16 TiB");
}

static void an_empty_file_has_none(void)
{
    struct operation operation;
    struct chunks chunks;
    int fd = new_file("empty");
    is_int(ftruncate(fd, 0), 0);
    is_int(chunks_make(&chunks, 0, NULL), VIOS_OK);
    is_int(verified(fd, &chunks, &operation), VIOS_OK);
    chunks_clear(&chunks);
    close(fd);
}

int main(void)
{
    folder_fd = open(tap_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    RUN(a_zero_chunk_has_a_zero_digest);
    RUN(a_file_verifies);
    RUN(those_of_a_file_are_the_same);
    RUN(progress_ends_at_the_size);
    RUN(a_changed_byte_is_named);
    RUN(lost_data_is_named);
    RUN(another_size_is_named);
    RUN(a_cancel_ends_it);
    RUN(they_are_saved_and_loaded);
    RUN(bad_files_are_refused);
    RUN(a_size_beyond_the_limit_is_refused);
    RUN(an_empty_file_has_none);
    close(folder_fd);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
