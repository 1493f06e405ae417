/* fuzz_chunks.c - a file of digests: refused, or it is what chunks_digest() says of it. The bytes
 * are also taken as one whose checksum fits, so that the search gets behind it; and as a copy's
 * journal, and as one whose header and batch have checksums that fit. */
#include "net/crypto.h"
#include "storage/chunks.h"
#include "storage/copy_journal.h"

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

#define JOURNAL_CHUNKS 16
#define JOURNAL_HEADER 64
#define BATCH_HEADER 40

static size_t try_journal(const uint8_t *data, size_t size)
{
    struct chunks chunks;
    uint8_t durable[JOURNAL_CHUNKS] = {0};
    assert(chunks_make(&chunks, JOURNAL_CHUNKS * CHUNK_SIZE, NULL) == VIOS_OK);
    size_t good = copy_journal_parse(data, size, 1, &chunks, durable);
    assert(good <= size && (good == 0 || good >= JOURNAL_HEADER));
    chunks_clear(&chunks);
    return good;
}

/* The input is a batch without its digest. */
static void try_batch(const uint8_t *data, size_t size)
{
    static const uint64_t HEADER[] = {1, JOURNAL_CHUNKS * CHUNK_SIZE, CHUNK_SIZE};
    uint8_t *whole = malloc(JOURNAL_HEADER + CHUNK_DIGEST_SIZE + size);
    assert(whole);
    memcpy(whole, "viosjrn1", 8);
    memcpy(whole + 8, HEADER, sizeof HEADER);
    assert(crypto_digest(whole, 32, "", 0, whole + 32, NULL) == VIOS_OK);
    uint8_t *batch = whole + JOURNAL_HEADER;
    memcpy(batch, data, 8);
    memcpy(batch + BATCH_HEADER, data + 8, size - 8);
    assert(crypto_digest(data, 8, data + 8, size - 8, batch + 8, NULL) == VIOS_OK);
    assert(try_journal(whole, JOURNAL_HEADER + CHUNK_DIGEST_SIZE + size) >= JOURNAL_HEADER);
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_file(data, size);
    try_journal(data, size);
    if (size >= 8) {
        try_batch(data, size);
    }
    uint8_t *whole = malloc(size + CHUNK_DIGEST_SIZE);
    assert(whole);
    memcpy(whole, data, size);
    assert(crypto_digest(data, size, "", 0, whole + size, NULL) == VIOS_OK);
    try_file(whole, size + CHUNK_DIGEST_SIZE);
    free(whole);
    return 0;
}
