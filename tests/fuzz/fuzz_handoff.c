/* fuzz_handoff.c - what the source of a migration sends: refused with a reason, or its pieces are
 * in their order and nothing follows its end; the same in whatever parts it comes. */
#include "lpar/handoff.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    int status;
    uint64_t bytes[HANDOFF_END + 1], sum;
    unsigned ends;
    struct vios_error error;
};

static void note(struct outcome *outcome, int kind, const uint8_t *piece, size_t size)
{
    assert(outcome->ends == 0 && kind <= HANDOFF_END && (kind == HANDOFF_END) == (size == 0));
    outcome->ends += kind == HANDOFF_END;
    outcome->bytes[kind] += size;
    for (size_t i = 0; i < size; i++) {
        outcome->sum = outcome->sum * 31 + piece[i];
    }
}

static void read_in(const uint8_t *data, size_t size, size_t step, struct outcome *outcome)
{
    struct handoff handoff = {.have = 0};
    memset(outcome, 0, sizeof *outcome);
    while (size > 0 && outcome->status == 0) {
        const uint8_t *at = data, *piece = NULL;
        size_t part = size < step ? size : step, left = part, length;
        while ((outcome->status =
                    handoff_take(&handoff, &at, &left, &piece, &length, &outcome->error)) > 0) {
            note(outcome, outcome->status, piece, length);
        }
        assert(outcome->status < 0 || (left == 0 && at == data + part));
        data += part;
        size -= part;
    }
    assert(outcome->status == 0 ||
           (outcome->status == VIOS_E_INVALID && outcome->error.message[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, pieces;
    read_in(data, size, size + 1, &whole);
    read_in(data, size, 3, &pieces);
    assert(whole.status == pieces.status && whole.ends == pieces.ends && whole.sum == pieces.sum);
    assert(memcmp(whole.bytes, pieces.bytes, sizeof whole.bytes) == 0);
    return 0;
}
