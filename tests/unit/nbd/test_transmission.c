/* test_transmission.c - NBD requests and replies, the bad ones too, limits, and held exports. */
#include "tests/unit/nbd/client.h"

static uint8_t pattern[NBD_REQUEST_MAX];

static void write_and_read_simply(void)
{
    uint8_t back[9000];
    fresh();
    int fd = go(false);
    put_request(fd, NBD_WRITE, NBD_CMD_FLAG_FUA, 1, 100, 9000);
    put(fd, pattern, 9000);
    is_int(get_simple(fd, 1), 0);
    ok(memcmp(memory_bytes + 100, pattern, 9000) == 0, "the bytes are there");
    put_request(fd, NBD_READ, 0, 2, 100, 9000);
    is_int(get_simple(fd, 2), 0);
    ok(get(fd, back, 9000) && memcmp(back, pattern, 9000) == 0, "the bytes come back");
    put_request(fd, NBD_READ, 0, 3, MEMORY_SIZE - 5, 5);
    is_int(get_simple(fd, 3), 0);
    ok(get(fd, back, 5) && back[4] == 0, "a hole is sent as zeroes");
    put_request(fd, NBD_READ, 0, 4, MEMORY_SIZE, 1);
    is_int(get_simple(fd, 4), NBD_EINVAL);
    put_request(fd, NBD_DISCONNECT, 0, 5, 0, 0);
    ok(is_closed(fd), "DISC disconnects");
    hang_up(fd);
}

/* Reads all chunks of a READ into `back`; their number. */
static int read_chunks(int fd, uint64_t cookie, uint64_t offset, uint8_t *back)
{
    bool last = false;
    int chunks = 0;
    while (!last && chunks < 100) {
        uint32_t length, hole;
        uint64_t at;
        uint16_t type = get_chunk(fd, cookie, &last, &length);
        chunks++;
        if (!get(fd, &at, sizeof at)) {
            return -1;
        }
        at = be64toh(at) - offset;
        if (type == NBD_REPLY_OFFSET_DATA) {
            get(fd, back + at, length - 8);
        } else {
            is_int(type, NBD_REPLY_OFFSET_HOLE);
            get(fd, &hole, sizeof hole);
            memset(back + at, 0, ntohl(hole));
        }
    }
    return chunks;
}

static void a_structured_read_tells_holes(void)
{
    static uint8_t back[64 * NBD_BLOCK];
    fresh();
    int fd = go(true);
    memset(back, 0xff, sizeof back);
    put_request(fd, NBD_READ, 0, 1, 0, 3 * NBD_BLOCK);
    is_int(read_chunks(fd, 1, 0, back), 1);
    memcpy(memory_bytes + NBD_BLOCK, pattern, NBD_BLOCK);
    put_request(fd, NBD_READ, 0, 2, 100, 3 * NBD_BLOCK);
    is_int(read_chunks(fd, 2, 100, back), 3);
    ok(memcmp(back, memory_bytes + 100, 3 * NBD_BLOCK) == 0, "the bytes are right");
    put_request(fd, NBD_READ, NBD_CMD_FLAG_DF, 3, 100, 3 * NBD_BLOCK);
    memset(back, 0xff, sizeof back);
    is_int(read_chunks(fd, 3, 100, back), 1);
    ok(memcmp(back, memory_bytes + 100, 3 * NBD_BLOCK) == 0, "and in one piece too");
    for (int i = 0; i < 64; i += 2) {
        memcpy(memory_bytes + i * NBD_BLOCK, pattern, NBD_BLOCK);
    }
    memset(memory_bytes + NBD_BLOCK, 0, NBD_BLOCK);
    put_request(fd, NBD_READ, 0, 4, 0, sizeof back);
    is_int(read_chunks(fd, 4, 0, back), 16);
    ok(memcmp(back, memory_bytes, sizeof back) == 0, "more runs than chunks");
    hang_up(fd);
}

