/* header.c - see header.h. */
#include "hibernation/header.h"

#include "net/crypto.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#define DIGESTED_SIZE offsetof(struct hibernation_wire_header, digest)
#define SHOWN_MAX 32 /* of a word: printable, without blanks */

char *hibernation_object(const char *name, char text[HIBERNATION_OBJECT_SIZE])
{
    snprintf(text, HIBERNATION_OBJECT_SIZE, "hibernation of \"%.64s\"", name);
    return text;
}

static bool is_word(const char *text)
{
    size_t length = 0;
    while (length < SHOWN_MAX && text[length] > ' ' && text[length] < 0x7f) {
        length++;
    }
    return length > 0 && length < SHOWN_MAX && text[length] == 0;
}

/* What no header has; NULL: it is good. */
static const char *find_wrong(const struct hibernation_header *header)
{
    return parse_uuid(header->file, NULL) < 0           ? "uuid"
           : parse_uuid(header->cluster, NULL) < 0      ? "cluster"
           : parse_uuid(header->lpar, NULL) < 0         ? "LPAR's uuid"
           : parse_name(header->name, "lpar", NULL) < 0 ? "LPAR's name"
           : parse_name(header->node, "node", NULL) < 0 ? "node"
           : header->incarnation < 0                    ? "incarnation"
           : header->generation < 1                     ? "generation"
           : header->memory_bytes == 0                  ? "memory"
           : !is_word(header->machine)                  ? "machine type"
           : !is_word(header->qemu)                     ? "QEMU version"
           : header->created_ms < 0                     ? "time"
                                                        : NULL;
}

int hibernation_header_encode(const struct hibernation_header *header,
                              struct hibernation_wire_header *wire, struct vios_error *error)
{
    const char *wrong = find_wrong(header);
    if (wrong) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL, "the %s of its header is wrong", wrong);
    }
    *wire = (struct hibernation_wire_header){
        .version = htole32(HIBERNATION_VERSION),
        .flags = htole32(header->encrypted ? HIBERNATION_ENCRYPTED : 0),
        .key_id = htole32(header->key_id),
        .block_size = htole32(HIBERNATION_BLOCK_SIZE),
        .incarnation = (int64_t)htole64((uint64_t)header->incarnation),
        .generation = (int64_t)htole64((uint64_t)header->generation),
        .memory_bytes = htole64(header->memory_bytes),
        .created_ms = (int64_t)htole64((uint64_t)header->created_ms),
    };
    memcpy(wire->magic, HIBERNATION_HEADER_MAGIC, sizeof wire->magic);
    memcpy(wire->file, header->file, strlen(header->file));
    memcpy(wire->cluster, header->cluster, strlen(header->cluster));
    memcpy(wire->lpar, header->lpar, strlen(header->lpar));
    memcpy(wire->name, header->name, strlen(header->name));
    memcpy(wire->node, header->node, strlen(header->node));
    memcpy(wire->machine, header->machine, strlen(header->machine));
    memcpy(wire->qemu, header->qemu, strlen(header->qemu));
    return crypto_digest(wire, DIGESTED_SIZE, "", 0, wire->digest, error);
}

/* False: it does not fit, or something lies behind its NUL. */
static bool take_text(const char *wire, size_t wire_size, char *out, size_t size)
{
    size_t length = strnlen(wire, wire_size);
    memset(out, 0, size);
    for (size_t i = length; i < wire_size; i++) {
        if (wire[i]) {
            return false;
        }
    }
    if (length >= size || length == wire_size) {
        return false;
    }
    memcpy(out, wire, length);
    return true;
}

#define TAKE_TEXT(member)                                                                          \
    take_text(wire->member, sizeof wire->member, header->member, sizeof header->member)

static bool take(const struct hibernation_wire_header *wire, struct hibernation_header *header)
{
    header->incarnation = (int64_t)le64toh((uint64_t)wire->incarnation);
    header->generation = (int64_t)le64toh((uint64_t)wire->generation);
    header->memory_bytes = le64toh(wire->memory_bytes);
    header->created_ms = (int64_t)le64toh((uint64_t)wire->created_ms);
    header->key_id = le32toh(wire->key_id);
    header->encrypted = le32toh(wire->flags) & HIBERNATION_ENCRYPTED;
    return TAKE_TEXT(file) && TAKE_TEXT(cluster) && TAKE_TEXT(lpar) && TAKE_TEXT(name) &&
           TAKE_TEXT(node) && TAKE_TEXT(machine) && TAKE_TEXT(qemu) &&
           (le32toh(wire->flags) & ~HIBERNATION_ENCRYPTED) == 0 &&
           le32toh(wire->block_size) == HIBERNATION_BLOCK_SIZE;
}

int hibernation_header_parse(const struct hibernation_wire_header *wire,
                             struct hibernation_header *header, struct vios_error *error)
{
    uint8_t digest[HIBERNATION_DIGEST_SIZE];
    *header = (struct hibernation_header){0};
    if (memcmp(wire->magic, HIBERNATION_HEADER_MAGIC, sizeof wire->magic) != 0) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL,
                         "is no hibernation file: it does not begin like one");
    }
    int status = crypto_digest(wire, DIGESTED_SIZE, "", 0, digest, error);
    if (status < 0) {
        return status;
    }
    if (memcmp(digest, wire->digest, sizeof digest) != 0) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL,
                         "its header is damaged (its digest differs)");
    }
    if (le32toh(wire->version) != HIBERNATION_VERSION) {
        return error_set(error, VIOS_E_INVALID, NULL,
                         "restart it on a node that runs that software",
                         "has format %u, this node reads format %d",
                         (unsigned)le32toh(wire->version), HIBERNATION_VERSION);
    }
    const char *wrong = take(wire, header) ? find_wrong(header) : "form";
    if (wrong) {
        *header = (struct hibernation_header){0};
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "the %s of its header is wrong", wrong);
    }
    return VIOS_OK;
}

int hibernation_header_check_cluster(const struct hibernation_header *header,
                                     const struct hibernation_expected *expected,
                                     struct vios_error *error)
{
    if (strcmp(header->cluster, expected->cluster) != 0) {
        return error_set(error, VIOS_E_INVALID, NULL, "restart it in the cluster that wrote it",
                         "is of another cluster (%s)", header->cluster);
    }
    return VIOS_OK;
}

int hibernation_header_check(const struct hibernation_header *header,
                             const struct hibernation_expected *expected, struct vios_error *error)
{
    if (strcmp(header->lpar, expected->lpar) != 0) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL, "is of another LPAR, %s (%s)",
                         header->name, header->lpar);
    }
    if (header->generation != expected->generation) {
        return error_set(error, VIOS_E_STALE, NULL, "start the LPAR from its storage",
                         "is of generation %lld, the LPAR is at %lld",
                         (long long)header->generation, (long long)expected->generation);
    }
    if (expected->memory_bytes && header->memory_bytes != expected->memory_bytes) {
        return error_set(error, VIOS_E_INVALID, NULL, "give the LPAR the memory that it had",
                         "has %llu bytes of memory, the LPAR has %llu",
                         (unsigned long long)header->memory_bytes,
                         (unsigned long long)expected->memory_bytes);
    }
    if (expected->machine && strcmp(header->machine, expected->machine) != 0) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL,
                         "is of machine type %s, the LPAR has %.31s", header->machine,
                         expected->machine);
    }
    return VIOS_OK;
}
