/* footer.c - see footer.h. */
#include "hibernation/footer.h"

#include "hibernation/configuration.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_AT_FIRST 1024

void hibernation_footer_clear(struct hibernation_footer *footer)
{
    free(footer->configuration);
    free(footer->entries);
    *footer = (struct hibernation_footer){0};
}

static void count_entry(struct hibernation_footer *footer, const struct hibernation_entry *entry)
{
    *(entry->kind == HIBERNATION_STREAM ? &footer->stream_size : &footer->pages_size) +=
        entry->plain_size;
    footer->stored_size += sizeof(struct hibernation_wire_block) + entry->stored_size;
    footer->count++;
}

int hibernation_footer_add(struct hibernation_footer *footer, const struct hibernation_entry *entry,
                           struct vios_error *error)
{
    if (footer->count == HIBERNATION_BLOCKS_MAX) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "more than %llu blocks",
                         (unsigned long long)HIBERNATION_BLOCKS_MAX);
    }
    if (footer->count == footer->room) {
        uint64_t room = footer->room ? 2 * footer->room : ROOM_AT_FIRST;
        struct hibernation_entry *larger = realloc(footer->entries, room * sizeof *larger);
        if (!larger) {
            return error_no_memory(error, NULL);
        }
        footer->entries = larger;
        footer->room = room;
    }
    footer->entries[footer->count] = *entry;
    count_entry(footer, entry);
    return VIOS_OK;
}

int hibernation_footer_encode(const struct hibernation_footer *footer, uint8_t **data, size_t *size,
                              struct vios_error *error)
{
    struct hibernation_wire_footer head = {
        .configuration_size = htole32(footer->configuration_size),
        .block_count = htole64(footer->count),
        .stream_size = htole64(footer->stream_size),
        .pages_size = htole64(footer->pages_size),
        .stored_size = htole64(footer->stored_size),
    };
    *size = sizeof head + footer->configuration_size +
            footer->count * sizeof(struct hibernation_wire_entry);
    *data = malloc(*size);
    if (!*data) {
        return error_no_memory(error, NULL);
    }
    memcpy(head.magic, HIBERNATION_FOOTER_MAGIC, sizeof head.magic);
    memcpy(*data, &head, sizeof head);
    memcpy(*data + sizeof head, footer->configuration, footer->configuration_size);
    uint8_t *at = *data + sizeof head + footer->configuration_size;
    for (uint64_t i = 0; i < footer->count; i++, at += sizeof(struct hibernation_wire_entry)) {
        const struct hibernation_entry *entry = &footer->entries[i];
        struct hibernation_wire_entry wire = {.kind = entry->kind,
                                              .coding = entry->coding,
                                              .plain_size = htole32(entry->plain_size),
                                              .stored_size = htole32(entry->stored_size)};
        memcpy(wire.digest, entry->digest, sizeof wire.digest);
        memcpy(at, &wire, sizeof wire);
    }
    return VIOS_OK;
}

/* --- reading --- */

static int wrong(const char *why, struct vios_error *error)
{
    return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "its footer is wrong: %s", why);
}

static int parse_head(const uint8_t *data, size_t size, struct hibernation_wire_footer *head,
                      struct vios_error *error)
{
    if (size < sizeof *head) {
        return wrong("it is too short", error);
    }
    memcpy(head, data, sizeof *head);
    head->configuration_size = le32toh(head->configuration_size);
    head->block_count = le64toh(head->block_count);
    head->stream_size = le64toh(head->stream_size);
    head->pages_size = le64toh(head->pages_size);
    head->stored_size = le64toh(head->stored_size);
    if (memcmp(head->magic, HIBERNATION_FOOTER_MAGIC, sizeof head->magic) != 0 ||
        head->reserved != 0) {
        return wrong("its head is another's", error);
    }
    if (head->configuration_size > HIBERNATION_CONFIGURATION_MAX ||
        head->block_count > HIBERNATION_BLOCKS_MAX) {
        return wrong("it is beyond the limits", error);
    }
    return size == sizeof *head + head->configuration_size +
                       head->block_count * sizeof(struct hibernation_wire_entry)
               ? VIOS_OK
               : wrong("its length does not fit", error);
}