static void block_status_tells_runs(void)
{
    uint32_t extents[6], context, length;
    bool last;
    fresh();
    memcpy(memory_bytes + 2 * NBD_BLOCK, pattern, NBD_BLOCK);
    int fd = go(true);
    put_request(fd, NBD_BLOCK_STATUS, 0, 1, 0, MEMORY_SIZE);
    is_int(get_chunk(fd, 1, &last, &length), NBD_REPLY_BLOCK_STATUS);
    is_int(length, 4 + sizeof extents);
    ok(get(fd, &context, 4) && get(fd, extents, sizeof extents), "three extents");
    is_int(ntohl(extents[0]), 2 * NBD_BLOCK);
    is_int(ntohl(extents[1]), 3);
    is_int(ntohl(extents[2]), NBD_BLOCK);
    is_int(ntohl(extents[3]), 0);
    is_int(ntohl(extents[4]), NBD_REQUEST_MAX - 3 * NBD_BLOCK);
    put_request(fd, NBD_BLOCK_STATUS, NBD_CMD_FLAG_REQ_ONE, 2, 100, 10000);
    is_int(get_chunk(fd, 2, &last, &length), NBD_REPLY_BLOCK_STATUS);
    is_int(length, 12);
    ok(get(fd, &context, 4) && get(fd, extents, 8), "one extent");
    is_int(ntohl(extents[0]), 2 * NBD_BLOCK - 100);
    hang_up(fd);
    fresh();
    fd = go(false);
    put_request(fd, NBD_BLOCK_STATUS, 0, 3, 0, 4096);
    is_int(get_simple(fd, 3), NBD_EINVAL);
    hang_up(fd);
}

static void bad_requests_get_reasons(void)
{
    fresh();
    int fd = go(true);
    put_request(fd, 99, 0, 1, 0, 1);
    is_int(get_error(fd, 1, "no such command here"), NBD_EINVAL);
    put_request(fd, NBD_CACHE, 0, 1, 0, 1);
    is_int(get_error(fd, 1, "no such command here"), NBD_EINVAL);
    put_request(fd, NBD_READ, NBD_CMD_FLAG_FAST_ZERO, 2, 0, 1);
    is_int(get_error(fd, 2, "a flag that this command does not have"), NBD_EINVAL);
    put_request(fd, NBD_READ, 0, 3, 0, 0);
    is_int(get_error(fd, 3, "the request is empty"), NBD_EINVAL);
    put_request(fd, NBD_READ, 0, 4, UINT64_MAX, 2);
    is_int(get_error(fd, 4, "the request is beyond the end of the export"), NBD_EINVAL);
    put_request(fd, NBD_TRIM, 0, 5, MEMORY_SIZE - 1, 2);
    is_int(get_error(fd, 5, "the request is beyond the end of the export"), NBD_ENOSPC);
    put_request(fd, NBD_READ, 0, 6, 0, NBD_REQUEST_MAX + 1);
    is_int(get_error(fd, 6, "the request is longer than the maximum block size"), NBD_EINVAL);
    put_request(fd, NBD_FLUSH, 0, 7, 0, 1);
    is_int(get_error(fd, 7, "offset and length of a flush are 0"), NBD_EINVAL);
    memory.export.read_only = true;
    put_request(fd, NBD_WRITE, 0, 8, 0, 300000); /* its payload is read over */
    put(fd, pattern, 300000);
    is_int(get_error(fd, 8, "the export is read-only"), NBD_EPERM);
    memory.export.minimum_block = 512;
    put_request(fd, NBD_READ, 0, 9, 512, 100);
    is_int(get_error(fd, 9, "the request is not aligned to the minimum block size"), NBD_EINVAL);
    memory.fail = EIO;
    put_request(fd, NBD_READ, 0, 10, 512, 512);
    is_int(get_error(fd, 10, "Input/output error"), NBD_EIO);
    is_int(memory.submits, 1);
    hang_up(fd);
}

static void absurd_requests_disconnect(void)
{
    fresh();
    int fd = go(true);
    put_request(fd, NBD_WRITE, 0, 1, 0, UINT32_MAX);
    ok(is_closed(fd), "a payload beyond reason");
    hang_up(fd);
    fresh();
    fd = go(true);
    put(fd, "this is no request at all, is it?", 33);
    ok(is_closed(fd), "a wrong magic");
    hang_up(fd);
}

