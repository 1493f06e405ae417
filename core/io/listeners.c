/* listeners.c - see the header. */
#include "io/listeners.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_MAX 64     /* in one turn */
#define ACCEPT_PAUSE_MS 50 /* when there is no descriptor left */
#define PEER "peer"

struct listener {
    char *path; /* absolute, or a tcp: address */
    char identity[NBD_IDENTITY_SIZE];
    struct listeners *all;
    struct worker *worker;
    struct watch watch;
    struct timer pause;
    struct task start, rest, stop; /* each is posted once */
    bool resting;
    struct listener *next;
};

struct listeners {
    struct nbd_server *server;
    struct worker *const *workers;
    size_t worker_count, next_worker;
    struct tls_context *tls; /* of peers */
    char *run_dir;
    pthread_mutex_t lock; /* of what follows */
    struct listener *first;
    size_t count;
    uint64_t revision;
};

#define listener_of(pointer, member)                                                               \
    ((struct listener *)((char *)(pointer)-offsetof(struct listener, member)))

int listeners_new(struct listeners **out, struct nbd_server *server, struct worker *const *workers,
                  size_t worker_count, struct tls_context *tls, const char *run_dir,
                  struct vios_error *error)
{
    struct listeners *listeners = calloc(1, sizeof *listeners);
    if (!listeners || !(listeners->run_dir = strdup(run_dir))) {
        free(listeners);
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the listeners");
    }
    listeners->server = server;
    listeners->workers = workers;
    listeners->worker_count = worker_count;
    listeners->tls = tls;
    pthread_mutex_init(&listeners->lock, NULL);
    *out = listeners;
    return VIOS_OK;
}

int listeners_check_identity(const char *identity, struct vios_error *error)
{
    if (strcmp(identity, "local") == 0 || strcmp(identity, PEER) == 0) {
        return VIOS_OK;
    }
    if (strncmp(identity, "node:", 5) == 0) {
        return parse_name(identity + 5, "node", error);
    }
    if (strncmp(identity, "lpar:", 5) == 0) {
        return parse_uuid(identity + 5, error);
    }
    return error_set(error, VIOS_E_USAGE, identity, "write local, peer, node:NAME or lpar:UUID",
                     "no such identity");
}

/* --- accepting --- */

static void serve(struct listener *listener, int fd)
{
    struct transport *transport;
    if (transport_plain(&transport, fd, NULL) != VIOS_OK) {
        return;
    }
    if (strcmp(listener->identity, PEER) == 0) {
        nbd_server_serve_tls(listener->all->server, transport, listener->worker,
                             listener->all->tls);
    } else {
        nbd_server_serve(listener->all->server, transport, listener->worker, listener->identity);
    }
}

