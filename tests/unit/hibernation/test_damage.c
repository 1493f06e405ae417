/*
 * test_damage.c - a hibernation file that is not what was written is refused, always, and with the
 * reason: each bit of what surrounds the blocks, bits all over each block, each length; another
 * cluster's, another key's, another generation's; and one that is sealed well but makes no sense.
 */
#include "base/file.h"
#include "hibernation/block.h"
#include "hibernation/footer.h"
#include "tests/unit/hibernation/files.h"

#define STREAM_SIZE (3 * MIB + 5000) /* text, zeroes, text, and noise that ends early */
#define PAGES_SIZE (MIB + 100)
#define BLOCKS 6
#define HEADER sizeof(struct hibernation_wire_header)
#define TRAILER sizeof(struct hibernation_wire_trailer)
#define HEAD sizeof(struct hibernation_wire_block)

static uint8_t *good; /* the whole file */
static size_t size;
static size_t edges[BLOCKS + 1]; /* where blocks begin, and the footer */
static bool encrypted;

static void find_edges(void)
{
    size_t at = HEADER;
    for (size_t i = 0; i < BLOCKS; i++) {
        struct hibernation_wire_block head;
        memcpy(&head, good + at, sizeof head);
        edges[i] = at;
        at += HEAD + le32toh(head.stored_size);
    }
    edges[BLOCKS] = at;
    is_int(memcmp(good + at, HIBERNATION_FOOTER_MAGIC, 8), 0);
}

static void make_good(bool with_encryption)
{
    uint8_t *stream = calloc(1, STREAM_SIZE);
    encrypted = with_encryption;
    fill_text(stream, MIB);
    fill_text(stream + 2 * MIB, MIB);
    fill_noise(stream + 3 * MIB, STREAM_SIZE - 3 * MIB);
    make_file(encrypted, stream, STREAM_SIZE, stream, PAGES_SIZE);
    free(stream);
    free(good);
    is_int(file_read(folder_fd, FILE_NAME, MIB, (char **)&good, &size, NULL), VIOS_OK);
    find_edges();
}

