/*
 * reconcile.c - the loop that keeps io and the VIOS DB in agreement.
 *
 * Threads: the reconciler, which alone talks to io about paging, and one watcher for each of
 * /paging/ and /lpar/, which only wakes it. What the last round saw is kept under a lock for
 * those who wait and for the methods that show it.
 */
#include "paging/reconcile.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "node/changes.h"
#include "paging/device.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ROUND_INTERVAL_MS 1000 /* without a reason to run sooner */
#define ROUND_TIMEOUT_MS 5000
#define AWAIT_INTERVAL_MS 50  /* between two looks at io while somebody waits */
#define AWAIT_EAGER_ROUNDS 20 /* then it looks less often */
#define WATCHES 2

static const char *const WATCHED[WATCHES] = {"/paging/", "/lpar/"};

struct watcher {
    struct paging *paging;
    const char *prefix;
    pthread_t thread;
    bool started;
};

struct paging {
    struct node *node;
    const struct paging_guest_operations *_Atomic guest; /* set by lpar, when it starts */
    struct cancel *cancel;
    int poke; /* eventfd */
    pthread_t thread;
    bool started;
    struct watcher watchers[WATCHES];
    pthread_mutex_t lock; /* the rest */
    pthread_cond_t round_done;
    uint64_t rounds;
    bool restored;      /* forget what was said to the last io */
    json_t *statistics; /* of the last round */
    struct vios_error error;
    json_t *listening; /* paths; the reconciler's own from here on */
    json_t *lost;
    json_t *published;
};

/* --- one round --- */

static void listen_at(struct paging_round *round, json_t *listening, const char *path,
                      const char *as)
{
    if (json_object_get(listening, path)) {
        return;
    }
    int status = io_client_call(
        round->node->io, json_pack("{s:s, s:s, s:s}", "do", "listen", "path", path, "as", as), NULL,
        0, NULL, round->operation);
    if (status == VIOS_OK) {
        json_object_set_new(listening, path, json_true());
    } else {
        log_warning("paging", "io cannot listen at %s: %s", path, round->operation->error.message);
    }
}

static bool is_member_socket(const struct paging_round *round, const char *path)
{
    for (size_t i = 0; i < round->member_count; i++) {
        char own[128];
        snprintf(own, sizeof own, "peer/%s.sock", round->members[i].name);
        if (strcmp(path, own) == 0) {
            return true;
        }
    }
    return strncmp(path, "peer/", 5) != 0;
}

/* A node that was removed has no socket here any more. */
static void unlisten_removed(struct paging_round *round, json_t *listening)
{
    const char *path;
    json_t *unused;
    void *next;
    json_object_foreach_safe(listening, next, path, unused)
    {
        if (!is_member_socket(round, path) &&
            io_client_call(round->node->io, json_pack("{s:s, s:s}", "do", "unlisten", "path", path),
                           NULL, 0, NULL, round->operation) == VIOS_OK) {
            json_object_del(listening, path);
        }
    }
}

static void listen_for_peers(struct paging_round *round, json_t *listening)
{
    unlisten_removed(round, listening);
    listen_at(round, listening, "nbd.sock", "local");
    for (size_t i = 0; i < round->member_count; i++) {
        char path[128], as[128];
        const char *name = round->members[i].name;
        if (strcmp(name, round->node->name) != 0) {
            snprintf(path, sizeof path, "peer/%s.sock", name);
            snprintf(as, sizeof as, "node:%s", name);
            listen_at(round, listening, path, as);
        }
    }
}

static int load(struct paging_round *round)
{
    int status = io_client_call(round->node->io, json_pack("{s:s}", "do", "statistics"), NULL, 0,
                                &round->statistics, round->operation);
    if (status == VIOS_OK) {
        status = node_members(round->node, &round->members, &round->member_count);
    }
    if (status == VIOS_OK) {
        status = paging_views_list(round->store, &round->views, &round->view_count,
                                   &round->views_whole, round->operation);
    }
    return status;
}

static int reconcile(struct paging *paging, struct paging_round *round)
{
    int status = load(round);
    if (status != VIOS_OK) {
        return status;
    }
    listen_for_peers(round, paging->listening);
    paging_device_sweep(round);
    for (size_t i = 0; i < round->view_count; i++) {
        int device = paging_device_reconcile(round, &round->views[i]);
        if (device != VIOS_OK && device != VIOS_E_CONFLICT) {
            log_warning("paging", "lpar %s: %s: %s", round->views[i].record.lpar,
                        error_name(device), round->operation->error.message);
            status = device;
        }
    }
    return status;
}

