/* A stream of pages is taken whole or refused with the reason, in whatever pieces it comes. */
#include "paging/page_stream.h"
#include "tests/tap.h"

#include <endian.h>

#define DEVICE (UINT64_C(64) * PAGE_BYTES)

static uint8_t stream[64 * 1024];
static size_t stream_size;

static void add(const void *data, size_t size)
{
    memcpy(stream + stream_size, data, size);
    stream_size += size;
}

static void add_header(void)
{
    struct page_stream_header header;
    stream_size = 0;
    page_stream_make_header(&header, DEVICE);
    add(&header, sizeof header);
}

/* Whose pages have their own numbers in each byte. */
static void add_run(uint64_t first, uint32_t pages)
{
    struct page_stream_head head;
    page_stream_make_run(&head, first * PAGE_BYTES, pages * PAGE_BYTES);
    add(&head, sizeof head);
    for (uint64_t page = first; page < first + pages; page++) {
        memset(stream + stream_size, (int)page, PAGE_BYTES);
        stream_size += PAGE_BYTES;
    }
}

static void add_head(uint32_t kind, uint32_t size, uint64_t value)
{
    struct page_stream_head head = {htole32(kind), htole32(size), htole64(value)};
    add(&head, sizeof head);
}

static void add_end(uint64_t pages)
{
    struct page_stream_head head;
    page_stream_make_end(&head, pages);
    add(&head, sizeof head);
}

/* Whether each byte is its page's number, and none is left out. */
static bool is_right(const struct page_piece *piece, uint64_t *next)
{
    bool right = *next == UINT64_MAX || piece->offset >= *next;
    for (size_t i = 0; i < piece->size; i++) {
        right = right && piece->data[i] == (uint8_t)((piece->offset + i) / PAGE_BYTES);
    }
    *next = piece->offset + piece->size;
    return right;
}

/* Reads it in pieces of that size; its bytes of data in `taken`. */
static int read_in(size_t step, uint64_t *taken, struct vios_error *error)
{
    struct page_stream reading;
    uint64_t next = UINT64_MAX;
    int status = 0;
    *taken = 0;
    page_stream_begin(&reading, DEVICE);
    for (size_t at = 0; at < stream_size && status == 0; at += step) {
        const uint8_t *data = stream + at;
        size_t left = stream_size - at < step ? stream_size - at : step;
        struct page_piece piece;
        while ((status = page_stream_read(&reading, &data, &left, &piece, error)) > 0) {
            ok(is_right(&piece, &next), "the data at %llu", (unsigned long long)piece.offset);
            *taken += piece.size;
        }
    }
    return status == 0 ? page_stream_check_end(&reading, error) : status;
}

static void comes_in_any_pieces(void)
{
    static const size_t STEPS[] = {1, 7, 16, 24, 4095, 4096, 4097, sizeof stream};
    add_header();
    add_run(0, 1);
    add_run(1, 2); /* may follow at once */
    add_run(9, 1);
    add_run(62, 2);
    add_end(6);
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0]; i++) {
        struct vios_error error = {0};
        uint64_t taken;
        is_int(read_in(STEPS[i], &taken, &error), VIOS_OK);
        ok(taken == 6 * PAGE_BYTES, "all by %zu: %s", STEPS[i], error.message);
    }
}

static void may_have_no_pages(void)
{
    struct vios_error error = {0};
    uint64_t taken;
    add_header();
    add_end(0);
    is_int(stream_size, 40);
    is_int(read_in(40, &taken, &error), VIOS_OK);
    is_int((long long)taken, 0);
}

static void is_refused(int code, const char *reason)
{
    struct vios_error error = {0};
    uint64_t taken;
    for (size_t step = 1; step <= stream_size + 1; step += 311) {
        is_int(read_in(step, &taken, &error), code);
        ok(strstr(error.message, reason) != NULL, "\"%s\" says \"%s\"", error.message, reason);
    }
}

static void is_senseless(const char *reason)
{
    is_refused(VIOS_E_CORRUPT, reason);
}

static void is_refused_when_it_is_cut_short(void)
{
    static const struct {
        size_t size;
        const char *reason;
    } CUTS[] = {
        {0, "in its header"},
        {1, "in its header"},
        {23, "in its header"},
        {24, "behind 0 pages"},
        {39, "behind 0 pages"},
        {40, "in the page at 12288"},
        {41, "in the page at 12288"},
        {40 + 4096, "in the page at 16384"},
        {40 + 8191, "in the page at 16384"},
        {40 + 8192, "behind 2 pages"},
        {40 + 8192 + 15, "behind 2 pages"},
    };
    for (size_t i = 0; i < sizeof CUTS / sizeof CUTS[0]; i++) {
        add_header();
        add_run(3, 2);
        add_end(2);
        stream_size = CUTS[i].size;
        is_senseless(CUTS[i].reason);
    }
}

static void is_refused_when_its_header_is_another(void)
{
    add_header();
    stream[0] ^= 1;
    is_senseless("does not begin as one");
    add_header();
    stream[8] = 2;
    is_senseless("its version is 2, this software knows 1");
    add_header();
    stream[13] = 0;
    is_senseless("its pages have 0 bytes, not 4096");
    add_header();
    stream[16] = 1;
    is_senseless("does not end with a page");
    add_header();
    stream[18] = 8;
    is_refused(VIOS_E_INVALID, "of a device of 524288 bytes, this one has 262144");
}

static void is_refused_when_a_run_is_senseless(void)
{
    static const struct {
        uint32_t kind, size;
        uint64_t value;
        const char *reason;
    } HEADS[] = {
        {1, 0, 0x8000, "a run at 32768 has 0 bytes"},
        {1, 4095, 0x8000, "a run at 32768 has 4095 bytes"},
        {1, PAGE_STREAM_RUN_MAX + PAGE_BYTES, 0x8000, "a run at 32768 has 4198400 bytes"},
        {1, 4096, 0x8001, "does not begin with a page"},
        {1, 4096, 0x4000, "a run at 16384 follows one that ends at 20480"},
        {1, 4096, DEVICE, "is beyond the device's 262144"},
        {1, 8192, DEVICE - PAGE_BYTES, "is beyond the device's 262144"},
        {1, 4096, UINT64_MAX - 4095, "is beyond the device's 262144"},
        {0, 4096, 0x8000, "behind 2 pages is neither a run nor the end"},
        {3, 0, 2, "behind 2 pages is neither a run nor the end"},
        {2, 4096, 2, "behind 2 pages is neither a run nor the end"},
        {2, 0, 3, "it says that it has 3 pages, and has 2"},
        {2, 0, 1, "it says that it has 1 pages, and has 2"},
    };
    for (size_t i = 0; i < sizeof HEADS / sizeof HEADS[0]; i++) {
        add_header();
        add_run(3, 2);
        add_head(HEADS[i].kind, HEADS[i].size, HEADS[i].value);
        is_senseless(HEADS[i].reason);
    }
}

static void is_refused_when_more_follows(void)
{
    add_header();
    add_end(0);
    add("x", 1);
    is_senseless("more follows its end");
}

int main(void)
{
    RUN(comes_in_any_pieces);
    RUN(may_have_no_pages);
    RUN(is_refused_when_it_is_cut_short);
    RUN(is_refused_when_its_header_is_another);
    RUN(is_refused_when_a_run_is_senseless);
    RUN(is_refused_when_more_follows);
    return tap_done();
}
