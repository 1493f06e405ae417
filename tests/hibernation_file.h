/* hibernation_file.h - hibernation files for tests: what they are of, their key, and sealing one
 * again that was changed. */
#ifndef TESTS_HIBERNATION_FILE_H
#define TESTS_HIBERNATION_FILE_H

#include "hibernation/header.h"
#include "hibernation/seal.h"
#include "net/crypto.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define CLUSTER_UUID "c1c1c1c1-0000-4000-8000-000000000001"
#define LPAR_UUID "11111111-0000-4000-8000-000000000002"
#define ADAPTER_HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define CONFIGURATION "{\"v\":1,\"hash\":\"" ADAPTER_HASH "\",\"spec\":{\"cpus\":1}}"
#define MEMORY_BYTES ((uint64_t)128 << 20)

static const struct hibernation_key FILE_KEY = {.id = 7, .bytes = "a key of the tests"};

__attribute__((unused)) static struct hibernation_header file_header(bool encrypted)
{
    return (struct hibernation_header){.cluster = CLUSTER_UUID,
                                       .lpar = LPAR_UUID,
                                       .name = "web1",
                                       .node = "n1",
                                       .incarnation = 3,
                                       .generation = 6,
                                       .memory_bytes = MEMORY_BYTES,
                                       .machine = "pc-i440fx-7.2",
                                       .qemu = "7.2.22",
                                       .created_ms = 1764190000000,
                                       .encrypted = encrypted};
}

/* Makes digests and seal fit what the bytes are now, as far as their sizes allow: the header, which
 * may have been changed but for its key, the footer, and the trailer. Not the blocks. */
__attribute__((unused)) static void file_reseal(uint8_t *data, size_t size)
{
    struct hibernation_wire_header header;
    struct hibernation_wire_trailer trailer;
    struct hibernation_header parsed;
    struct hibernation_seal seal;
    if (size < sizeof header + sizeof trailer) {
        return;
    }
    memcpy(&header, data, sizeof header);
    crypto_digest(&header, offsetof(struct hibernation_wire_header, digest), "", 0, header.digest,
                  NULL);
    memcpy(data, &header, sizeof header);
    memcpy(&trailer, data + size - sizeof trailer, sizeof trailer);
    uint64_t footer = le64toh(trailer.footer_size);
    if (footer <= size - sizeof header - sizeof trailer) {
        crypto_digest(data + size - sizeof trailer - footer, footer, "", 0, trailer.footer_digest,
                      NULL);
    }
    if (hibernation_header_parse(&header, &parsed, NULL) == VIOS_OK) {
        int status = hibernation_seal_make(&seal, &FILE_KEY, parsed.file, NULL);
        assert(status == VIOS_OK);
        status = hibernation_seal_compute(&seal, &header, &trailer, trailer.seal, NULL);
        assert(status == VIOS_OK);
        (void)status;
    }
    memcpy(data + size - sizeof trailer, &trailer, sizeof trailer);
}

#endif
