/* channel.c - channels: how they start, and the one that is a transport. */
#include "ssh/channel.h"

#include "ssh/channel_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define SAID_SIZE 256  /* of the end of standard error that is kept */
#define STATUS_MS 1000 /* for a program's status to come behind its output */

struct carrier {
    struct transport base;
    struct ssh_host *host;
    ssh_channel channel;
    struct vios_error why;
};

/* `said` is SSH_AGAIN: waits; VIOS_OK: try again. */
static int again(struct ssh_host *host, int said, struct operation *operation)
{
    return said == SSH_AGAIN
               ? host_wait(host, operation)
               : host_fail(host, VIOS_E_UNREACHABLE, "ssh cannot start a program there", NULL,
                           &operation->error);
}

ssh_channel channel_open(struct ssh_host *host, struct operation *operation)
{
    ssh_channel channel = ssh_channel_new(host->session);
    int said, status = VIOS_OK;
    if (!channel) {
        operation_no_memory(operation, host->name);
        return NULL;
    }
    while (status == VIOS_OK && (said = ssh_channel_open_session(channel)) != SSH_OK) {
        status = again(host, said, operation);
    }
    if (status != VIOS_OK) {
        ssh_channel_free(channel);
        return NULL;
    }
    return channel;
}

int channel_start(struct ssh_host *host, ssh_channel channel, const char *command,
                  struct operation *operation)
{
    int said, status = VIOS_OK;
    while (status == VIOS_OK && (said = ssh_channel_request_exec(channel, command)) != SSH_OK) {
        status = again(host, said, operation);
    }
    return status;
}

/* The last line that the program said on standard error. */
static void last_said(ssh_channel channel, char *said, size_t size)
{
    char text[SAID_SIZE];
    size_t kept = 0;
    int got;
    while ((got = ssh_channel_read_nonblocking(channel, text + kept,
                                               (uint32_t)(sizeof text - 1 - kept), 1)) > 0) {
        kept += (size_t)got;
        if (kept == sizeof text - 1) { /* the end of it is what tells */
            memmove(text, text + sizeof text / 2, kept - sizeof text / 2);
            kept -= sizeof text / 2;
        }
    }
    while (kept > 0 && (text[kept - 1] == '\n' || text[kept - 1] == '\r')) {
        kept--;
    }
    text[kept] = '\0';
    const char *line = strrchr(text, '\n');
    snprintf(said, size, "%s", line ? line + 1 : text);
}

/* Its status follows the end of its output; -1: it does not. */
static int await_status(struct carrier *carrier)
{
    struct operation operation;
    int status;
    operation_start(&operation, STATUS_MS, NULL);
    while ((status = ssh_channel_get_exit_status(carrier->channel)) < 0 &&
           host_wait(carrier->host, &operation) == VIOS_OK) {
    }
    return status;
}

static int ended(struct carrier *carrier)
{
    char said[SAID_SIZE];
    struct vios_error *why = &carrier->why;
    if (!ssh_host_alive(carrier->host)) {
        return host_fail(carrier->host, VIOS_E_UNREACHABLE, "the ssh connection broke", NULL, why);
    }
    last_said(carrier->channel, said, sizeof said);
    int status = await_status(carrier);
    if (status == 127) {
        return error_set(why, VIOS_E_IO, NULL, NULL, "vios is not installed there (%.200s)", said);
    }
    return error_set(why, VIOS_E_IO, NULL, NULL, "its vios ended%s%.200s", said[0] ? ": " : "",
                     said);
}

static int carrier_read(struct transport *base, void *data, size_t size, size_t *done)
{
    struct carrier *carrier = (struct carrier *)base;
    struct pipe_hold hold;
    pipe_hold(&hold);
    int got = ssh_channel_read_nonblocking(carrier->channel, data, (uint32_t)size, 0);
    pipe_release(&hold);
    *done = 0;
    if (got > 0) {
        *done = (size_t)got;
        return VIOS_OK;
    }
    if (got == 0 && !ssh_channel_is_eof(carrier->channel)) {
        return VIOS_OK;
    }
    return got == SSH_AGAIN ? VIOS_OK : ended(carrier);
}

static int carrier_write(struct transport *base, const struct iovec *parts, int count, size_t *done)
{
    struct carrier *carrier = (struct carrier *)base;
    *done = 0;
    for (int i = 0; i < count; i++) {
        struct pipe_hold hold;
        pipe_hold(&hold);
        int sent =
            ssh_channel_write(carrier->channel, parts[i].iov_base, (uint32_t)parts[i].iov_len);
        pipe_release(&hold);
        if (sent < 0 && sent != SSH_AGAIN) {
            return *done > 0 ? VIOS_OK : ended(carrier);
        }
        *done += sent > 0 ? (size_t)sent : 0;
        if (sent != (int)parts[i].iov_len) {
            break;
        }
    }
    return VIOS_OK;
}

static uint32_t carrier_wants(const struct transport *base)
{
    const struct carrier *carrier = (const struct carrier *)base;
    int flags = ssh_get_poll_flags(carrier->host->session);
    return flags & SSH_WRITE_PENDING ? EPOLLOUT : 0;
}

/* libssh takes from the socket whenever it is called: what it took no poll would tell. */
static bool carrier_pending(const struct transport *base)
{
    const struct carrier *carrier = (const struct carrier *)base;
    struct pipe_hold hold;
    pipe_hold(&hold);
    int said = ssh_channel_poll(carrier->channel, 0);
    pipe_release(&hold);
    return said != 0;
}

static void carrier_close(struct transport *base)
{
    struct carrier *carrier = (struct carrier *)base;
    struct pipe_hold hold;
    pipe_hold(&hold);
    ssh_channel_free(carrier->channel);
    pipe_release(&hold);
    free(carrier);
}

static const struct vios_error *carrier_why(const struct transport *base)
{
    return &((const struct carrier *)base)->why;
}

static const struct transport_operations CARRIER = {
    .read = carrier_read,
    .write = carrier_write,
    .wants = carrier_wants,
    .pending = carrier_pending,
    .close = carrier_close,
    .why = carrier_why,
};

int ssh_channel_transport(struct transport **transport, struct ssh_host *host, const char *command,
                          struct operation *operation)
{
    struct carrier *made = calloc(1, sizeof *made);
    struct pipe_hold hold;
    if (!made) {
        return operation_no_memory(operation, host->name);
    }
    pipe_hold(&hold);
    made->channel = channel_open(host, operation);
    int status = made->channel ? channel_start(host, made->channel, command, operation)
                               : operation->error.code;
    pipe_release(&hold);
    made->host = host;
    made->base.operations = &CARRIER;
    made->base.fd = ssh_get_fd(host->session);
    if (status != VIOS_OK) {
        carrier_close(&made->base);
        return status;
    }
    *transport = &made->base;
    return VIOS_OK;
}
