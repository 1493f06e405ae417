/* events.c - see the header. */
#include "io/events.h"

#include "base/json.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct events {
    pthread_mutex_t lock;
    int watchers[EVENTS_WATCHERS_MAX];
    size_t count;
};

int events_new(struct events **out, struct vios_error *error)
{
    struct events *events = calloc(1, sizeof *events);
    if (!events) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the events");
    }
    pthread_mutex_init(&events->lock, NULL);
    *out = events;
    return VIOS_OK;
}

int events_add(struct events *events, int fd, struct vios_error *error)
{
    pthread_mutex_lock(&events->lock);
    bool room = events->count < EVENTS_WATCHERS_MAX;
    if (room) {
        events->watchers[events->count++] = fd;
    }
    pthread_mutex_unlock(&events->lock);
    return room ? VIOS_OK
                : error_set(error, VIOS_E_NO_SPACE, "watch", NULL, "%d watch already",
                            EVENTS_WATCHERS_MAX);
}

void events_remove(struct events *events, int fd)
{
    pthread_mutex_lock(&events->lock);
    for (size_t i = 0; i < events->count; i++) {
        if (events->watchers[i] == fd) {
            events->watchers[i] = events->watchers[--events->count];
            break;
        }
    }
    pthread_mutex_unlock(&events->lock);
}

void events_publish(struct events *events, json_t *event)
{
    char *line = json_into_text(event);
    if (!line) {
        return;
    }
    size_t size = strlen(line);
    line[size++] = '\n'; /* in the place of the NUL */
    pthread_mutex_lock(&events->lock);
    for (size_t i = 0; i < events->count; i++) {
        ssize_t sent = send(events->watchers[i], line, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent != (ssize_t)size) {
            shutdown(events->watchers[i], SHUT_RDWR); /* its thread removes it */
        }
    }
    pthread_mutex_unlock(&events->lock);
    free(line);
}
