/*
 * fuzz_archive_member.c - archives and lines of manifests. A listing is refused with a reason, or
 * names plain files that fit the room. The first byte chooses: 'm' is a manifest's line, 't' a tar
 * whose headers get right sums, which a search would hardly find.
 */
#include "image/manifest.h"
#include "tests/fuzz/text.h"

#include <sys/mman.h>
#include <unistd.h>

#define ROOM_BYTES ((uint64_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_line(const uint8_t *data, size_t size)
{
    char algorithm[16], name[MEMBER_NAME_SIZE], hex[129];
    struct vios_error error = {0};
    char *line = text_of(data, size);
    int status = manifest_parse_line(line, algorithm, name, hex, &error);
    if (status == VIOS_OK) {
        assert(member_check_name(name, NULL) == VIOS_OK && !strchr(name, '/'));
        assert(algorithm[0] && hex[strspn(hex, "0123456789abcdefABCDEF")] == 0);
    } else {
        assert(status == VIOS_E_INVALID && error.message[0]);
    }
    (void)member_check_name(line, NULL);
    free(line);
}

static void read_archive(const uint8_t *data, size_t size)
{
    struct unpack_list list;
    struct operation operation;
    uint64_t sum = 0;
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    int status = unpack_list(fd, ROOM_BYTES, &list, NULL, &operation);
    close(fd);
    if (status != VIOS_OK) {
        assert(operation.error.code == status && operation.error.message[0]);
        return;
    }
    assert(list.count <= UNPACK_MEMBERS_MAX && (list.kind != UNPACK_NONE || list.count == 0));
    for (size_t i = 0; i < list.count; i++) {
        assert(member_check_name(list.members[i].name, NULL) == VIOS_OK);
        sum += list.members[i].size_bytes;
    }
    assert(sum <= ROOM_BYTES);
}

#define BLOCK ((size_t)512)
#define SUM_AT 148 /* eight bytes, which count as spaces */

static void mend_sum(uint8_t *block)
{
    unsigned sum = 8 * ' ';
    for (size_t i = 0; i < BLOCK; i++) {
        sum += i < SUM_AT || i >= SUM_AT + 8 ? block[i] : 0;
    }
    for (size_t i = 6; i-- > 0; sum /= 8) {
        block[SUM_AT + i] = (uint8_t)('0' + sum % 8);
    }
    block[SUM_AT + 6] = 0;
    block[SUM_AT + 7] = ' ';
}

static void read_tar(const uint8_t *data, size_t size)
{
    uint8_t *tar = malloc(size + 1);
    assert(tar);
    memcpy(tar, data, size);
    for (size_t at = 0; at + BLOCK <= size; at += BLOCK) {
        if (memcmp(tar + at + 257, "ustar", 5) == 0) {
            mend_sum(tar + at);
        }
    }
    read_archive(tar, size);
    free(tar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 'm') {
        read_line(data + 1, size - 1);
    } else if (size > 0 && data[0] == 't') {
        read_tar(data + 1, size - 1);
    } else if (size > 0) {
        read_archive(data + 1, size - 1);
    }
    return 0;
}