static void ready(struct watch *watch, uint32_t events)
{
    struct listener *listener = listener_of(watch, watch);
    (void)events;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            serve(listener, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_warning("io", "cannot accept on %s: %s", listener->path, strerror(errno));
            worker_rewatch(listener->worker, watch, 0);
            worker_arm(listener->worker, &listener->pause, clock_now_ms() + ACCEPT_PAUSE_MS);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void pause_over(struct timer *timer)
{
    struct listener *listener = listener_of(timer, pause);
    worker_rewatch(listener->worker, &listener->watch, EPOLLIN);
}

static void start(struct task *task)
{
    struct listener *listener = listener_of(task, start);
    struct vios_error error;
    if (worker_watch(listener->worker, &listener->watch, EPOLLIN, &error) != VIOS_OK) {
        log_error("io", "cannot watch %s: %s", listener->path, error.message);
    }
}

static void stop(struct task *task)
{
    struct listener *listener = listener_of(task, stop);
    worker_disarm(listener->worker, &listener->pause);
    worker_unwatch(listener->worker, &listener->watch);
    close(listener->watch.fd);
    free(listener->path);
    free(listener);
}

static void rest(struct task *task)
{
    struct listener *listener = listener_of(task, rest);
    worker_disarm(listener->worker, &listener->pause);
    worker_unwatch(listener->worker, &listener->watch);
}

/* --- the list --- */

static bool is_tcp(const char *path)
{
    return strncmp(path, "tcp:", 4) == 0;
}

/* The absolute path: below the run folder, without detours. */
static char *resolve(const struct listeners *listeners, const char *path, struct vios_error *error)
{
    char *absolute = NULL;
    size_t length = strlen(listeners->run_dir);
    bool below = strncmp(path, listeners->run_dir, length) == 0 && path[length] == '/';
    if (strstr(path, "..") || !path[0] || (path[0] == '/' && !below)) {
        error_set(error, VIOS_E_USAGE, path, "give a path below the run folder",
                  "the socket would lie outside of %s", listeners->run_dir);
        return NULL;
    }
    int made = path[0] == '/' ? asprintf(&absolute, "%s", path)
                              : asprintf(&absolute, "%s/%s", listeners->run_dir, path);
    if (made < 0) {
        error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for a path");
        return NULL;
    }
    return absolute;
}

static int open_unix(const char *path, struct vios_error *error)
{
    char *address = NULL;
    char *folder = strdup(path);
    int status = VIOS_E_NO_SPACE;
    if (folder && asprintf(&address, "unix:%s", path) >= 0) {
        *strrchr(folder, '/') = 0;
        status = file_make_folders(folder, 0700, error);
        if (status == VIOS_OK) {
            status = transport_listen(address, error);
        }
    }
    free(folder);
    free(address);
    return status;
}

static struct listener *find(struct listeners *listeners, const char *path)
{
    struct listener *listener = listeners->first;
    while (listener && strcmp(listener->path, path) != 0) {
        listener = listener->next;
    }
    return listener;
}

/* With the lock held. Takes over `fd` when it succeeds; NULL: memory is short. */
static struct listener *insert(struct listeners *listeners, const char *path, const char *identity,
                               int fd)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener || !(listener->path = strdup(path))) {
        free(listener);
        return NULL;
    }
    snprintf(listener->identity, sizeof listener->identity, "%s", identity);
    listener->all = listeners;
    listener->worker = listeners->workers[listeners->next_worker++ % listeners->worker_count];
    listener->watch = (struct watch){.ready = ready, .fd = fd};
    listener->pause.expired = pause_over;
    listener->start.run = start;
    listener->rest.run = rest;
    listener->stop.run = stop;
    struct listener **link = &listeners->first; /* ordered by path, for listeners_give */
    while (*link && strcmp((*link)->path, path) < 0) {
        link = &(*link)->next;
    }
    listener->next = *link;
    *link = listener;
    listeners->count++;
    listeners->revision++;
    worker_post(listener->worker, &listener->start);
    return listener;
}

/* With the lock held. A descriptor, or a status. */
static int obtain(struct listeners *listeners, const char *path, int fd, struct vios_error *error)
{
    int listening = 0;
    socklen_t size = sizeof listening;
    if (listeners->count >= LISTENERS_MAX) {
        return error_set(error, VIOS_E_NO_SPACE, path, NULL, "there are %d listeners already",
                         LISTENERS_MAX);
    }
    if (fd < 0) {
        return is_tcp(path) ? transport_listen(path, error) : open_unix(path, error);
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening) {
        return error_set(error, VIOS_E_INVALID, path, NULL, "the descriptor does not listen");
    }
    return fd;
}

/* With the lock held. A listener of `fd`, or of a new socket, whose port is known only now. */
static int make(struct listeners *listeners, const char *path, const char *identity, int fd,
                struct listener **made, struct vios_error *error)
{
    char bound[512];
    int listening = obtain(listeners, path, fd, error);
    if (listening < 0) {
        return listening;
    }
    int status = VIOS_OK;
    if (is_tcp(path)) {
        status = transport_address(listening, bound, sizeof bound, error);
        path = bound;
    }
    if (status == VIOS_OK && !(*made = insert(listeners, path, identity, listening))) {
        status = error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for a listener");
    }
    if (status != VIOS_OK && listening != fd) {
        close(listening);
    }
    return status;
}

/* With the lock held. What was accepted goes on. */
static void take_off(struct listeners *listeners, struct listener *listener)
{
    struct listener **link = &listeners->first;
    while (*link != listener) {
        link = &(*link)->next;
    }
    *link = listener->next;
    listeners->count--;
    listeners->revision++;
    worker_post(listener->worker, &listener->stop);
}

