/* control.c - see the header. */
#include "io/control.h"

#include "base/log.h"
#include "base/thread.h"
#include "io/requests.h"
#include "net/descriptors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_START_SIZE 4096

struct control {
    struct io *io;
    int fd;
    char *line;
    size_t size, capacity;
    struct control_message request;
};

static _Atomic unsigned connections;

/* Closes the descriptors left in it and lets go of the JSON. */
static void message_clear(struct control_message *message)
{
    for (size_t i = 0; i < message->fd_count; i++) {
        if (message->fds[i] >= 0) {
            close(message->fds[i]);
        }
    }
    message->fd_count = 0;
    json_decref(message->json);
    message->json = NULL;
}

int control_take_descriptor(struct control_message *message, size_t index)
{
    if (index >= message->fd_count) {
        return -1;
    }
    int fd = message->fds[index];
    message->fds[index] = -1;
    return fd;
}

/* --- reading a line --- */

static bool grow(struct control *control)
{
    if (control->size < control->capacity) {
        return true;
    }
    size_t capacity = control->capacity ? control->capacity * 2 : LINE_START_SIZE;
    char *line = capacity <= CONTROL_LINE_MAX ? realloc(control->line, capacity) : NULL;
    if (line) {
        control->line = line;
        control->capacity = capacity;
    }
    return line != NULL;
}

static bool read_more(struct control *control)
{
    if (!grow(control)) {
        return false;
    }
    ssize_t got;
    do {
        got = descriptors_receive(control->fd, control->line + control->size,
                                  control->capacity - control->size, control->request.fds,
                                  &control->request.fd_count, 0);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        return false;
    }
    control->size += (size_t)got;
    return true;
}

/* One request at a time: what stands behind the first newline is the next one's. */
static bool read_request(struct control *control)
{
    char *end;
    while (!(end = control->size ? memchr(control->line, '\n', control->size) : NULL)) {
        if (!read_more(control)) {
            return false;
        }
    }
    size_t length = (size_t)(end - control->line);
    control->request.json =
        json_loadb(control->line, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    control->size -= length + 1;
    memmove(control->line, end + 1, control->size);
    return true;
}

/* --- answering --- */

static bool send_answer(struct control *control, const struct control_message *answer)
{
    char *line = json_dumps(answer->json, JSON_COMPACT);
    if (!line) {
        return false;
    }
    size_t size = strlen(line), done = 0;
    line[size++] = '\n';
    while (done < size) {
        ssize_t sent = descriptors_send(control->fd, line + done, size - done, answer->fds,
                                        done == 0 ? answer->fd_count : 0, 0);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            break;
        }
        done += (size_t)sent;
    }
    free(line);
    return done == size;
}

/* --- the thread --- */

static void stream_events(struct control *control)
{
    if (events_add(control->io->events, control->fd, NULL) != VIOS_OK) {
        return; /* too many: the connection ends */
    }
    char byte;
    ssize_t got;
    do { /* whatever comes, the stream ends when the peer does */
        got = recv(control->fd, &byte, 1, 0);
    } while (got > 0 || (got < 0 && errno == EINTR));
    events_remove(control->io->events, control->fd);
}

static bool handle_one(struct control *control)
{
    struct control_message answer = {0};
    if (!read_request(control)) {
        return false;
    }
    enum request_after after = request_run(control->io, &control->request, &answer);
    bool sent = send_answer(control, &answer);
    message_clear(&answer);
    message_clear(&control->request);
    if (after == AFTER_STOP) {
        eventfd_write(control->io->stop_event, 1);
    } else if (after == AFTER_WATCH) {
        stream_events(control);
        return false;
    }
    return sent;
}

static void *run(void *argument)
{
    struct control *control = argument;
    while (handle_one(control)) {
    }
    message_clear(&control->request);
    close(control->fd);
    free(control->line);
    free(control);
    connections--;
    return NULL;
}

static bool is_allowed(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

void control_serve(struct io *io, int fd)
{
    pthread_t thread;
    struct control *control = NULL;
    if (!is_allowed(fd)) {
        log_warning("io", "a control connection of another user was refused");
    } else if (connections < CONTROL_CONNECTIONS_MAX) {
        control = calloc(1, sizeof *control);
    }
    if (!control) {
        close(fd);
        return;
    }
    control->io = io;
    control->fd = fd;
    connections++;
    if (thread_start(&thread, "control", run, control) != 0) {
        connections--;
        close(fd);
        free(control);
        return;
    }
    pthread_detach(thread);
}
