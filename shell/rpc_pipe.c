/*
 * rpc_pipe.c - see rpc_pipe.h. Two directions, a buffer each; a side is read again only when what
 * it said was passed on.
 */
#include "shell/rpc_pipe.h"

#include "lua/binding.h"
#include "net/transport.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE (64 * 1024)

struct direction {
    int from, to;
    bool ended; /* nothing more comes, and all was passed on */
    size_t begin, end;
    char data[BUFFER_SIZE];
};

static bool is_empty(const struct direction *direction)
{
    return direction->begin == direction->end;
}

static bool is_for_later(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* Reads or writes, whatever is next; false when the other side takes nothing more. */
static bool step(struct direction *direction)
{
    if (is_empty(direction)) {
        ssize_t got = read(direction->from, direction->data, sizeof direction->data);
        direction->begin = 0;
        direction->end = got > 0 ? (size_t)got : 0;
        direction->ended = got == 0 || (got < 0 && !is_for_later());
        return true;
    }
    ssize_t sent =
        write(direction->to, direction->data + direction->begin, direction->end - direction->begin);
    if (sent < 0) {
        return is_for_later();
    }
    direction->begin += (size_t)sent;
    return true;
}

static struct pollfd poll_of(const struct direction *direction)
{
    if (direction->ended) {
        return (struct pollfd){.fd = -1};
    }
    return is_empty(direction) ? (struct pollfd){.fd = direction->from, .events = POLLIN}
                               : (struct pollfd){.fd = direction->to, .events = POLLOUT};
}

static int carry(int daemon, struct operation *operation)
{
    static struct direction there, back; /* large, and there is one of each */
    there = (struct direction){.from = STDIN_FILENO, .to = daemon};
    back = (struct direction){.from = daemon, .to = STDOUT_FILENO};
    while (!back.ended) {
        struct pollfd polls[3] = {poll_of(&there),
                                  poll_of(&back),
                                  {.fd = cancel_descriptor(operation->cancel), .events = POLLIN}};
        int ready = poll(polls, 3, -1);
        if (ready < 0 && errno != EINTR) {
            return error_set_errno(&operation->error, NULL, "cannot wait");
        }
        int status = operation_check(operation);
        if (status != VIOS_OK) {
            return status;
        }
        if (ready > 0 && polls[0].revents) {
            if (!step(&there)) {
                break;
            }
            if (there.ended) {
                shutdown(daemon, SHUT_WR);
            }
        }
        if (ready > 0 && polls[1].revents && !step(&back)) {
            break; /* who asked is gone */
        }
    }
    return VIOS_OK;
}

int rpc_pipe(const char *address, struct operation *operation)
{
    int daemon = transport_connect(address, operation);
    if (daemon < 0) {
        return daemon;
    }
    signal(SIGPIPE, SIG_IGN);
    int status = carry(daemon, operation);
    close(daemon);
    return status;
}

int shell_rpc_pipe(lua_State *L)
{
    struct operation operation;
    operation_start(&operation, OPERATION_NO_DEADLINE, interrupt_cancel());
    if (rpc_pipe(luaL_checkstring(L, 1), &operation) != VIOS_OK) {
        return binding_fail(L, &operation.error);
    }
    lua_pushboolean(L, 1);
    return 1;
}
