/*
 * channel.c - calls stand in a ring, from `first` on: awaited in turn, begun at its end.
 *
 * `client` and `why` are the worker's, `why` until `state` is CHANNEL_GONE. A call is the worker's
 * from its post until `is_done`. Who waits sleeps on an eventfd, so that a cancel wakes it too; it
 * is written after what it tells of.
 */
#include "nbd/channel.h"

#include "nbd/client.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define HOLES (NBD_CHANNEL_BYTES_MAX / NBD_BLOCK / 64 + 1) /* words of one call */

enum channel_state { CHANNEL_OPENING, CHANNEL_READY, CHANNEL_GONE };

struct channel_call {
    struct nbd_call call; /* first */
    struct nbd_client_request request;
    struct task task;
    struct nbd_channel *channel;
    atomic_bool is_done;
    uint64_t holes[HOLES];
};

struct nbd_channel {
    struct worker *worker;
    struct nbd_client *client;                   /* NULL: not yet, or gone */
    const struct nbd_channel_settings *settings; /* while it is being opened */
    struct task opening, closing;
    struct vios_error why;
    uint64_t size;
    atomic_int state;
    int event;
    unsigned count, first, begun; /* calls; the one to be awaited; how many follow from there */
    uint8_t *data;                /* of all calls */
    char export[160];
    struct channel_call calls[];
};

static void tell(struct nbd_channel *channel)
{
    eventfd_write(channel->event, 1); /* fails only when it is full: awake all the same */
}

/* --- on the worker --- */

static void set_state(struct nbd_channel *channel, enum channel_state state)
{
    atomic_store(&channel->state, (int)state);
    tell(channel);
}

static void ready(void *context, const struct nbd_client_export *export)
{
    struct nbd_channel *channel = context;
    channel->size = export->size;
    set_state(channel, CHANNEL_READY);
}

static void closed(void *context, const struct vios_error *why)
{
    struct nbd_channel *channel = context;
    channel->why = *why;
    nbd_client_free(channel->client);
    channel->client = NULL;
    set_state(channel, CHANNEL_GONE);
}

static void open_client(struct task *task)
{
    struct nbd_channel *channel = (void *)((char *)task - offsetof(struct nbd_channel, opening));
    const struct nbd_channel_settings *settings = channel->settings;
    const struct nbd_client_callbacks callbacks = {ready, closed, channel};
    if (nbd_client_open(&channel->client, channel->worker, settings->address, settings->export,
                        settings->late_ms, &callbacks, &channel->why) != VIOS_OK) {
        channel->client = NULL;
        set_state(channel, CHANNEL_GONE);
    }
}

static void close_client(struct task *task)
{
    struct nbd_channel *channel = (void *)((char *)task - offsetof(struct nbd_channel, closing));
    if (channel->client) {
        nbd_client_close(channel->client, "the channel is closed");
    }
}

static void call_done(struct nbd_client_request *request, int error)
{
    struct channel_call *call = (void *)((char *)request - offsetof(struct channel_call, request));
    struct nbd_channel *channel = call->channel;
    call->call.error = error;
    atomic_store(&call->is_done, true);
    tell(channel);
}

static void submit(struct task *task)
{
    struct channel_call *call = (void *)((char *)task - offsetof(struct channel_call, task));
    if (call->channel->client) {
        nbd_client_submit(call->channel->client, &call->request);
    } else {
        call_done(&call->request, ECONNRESET);
    }
}

/* --- on the caller's thread --- */

static int sleep_until_told(struct nbd_channel *channel, struct operation *operation)
{
    eventfd_t ignored;
    int status = operation_wait(operation, channel->event, POLLIN);
    if (status == VIOS_OK) {
        eventfd_read(channel->event, &ignored);
    }
    return status;
}

/* Of a connection that is gone, under the name of its export. */
static int gone(struct nbd_channel *channel, struct operation *operation)
{
    const struct vios_error *why = &channel->why;
    return operation_fail(operation, why->code, channel->export, why->hint, "%s", why->message);
}

static int await_ready(struct nbd_channel *channel, struct operation *operation)
{
    int status = operation_check(operation);
    while (status == VIOS_OK && atomic_load(&channel->state) == CHANNEL_OPENING) {
        status = sleep_until_told(channel, operation);
    }
    if (status == VIOS_OK && atomic_load(&channel->state) == CHANNEL_GONE) {
        status = gone(channel, operation);
    }
    return status;
}

