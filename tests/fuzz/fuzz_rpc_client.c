/* fuzz_rpc_client.c - what a far vios says to us, by ssh or a socket: answers to the hello and to
 * calls, with items, progress and bytes. The first byte says how large the pieces are. */
#include "net/rpc.h"
#include "net/transport.h"

#include <assert.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CALLS 3

struct far {
    struct transport base;
    const uint8_t *data;
    size_t left, piece;
};

static volatile uint8_t last_sum; /* so that the bytes are really read */

static int far_read(struct transport *base, void *data, size_t size, size_t *done)
{
    struct far *far = (struct far *)base;
    size_t count = far->left < far->piece ? far->left : far->piece;
    *done = count < size ? count : size;
    memcpy(data, far->data, *done);
    far->data += *done;
    far->left -= *done;
    return *done > 0 ? VIOS_OK : VIOS_E_UNREACHABLE;
}

static int far_write(struct transport *base, const struct iovec *parts, int count, size_t *done)
{
    (void)base;
    *done = 0;
    for (int i = 0; i < count; i++) {
        *done += parts[i].iov_len;
    }
    return VIOS_OK;
}

static uint32_t far_wants(const struct transport *base)
{
    (void)base;
    return 0;
}

static bool far_pending(const struct transport *base)
{
    return ((const struct far *)base)->left > 0;
}

static void far_close(struct transport *base)
{
    close(base->fd);
}

static const struct transport_operations FAR = {.read = far_read,
                                                .write = far_write,
                                                .wants = far_wants,
                                                .pending = far_pending,
                                                .close = far_close};

static void on_progress(void *context, const json_t *parameters)
{
    (void)context;
    json_decref(json_deep_copy(parameters));
}

static bool on_item(void *context, const json_t *value)
{
    (void)context;
    json_decref(json_deep_copy(value));
    return true;
}

static bool on_bytes(void *context, const void *data, size_t size, bool end)
{
    (void)context;
    for (size_t i = 0; i < size; i++) {
        last_sum ^= ((const uint8_t *)data)[i];
    }
    return !end;
}

static void make_calls(struct rpc_client *client)
{
    const struct rpc_handlers handlers = {
        .progress = on_progress, .item = on_item, .bytes = on_bytes, .input_fd = -1};
    assert(json_is_object(rpc_client_hello(client)));
    for (int i = 0; i < CALLS; i++) {
        struct operation operation;
        json_t *result = NULL;
        operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
        int status =
            rpc_client_call(client, "lpar.list", json_object(), &handlers, &result, &operation);
        assert(status == VIOS_OK || (status < 0 && operation.error.code == status));
        json_decref(result);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct far far = {.base = {.operations = &FAR, .fd = eventfd(1, EFD_CLOEXEC)},
                      .data = data + 1,
                      .left = size - 1,
                      .piece = (size_t)data[0] + 1};
    struct rpc_client *client;
    struct operation operation;
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    int status = rpc_client_open_on(&client, &far.base, "n1", &operation);
    assert(status == VIOS_OK || (status < 0 && operation.error.code == status));
    if (status == VIOS_OK) {
        make_calls(client);
        rpc_client_close(client);
    }
    return 0;
}
