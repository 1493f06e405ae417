/* guests.c - a list of pidfds. */
#include "base/guests.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct guest {
    char lpar[40];
    bool takeable;
    int pidfd;
    struct guest *next;
};

struct guests {
    pthread_mutex_t lock;
    struct guest *first;
    size_t count;
    bool open;
};

int guests_new(struct guests **out, struct vios_error *error)
{
    struct guests *guests = calloc(1, sizeof *guests);
    if (!guests) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the guests");
    }
    pthread_mutex_init(&guests->lock, NULL);
    *out = guests;
    return VIOS_OK;
}

static void free_guest(struct guest *guest)
{
    close(guest->pidfd);
    free(guest);
}

void guests_free(struct guests *guests)
{
    if (!guests) {
        return;
    }
    while (guests->first) {
        struct guest *guest = guests->first;
        guests->first = guest->next;
        free_guest(guest);
    }
    pthread_mutex_destroy(&guests->lock);
    free(guests);
}

/* A guest that has ended needs neither. */
static int send_signal(int pidfd, int signal)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

static void move(const struct guest *guest, bool open)
{
    if (guest->takeable) {
        send_signal(guest->pidfd, open ? SIGCONT : SIGSTOP);
    }
}

static void remove_locked(struct guests *guests, const char *lpar)
{
    struct guest **link = &guests->first;
    while (*link && strcmp((*link)->lpar, lpar) != 0) {
        link = &(*link)->next;
    }
    struct guest *guest = *link;
    if (guest) {
        *link = guest->next;
        guests->count--;
        free_guest(guest);
    }
}

int guests_add(struct guests *guests, const char *lpar, bool takeable, int pidfd,
               struct vios_error *error)
{
    if (send_signal(pidfd, 0) != 0 && errno != ESRCH) {
        return error_set(error, VIOS_E_INVALID, lpar, NULL, "the descriptor is no pidfd of ours");
    }
    struct guest *guest = calloc(1, sizeof *guest);
    if (!guest) {
        return error_set(error, VIOS_E_NO_SPACE, lpar, NULL, "no memory for a guest");
    }
    snprintf(guest->lpar, sizeof guest->lpar, "%s", lpar);
    guest->takeable = takeable;
    guest->pidfd = pidfd;
    pthread_mutex_lock(&guests->lock);
    remove_locked(guests, lpar);
    bool room = guests->count < GUESTS_MAX;
    if (room) {
        guest->next = guests->first;
        guests->first = guest;
        guests->count++;
        move(guest, guests->open);
    }
    pthread_mutex_unlock(&guests->lock);
    if (!room) {
        free(guest);
        return error_set(error, VIOS_E_NO_SPACE, lpar, NULL, "there are %d guests already",
                         GUESTS_MAX);
    }
    return VIOS_OK;
}

void guests_remove(struct guests *guests, const char *lpar)
{
    pthread_mutex_lock(&guests->lock);
    remove_locked(guests, lpar);
    pthread_mutex_unlock(&guests->lock);
}

void guests_gate(struct guests *guests, bool open)
{
    pthread_mutex_lock(&guests->lock);
    guests->open = open;
    for (struct guest *guest = guests->first; guest; guest = guest->next) {
        move(guest, open);
    }
    pthread_mutex_unlock(&guests->lock);
}

json_t *guests_describe(struct guests *guests)
{
    json_t *list = json_array();
    pthread_mutex_lock(&guests->lock);
    for (struct guest *guest = guests->first; guest; guest = guest->next) {
        json_array_append_new(
            list, json_pack("{s:s, s:b}", "lpar", guest->lpar, "takeable", guest->takeable));
    }
    pthread_mutex_unlock(&guests->lock);
    return list;
}
