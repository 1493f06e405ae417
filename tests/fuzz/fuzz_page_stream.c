/* fuzz_page_stream.c - a stream of pages as it may lie in a file: refused with a reason, or its
 * data is of pages that ascend within the device, as many as it says; the same in whatever pieces.
 */
#include "paging/page_stream.h"

#include <assert.h>
#include <string.h>

#define DEVICE (UINT64_C(64) * PAGE_BYTES)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    int status;
    uint64_t taken, sum; /* bytes of data; over them and their places */
    struct vios_error error;
};

static void take(const struct page_piece *piece, uint64_t *floor, struct outcome *outcome)
{
    assert(piece->size > 0 && piece->offset >= *floor);
    assert(piece->offset <= DEVICE && piece->size <= DEVICE - piece->offset);
    *floor = piece->offset + piece->size;
    outcome->taken += piece->size;
    for (size_t i = 0; i < piece->size; i++) {
        outcome->sum += (piece->offset + i + 1) * piece->data[i];
    }
}

static void read_in(const uint8_t *data, size_t size, size_t step, struct outcome *outcome)
{
    struct page_stream stream;
    struct page_piece piece;
    uint64_t floor = 0;
    memset(outcome, 0, sizeof *outcome);
    page_stream_begin(&stream, DEVICE);
    while (size > 0 && outcome->status == 0) {
        const uint8_t *at = data;
        size_t part = size < step ? size : step, left = part;
        while ((outcome->status = page_stream_read(&stream, &at, &left, &piece, &outcome->error)) >
               0) {
            take(&piece, &floor, outcome);
        }
        assert(outcome->status < 0 || (left == 0 && at == data + part));
        data += part;
        size -= part;
    }
    if (outcome->status == 0) {
        outcome->status = page_stream_check_end(&stream, &outcome->error);
    }
    assert(outcome->status != VIOS_OK || outcome->taken == stream.pages * PAGE_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t STEPS[] = {1, 23, PAGE_BYTES};
    struct outcome whole, again;
    read_in(data, size, size, &whole);
    if (whole.status != VIOS_OK) {
        assert(whole.status == VIOS_E_CORRUPT || whole.status == VIOS_E_INVALID);
        assert(whole.error.message[0]);
    }
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0]; i++) {
        read_in(data, size, STEPS[i], &again);
        assert(again.status == whole.status && again.taken == whole.taken &&
               again.sum == whole.sum && strcmp(again.error.message, whole.error.message) == 0);
    }
    return 0;
}
