/* damage.c - see damage.h. */
#include "hibernation/damage.h"

#include "hibernation/file_format.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define HEAD_SIZE sizeof(struct hibernation_wire_block)
#define STORED_MAX (HIBERNATION_BLOCK_SIZE + HIBERNATION_TAG_SIZE)
#define MAGIC_SIZE 4 /* enough of any to tell it from the others */

static int cut_short(const char *where, unsigned long long number, struct vios_error *error)
{
    return error_set(error, VIOS_E_CORRUPT, NULL, NULL,
                     number ? "ends %s %llu: it was cut short" : "ends %s: it was cut short", where,
                     number);
}

static int explain_footer(const uint8_t *head, uint64_t left, struct vios_error *error)
{
    struct hibernation_wire_footer footer;
    if (left < sizeof footer) {
        return cut_short("in its footer", 0, error);
    }
    memcpy(&footer, head, sizeof footer);
    uint64_t count = le64toh(footer.block_count);
    uint64_t configuration = le32toh(footer.configuration_size);
    if (count > HIBERNATION_BLOCKS_MAX || configuration > HIBERNATION_CONFIGURATION_MAX) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "its footer is damaged");
    }
    uint64_t whole = sizeof footer + configuration + count * sizeof(struct hibernation_wire_entry) +
                     sizeof(struct hibernation_wire_trailer);
    if (left < whole) {
        return cut_short("in its footer", 0, error);
    }
    return error_set(error, VIOS_E_CORRUPT, NULL, NULL,
                     left > whole ? "goes on behind its end" : "its trailer is damaged");
}

/* What the bytes at a place begin like, when `left` of them are there. */
static bool begins_like(const void *at, uint64_t left, const void *magic)
{
    return left > 0 && memcmp(at, magic, left < MAGIC_SIZE ? (size_t)left : MAGIC_SIZE) == 0;
}

int hibernation_damage_explain(int fd, uint64_t size_bytes, struct vios_error *error)
{
    uint64_t at = sizeof(struct hibernation_wire_header);
    const uint32_t block_magic = htole32(HIBERNATION_BLOCK_MAGIC);
    for (uint64_t count = 0; count <= HIBERNATION_BLOCKS_MAX; count++) {
        uint8_t bytes[sizeof(struct hibernation_wire_footer)] = {0};
        struct hibernation_wire_block head;
        uint64_t left = at < size_bytes ? size_bytes - at : 0;
        if (left == 0) {
            return count ? cut_short("after block", count, error)
                         : cut_short("after its header", 0, error);
        }
        if (pread(fd, bytes, sizeof bytes, (off_t)at) < 0) {
            return error_set_errno(error, NULL, "cannot be read");
        }
        if (begins_like(bytes, left, HIBERNATION_FOOTER_MAGIC)) {
            return explain_footer(bytes, left, error);
        }
        memcpy(&head, bytes, sizeof head);
        uint64_t stored = le32toh(head.stored_size);
        bool is_block = begins_like(bytes, left, &block_magic);
        if (is_block && (left < HEAD_SIZE || (stored <= STORED_MAX && left - HEAD_SIZE < stored))) {
            return cut_short("in block", count + 1, error);
        }
        if (!is_block || stored > STORED_MAX || le64toh(head.index) != count) {
            return error_set(error, VIOS_E_CORRUPT, NULL, NULL,
                             "block %llu is damaged (its head is wrong), and it has no footer",
                             (unsigned long long)count + 1);
        }
        at += HEAD_SIZE + stored;
    }
    return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "has more than %llu blocks",
                     (unsigned long long)HIBERNATION_BLOCKS_MAX);
}
