/* console.c - serial consoles. See the header. */
#include "lpar/console.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct console {
    pthread_mutex_t lock;
    int fd;
    bool ended;
    uint64_t written; /* bytes ever; byte n is at ring[n % CONSOLE_RING_SIZE] */
    int events[CONSOLE_VIEWERS_MAX];
    char ring[CONSOLE_RING_SIZE];
};

struct console *console_new(void)
{
    struct console *console = calloc(1, sizeof *console);
    assert(console);
    pthread_mutex_init(&console->lock, NULL);
    console->fd = -1;
    for (int i = 0; i < CONSOLE_VIEWERS_MAX; i++) {
        console->events[i] = -1;
    }
    return console;
}

void console_free(struct console *console)
{
    if (console) {
        if (console->fd >= 0) {
            close(console->fd);
        }
        pthread_mutex_destroy(&console->lock);
        free(console);
    }
}

static void tell_viewers(struct console *console)
{
    for (int i = 0; i < CONSOLE_VIEWERS_MAX; i++) {
        if (console->events[i] >= 0) {
            eventfd_write(console->events[i], 1);
        }
    }
}

void console_attach(struct console *console, int fd)
{
    pthread_mutex_lock(&console->lock);
    if (console->fd >= 0) {
        close(console->fd);
    }
    console->fd = fd;
    pthread_mutex_unlock(&console->lock);
}

int console_descriptor(const struct console *console)
{
    return console->fd;
}

static void put(struct console *console, const char *data, size_t size)
{
    pthread_mutex_lock(&console->lock);
    for (size_t done = 0; done < size;) {
        size_t at = console->written % CONSOLE_RING_SIZE;
        size_t part = CONSOLE_RING_SIZE - at < size - done ? CONSOLE_RING_SIZE - at : size - done;
        memcpy(console->ring + at, data + done, part);
        console->written += part;
        done += part;
    }
    tell_viewers(console);
    pthread_mutex_unlock(&console->lock);
}

bool console_receive(struct console *console)
{
    char data[8192];
    ssize_t got = recv(console->fd, data, sizeof data, MSG_DONTWAIT);
    if (got > 0) {
        put(console, data, (size_t)got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        console_attach(console, -1);
        return false;
    }
    return true;
}

void console_end(struct console *console)
{
    pthread_mutex_lock(&console->lock);
    console->ended = true;
    tell_viewers(console);
    pthread_mutex_unlock(&console->lock);
}

int console_watch(struct console *console, uint64_t *cursor, struct vios_error *error)
{
    int event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0) {
        return error_set_errno(error, "console", "cannot make a descriptor");
    }
    pthread_mutex_lock(&console->lock);
    int free_place = -1;
    for (int i = 0; i < CONSOLE_VIEWERS_MAX; i++) {
        free_place = console->events[i] < 0 ? i : free_place;
    }
    if (free_place >= 0) {
        console->events[free_place] = event;
    }
    *cursor = console->written > CONSOLE_RING_SIZE ? console->written - CONSOLE_RING_SIZE : 0;
    pthread_mutex_unlock(&console->lock);
    if (free_place < 0) {
        close(event);
        return error_set(error, VIOS_E_NO_SPACE, "console", "close one of them",
                         "%d viewers are there already", CONSOLE_VIEWERS_MAX);
    }
    return event;
}

void console_unwatch(struct console *console, int event)
{
    pthread_mutex_lock(&console->lock);
    for (int i = 0; i < CONSOLE_VIEWERS_MAX; i++) {
        if (console->events[i] == event) {
            console->events[i] = -1;
        }
    }
    pthread_mutex_unlock(&console->lock);
    close(event);
}

size_t console_read(struct console *console, uint64_t *cursor, void *data, size_t size, bool *end)
{
    pthread_mutex_lock(&console->lock);
    if (console->written - *cursor > CONSOLE_RING_SIZE) {
        *cursor = console->written - CONSOLE_RING_SIZE;
    }
    size_t at = *cursor % CONSOLE_RING_SIZE;
    size_t count = console->written - *cursor;
    count = count > size ? size : count;
    count = count > CONSOLE_RING_SIZE - at ? CONSOLE_RING_SIZE - at : count;
    memcpy(data, console->ring + at, count);
    *cursor += count;
    *end = console->ended && *cursor == console->written;
    pthread_mutex_unlock(&console->lock);
    return count;
}

int console_write(struct console *console, const void *data, size_t size,
                  struct operation *operation)
{
    for (size_t sent = 0; sent < size;) {
        pthread_mutex_lock(&console->lock);
        int fd = console->fd < 0 ? -1 : fcntl(console->fd, F_DUPFD_CLOEXEC, 3);
        pthread_mutex_unlock(&console->lock);
        if (fd < 0) {
            return operation_fail(operation, VIOS_E_UNREACHABLE, "console", NULL,
                                  "the guest's console is not connected");
        }
        ssize_t done =
            send(fd, (const char *)data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        int status = VIOS_OK;
        if (done > 0) {
            sent += (size_t)done;
        } else if (errno == EAGAIN || errno == EINTR) {
            status = operation_wait(operation, fd, POLLOUT);
        } else {
            status = operation_fail(operation, VIOS_E_UNREACHABLE, "console", NULL,
                                    "the guest's console has ended");
        }
        close(fd);
        if (status < 0) {
            return status;
        }
    }
    return VIOS_OK;
}
