/*
 * The pages of a device become a stream and a device again: over a real socket, from and to a
 * server whose memory, faults and silence are the test's.
 */
#define LPAR "11111111-1111-4111-8111-111111111111"
#define DEVICE_NAME "paging/" LPAR "/7"

#include "paging/page.h"
#include "paging/page_loader.h"
#include "paging/page_save.h"
#include "tests/nbd_thread.h"

#define START 7
#define NAME DEVICE_NAME
#define MIB (1u << 20)
#define STREAM_MAX (2 * MEMORY_SIZE)

static uint8_t wanted[MEMORY_SIZE], stream[STREAM_MAX];
static size_t stream_size;
static struct node node;

static void fill_page(uint64_t page)
{
    for (uint32_t i = 0; i < PAGE_BYTES; i++) {
        bytes[page * PAGE_BYTES + i] = (uint8_t)(page + i % 251 + 1);
    }
}

static void fill_pages(uint64_t first, uint64_t end, uint64_t step)
{
    for (uint64_t page = first; page < end; page += step) {
        fill_page(page);
    }
}

/* --- saving and loading --- */

static int sink(void *context, const void *data, size_t size, struct operation *sinking)
{
    (void)context;
    ok(sinking == &operation && size > 0 && size <= STREAM_MAX - stream_size, "the sink is called");
    memcpy(stream + stream_size, data, size);
    stream_size += size;
    return VIOS_OK;
}

static int save(uint64_t *pages)
{
    static const struct page_save_target target = {.sink = sink};
    stream_size = 0;
    return page_save(&node, LPAR, START, &target, pages, &operation);
}

/* In pieces of that size. */
static int load_in(size_t step, uint64_t *pages)
{
    struct page_loader *loader;
    int status = page_loader_open(&loader, &node, LPAR, START, &operation);
    for (size_t at = 0; status == VIOS_OK && at < stream_size; at += step) {
        size_t size = stream_size - at < step ? stream_size - at : step;
        status = page_loader_write(loader, stream + at, size, &operation);
        if (status != VIOS_OK) {
            page_loader_abandon(loader);
            return status;
        }
    }
    return status == VIOS_OK ? page_loader_finish(loader, pages, &operation) : status;
}

/* What the device has now comes back in a new one, in pieces of that size. */
static void goes_round(uint64_t size, size_t step, uint64_t count, const char *what)
{
    uint64_t pages = UINT64_MAX;
    memcpy(wanted, bytes, sizeof bytes);
    is_int(save(&pages), VIOS_OK);
    ok(pages == count, "%s: %llu pages are saved", what, (unsigned long long)pages);
    bool told = fault.tells_no_holes;
    fresh(size);
    fault.tells_no_holes = told;
    is_int(load_in(step, &pages), VIOS_OK);
    ok(pages == count, "%s: %llu pages are loaded", what, (unsigned long long)pages);
    settle();
    ok(memcmp(bytes, wanted, sizeof bytes) == 0, "%s: they are the same", what);
    is_int(fault.flushes, 1);
}

/* --- what works --- */

static void nothing_goes_round(void)
{
    fresh(MEMORY_SIZE);
    goes_round(MEMORY_SIZE, 1, 0, "no page");
    is_int((long long)stream_size, 40);
    fresh(0);
    goes_round(0, MIB, 0, "no device");
    is_int((long long)stream_size, 40);
}

static void single_pages_go_round(void)
{
    fresh(MEMORY_SIZE);
    fill_page(MEMORY_SIZE / PAGE_BYTES - 1);
    goes_round(MEMORY_SIZE, 1000, 1, "the last page");
    is_int((long long)stream_size, 24 + 16 + PAGE_BYTES + 16);
    fresh(MEMORY_SIZE);
    fill_page(0);
    bytes[PAGE_BYTES] = 1;               /* a page with its first byte */
    bytes[MIB + 2 * PAGE_BYTES - 1] = 1; /* and one with its last */
    goes_round(MEMORY_SIZE, MIB, 3, "the first page, and sparse ones");
    fresh(MIB + PAGE_BYTES);
    fill_page(MIB / PAGE_BYTES);
    goes_round(MIB + PAGE_BYTES, MIB, 1, "a device that ends behind a piece");
}

static void whole_devices_go_round(void)
{
    fresh(MEMORY_SIZE);
    fill_pages(0, MEMORY_SIZE / PAGE_BYTES, 1);
    goes_round(MEMORY_SIZE, 100001, MEMORY_SIZE / PAGE_BYTES, "every page");
    fresh(MEMORY_SIZE);
    fill_pages(1, MEMORY_SIZE / PAGE_BYTES, 2);
    goes_round(MEMORY_SIZE, MIB, MEMORY_SIZE / PAGE_BYTES / 2, "every other page");
    fresh(3 * PAGE_BYTES);
    fill_pages(0, 3, 1);
    goes_round(3 * PAGE_BYTES, MIB, 3, "a small device");
}