static void errors_have_the_numbers_of_the_wire(void)
{
    static const int rows[][2] = {{EROFS, NBD_EPERM},     {ENOMEM, NBD_ENOMEM},
                                  {EDQUOT, NBD_ENOSPC},   {EOVERFLOW, NBD_EOVERFLOW},
                                  {ENOTSUP, NBD_ENOTSUP}, {ESHUTDOWN, NBD_ESHUTDOWN},
                                  {ENOENT, NBD_EIO}};
    fresh();
    int fd = go(false);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memory.fail = rows[i][0];
        put_request(fd, NBD_READ, 0, i, 0, 1);
        is_int(get_simple(fd, i), rows[i][1]);
    }
    hang_up(fd);
}

static void zeroes_longer_than_a_request_go_in_pieces(void)
{
    fresh();
    memset(memory_bytes, 1, MEMORY_SIZE);
    int fd = go(true);
    put_request(fd, NBD_WRITE_ZEROES, NBD_CMD_FLAG_NO_HOLE, 1, 1, MEMORY_SIZE - 2);
    is_int(get_simple(fd, 1), 0);
    is_int(memory.submits, 2);
    is_int(memory_bytes[0] + memory_bytes[MEMORY_SIZE - 1], 2);
    is_int(memory_bytes[1] + memory_bytes[MEMORY_SIZE / 2] + memory_bytes[MEMORY_SIZE - 2], 0);
    memory.fail = EIO;
    put_request(fd, NBD_TRIM, 0, 2, 0, MEMORY_SIZE);
    is_int(get_error(fd, 2, "Input/output error"), NBD_EIO);
    is_int(memory.submits, 3);
    hang_up(fd);
}

static void a_burst_is_one_batch(void)
{
    uint8_t burst[32 * sizeof(struct nbd_wire_request)];
    fresh();
    int fd = go(false);
    for (int i = 0; i < 32; i++) {
        struct nbd_wire_request wire = {
            htonl(NBD_REQUEST_MAGIC), 0, htons(NBD_FLUSH), (uint64_t)i, 0, 0};
        memcpy(burst + i * sizeof wire, &wire, sizeof wire);
    }
    unsigned before = memory.batches;
    put(fd, burst, sizeof burst);
    for (int i = 0; i < 32; i++) {
        is_int(get_simple(fd, (uint64_t)i), 0);
    }
    is_int(memory.submits, 32);
    is_int(memory.batches, before + 1);
    hang_up(fd);
}

static void the_number_in_flight_is_limited(void)
{
    fresh();
    int fd = go(false);
    memory.hold = true;
    for (int i = 0; i < NBD_REQUESTS_MAX + 50; i++) {
        put_request(fd, NBD_READ, 0, 1, 0, 16);
    }
    settle();
    is_int(memory.submits, NBD_REQUESTS_MAX);
    memory.hold = false;
    memory_release(&memory);
    for (int i = 0; i < NBD_REQUESTS_MAX + 50; i++) {
        uint8_t data[16];
        is_int(get_simple(fd, 1), 0);
        ok(get(fd, data, sizeof data), "data");
    }
    is_int(memory.submits, NBD_REQUESTS_MAX + 50);
    hang_up(fd);
}

static void the_bytes_in_flight_are_limited(void)
{
    static uint8_t data[1 << 20];
    fresh();
    int fd = go(false);
    memory.hold = true;
    for (int i = 0; i < 20; i++) {
        put_request(fd, NBD_READ, 0, 1, 0, sizeof data);
    }
    settle();
    is_int(memory.submits, NBD_BYTES_MAX / sizeof data);
    memory.hold = false;
    memory_release(&memory);
    for (int i = 0; i < 20; i++) {
        is_int(get_simple(fd, 1), 0);
        ok(get(fd, data, sizeof data), "data");
    }
    hang_up(fd);
}

static void large_writes_arrive_whole(void)
{
    fresh();
    int fd = go(false);
    for (int i = 0; i < 2; i++) {
        put_request(fd, NBD_WRITE, 0, 1, (uint64_t)i * NBD_REQUEST_MAX, NBD_REQUEST_MAX);
        put(fd, pattern, NBD_REQUEST_MAX);
        is_int(get_simple(fd, 1), 0);
        ok(memcmp(memory_bytes + i * NBD_REQUEST_MAX, pattern, NBD_REQUEST_MAX) == 0, "bytes");
    }
    hang_up(fd);
}