static struct nbd_channel *channel_new(const struct nbd_channel_settings *settings)
{
    unsigned count = settings->calls;
    struct nbd_channel *channel = calloc(1, sizeof *channel + count * sizeof channel->calls[0]);
    uint8_t *data = channel ? aligned_alloc(NBD_BLOCK, (size_t)count * settings->call_bytes) : NULL;
    if (!data) {
        free(channel);
        return NULL;
    }
    channel->settings = settings;
    channel->opening.run = open_client;
    channel->closing.run = close_client;
    channel->count = count;
    channel->data = data;
    channel->event = -1;
    snprintf(channel->export, sizeof channel->export, "%s", settings->export);
    for (unsigned i = 0; i < count; i++) {
        struct channel_call *call = &channel->calls[i];
        call->channel = channel;
        call->task.run = submit;
        call->call.data = data + (size_t)i * settings->call_bytes;
        call->call.holes = call->holes;
    }
    return channel;
}

int nbd_channel_open(struct nbd_channel **out, const struct nbd_channel_settings *settings,
                     struct operation *operation)
{
    assert(settings->calls > 0 && settings->calls <= NBD_CHANNEL_CALLS_MAX);
    assert(settings->call_bytes > 0 && settings->call_bytes <= NBD_CHANNEL_BYTES_MAX &&
           settings->call_bytes % NBD_BLOCK == 0);
    struct nbd_channel *channel = channel_new(settings);
    if (!channel) {
        return operation_no_memory(operation, settings->export);
    }
    int status = VIOS_OK;
    channel->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (channel->event < 0) {
        status = error_set_errno(&operation->error, settings->export, "eventfd");
    } else {
        status = worker_start(&channel->worker, "nbd channel", &operation->error);
    }
    if (status == VIOS_OK) {
        worker_post(channel->worker, &channel->opening);
        status = await_ready(channel, operation);
    }
    if (status != VIOS_OK) {
        nbd_channel_close(channel);
        return status;
    }
    *out = channel;
    return VIOS_OK;
}

uint64_t nbd_channel_size(const struct nbd_channel *channel)
{
    return channel->size;
}

unsigned nbd_channel_on_their_way(const struct nbd_channel *channel)
{
    return channel->begun;
}

static struct channel_call *free_call(struct nbd_channel *channel)
{
    return channel->begun == channel->count
               ? NULL
               : &channel->calls[(channel->first + channel->begun) % channel->count];
}

struct nbd_call *nbd_channel_next(struct nbd_channel *channel)
{
    struct channel_call *call = free_call(channel);
    return call ? &call->call : NULL;
}

void nbd_channel_begin(struct nbd_channel *channel)
{
    struct channel_call *call = free_call(channel);
    assert(call);
    bool is_read = call->call.command == NBD_READ;
    if (is_read) {
        memset(call->holes, 0, sizeof call->holes);
    }
    call->request = (struct nbd_client_request){
        .command = call->call.command,
        .offset = call->call.offset,
        .length = call->call.length,
        .data = call->call.data,
        .holes = is_read ? call->holes : NULL,
        .done = call_done,
    };
    atomic_store(&call->is_done, false);
    channel->begun++;
    worker_post(channel->worker, &call->task);
}

/* Whether it is the client that gave it up, and no server: `closed` follows. */
static bool is_lost(int error)
{
    return error == ECONNRESET || error == ETIMEDOUT || error == EPROTO;
}

int nbd_channel_await(struct nbd_channel *channel, struct nbd_call **out,
                      struct operation *operation)
{
    struct channel_call *call = &channel->calls[channel->first];
    assert(channel->begun > 0);
    int status = operation_check(operation);
    while (status == VIOS_OK && !atomic_load(&call->is_done)) {
        status = sleep_until_told(channel, operation);
    }
    if (status == VIOS_OK && is_lost(call->call.error)) {
        while (status == VIOS_OK && atomic_load(&channel->state) != CHANNEL_GONE) {
            status = sleep_until_told(channel, operation);
        }
        return status == VIOS_OK ? gone(channel, operation) : status;
    }
    if (status == VIOS_OK) {
        channel->first = (channel->first + 1) % channel->count;
        channel->begun--;
        *out = &call->call;
    }
    return status;
}

void nbd_channel_close(struct nbd_channel *channel)
{
    if (!channel) {
        return;
    }
    if (channel->worker) {
        worker_post(channel->worker, &channel->closing);
        worker_stop(channel->worker); /* from here on nobody else touches the calls */
    }
    if (channel->event >= 0) {
        close(channel->event);
    }
    free(channel->data);
    free(channel);
}