static void random_pages_go_round(void)
{
    srand(17);
    for (int round = 0; round < 10; round++) {
        uint64_t size = (1 + (uint64_t)rand() % (MEMORY_SIZE / PAGE_BYTES)) * PAGE_BYTES, count = 0;
        int share = 1 + rand() % 40;
        fresh(size);
        for (uint64_t page = 0; page < size / PAGE_BYTES; page++) {
            if (rand() % share == 0) {
                fill_page(page);
                count++;
            }
        }
        fault.tells_no_holes =
            round % 2; /* then zeroes come as data, and are left out all the same */
        goes_round(size, 1 + (size_t)rand() % MIB, count, "random pages");
    }
}

static uint64_t told_done, told_pages;
static bool told_rising = true;

static void progress(void *context, uint64_t done_bytes, uint64_t size_bytes, uint64_t pages)
{
    told_rising = told_rising && done_bytes > told_done && pages >= told_pages &&
                  size_bytes == MEMORY_SIZE && context == &told_done;
    told_done = done_bytes;
    told_pages = pages;
}

static void progress_is_told(void)
{
    struct page_save_target target = {.sink = sink, .progress = progress, .context = &told_done};
    fresh(MEMORY_SIZE);
    fill_pages(0, 100, 1);
    stream_size = 0;
    is_int(page_save(&node, LPAR, START, &target, NULL, &operation), VIOS_OK);
    ok(told_rising && told_done == MEMORY_SIZE && told_pages == 100, "to the end");
}

/* --- what fails --- */

/* A stream of each other page. */
static void make_stream(void)
{
    fresh(MEMORY_SIZE);
    fill_pages(1, MEMORY_SIZE / PAGE_BYTES, 2);
    is_int(save(NULL), VIOS_OK);
    fresh(MEMORY_SIZE);
}

static void a_page_that_cannot_be_read_is_named(void)
{
    fresh(MEMORY_SIZE);
    fill_pages(0, MEMORY_SIZE / PAGE_BYTES, 1);
    fault.command = NBD_READ;
    fault.bad = 3 * MIB + 5 * PAGE_BYTES;
    fault.error = EIO;
    fault.times = -1;
    failed_with(save(NULL), VIOS_E_IO, NAME, "the page at 3166208 cannot be read: Input/output");
}

static void a_page_that_can_be_read_later_is_saved(void)
{
    fresh(MEMORY_SIZE);
    fill_pages(0, MEMORY_SIZE / PAGE_BYTES, 3);
    fault.command = NBD_READ;
    fault.bad = 3 * MIB + 5 * PAGE_BYTES;
    fault.error = EIO;
    fault.times = 1;
    goes_round(MEMORY_SIZE, MIB, (MEMORY_SIZE / PAGE_BYTES + 2) / 3, "with a fault between");
}

static void a_page_that_cannot_be_written_is_named(void)
{
    make_stream();
    fault.command = NBD_WRITE;
    fault.bad = 5 * MIB + PAGE_BYTES;
    fault.error = ENOSPC;
    fault.times = -1;
    failed_with(load_in(MIB, NULL), VIOS_E_NO_SPACE, NAME, "page at 5246976 cannot be written: No");
    make_stream();
    fault.command = NBD_WRITE;
    fault.bad = MEMORY_SIZE - PAGE_BYTES;
    fault.error = EIO;
    fault.times = -1;
    failed_with(load_in(MIB, NULL), VIOS_E_IO, NAME, "page at 8384512 cannot be written: Input");
}

static void a_loader_that_failed_stays_so(void)
{
    struct page_loader *loader;
    make_stream();
    is_int(page_loader_open(&loader, &node, LPAR, START, &operation), VIOS_OK);
    is_int(page_loader_write(loader, "this is no stream of pages", 24, &operation), VIOS_E_CORRUPT);
    failed_with(page_loader_write(loader, stream, stream_size, &operation), VIOS_E_INVALID, NAME,
                "are missing");
    is_int(page_loader_finish(loader, NULL, &operation), VIOS_E_INVALID);
}

static void a_stream_that_is_cut_short_is_refused(void)
{
    make_stream();
    size_t whole = stream_size;
    for (stream_size = 0; stream_size < whole; stream_size += 1 + stream_size * 2) {
        fresh(MEMORY_SIZE);
        failed_with(load_in(MIB, NULL), VIOS_E_CORRUPT, "stream of pages", "cut short");
    }
    stream_size = whole - 1;
    failed_with(load_in(MIB, NULL), VIOS_E_CORRUPT, "stream of pages", "cut short");
    is_int(fault.flushes, 0);
}

static void a_device_of_another_size_is_refused(void)
{
    make_stream();
    fresh(MEMORY_SIZE / 2);
    failed_with(load_in(MIB, NULL), VIOS_E_INVALID, "stream of pages",
                "of a device of 8388608 bytes, this one has 4194304");
    fresh(MEMORY_SIZE - 1);
    failed_with(save(NULL), VIOS_E_INVALID, NAME, "8388607 bytes do not end with a page");
    failed_with(load_in(MIB, NULL), VIOS_E_INVALID, NAME, "8388607 bytes do not end with a page");
}