/* The size of what was stored follows from the coding, but for zstd's, which would not have been
 * used had it not made the block smaller. */
static bool size_fits(const struct hibernation_entry *entry, uint32_t tag_size)
{
    uint64_t body = (uint64_t)entry->stored_size - tag_size;
    return entry->stored_size >= tag_size &&
           (entry->coding == HIBERNATION_ZERO  ? body == 0
            : entry->coding == HIBERNATION_RAW ? body == entry->plain_size
                                               : body > 0 && body < entry->plain_size);
}

static bool parse_entry(const uint8_t *data, uint32_t tag_size, struct hibernation_entry *entry)
{
    struct hibernation_wire_entry wire;
    memcpy(&wire, data, sizeof wire);
    *entry = (struct hibernation_entry){.plain_size = le32toh(wire.plain_size),
                                        .stored_size = le32toh(wire.stored_size),
                                        .kind = wire.kind,
                                        .coding = wire.coding};
    memcpy(entry->digest, wire.digest, sizeof entry->digest);
    return wire.reserved == 0 && entry->kind >= HIBERNATION_STREAM &&
           entry->kind <= HIBERNATION_PAGES && entry->coding >= HIBERNATION_ZERO &&
           entry->coding <= HIBERNATION_ZSTD && entry->plain_size > 0 &&
           entry->plain_size <= HIBERNATION_BLOCK_SIZE && size_fits(entry, tag_size);
}

static int parse_entries(const uint8_t *data, const struct hibernation_wire_footer *head,
                         bool encrypted, struct hibernation_footer *footer,
                         struct vios_error *error)
{
    for (uint64_t i = 0; i < head->block_count;
         i++, data += sizeof(struct hibernation_wire_entry)) {
        struct hibernation_entry *entry = &footer->entries[i];
        const struct hibernation_entry *before = i ? entry - 1 : NULL;
        if (!parse_entry(data, encrypted ? HIBERNATION_TAG_SIZE : 0, entry) ||
            (before &&
             (before->kind > entry->kind ||
              (before->kind == entry->kind && before->plain_size != HIBERNATION_BLOCK_SIZE)))) {
            return error_set(error, VIOS_E_CORRUPT, NULL, NULL,
                             "its footer is wrong: the entry of block %llu",
                             (unsigned long long)i + 1);
        }
        count_entry(footer, entry);
    }
    return footer->stream_size == head->stream_size && footer->pages_size == head->pages_size &&
                   footer->stored_size == head->stored_size
               ? VIOS_OK
               : wrong("its sums do not fit", error);
}

static int parse_configuration(const uint8_t *data, uint32_t size,
                               struct hibernation_footer *footer, struct vios_error *error)
{
    struct hibernation_configuration configuration;
    memcpy(footer->configuration, data, size);
    footer->configuration[size] = 0;
    footer->configuration_size = size;
    int status =
        hibernation_configuration_parse(footer->configuration, size, &configuration, error);
    hibernation_configuration_clear(&configuration);
    return status;
}

int hibernation_footer_parse(const uint8_t *data, size_t size, bool encrypted,
                             struct hibernation_footer *footer, struct vios_error *error)
{
    struct hibernation_wire_footer head;
    *footer = (struct hibernation_footer){0};
    int status = parse_head(data, size, &head, error);
    if (status < 0) {
        return status;
    }
    footer->room = head.block_count;
    footer->configuration = malloc((size_t)head.configuration_size + 1);
    footer->entries = calloc(head.block_count ? head.block_count : 1, sizeof *footer->entries);
    if (footer->configuration && footer->entries) {
        data += sizeof head;
        status = parse_configuration(data, head.configuration_size, footer, error);
    } else {
        status = error_no_memory(error, NULL);
    }
    if (status == VIOS_OK) {
        status = parse_entries(data + head.configuration_size, &head, encrypted, footer, error);
    }
    if (status < 0) {
        hibernation_footer_clear(footer);
    }
    return status;
}