/* Publishes the outcome to those who wait. */
static void finish(struct paging *paging, struct paging_round *round, int status)
{
    pthread_mutex_lock(&paging->lock);
    if (round->statistics) {
        json_decref(paging->statistics);
        paging->statistics = json_incref(round->statistics);
    }
    paging->error = round->operation->error;
    paging->error.code = status;
    paging->rounds++;
    pthread_cond_broadcast(&paging->round_done);
    pthread_mutex_unlock(&paging->lock);
}

static void run_round(struct paging *paging)
{
    struct operation operation;
    operation_start(&operation, ROUND_TIMEOUT_MS, paging->cancel);
    pthread_mutex_lock(&paging->lock);
    if (paging->restored) {
        json_object_clear(paging->listening);
        paging->restored = false;
    }
    pthread_mutex_unlock(&paging->lock);
    struct paging_round round = {
        .node = paging->node,
        .lost = paging->lost,
        .published = paging->published,
        .operation = &operation,
    };
    int status = node_store(paging->node, &round.store, &operation);
    if (status == VIOS_OK) {
        status = reconcile(paging, &round);
        node_store_return(paging->node, round.store);
    }
    finish(paging, &round, status);
    json_decref(round.statistics);
    free(round.members);
    free(round.views);
}

static void *reconciler(void *argument)
{
    struct paging *paging = argument;
    while (!cancel_triggered(paging->cancel)) {
        struct operation nap;
        eventfd_t ignored;
        run_round(paging);
        operation_start(&nap, ROUND_INTERVAL_MS, paging->cancel);
        operation_wait(&nap, paging->poke, POLLIN);
        eventfd_read(paging->poke, &ignored); /* fails when the interval passed */
    }
    return NULL;
}

/* --- being woken --- */

void paging_reconcile_poke(struct node *node)
{
    eventfd_write(node->paging->poke, 1); /* fails only when it is full: readable all the same */
}

static void changed(void *context)
{
    paging_reconcile_poke(context);
}

static void *watch(void *argument)
{
    struct watcher *watcher = argument;
    struct node *node = watcher->paging->node;
    changes_follow(node, watcher->prefix, "paging", changed, node, watcher->paging->cancel);
    return NULL;
}

void paging_reconcile_restored(struct node *node)
{
    if (!node->paging) {
        return;
    }
    pthread_mutex_lock(&node->paging->lock);
    node->paging->restored = true;
    pthread_mutex_unlock(&node->paging->lock);
    paging_reconcile_poke(node);
}

/* --- waiting --- */

json_t *paging_reconcile_export(struct node *node, const char *uuid, int64_t generation)
{
    char name[160];
    paging_export_name(uuid, generation, name, sizeof name);
    pthread_mutex_lock(&node->paging->lock);
    json_t *export = json_incref(paging_find_export(node->paging->statistics, name));
    pthread_mutex_unlock(&node->paging->lock);
    return export;
}

static bool reached(const json_t *export, enum paging_await what)
{
    const char *state = json_get_text(export, "state");
    switch (what) {
    case PAGING_GONE:
        return export == NULL;
    case PAGING_WHOLE:
        return state && strcmp(state, "OK") == 0;
    case PAGING_SERVED:
        return state && strcmp(state, "DOWN") != 0;
    }
    return false;
}

/* "n2 lost (connection refused)": the first replica that is not current. */
static void say_why(const json_t *export, const struct vios_error *round, char *text, size_t size)
{
    size_t index, inner;
    json_t *region, *replica;
    snprintf(text, size, "%s", round->code ? round->message : "the pager is not there");
    json_array_foreach(json_object_get(export, "regions"), index, region)
    {
        json_array_foreach(json_object_get(region, "replicas"), inner, replica)
        {
            const char *state = json_get_text(replica, "state");
            const char *node = json_get_text(replica, "node");
            const char *why = json_get_text(replica, "why");
            if (state && strcmp(state, "current") != 0) {
                snprintf(text, size, "node %s is %s%s%s", node ? node : "?", state,
                         why && *why ? ": " : "", why ? why : "");
                return;
            }
        }
    }
}