/* Whoever removed it has left a listener that nobody can reach. */
static bool is_unlinked(const struct listener *listener)
{
    return !is_tcp(listener->path) && access(listener->path, F_OK) != 0 && errno == ENOENT;
}

int listeners_add(struct listeners *listeners, const char *path, const char *identity, int fd,
                  char *address, size_t address_size, struct vios_error *error)
{
    char *name = is_tcp(path) ? strdup(path) : resolve(listeners, path, error);
    if (!name) {
        return error ? error->code : VIOS_E_USAGE;
    }
    pthread_mutex_lock(&listeners->lock);
    struct listener *there = find(listeners, name);
    int status = VIOS_OK;
    if (there && fd < 0 && is_unlinked(there)) {
        take_off(listeners, there);
        there = NULL;
    }
    if (there && strcmp(there->identity, identity) != 0) {
        status = error_set(error, VIOS_E_EXISTS, path, "unlisten it first", "it is there for %s",
                           there->identity);
    } else if (!there) {
        status = make(listeners, name, identity, fd, &there, error);
    } else if (fd >= 0) {
        close(fd);
    }
    if (status == VIOS_OK && address) {
        snprintf(address, address_size, "%s", there->path);
    }
    pthread_mutex_unlock(&listeners->lock);
    free(name);
    return status;
}

int listeners_remove(struct listeners *listeners, const char *path, struct vios_error *error)
{
    char *name = is_tcp(path) ? strdup(path) : resolve(listeners, path, error);
    if (!name) {
        return error ? error->code : VIOS_E_USAGE;
    }
    pthread_mutex_lock(&listeners->lock);
    struct listener *listener = find(listeners, name);
    if (listener) {
        if (!is_tcp(name)) {
            unlink(name);
        }
        take_off(listeners, listener);
    }
    pthread_mutex_unlock(&listeners->lock);
    free(name);
    return VIOS_OK;
}

uint64_t listeners_revision(struct listeners *listeners)
{
    pthread_mutex_lock(&listeners->lock);
    uint64_t revision = listeners->revision;
    pthread_mutex_unlock(&listeners->lock);
    return revision;
}

static json_t *describe(const struct listener *listener)
{
    return json_pack("{s:s, s:s}", "path", listener->path, "as", listener->identity);
}

json_t *listeners_describe(struct listeners *listeners)
{
    json_t *list = json_array();
    pthread_mutex_lock(&listeners->lock);
    for (struct listener *one = listeners->first; one; one = one->next) {
        json_array_append_new(list, describe(one));
    }
    pthread_mutex_unlock(&listeners->lock);
    return list;
}

int listeners_give(struct listeners *listeners, const char *after, size_t max, int *descriptors,
                   json_t **list, bool *more, struct vios_error *error)
{
    size_t count = 0;
    int status = VIOS_OK;
    *list = json_array();
    pthread_mutex_lock(&listeners->lock); /* what is in the list is not closed under it */
    struct listener *one = listeners->first;
    while (one && strcmp(one->path, after) <= 0) {
        one = one->next;
    }
    for (; one && count < max && status == VIOS_OK; one = one->next) {
        int copy = fcntl(one->watch.fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0) {
            status = error_set_errno(error, one->path, "cannot copy its descriptor");
            break;
        }
        descriptors[count++] = copy;
        json_array_append_new(*list, describe(one));
    }
    *more = one != NULL;
    pthread_mutex_unlock(&listeners->lock);
    while (status != VIOS_OK && count > 0) {
        close(descriptors[--count]);
    }
    if (status != VIOS_OK) {
        json_decref(*list);
        *list = NULL;
    }
    return status;
}

void listeners_pause(struct listeners *listeners)
{
    pthread_mutex_lock(&listeners->lock);
    for (struct listener *one = listeners->first; one; one = one->next) {
        if (!one->resting) {
            one->resting = true;
            worker_post(one->worker, &one->rest);
        }
    }
    pthread_mutex_unlock(&listeners->lock);
}
