/*
 * footer.h - the end of a hibernation file: its configuration, and an entry for each block. No I/O.
 */
#ifndef HIBERNATION_FOOTER_H
#define HIBERNATION_FOOTER_H

#include "base/error.h"
#include "hibernation/file_format.h"

#include <stdbool.h>
#include <stddef.h>

/* A block, as the footer knows it. */
struct hibernation_entry {
    uint32_t plain_size, stored_size;
    uint8_t kind, coding;
    uint8_t digest[HIBERNATION_DIGEST_SIZE];
};

struct hibernation_footer {
    char *configuration; /* with a NUL behind it */
    uint32_t configuration_size;
    struct hibernation_entry *entries;
    uint64_t count, room;             /* entries that there are, and that there is room for */
    uint64_t stream_size, pages_size; /* plain bytes */
    uint64_t stored_size;             /* of all blocks with their heads */
};

/* Of the largest footer. */
#define HIBERNATION_FOOTER_MAX                                                                     \
    (sizeof(struct hibernation_wire_footer) + HIBERNATION_CONFIGURATION_MAX +                      \
     HIBERNATION_BLOCKS_MAX * sizeof(struct hibernation_wire_entry))

/* Adds a block. VIOS_E_NO_SPACE beyond HIBERNATION_BLOCKS_MAX. */
int hibernation_footer_add(struct hibernation_footer *footer, const struct hibernation_entry *entry,
                           struct vios_error *error);

/* As it lies in the file; free() it. */
int hibernation_footer_encode(const struct hibernation_footer *footer, uint8_t **data, size_t *size,
                              struct vios_error *error);

/* Validates it completely; hibernation_footer_clear() it. VIOS_E_CORRUPT. */
int hibernation_footer_parse(const uint8_t *data, size_t size, bool encrypted,
                             struct hibernation_footer *footer, struct vios_error *error);

/* Frees what is in it; a zeroed one is fine. */
void hibernation_footer_clear(struct hibernation_footer *footer);

#endif