/* Until another round has ended, or a little while has passed. */
static uint64_t wait_round(struct paging *paging, uint64_t seen)
{
    pthread_mutex_lock(&paging->lock);
    if (paging->rounds == seen) {
        condition_wait(&paging->round_done, &paging->lock, AWAIT_INTERVAL_MS);
    }
    uint64_t rounds = paging->rounds;
    pthread_mutex_unlock(&paging->lock);
    return rounds;
}

static int fail_await(struct paging *paging, const char *lpar, const json_t *export,
                      struct operation *operation)
{
    char object[96], why[400];
    struct vios_error round;
    pthread_mutex_lock(&paging->lock);
    round = paging->error;
    pthread_mutex_unlock(&paging->lock);
    snprintf(object, sizeof object, "paging \"%s\"", lpar);
    say_why(export, &round, why, sizeof why);
    return operation_fail(operation, VIOS_E_TIMEOUT, object,
                          "look at \"vios paging show\" and \"vios node list\"",
                          "the device is not ready: %s", why);
}

int paging_reconcile_await(struct node *node, const char *lpar, const char *uuid,
                           int64_t generation, enum paging_await what, struct operation *operation)
{
    uint64_t seen = 0;
    json_t *export = NULL;
    int status;
    /* The first round that ends may have begun before the caller's commit. */
    for (int rounds = 0;; rounds++) {
        json_decref(export);
        export = paging_reconcile_export(node, uuid, generation);
        if (rounds > 1 && reached(export, what)) {
            status = VIOS_OK;
            break;
        }
        status = operation_check(operation);
        if (status != VIOS_OK) {
            break;
        }
        if (rounds < AWAIT_EAGER_ROUNDS || rounds % 4 == 0) {
            paging_reconcile_poke(node);
        }
        seen = wait_round(node->paging, seen);
    }
    if (status == VIOS_E_TIMEOUT) {
        status = fail_await(node->paging, lpar, export, operation);
    }
    json_decref(export);
    return status;
}

/* --- start and stop --- */

const struct paging_guest_operations *paging_guest(struct node *node)
{
    return node->paging->guest;
}

void paging_set_guest_operations(struct node *node,
                                 const struct paging_guest_operations *operations)
{
    node->paging->guest = operations;
}

static void free_paging(struct paging *paging)
{
    if (paging->poke >= 0) {
        close(paging->poke);
    }
    json_decref(paging->statistics);
    json_decref(paging->listening);
    json_decref(paging->lost);
    json_decref(paging->published);
    cancel_free(paging->cancel);
    pthread_cond_destroy(&paging->round_done);
    pthread_mutex_destroy(&paging->lock);
    free(paging);
}

static int start_threads(struct paging *paging)
{
    if (thread_start(&paging->thread, "paging", reconciler, paging) != 0) {
        return -1;
    }
    paging->started = true;
    for (int i = 0; i < WATCHES; i++) {
        struct watcher *watcher = &paging->watchers[i];
        watcher->paging = paging;
        watcher->prefix = WATCHED[i];
        if (thread_start(&watcher->thread, "paging-watch", watch, watcher) != 0) {
            return -1;
        }
        watcher->started = true;
    }
    return 0;
}

int paging_reconcile_start(struct node *node, struct vios_error *error)
{
    struct paging *paging = calloc(1, sizeof *paging);
    if (!paging) {
        return error_no_memory(error, NULL);
    }
    condition_init(&paging->round_done);
    pthread_mutex_init(&paging->lock, NULL);
    paging->node = node;
    paging->cancel = cancel_new();
    paging->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    paging->listening = json_object();
    paging->lost = json_object();
    paging->published = json_object();
    node->paging = paging;
    if (!paging->cancel || paging->poke < 0 || start_threads(paging) != 0) {
        int status = error_set(error, VIOS_E_SYSTEM, "paging", NULL, "cannot start its threads");
        paging_reconcile_stop(node, false);
        return status;
    }
    return VIOS_OK;
}

void paging_reconcile_stop(struct node *node, bool stop_guests)
{
    struct paging *paging = node->paging;
    (void)stop_guests; /* io ends with the node; there is nothing of paging beside it */
    if (!paging) {
        return;
    }
    cancel_trigger(paging->cancel);
    if (paging->started) {
        pthread_join(paging->thread, NULL);
    }
    for (int i = 0; i < WATCHES; i++) {
        if (paging->watchers[i].started) {
            pthread_join(paging->watchers[i].thread, NULL);
        }
    }
    node->paging = NULL;
    free_paging(paging);
}
