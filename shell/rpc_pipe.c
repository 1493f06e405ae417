/* rpc_pipe.c - see rpc_pipe.h. */
#include "shell/rpc_pipe.h"

#include "lua/binding.h"
#include "net/rpc.h"
#include "net/transport.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_MS 5000 /* and to agree on the limit */

/* One direction. */
struct stream {
    int from, to;
    bool ended;        /* nothing more comes, or nobody takes it */
    size_t start, end; /* what was read and not yet written, in `block` */
    char block[64 * 1024];
};

static int report(const struct vios_error *error)
{
    char text[800];
    fprintf(stderr, "vios: %s\n", error_format(error, text, sizeof text));
    return error_exit_status(error->code);
}

/* --- the limit --- */

/* Sends the whole line, which is shorter than a socket's buffer. */
static int send_line(int fd, const json_t *message, struct operation *operation)
{
    size_t size;
    char *line = rpc_format(message, &size);
    if (!line) {
        return operation_no_memory(operation, NULL);
    }
    ssize_t sent = write(fd, line, size);
    free(line);
    return sent == (ssize_t)size ? VIOS_OK
                                 : operation_fail(operation, VIOS_E_UNREACHABLE, NULL, NULL,
                                                  "the daemon closed the connection");
}

/* The answer, and not a byte of what comes behind it. */
static int read_answer(int fd, struct rpc_framer *framer, struct rpc_message *message,
                       struct operation *operation)
{
    int status = 0;
    while (status == 0) {
        char byte;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        status = operation_check(operation);
        if (status != VIOS_OK || poll(&wait, 1, operation_remaining_ms(operation)) <= 0) {
            continue;
        }
        ssize_t got = read(fd, &byte, 1);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            return operation_fail(operation, VIOS_E_UNREACHABLE, NULL, NULL,
                                  "the daemon closed the connection");
        }
        if (got > 0) {
            status = rpc_framer_push(framer, &byte, 1, &operation->error);
            status =
                status == VIOS_OK ? rpc_framer_pop(framer, message, &operation->error) : status;
        }
    }
    return status > 0 ? VIOS_OK : status;
}

static int limit(int fd, const char *role, const char *from, struct operation *operation)
{
    struct rpc_message answer = {0};
    struct rpc_framer *framer = rpc_framer_new();
    json_t *message = json_pack("{s:s, s:i, s:s, s:{s:s, s:s*}}", "jsonrpc", "2.0", "id", 0,
                                "method", "rpc.limit", "params", "from", from, "role", role);
    int status = framer && message ? send_line(fd, message, operation)
                                   : operation_no_memory(operation, NULL);
    if (status == VIOS_OK) {
        status = read_answer(fd, framer, &answer, operation);
    }
    if (status == VIOS_OK && !json_object_get(answer.json, "result")) {
        status = rpc_error_from_json(json_object_get(answer.json, "error"), &operation->error);
    }
    json_decref(answer.json);
    json_decref(message);
    rpc_framer_free(framer);
    return status;
}

/* --- the pipe --- */

static bool waits(const struct stream *stream)
{
    return stream->start < stream->end;
}

static bool is_over(int failed)
{
    return failed < 0 && errno != EAGAIN && errno != EINTR;
}

static void fill(struct stream *stream)
{
    ssize_t got = read(stream->from, stream->block, sizeof stream->block);
    stream->ended = got == 0 || is_over((int)got);
    stream->start = 0;
    stream->end = got > 0 ? (size_t)got : 0;
}

/* No more than what poll() promises not to block. */
static void drain(struct stream *stream)
{
    size_t size = stream->end - stream->start;
    ssize_t sent =
        write(stream->to, stream->block + stream->start, size < PIPE_BUF ? size : PIPE_BUF);
    if (is_over((int)sent)) {
        stream->ended = true;
        stream->start = stream->end;
    } else if (sent > 0) {
        stream->start += (size_t)sent;
    }
}

static struct pollfd poll_of(const struct stream *stream)
{
    return waits(stream) ? (struct pollfd){.fd = stream->to, .events = POLLOUT}
                         : (struct pollfd){.fd = stream->from, .events = POLLIN};
}

/* Both directions, until one of them is at its end. */
static void pump(struct stream streams[2])
{
    bool open = true;
    while (open && !interrupt_pending()) {
        struct pollfd polls[2] = {poll_of(&streams[0]), poll_of(&streams[1])};
        bool ready = poll(polls, 2, -1) > 0;
        for (size_t i = 0; ready && i < 2; i++) {
            if (polls[i].revents) {
                (waits(&streams[i]) ? drain : fill)(&streams[i]);
            }
            open = open && (waits(&streams[i]) || !streams[i].ended);
        }
    }
}

int rpc_pipe(const char *socket_path, const char *role, const char *from)
{
    char address[PATH_MAX + 8];
    struct operation operation;
    snprintf(address, sizeof address, "unix:%s", socket_path);
    operation_start(&operation, CONNECT_MS, interrupt_cancel());
    int fd = transport_connect(address, &operation);
    if (fd < 0) {
        return report(&operation.error);
    }
    int status = role || from[0] ? limit(fd, role, from, &operation) : VIOS_OK;
    struct stream *streams = calloc(2, sizeof *streams);
    if (status == VIOS_OK && streams) {
        streams[0].from = STDIN_FILENO;
        streams[0].to = streams[1].from = fd;
        streams[1].to = STDOUT_FILENO;
        pump(streams);
    }
    free(streams);
    close(fd);
    return status == VIOS_OK ? 0 : report(&operation.error);
}

int shell_rpc_pipe(lua_State *L)
{
    lua_pushinteger(L, rpc_pipe(luaL_checkstring(L, 1), NULL, ""));
    return 1;
}