static int no_sink(void *context, const void *data, size_t size, struct operation *sinking)
{
    (void)context, (void)data, (void)size;
    return operation_fail(sinking, VIOS_E_NO_SPACE, "the file", NULL, "no room");
}

static void a_sink_that_fails_ends_it(void)
{
    static const struct page_save_target target = {.sink = no_sink};
    fresh(MEMORY_SIZE);
    failed_with(page_save(&node, LPAR, START, &target, NULL, &operation), VIOS_E_NO_SPACE,
                "the file", "no room");
}

static void what_is_not_there_is_said(void)
{
    static const struct page_save_target target = {.sink = sink};
    struct node other = {.run_dir = "/nowhere"};
    fresh(MEMORY_SIZE);
    failed_with(page_save(&node, LPAR, START + 1, &target, NULL, &operation), VIOS_E_NOT_FOUND,
                "paging/" LPAR "/8", "no such export");
    failed_with(page_save(&other, LPAR, START, &target, NULL, &operation), VIOS_E_UNREACHABLE, NAME,
                "cannot connect");
}

/* --- what is given up --- */

static void a_cancel_ends_a_wait(void)
{
    fresh(MEMORY_SIZE);
    be_silent(NBD_READ, false);
    failed_with(save(NULL), VIOS_E_CANCELLED, "", "cancelled");
    make_stream();
    be_silent(NBD_WRITE, false);
    failed_with(load_in(stream_size, NULL), VIOS_E_CANCELLED, "", "cancelled");
    make_stream();
    be_silent(NBD_FLUSH, false);
    fault.until_silence = 0;
    failed_with(load_in(MIB, NULL), VIOS_E_CANCELLED, "", "cancelled");
}

static int cancelling_sink(void *context, const void *data, size_t size, struct operation *sinking)
{
    if (stream_size > 2 * MIB) {
        cancel_trigger(cancel);
    }
    return sink(context, data, size, sinking);
}

static void a_cancel_ends_what_needs_no_wait(void)
{
    static const struct page_save_target target = {.sink = cancelling_sink};
    struct page_loader *loader;
    fresh(MEMORY_SIZE);
    fill_pages(0, MEMORY_SIZE / PAGE_BYTES, 1);
    stream_size = 0;
    failed_with(page_save(&node, LPAR, START, &target, NULL, &operation), VIOS_E_CANCELLED, "",
                "cancelled");
    ok(stream_size < 4 * MIB, "soon");
    make_stream();
    is_int(page_loader_open(&loader, &node, LPAR, START, &operation), VIOS_OK);
    is_int(page_loader_write(loader, stream, MIB, &operation), VIOS_OK);
    cancel_trigger(cancel);
    is_int(page_loader_write(loader, stream + MIB, MIB, &operation), VIOS_E_CANCELLED);
    page_loader_abandon(loader);
}

static void a_deadline_ends_a_wait(void)
{
    fresh(MEMORY_SIZE);
    be_silent(NBD_READ, false);
    fault.cancel = NULL;
    operation_start(&operation, 50, NULL);
    failed_with(save(NULL), VIOS_E_TIMEOUT, "", "timed out");
}

static void a_server_that_hangs_up_is_said(void)
{
    fresh(MEMORY_SIZE);
    be_silent(NBD_READ, true);
    failed_with(save(NULL), VIOS_E_UNREACHABLE, NAME, "");
    ok(operation.error.message[0] != 0, "why: %s", operation.error.message);
    make_stream();
    be_silent(NBD_WRITE, true);
    failed_with(load_in(MIB, NULL), VIOS_E_UNREACHABLE, NAME, "");
    make_stream();
    be_silent(NBD_FLUSH, true);
    fault.until_silence = 0;
    failed_with(load_in(MIB, NULL), VIOS_E_UNREACHABLE, NAME, "");
}

int main(void)
{
    node.run_dir = tap_folder();
    start_server();
    RUN(nothing_goes_round);
    RUN(single_pages_go_round);
    RUN(whole_devices_go_round);
    RUN(random_pages_go_round);
    RUN(progress_is_told);
    RUN(a_page_that_cannot_be_read_is_named);
    RUN(a_page_that_can_be_read_later_is_saved);
    RUN(a_page_that_cannot_be_written_is_named);
    RUN(a_loader_that_failed_stays_so);
    RUN(a_stream_that_is_cut_short_is_refused);
    RUN(a_device_of_another_size_is_refused);
    RUN(a_sink_that_fails_ends_it);
    RUN(what_is_not_there_is_said);
    RUN(a_cancel_ends_a_wait);
    RUN(a_cancel_ends_what_needs_no_wait);
    RUN(a_deadline_ends_a_wait);
    RUN(a_server_that_hangs_up_is_said);
    stop_server();
    return tap_done();
}
