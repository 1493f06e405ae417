/* fuzz_ring.c - the record of the ring key: refused with a reason, or written back it is read as
 * the same. */
#include "node/ring.h"
#include "tests/fuzz/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(const struct ring *one, const struct ring *other)
{
    bool same = one->count == other->count && one->seal == other->seal;
    for (size_t i = 0; same && i < one->count; i++) {
        same = one->keys[i].id == other->keys[i].id &&
               memcmp(one->keys[i].bytes, other->keys[i].bytes, DATAGRAM_KEY_BYTES) == 0;
    }
    return same;
}

static void try_change(struct ring *ring)
{
    uint32_t newest = ring_newest(ring);
    bool may = ring->count == 1 && newest < UINT32_MAX;
    assert((ring_add(ring, NULL) == VIOS_OK) == may);
    ring->seal = ring_newest(ring);
    ring_drop_old(ring);
    assert(ring->count == 1 && ring->keys[0].id == ring->seal);
    assert(ring->seal == newest + may);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ring ring, again;
    struct vios_error error = {0};
    char *text = text_of(data, size);
    if (ring_parse(text, &ring, &error) == VIOS_OK) {
        char *json = ring_format(&ring);
        assert(json && ring_parse(json, &again, NULL) == VIOS_OK && is_same(&ring, &again));
        free(json);
        try_change(&ring);
    } else {
        assert(error.code == VIOS_E_CORRUPT && error.message[0]);
    }
    free(text);
    return 0;
}
