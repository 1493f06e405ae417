/*
 * fuzz_hibernation.c - a hibernation file: refused with a reason, or all that is said of it holds.
 * The bytes are taken as a file; as one that is sealed again, so that the search gets behind the
 * seal; and as one whose blocks have digests that fit, too. Alone they are a header, a footer and a
 * configuration.
 */
#include "base/file.h"
#include "hibernation/configuration.h"
#include "hibernation/footer.h"
#include "hibernation/reader.h"
#include "tests/hibernation_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_NAME "file"

static char folder[64];
static int folder_fd = -1;

static void remove_folder(void)
{
    file_remove_tree(folder, NULL);
}

static void make_folder(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/vios-fuzz-XXXXXX", parent ? parent : "/tmp");
    assert(mkdtemp(folder));
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert(folder_fd >= 0);
    atexit(remove_folder);
}

static int count_bytes(void *context, const void *data, size_t size, struct operation *operation)
{
    (void)operation;
    assert(data && size > 0 && size <= HIBERNATION_BLOCK_SIZE);
    *(uint64_t *)context += size;
    return VIOS_OK;
}

static void deliver(struct hibernation_reader *reader, enum hibernation_kind kind, uint64_t want)
{
    struct operation operation;
    uint64_t got = 0;
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    int status = hibernation_reader_stream(reader, kind, count_bytes, &got, &operation);
    assert(status == VIOS_OK ? got == want : operation.error.code == status && got < want);
}

/* Most that opens is large only on paper: a few blocks are enough to reach what reads them. */
#define BLOCKS_READ 8

static void look_at(struct hibernation_reader *reader, size_t size)
{
    const struct hibernation_header *header = hibernation_reader_header(reader);
    struct hibernation_sizes sizes;
    hibernation_reader_sizes(reader, &sizes);
    assert(sizes.stored_bytes == size && sizes.blocks <= size);
    assert(sizes.stream_bytes + sizes.pages_bytes <= sizes.blocks * HIBERNATION_BLOCK_SIZE);
    assert(parse_name(header->name, "lpar", NULL) == VIOS_OK && header->generation > 0);
    assert(hibernation_reader_configuration(reader));
    if (sizes.blocks <= BLOCKS_READ) {
        deliver(reader, HIBERNATION_STREAM, sizes.stream_bytes);
        deliver(reader, HIBERNATION_PAGES, sizes.pages_bytes);
    }
}

static void try_file(const uint8_t *data, size_t size)
{
    struct hibernation_reader *reader;
    struct vios_error error = {0};
    struct hibernation_reading reading = {
        .folder_fd = folder_fd, .name = FILE_NAME, .keys = &FILE_KEY, .key_count = 1, .workers = 1};
    int fd = openat(folder_fd, FILE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert(fd >= 0 && file_write_all(fd, data, size, NULL) == VIOS_OK);
    close(fd);
    int status = hibernation_reader_open(&reader, &reading, &error);
    if (status == VIOS_OK) {
        look_at(reader, size);
    } else {
        assert(error.code == status && error.message[0] && !reader);
    }
    hibernation_reader_close(reader);
}

/* Gives each block the digest of what it is now, where footer and sizes allow. */
static void make_digests_fit(uint8_t *data, size_t size)
{
    struct hibernation_wire_trailer trailer;
    struct hibernation_wire_footer footer;
    size_t begin = sizeof(struct hibernation_wire_header);
    if (size < begin + sizeof footer + sizeof trailer) {
        return;
    }
    memcpy(&trailer, data + size - sizeof trailer, sizeof trailer);
    uint64_t footer_size = le64toh(trailer.footer_size), end = size - sizeof trailer;
    if (footer_size > end - begin || footer_size < sizeof footer) {
        return;
    }
    memcpy(&footer, data + end - footer_size, sizeof footer);
    uint64_t room = (footer_size - sizeof footer) / sizeof(struct hibernation_wire_entry);
    uint64_t count = le64toh(footer.block_count);
    uint8_t *at =
        data + end - (count < room ? count : room) * sizeof(struct hibernation_wire_entry);
    for (; at < data + end; at += sizeof(struct hibernation_wire_entry)) {
        struct hibernation_wire_entry entry;
        memcpy(&entry, at, sizeof entry);
        uint64_t length = sizeof(struct hibernation_wire_block) + le32toh(entry.stored_size);
        if (length > end - footer_size - begin) {
            return;
        }
        crypto_digest(data + begin, length, "", 0, entry.digest, NULL);
        memcpy(at, &entry, sizeof entry);
        begin += length;
    }
}

static void try_parts(const uint8_t *data, size_t size)
{
    struct hibernation_wire_header wire;
    struct hibernation_header header;
    struct hibernation_footer footer;
    struct hibernation_configuration configuration;
    if (size >= sizeof wire) {
        memcpy(&wire, data, sizeof wire);
        if (hibernation_header_parse(&wire, &header, NULL) == VIOS_OK) {
            struct hibernation_wire_header again;
            assert(hibernation_header_encode(&header, &again, NULL) == VIOS_OK);
            assert(memcmp(&wire, &again, sizeof wire) == 0);
        }
    }
    if (hibernation_footer_parse(data, size, size % 2, &footer, NULL) == VIOS_OK) {
        uint8_t *encoded;
        size_t encoded_size;
        assert(hibernation_footer_encode(&footer, &encoded, &encoded_size, NULL) == VIOS_OK);
        assert(encoded_size == size && memcmp(encoded, data, size) == 0);
        free(encoded);
    }
    hibernation_footer_clear(&footer);
    hibernation_configuration_parse((const char *)data, size, &configuration, NULL);
    hibernation_configuration_clear(&configuration);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (folder_fd < 0) {
        make_folder();
    }
    uint8_t *changed = malloc(size ? size : 1);
    assert(changed);
    memcpy(changed, data, size);
    try_parts(data, size);
    try_file(data, size);
    file_reseal(changed, size);
    try_file(changed, size);
    make_digests_fit(changed, size);
    file_reseal(changed, size);
    try_parts(changed, size);
    try_file(changed, size);
    free(changed);
    return 0;
}
