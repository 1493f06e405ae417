/* A channel: calls that are begun and awaited in order by a thread that is no worker, and the ways
 * in which they end. */
#define DEVICE_NAME "disk"

#include "nbd/channel.h"
#include "tests/nbd_thread.h"

#define CALL_BYTES (16 * NBD_BLOCK)

static struct nbd_channel *channel;

static int open_channel(const char *export, unsigned calls, int64_t late_ms)
{
    char address[140];
    snprintf(address, sizeof address, "unix:%s", socket_path());
    const struct nbd_channel_settings settings = {address, export, calls, CALL_BYTES, late_ms};
    return nbd_channel_open(&channel, &settings, &operation);
}

static struct nbd_call *begin(uint16_t command, uint64_t offset, uint32_t length)
{
    struct nbd_call *call = nbd_channel_next(channel);
    if (ok(call != NULL, "there is a call")) {
        call->command = command;
        call->offset = offset;
        call->length = length;
        nbd_channel_begin(channel);
    }
    return call;
}

/* The one that was begun first, with the server's answer. */
static struct nbd_call *await(int error)
{
    struct nbd_call *call = NULL;
    is_int(nbd_channel_await(channel, &call, &operation), VIOS_OK);
    is_int(call ? call->error : -1, error);
    return call;
}

static void calls_are_awaited_in_order(void)
{
    struct nbd_call *begun[3];
    fresh(MEMORY_SIZE);
    is_int(open_channel(DEVICE_NAME, 3, LONG_MS), VIOS_OK);
    ok(nbd_channel_size(channel) == MEMORY_SIZE, "its size");
    for (int round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 3; i++) {
            is_int(nbd_channel_on_their_way(channel), i);
            begun[i] = begin(NBD_READ, i * CALL_BYTES, CALL_BYTES);
        }
        ok(!nbd_channel_next(channel), "all are on their way");
        for (int i = 0; i < 3; i++) {
            ok(await(0) == begun[i], "number %d", i);
        }
    }
    begin(NBD_FLUSH, 0, 0); /* the ring has been turned by one from here on */
    await(0);
    begun[0] = begin(NBD_FLUSH, 0, 0);
    begun[1] = begin(NBD_FLUSH, 0, 0);
    ok(await(0) == begun[0] && await(0) == begun[1], "also across its end");
    nbd_channel_close(channel);
}

static void every_command_does_what_it_says(void)
{
    fresh(MEMORY_SIZE);
    is_int(open_channel(DEVICE_NAME, 1, LONG_MS), VIOS_OK);
    memset(nbd_channel_next(channel)->data, 5, CALL_BYTES);
    begin(NBD_WRITE, NBD_BLOCK, CALL_BYTES);
    await(0);
    begin(NBD_TRIM, 2 * NBD_BLOCK, NBD_BLOCK);
    await(0);
    begin(NBD_WRITE_ZEROES, 4 * NBD_BLOCK, NBD_BLOCK);
    await(0);
    begin(NBD_READ, 0, 6 * NBD_BLOCK);
    struct nbd_call *call = await(0);
    is_int((long long)call->holes[0], 1 << 0 | 1 << 2 | 1 << 4);
    ok(call->data[NBD_BLOCK] == 5 && call->data[6 * NBD_BLOCK - 1] == 5, "the data");
    begin(NBD_READ, NBD_BLOCK, NBD_BLOCK);
    is_int((long long)await(0)->holes[0], 0);
    nbd_channel_close(channel);
}

static void a_refusal_is_of_one_call(void)
{
    fresh(MEMORY_SIZE);
    fault.command = NBD_WRITE;
    fault.bad = 3 * NBD_BLOCK;
    fault.error = ENOSPC;
    fault.times = -1;
    is_int(open_channel(DEVICE_NAME, 2, LONG_MS), VIOS_OK);
    begin(NBD_WRITE, 3 * NBD_BLOCK, NBD_BLOCK);
    begin(NBD_WRITE, 4 * NBD_BLOCK, NBD_BLOCK);
    await(ENOSPC);
    await(0);
    nbd_channel_close(channel);
}

static void what_cannot_be_opened_is_said(void)
{
    fresh(MEMORY_SIZE);
    failed_with(open_channel("none", 1, LONG_MS), VIOS_E_NOT_FOUND, "none", "no such export");
    const struct nbd_channel_settings away = {"unix:/nowhere/s", "disk", 1, CALL_BYTES, LONG_MS};
    failed_with(nbd_channel_open(&channel, &away, &operation), VIOS_E_UNREACHABLE, "disk",
                "cannot connect");
    cancel_trigger(cancel);
    failed_with(open_channel(DEVICE_NAME, 1, LONG_MS), VIOS_E_CANCELLED, "", "cancelled");
}

static void a_silent_server_is_late(void)
{
    struct nbd_call *call;
    fresh(MEMORY_SIZE);
    be_silent(NBD_READ, false);
    fault.cancel = NULL;
    fault.until_silence = 1;
    is_int(open_channel(DEVICE_NAME, 2, 500), VIOS_OK);
    begin(NBD_READ, 0, CALL_BYTES);
    begin(NBD_READ, 0, CALL_BYTES);
    await(0);
    failed_with(nbd_channel_await(channel, &call, &operation), VIOS_E_TIMEOUT, DEVICE_NAME,
                "did not answer a request in 500 ms");
    begin(NBD_READ, 0, CALL_BYTES);
    failed_with(nbd_channel_await(channel, &call, &operation), VIOS_E_TIMEOUT, DEVICE_NAME,
                "500 ms"); /* and stays so */
    nbd_channel_close(channel);
}

static void a_server_that_hangs_up_is_said(void)
{
    struct nbd_call *call;
    fresh(MEMORY_SIZE);
    be_silent(NBD_READ, true);
    fault.until_silence = 0;
    is_int(open_channel(DEVICE_NAME, 2, LONG_MS), VIOS_OK);
    begin(NBD_READ, 0, CALL_BYTES);
    failed_with(nbd_channel_await(channel, &call, &operation), VIOS_E_UNREACHABLE, DEVICE_NAME, "");
    ok(operation.error.message[0] != 0, "why: %s", operation.error.message);
    nbd_channel_close(channel);
}

static void a_cancel_and_a_deadline_end_a_wait(void)
{
    struct nbd_call *call;
    fresh(MEMORY_SIZE);
    be_silent(NBD_READ, false);
    fault.until_silence = 0;
    is_int(open_channel(DEVICE_NAME, 2, LONG_MS), VIOS_OK);
    begin(NBD_READ, 0, CALL_BYTES);
    failed_with(nbd_channel_await(channel, &call, &operation), VIOS_E_CANCELLED, "", "cancelled");
    operation_start(&operation, 20, NULL);
    failed_with(nbd_channel_await(channel, &call, &operation), VIOS_E_TIMEOUT, "", "timed out");
    nbd_channel_close(channel); /* with calls that are on their way */
}

int main(void)
{
    start_server();
    RUN(calls_are_awaited_in_order);
    RUN(every_command_does_what_it_says);
    RUN(a_refusal_is_of_one_call);
    RUN(what_cannot_be_opened_is_said);
    RUN(a_silent_server_is_late);
    RUN(a_server_that_hangs_up_is_said);
    RUN(a_cancel_and_a_deadline_end_a_wait);
    stop_server();
    return tap_done();
}