/* Writes these bytes as the file. */
static void put_file(const uint8_t *data, size_t data_size)
{
    int fd = openat(folder_fd, FILE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    is_int(file_write_all(fd, data, data_size, NULL), VIOS_OK);
    close(fd);
}

static void flip(size_t at, unsigned bit)
{
    uint8_t byte = (uint8_t)(good[at] ^ 1u << bit);
    int fd = openat(folder_fd, FILE_NAME, O_WRONLY | O_CLOEXEC);
    is_int(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

static void unflip(size_t at)
{
    int fd = openat(folder_fd, FILE_NAME, O_WRONLY | O_CLOEXEC);
    is_int(pwrite(fd, good + at, 1, (off_t)at), 1);
    close(fd);
}

static int opened(const struct hibernation_reading *reading)
{
    struct hibernation_reader *reader;
    memset(&operation.error, 0, sizeof operation.error);
    int status = hibernation_reader_open(&reader, reading, &operation.error);
    ok((status == VIOS_OK) == (reader != NULL), "a reader and a failure");
    hibernation_reader_close(reader);
    return status;
}

/* It is refused when it is opened, for this reason; NULL: for any. */
static void refused(int code, const char *reason)
{
    struct hibernation_reading reading = usual_reading();
    is_int(opened(&reading), code);
    is_text(operation.error.object, "hibernation of \"web1\"");
    ok(operation.error.message[0], "no reason");
    if (reason) {
        is_text(operation.error.message, reason);
    }
}

static int swallow(void *context, const void *data, size_t data_size, struct operation *unused)
{
    (void)data;
    (void)unused;
    *(size_t *)context += data_size;
    return VIOS_OK;
}

/* --- bits --- */

static void no_bit_of_the_header_may_differ(void)
{
    make_good(false);
    for (size_t at = 0; at < HEADER; at++) {
        flip(at, at % 8);
        refused(VIOS_E_CORRUPT, at < 8 ? "is no hibernation file: it does not begin like one"
                                       : "its header is damaged (its digest differs)");
        unflip(at);
    }
}

static void no_bit_of_the_footer_may_differ(void)
{
    make_good(false);
    for (size_t at = edges[BLOCKS]; at < size - TRAILER; at++) {
        flip(at, at % 8);
        refused(VIOS_E_CORRUPT, "its footer is damaged (its digest differs)");
        unflip(at);
    }
}

static void no_bit_of_the_trailer_may_differ(void)
{
    make_good(false);
    for (size_t at = size - TRAILER; at < size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            flip(at, bit);
            refused(VIOS_E_CORRUPT, NULL);
            bool sealed = at >= size - TRAILER + 16 && !(at >= size - 40 && at < size - 32);
            const char *reason =
                sealed ? "its seal is wrong: it was changed, or another cluster's key sealed it"
                       : "its trailer is damaged";
            if (at >= size - TRAILER + 8) { /* a wrong footer_size may be possible or not */
                is_text(operation.error.message, reason);
            }
            unflip(at);
        }
    }
}

/* The stream ends before the block, and the reason names it. */
static void block_is_refused(size_t block)
{
    char reason[100];
    size_t delivered = 0;
    struct hibernation_reader *reader = open_usual();
    enum hibernation_kind kind = block < 4 ? HIBERNATION_STREAM : HIBERNATION_PAGES;
    snprintf(reason, sizeof reason, "block %zu of %d is damaged (its digest differs)", block + 1,
             BLOCKS);
    is_int(hibernation_reader_verify(reader, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.object, "hibernation of \"web1\"");
    is_text(operation.error.message, reason);
    is_int(hibernation_reader_stream(reader, kind, swallow, &delivered, &operation),
           VIOS_E_CORRUPT);
    is_text(operation.error.message, reason);
    is_int(delivered, (block < 4 ? block : block - 4) * MIB);
    hibernation_reader_close(reader);
}

static void flip_in_blocks(void)
{
    for (size_t block = 0; block < BLOCKS; block++) {
        size_t length = edges[block + 1] - edges[block];
        size_t step = length > 200 ? length / 17 : 13;
        for (size_t i = 0; i < length; i += i < HEAD ? 1 : step) {
            flip(edges[block] + i, i % 8);
            block_is_refused(block);
            unflip(edges[block] + i);
        }
        flip(edges[block + 1] - 1, 7);
        block_is_refused(block);
        unflip(edges[block + 1] - 1);
    }
}

static void no_bit_of_a_block_may_differ(void)
{
    make_good(false);
    flip_in_blocks();
}

static void no_bit_of_an_encrypted_block_may_differ(void)
{
    make_good(true);
    flip_in_blocks();
}

static void the_first_damaged_block_is_named(void)
{
    make_good(false);
    flip(edges[2] + HEAD + 5, 1);
    flip(edges[3] + HEAD + 5, 1);
    flip(edges[5] + 5, 1);
    for (int i = 0; i < 20; i++) {
        block_is_refused(2);
    }
}

static void blocks_cannot_change_places(void)
{
    make_good(false);
    uint8_t *data = malloc(size);
    memcpy(data, good, size);
    size_t length = edges[1] - edges[0]; /* text, as in block 3: of the same content and size */
    is_int(edges[3] - edges[2], length);
    memcpy(data + edges[0], good + edges[2], length);
    memcpy(data + edges[2], good + edges[0], length);
    put_file(data, size);
    block_is_refused(0);
    free(data);
}

/* --- lengths --- */

static void expect_cut(size_t length, char *reason, size_t reason_size)
{
    size_t block = 0;
    while (block < BLOCKS && edges[block + 1] <= length) {
        block++;
    }
    if (length < HEADER) {
        snprintf(reason, reason_size, "ends in its header: it was cut short");
    } else if (length == HEADER) {
        snprintf(reason, reason_size, "ends after its header: it was cut short");
    } else if (length == edges[block]) {
        snprintf(reason, reason_size, "ends after block %zu: it was cut short", block);
    } else if (block < BLOCKS) {
        snprintf(reason, reason_size, "ends in block %zu: it was cut short", block + 1);
    } else {
        snprintf(reason, reason_size, "ends in its footer: it was cut short");
    }
}

static void each_shorter_length_is_refused(void)
{
    char reason[100];
    make_good(false);
    int fd = openat(folder_fd, FILE_NAME, O_WRONLY | O_CLOEXEC);
    for (size_t length = size; length-- > 0;) {
        is_int(ftruncate(fd, (off_t)length), 0);
        expect_cut(length, reason, sizeof reason);
        refused(VIOS_E_CORRUPT, reason);
    }
    close(fd);
}

static void a_longer_one_is_refused(void)
{
    make_good(false);
    uint8_t *data = malloc(2 * size);
    memcpy(data, good, size);
    memset(data + size, 'x', size);
    put_file(data, size + 1);
    refused(VIOS_E_CORRUPT, "goes on behind its end");
    put_file(data, 2 * size);
    refused(VIOS_E_CORRUPT, "goes on behind its end");
    memcpy(data + size, good, size); /* the same again: a trailer is at the end */
    put_file(data, 2 * size);
    refused(VIOS_E_CORRUPT, "goes on behind its end");
    free(data);
}

static void one_that_becomes_shorter_is_refused(void)
{
    make_good(false);
    struct hibernation_reader *reader = open_usual();
    int fd = openat(folder_fd, FILE_NAME, O_WRONLY | O_CLOEXEC);
    is_int(ftruncate(fd, (off_t)edges[2] + 30), 0);
    close(fd);
    is_int(hibernation_reader_verify(reader, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.message, "block 3 of 6 is damaged (the file ends in it)");
    hibernation_reader_close(reader);
}

static void what_is_no_file_is_refused(void)
{
    struct hibernation_reading reading = usual_reading();
    unlinkat(folder_fd, FILE_NAME, 0);
    refused(VIOS_E_NOT_FOUND, "cannot be opened: No such file or directory");
    is_int(mkfifoat(folder_fd, FILE_NAME, 0600), 0);
    refused(VIOS_E_INVALID, "is no plain file");
    unlinkat(folder_fd, FILE_NAME, 0);
    put_file((const uint8_t *)"", 0);
    refused(VIOS_E_CORRUPT, "ends in its header: it was cut short");
    is_int(symlinkat(FILE_NAME, folder_fd, "link"), 0);
    reading.name = "link";
    is_int(opened(&reading), VIOS_E_SYSTEM);
    unlinkat(folder_fd, "link", 0);
}

/* --- whose it is --- */

static void another_cluster_is_refused(void)
{
    struct hibernation_reading reading = usual_reading();
    make_good(false);
    expected.cluster = "c2c2c2c2-0000-4000-8000-000000000001";
    is_int(opened(&reading), VIOS_E_INVALID);
    is_text(operation.error.message, "is of another cluster (" CLUSTER_UUID ")");
}

/* The same uuid, and yet not the cluster that knows the secret. */
static void another_key_is_refused(void)
{
    struct hibernation_key keys[2] = {{.id = 7, .bytes = "another key"}, {.id = 8}};
    struct hibernation_reading reading = usual_reading();
    make_good(false);
    reading.keys = keys;
    reading.key_count = 2;
    is_int(opened(&reading), VIOS_E_CORRUPT);
    is_text(operation.error.message,
            "its seal is wrong: it was changed, or another cluster's key sealed it");
    keys[0].id = 9;
    is_int(opened(&reading), VIOS_E_INVALID);
    is_text(operation.error.message, "is sealed with key 7, which the cluster does not have");
    keys[1] = FILE_KEY; /* an older one among several is found */
    is_int(opened(&reading), VIOS_OK);
}

static void another_generation_is_refused(void)
{
    struct hibernation_reading reading = usual_reading();
    make_good(false);
    expected.generation = 8;
    is_int(opened(&reading), VIOS_E_STALE);
    is_text(operation.error.message, "is of generation 6, the LPAR is at 8");
    is_text(operation.error.hint, "start the LPAR from its storage");
    expected.generation = 5;
    is_int(opened(&reading), VIOS_E_STALE);
    expected.generation = 0; /* also when nobody said which */
    is_int(opened(&reading), VIOS_E_STALE);
}

static void another_lpar_is_refused(void)
{
    struct hibernation_reading reading = usual_reading();
    make_good(false);
    expected.lpar = "11111111-0000-4000-8000-000000000003";
    is_int(opened(&reading), VIOS_E_INVALID);
    is_text(operation.error.message, "is of another LPAR, web1 (" LPAR_UUID ")");
    reading = usual_reading();
    expected.memory_bytes = 1;
    is_int(opened(&reading), VIOS_E_INVALID);
    is_text(operation.error.message, "has 134217728 bytes of memory, the LPAR has 1");
    reading = usual_reading();
    expected.machine = "pc-q35-7.2";
    is_int(opened(&reading), VIOS_E_INVALID);
    is_text(operation.error.message, "is of machine type pc-i440fx-7.2, the LPAR has pc-q35-7.2");
}

/* Its digests are checked; but nobody knows who wrote it, and so nothing is delivered. */
static void without_a_key_damage_is_found(void)
{
    for (int i = 0; i < 2; i++) {
        struct hibernation_reading reading = usual_reading();
        struct hibernation_reader *reader;
        size_t delivered = 0;
        make_good(i);
        reading.key_count = 0;
        reading.expected = NULL;
        is_int(hibernation_reader_open(&reader, &reading, &operation.error), VIOS_OK);
        is_int(hibernation_reader_verify(reader, &operation), VIOS_OK);
        is_int(
            hibernation_reader_stream(reader, HIBERNATION_STREAM, swallow, &delivered, &operation),
            VIOS_E_DENIED);
        is_text(operation.error.message, "its seal was not checked: there is no key");
        is_int(delivered, 0);
        flip(edges[1] + 3, 2);
        is_int(hibernation_reader_verify(reader, &operation), VIOS_E_CORRUPT);
        is_text(operation.error.message, "block 2 of 6 is damaged (its digest differs)");
        hibernation_reader_close(reader);
    }
}

/* --- sealed well, and yet wrong --- */

/* The good file with `bytes` at a place, sealed again. */
static void put_resealed(size_t at, const void *bytes, size_t count)
{
    uint8_t *data = malloc(size);
    memcpy(data, good, size);
    memcpy(data + at, bytes, count);
    file_reseal(data, size);
    put_file(data, size);
    free(data);
}

#define HEADER_AT(member) offsetof(struct hibernation_wire_header, member)
#define FOOTER_AT(member) (edges[BLOCKS] + offsetof(struct hibernation_wire_footer, member))
#define ENTRY_AT(number, member)                                                                   \
    (size - TRAILER - (BLOCKS - (number)) * sizeof(struct hibernation_wire_entry) +                \
     offsetof(struct hibernation_wire_entry, member))

static void a_header_of_nonsense_is_refused(void)
{
    make_good(false);
    put_resealed(0, good, 8);
    struct hibernation_reading reading = usual_reading();
    is_int(opened(&reading), VIOS_OK);
    put_resealed(HEADER_AT(version), "\2", 1);
    refused(VIOS_E_INVALID, "has format 2, this node reads format 1");
    put_resealed(HEADER_AT(flags), "\2", 1);
    refused(VIOS_E_CORRUPT, "the form of its header is wrong");
    put_resealed(HEADER_AT(block_size), "\1", 1);
    refused(VIOS_E_CORRUPT, "the form of its header is wrong");
    put_resealed(HEADER_AT(name) + 6, "x", 1); /* behind the NUL */
    refused(VIOS_E_CORRUPT, "the form of its header is wrong");
    put_resealed(HEADER_AT(name), "../x", 4);
    refused(VIOS_E_CORRUPT, "the LPAR's name of its header is wrong");
    put_resealed(HEADER_AT(cluster), "C", 1);
    refused(VIOS_E_CORRUPT, "the cluster of its header is wrong");
    put_resealed(HEADER_AT(incarnation) + 7, "\x80", 1);
    refused(VIOS_E_CORRUPT, "the incarnation of its header is wrong");
    put_resealed(HEADER_AT(machine), "\n", 1);
    refused(VIOS_E_CORRUPT, "the machine type of its header is wrong");
}

static void a_footer_of_nonsense_is_refused(void)
{
    make_good(false);
    put_resealed(FOOTER_AT(magic), "x", 1);
    refused(VIOS_E_CORRUPT, "its footer is wrong: its head is another's");
    put_resealed(FOOTER_AT(configuration_size) + 3, "\1", 1);
    refused(VIOS_E_CORRUPT, "its footer is wrong: it is beyond the limits");
    put_resealed(FOOTER_AT(block_count) + 7, "\1", 1);
    refused(VIOS_E_CORRUPT, "its footer is wrong: it is beyond the limits");
    put_resealed(FOOTER_AT(block_count), "\5", 1);
    refused(VIOS_E_CORRUPT, "its footer is wrong: its length does not fit");
    put_resealed(FOOTER_AT(stream_size), "\1", 1);
    refused(VIOS_E_CORRUPT, "its footer is wrong: its sums do not fit");
    put_resealed(FOOTER_AT(magic) + sizeof(struct hibernation_wire_footer), "[", 1);
    refused(VIOS_E_CORRUPT, "its configuration is wrong: it is no JSON");
    put_resealed(FOOTER_AT(magic) + sizeof(struct hibernation_wire_footer) + 5, "2", 1);
    refused(VIOS_E_CORRUPT, "its configuration is wrong: v is not 1");
}

static void an_entry_of_nonsense_is_refused(void)
{
    make_good(false);
    put_resealed(ENTRY_AT(0, kind), "\2", 1); /* pages before the stream */
    refused(VIOS_E_CORRUPT, "its footer is wrong: the entry of block 2");
    put_resealed(ENTRY_AT(2, kind), "\3", 1);
    refused(VIOS_E_CORRUPT, "its footer is wrong: the entry of block 3");
    put_resealed(ENTRY_AT(1, coding), "\2", 1); /* zeroes that would be stored */
    refused(VIOS_E_CORRUPT, "its footer is wrong: the entry of block 2");
    put_resealed(ENTRY_AT(0, coding), "\4", 1);
    refused(VIOS_E_CORRUPT, "its footer is wrong: the entry of block 1");
    put_resealed(ENTRY_AT(0, plain_size), "\0\0\x08", 3); /* a short one in the middle */
    refused(VIOS_E_CORRUPT, "its footer is wrong: the entry of block 2");
    put_resealed(ENTRY_AT(0, plain_size), "\1", 1); /* beyond a block */
    refused(VIOS_E_CORRUPT, "its footer is wrong: the entry of block 1");
    put_resealed(ENTRY_AT(0, reserved), "\1", 1);
    refused(VIOS_E_CORRUPT, "its footer is wrong: the entry of block 1");
}

/* A block whose digest was made to fit what it was changed to. */
static void a_block_of_nonsense_is_refused(void)
{
    make_good(false);
    uint8_t *data = malloc(size);
    memcpy(data, good, size);
    memset(data + edges[0] + HEAD, 0x5a, edges[1] - edges[0] - HEAD);
    crypto_digest(data + edges[0], edges[1] - edges[0], "", 0, data + ENTRY_AT(0, digest), NULL);
    file_reseal(data, size);
    put_file(data, size);
    struct hibernation_reader *reader = open_usual();
    is_int(hibernation_reader_verify(reader, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.message, "block 1 of 6 is damaged (it does not decompress)");
    hibernation_reader_close(reader);
    data[edges[0]] ^= 1;
    crypto_digest(data + edges[0], edges[1] - edges[0], "", 0, data + ENTRY_AT(0, digest), NULL);
    file_reseal(data, size);
    put_file(data, size);
    reader = open_usual();
    is_int(hibernation_reader_verify(reader, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.message,
            "block 1 of 6 is damaged (its head is not what the footer says)");
    hibernation_reader_close(reader);
    free(data);
}

int main(void)
{
    folder_fd = open(tap_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    RUN(no_bit_of_the_header_may_differ);
    RUN(no_bit_of_the_footer_may_differ);
    RUN(no_bit_of_the_trailer_may_differ);
    RUN(no_bit_of_a_block_may_differ);
    RUN(no_bit_of_an_encrypted_block_may_differ);
    RUN(the_first_damaged_block_is_named);
    RUN(blocks_cannot_change_places);
    RUN(each_shorter_length_is_refused);
    RUN(a_longer_one_is_refused);
    RUN(one_that_becomes_shorter_is_refused);
    RUN(what_is_no_file_is_refused);
    RUN(another_cluster_is_refused);
    RUN(another_key_is_refused);
    RUN(another_generation_is_refused);
    RUN(another_lpar_is_refused);
    RUN(without_a_key_damage_is_found);
    RUN(a_header_of_nonsense_is_refused);
    RUN(a_footer_of_nonsense_is_refused);
    RUN(an_entry_of_nonsense_is_refused);
    RUN(a_block_of_nonsense_is_refused);
    free(good);
    close(folder_fd);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
