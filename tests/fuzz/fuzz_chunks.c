/* fuzz_chunks.c - a file of digests: refused, or it is what chunks_digest() says of it. The bytes
 * are also taken as one whose checksum fits, so that the search gets behind it. */
#include "net/crypto.h"
#include "storage/chunks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_file(const uint8_t *data, size_t size)
{
    struct chunks chunks;
    char hex[CHUNKS_TEXT_SIZE], trailer[CHUNKS_TEXT_SIZE];
    if (chunks_parse(data, size, "digests", &chunks, NULL) == VIOS_OK) {
        assert(chunks.size_bytes <= chunks.count * CHUNK_SIZE);
        assert(chunks.count == 0 || chunks.size_bytes > (chunks.count - 1) * CHUNK_SIZE);
        chunks_digest(&chunks, hex);
        crypto_hex(data + size - CHUNK_DIGEST_SIZE, CHUNK_DIGEST_SIZE, trailer);
        assert(strcmp(hex, trailer) == 0);
    }
    chunks_clear(&chunks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_file(data, size);
    uint8_t *whole = malloc(size + CHUNK_DIGEST_SIZE);
    assert(whole);
    memcpy(whole, data, size);
    assert(crypto_digest(data, size, "", 0, whole + size, NULL) == VIOS_OK);
    try_file(whole, size + CHUNK_DIGEST_SIZE);
    free(whole);
    return 0;
}