static void a_client_that_leaves_with_requests_in_flight(void)
{
    fresh();
    int fd = go(false);
    memory.hold = true;
    put_request(fd, NBD_READ, 0, 1, 0, 4096);
    put_request(fd, NBD_WRITE, 0, 2, 0, 4096);
    put(fd, pattern, 100); /* and a part of a payload */
    settle();
    close(fd);
    settle();
    is_int(nbd_server_connections(server), 1); /* waits for its request */
    is_int(memory.export.connections, 0);
    memory_release(&memory);
    settle();
    is_int(nbd_server_connections(server), 0);
    is_int(memory.holders, 0);
    nbd_server_free(server);
}

static int drained_calls;

static void drained(struct nbd_export *export)
{
    is_int(export->in_flight, 0);
    drained_calls++;
}

static void a_held_export_keeps_requests_waiting(void)
{
    fresh();
    int fd = go(false);
    memory.hold = true;
    put_request(fd, NBD_FLUSH, 0, 1, 0, 0);
    settle();
    drained_calls = 0;
    nbd_export_hold(&memory.export, EXPORT_DRAINING, drained);
    is_int(drained_calls, 0);
    put_request(fd, NBD_FLUSH, 0, 2, 0, 0);
    settle();
    is_int(memory.submits, 1);
    memory.hold = false;
    memory_release(&memory);
    is_int(drained_calls, 1);
    is_int(get_simple(fd, 1), 0);
    settle();
    is_int(memory.submits, 1);
    nbd_export_hold(&memory.export, EXPORT_STANDBY, NULL);
    nbd_export_open(&memory.export);
    is_int(get_simple(fd, 2), 0);
    nbd_export_hold(&memory.export, EXPORT_DRAINING, drained);
    is_int(drained_calls, 2); /* nothing was in flight */
    put_request(fd, NBD_DISCONNECT, 0, 3, 0, 0);
    ok(is_closed(fd), "a held export lets its client go");
    hang_up(fd);
}

static void a_dropped_export_closes_its_connections(void)
{
    fresh();
    int fd = go(false);
    nbd_export_drop(&memory.export);
    ok(is_closed(fd), "closed");
    nbd_export_open(&memory.export);
    is_int(memory.export.state, EXPORT_DROPPED);
    hang_up(fd);
}

static void counters_count(void)
{
    static struct nbd_counters counters;
    uint8_t data[100];
    fresh();
    memory.export.counters = &counters;
    int fd = go(false);
    put_request(fd, NBD_WRITE, 0, 1, 0, 100);
    put(fd, pattern, 100);
    is_int(get_simple(fd, 1), 0);
    put_request(fd, NBD_READ, 0, 2, 0, 100);
    is_int(get_simple(fd, 2), 0);
    ok(get(fd, data, sizeof data), "data");
    memory.fail = EIO;
    put_request(fd, NBD_FLUSH, 0, 3, 0, 0);
    is_int(get_simple(fd, 3), NBD_EIO);
    is_int(counters.writes, 1);
    is_int(counters.written_bytes, 100);
    is_int(counters.read_bytes, 100);
    is_int(counters.flushes, 1);
    is_int(counters.errors, 1);
    is_int(histogram_count(&counters.read_ns), 1);
    hang_up(fd);
}

int main(void)
{
    if (worker_adopt(&worker, NULL) != VIOS_OK) {
        return 1;
    }
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = (uint8_t)(i * 7 + i / 256 + 1);
    }
    RUN(write_and_read_simply);
    RUN(a_structured_read_tells_holes);
    RUN(block_status_tells_runs);
    RUN(bad_requests_get_reasons);
    RUN(absurd_requests_disconnect);
    RUN(errors_have_the_numbers_of_the_wire);
    RUN(zeroes_longer_than_a_request_go_in_pieces);
    RUN(a_burst_is_one_batch);
    RUN(the_number_in_flight_is_limited);
    RUN(the_bytes_in_flight_are_limited);
    RUN(large_writes_arrive_whole);
    RUN(a_client_that_leaves_with_requests_in_flight);
    RUN(a_held_export_keeps_requests_waiting);
    RUN(a_dropped_export_closes_its_connections);
    RUN(counters_count);
    worker_abandon(worker);
    return tap_done();
}
