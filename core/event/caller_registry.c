/*
 * caller_registry.c - see caller_registry.h.
 *
 * Both threads apply records that they read to one table. The watcher sees them in order; what the
 * keeper reads apart may be older than that, or newer: the newer revision counts, and a record that
 * the watcher must have seen, but that is not in the table, was deleted.
 */
#include "event/caller_registry.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096

struct check {
    uint64_t ticket;
    struct check *next;
    char id[NAME_MAX_LENGTH + 1];
};

struct caller_registry {
    struct node *node;
    void (*changed)(void *context);
    void *context;
    atomic_bool anyone_gone;
    pthread_t watcher, keeper;
    bool watcher_started, keeper_started;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t news;
    bool stopping, open, loaded;
    int busy;              /* threads that work on this opening */
    struct cancel *cancel; /* of this opening */
    int64_t restores;
    int64_t watched; /* the watcher has applied all changes up to this revision */
    struct registered *buckets[BUCKETS];
    struct registered *unsaved, **unsaved_end; /* longest first */
    int64_t saved_ms;
    struct check *checks, **checks_end;
    uint64_t tickets, checked;
    struct saving *saving; /* the keeper's own */
};

/* --- the table; all under the lock --- */

static size_t bucket_of(const char *id)
{
    uint32_t hash = 2166136261u;
    for (; *id; id++) {
        hash = (hash ^ (uint8_t)*id) * 16777619u;
    }
    return hash % BUCKETS;
}

static struct registered **place_of(struct caller_registry *registry, const char *id)
{
    struct registered **place = &registry->buckets[bucket_of(id)];
    while (*place && strcmp((*place)->caller.id, id) != 0) {
        place = &(*place)->next;
    }
    return place;
}

void registered_release(struct registered *registered)
{
    if (registered && atomic_fetch_sub(&registered->references, 1) == 1) {
        caller_clear(&registered->caller);
        free(registered);
    }
}

static struct registered *hold(struct registered *registered)
{
    atomic_fetch_add(&registered->references, 1);
    return registered;
}

/* True: somebody is gone. */
static bool take_out(struct caller_registry *registry, struct registered **place)
{
    struct registered *registered = *place;
    if (!registered) {
        return false;
    }
    *place = registered->next;
    atomic_store(&registered->gone, true);
    atomic_store(&registry->anyone_gone, true);
    registered_release(registered);
    return true;
}

static void put_in(struct registered **place, struct caller *caller)
{
    struct registered *made = calloc(1, sizeof *made);
    if (!made) {
        log_error("event", "no memory for caller %s: it is not served", caller->id);
        caller_clear(caller);
        return;
    }
    atomic_init(&made->references, 1);
    made->caller = *caller;
    made->listed = true;
    made->next = *place;
    *place = made;
}

static bool is_later(const struct event_cursor *one, const struct event_cursor *other)
{
    return one->restores > other->restores ||
           (one->restores == other->restores && one->sequence > other->sequence);
}

/* The same registration, written anew. Takes over `caller`. */
static void renew(struct registered *known, struct caller *caller)
{
    known->listed = true;
    if (caller->revision > known->caller.revision) {
        known->caller.revision = caller->revision;
        if (is_later(&caller->seen, &known->caller.seen)) {
            known->caller.seen = caller->seen;
        }
    }
    caller_clear(caller);
}

/* Takes over `caller`. True: somebody is gone. */
static bool apply_caller(struct caller_registry *registry, struct caller *caller)
{
    struct registered **place = place_of(registry, caller->id);
    struct registered *known = *place;
    bool same = known && strcmp(known->caller.token_hash, caller->token_hash) == 0;
    if (same || (known && known->caller.revision > caller->revision)) {
        renew(known, caller);
        return false;
    }
    bool gone = take_out(registry, place);
    put_in(place, caller);
    return gone;
}

/* A record as it was listed, watched or read; without JSON: it was deleted. */
static bool apply(struct caller_registry *registry, const struct store_value *value)
{
    struct caller caller;
    struct vios_error error = {0};
    struct registered **place = place_of(registry, value->key + strlen(CALLER_PREFIX));
    if (!value->json) {
        bool newer = *place && (*place)->caller.revision < value->revision;
        return newer && take_out(registry, place);
    }
    if (caller_parse(value, &caller, &error) != VIOS_OK) {
        log_warning("event", "%s: %s", error.object, error.message);
        return take_out(registry, place);
    }
    return apply_caller(registry, &caller);
}

static void apply_list(struct caller_registry *registry, const struct store_list *list,
                       int64_t revision)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct registered *one = registry->buckets[i]; one; one = one->next) {
            one->listed = one->caller.revision > revision;
        }
    }
    for (size_t i = 0; i < list->count; i++) {
        apply(registry, &list->values[i]);
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        struct registered **place = &registry->buckets[i];
        while (*place) {
            if ((*place)->listed) {
                place = &(*place)->next;
            } else {
                take_out(registry, place);
            }
        }
    }
    registry->watched = revision;
    registry->loaded = true;
}

/* Those up to this ticket are done. */
static void drop_checks(struct caller_registry *registry, uint64_t ticket)
{
    while (registry->checks && registry->checks->ticket <= ticket) {
        struct check *check = registry->checks;
        registry->checks = check->next;
        free(check);
    }
    if (!registry->checks) {
        registry->checks_end = &registry->checks;
    }
    registry->checked = ticket > registry->checked ? ticket : registry->checked;
}

static void forget_all(struct caller_registry *registry)
{
    while (registry->unsaved) {
        struct registered *one = registry->unsaved;
        registry->unsaved = one->next_unsaved;
        one->unsaved = false;
        registered_release(one);
    }
    registry->unsaved_end = &registry->unsaved;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (take_out(registry, &registry->buckets[i])) {
        }
    }
    drop_checks(registry, registry->tickets);
    registry->loaded = false;
    registry->watched = 0;
}

/* --- a thread's share of an opening --- */

/* Waits for the registry to open. False: the thread ends. Returns with the lock. */
static bool begin_work(struct caller_registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    while (!registry->open && !registry->stopping) {
        pthread_cond_wait(&registry->news, &registry->lock);
    }
    registry->busy += registry->open;
    return registry->open;
}

/* With the lock, which it gives back. */
static void end_work(struct caller_registry *registry)
{
    registry->busy--;
    pthread_cond_broadcast(&registry->news);
    while (registry->open && cancel_triggered(registry->cancel)) { /* until it is closed */
        pthread_cond_wait(&registry->news, &registry->lock);
    }
    pthread_mutex_unlock(&registry->lock);
}

/* --- the watcher --- */

static void tell_changed(struct caller_registry *registry)
{
    registry->changed(registry->context);
}

static void apply_changes(struct caller_registry *registry, const struct store_change_list *changes)
{
    bool gone = false;
    pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < changes->count; i++) {
        gone = apply(registry, &changes->values[i]) || gone;
    }
    registry->watched = changes->revision;
    pthread_mutex_unlock(&registry->lock);
    if (gone) {
        tell_changed(registry);
    }
}

static int follow(struct caller_registry *registry, struct store *store,
                  struct operation *operation)
{
    struct store_list list = {0};
    struct store_watch *watch = NULL;
    int64_t revision = 0;
    pthread_mutex_lock(&registry->lock);
    uint64_t ticket = registry->tickets;
    pthread_mutex_unlock(&registry->lock);
    int status = store_list(store, CALLER_PREFIX, &list, &revision, operation);
    if (status == VIOS_OK) {
        pthread_mutex_lock(&registry->lock);
        apply_list(registry, &list, revision);
        drop_checks(registry, ticket);
        pthread_cond_broadcast(&registry->news);
        pthread_mutex_unlock(&registry->lock);
        tell_changed(registry);
        status = store_watch_open(&watch, store, CALLER_PREFIX, revision, operation);
    }
    store_list_clear(&list);
    while (status == VIOS_OK) {
        struct store_change_list changes = {0};
        status = store_watch_next(watch, &changes, operation);
        if (status == VIOS_OK) {
            apply_changes(registry, &changes);
        }
        store_change_list_clear(&changes);
    }
    store_watch_close(watch);
    return status;
}

static void *run_watcher(void *argument)
{
    struct caller_registry *registry = argument;
    while (begin_work(registry)) {
        struct operation operation;
        struct store *store = NULL;
        operation_start(&operation, OPERATION_NO_DEADLINE, registry->cancel);
        pthread_mutex_unlock(&registry->lock);
        int status = node_store(registry->node, &store, &operation);
        if (status == VIOS_OK) {
            status = follow(registry, store, &operation);
            node_store_return(registry->node, store);
        }
        if (status != VIOS_E_CANCELLED && status != VIOS_E_COMPACTED) {
            log_warning("event", "the callers' records: %s", operation.error.message);
            operation_sleep(&operation, CALLER_AGAIN_MS);
        }
        pthread_mutex_lock(&registry->lock);
        end_work(registry);
    }
    pthread_mutex_unlock(&registry->lock);
    return NULL;
}

/* --- the keeper: reading records anew --- */

static void read_anew(struct caller_registry *registry, struct store *store, const char *id,
                      struct operation *operation)
{
    char key[CALLER_KEY_SIZE];
    struct store_value value;
    caller_key(id, key);
    if (store_get(store, key, &value, operation) != VIOS_OK) {
        return; /* who was deleted is told by the watcher */
    }
    pthread_mutex_lock(&registry->lock);
    bool deleted = value.revision <= registry->watched && !*place_of(registry, id);
    bool gone = !deleted && apply(registry, &value);
    pthread_mutex_unlock(&registry->lock);
    store_value_clear(&value);
    if (gone) {
        tell_changed(registry);
    }
}

/* With the lock. */
static struct check *take_checks(struct caller_registry *registry)
{
    struct check *checks = registry->checks;
    registry->checks = NULL;
    registry->checks_end = &registry->checks;
    return checks;
}

static void run_checks(struct caller_registry *registry, struct check *checks)
{
    struct operation operation;
    struct store *store = NULL;
    uint64_t last = 0;
    operation_start(&operation, CALLER_STORE_MS, registry->cancel);
    int status = node_store(registry->node, &store, &operation);
    while (checks) {
        struct check *check = checks;
        checks = check->next;
        if (status == VIOS_OK) {
            read_anew(registry, store, check->id, &operation);
        }
        last = check->ticket;
        free(check);
    }
    node_store_return(registry->node, store);
    pthread_mutex_lock(&registry->lock);
    registry->checked = last > registry->checked ? last : registry->checked;
    pthread_mutex_unlock(&registry->lock);
    tell_changed(registry);
}

/* --- the keeper: saving --- */

struct saving {
    size_t count;
    struct registered *callers[CALLER_SAVES_MAX];
    char keys[CALLER_SAVES_MAX][CALLER_KEY_SIZE];
    struct store_compare compares[CALLER_SAVES_MAX];
    struct store_change changes[CALLER_SAVES_MAX];
};

/* Those that wait longest; with the lock. */
static void choose_unsaved(struct caller_registry *registry, struct saving *saving)
{
    saving->count = 0;
    while (registry->unsaved && saving->count < CALLER_SAVES_MAX) {
        struct registered *one = registry->unsaved;
        size_t i = saving->count;
        char *json = atomic_load(&one->gone) ? NULL : caller_format(&one->caller);
        registry->unsaved = one->next_unsaved;
        one->unsaved = false;
        if (!json) {
            registered_release(one);
            continue;
        }
        caller_key(one->caller.id, saving->keys[i]);
        saving->callers[i] = one;
        saving->compares[i] = (struct store_compare){
            .kind = STORE_REVISION_IS, .key = saving->keys[i], .revision = one->caller.revision};
        saving->changes[i] = (struct store_change){.key = saving->keys[i], .json = json};
        saving->count++;
    }
    if (!registry->unsaved) {
        registry->unsaved_end = &registry->unsaved;
    }
    registry->saved_ms = clock_now_ms();
}

/* Takes over a reference; with the lock. */
static void queue_unsaved(struct caller_registry *registry, struct registered *registered)
{
    if (registered->unsaved || atomic_load(&registered->gone)) {
        registered_release(registered);
        return;
    }
    registered->unsaved = true;
    registered->next_unsaved = NULL;
    *registry->unsaved_end = registered;
    registry->unsaved_end = &registered->next_unsaved;
}

/* Done, or again in the next round. */
static void settle(struct caller_registry *registry, struct saving *saving, int status,
                   int64_t revision)
{
    pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < saving->count; i++) {
        struct registered *one = saving->callers[i];
        free((char *)saving->changes[i].json);
        if (status == VIOS_OK && one->caller.revision < revision) {
            one->caller.revision = revision;
        }
        if (status == VIOS_OK || !registry->open) {
            registered_release(one);
        } else {
            queue_unsaved(registry, one);
        }
    }
    pthread_mutex_unlock(&registry->lock);
}

/* A conflict: one of them was registered anew, or the commit before was done after all. */
static int save(struct caller_registry *registry, struct saving *saving, int64_t *revision)
{
    struct operation operation;
    struct store *store = NULL;
    operation_start(&operation, CALLER_STORE_MS, registry->cancel);
    int status = node_store(registry->node, &store, &operation);
    if (status == VIOS_OK) {
        status = store_commit(store, saving->compares, saving->count, saving->changes,
                              saving->count, revision, &operation);
    }
    if (status == VIOS_E_CONFLICT || status == VIOS_E_UNKNOWN) {
        for (size_t i = 0; i < saving->count; i++) {
            read_anew(registry, store, saving->callers[i]->caller.id, &operation);
        }
    } else if (status != VIOS_OK && status != VIOS_E_CANCELLED) {
        log_warning("event", "what callers have seen is not saved: %s", operation.error.message);
    }
    node_store_return(registry->node, store);
    return status;
}

static void save_some(struct caller_registry *registry, struct saving *saving)
{
    int64_t revision = 0;
    if (saving->count > 0) {
        int status = save(registry, saving, &revision);
        settle(registry, saving, status, revision);
    }
}

/* --- the keeper --- */

/* One round; with the lock, also afterwards. */
static void keep(struct caller_registry *registry, struct saving *saving)
{
    int64_t wait_ms = registry->saved_ms + CALLER_SAVE_MS - clock_now_ms();
    if (registry->checks && registry->loaded) {
        struct check *checks = take_checks(registry);
        pthread_mutex_unlock(&registry->lock);
        run_checks(registry, checks);
        pthread_mutex_lock(&registry->lock);
    } else if (registry->unsaved && wait_ms <= 0) {
        choose_unsaved(registry, saving);
        pthread_mutex_unlock(&registry->lock);
        save_some(registry, saving);
        pthread_mutex_lock(&registry->lock);
    } else if (registry->unsaved) {
        condition_wait(&registry->news, &registry->lock, (int)wait_ms);
    } else {
        pthread_cond_wait(&registry->news, &registry->lock);
    }
}

static void *run_keeper(void *argument)
{
    struct caller_registry *registry = argument;
    while (begin_work(registry)) {
        while (!cancel_triggered(registry->cancel)) {
            keep(registry, registry->saving);
        }
        end_work(registry);
    }
    pthread_mutex_unlock(&registry->lock);
    return NULL;
}

/* --- opening and closing --- */

int registry_open(struct caller_registry *registry, int64_t restores, struct vios_error *error)
{
    struct cancel *cancel = cancel_new();
    if (!cancel) {
        return error_set(error, VIOS_E_SYSTEM, "callers", NULL, "no descriptor is left");
    }
    pthread_mutex_lock(&registry->lock);
    assert(!registry->open);
    registry->cancel = cancel;
    registry->restores = restores;
    registry->open = true;
    pthread_cond_broadcast(&registry->news);
    pthread_mutex_unlock(&registry->lock);
    return VIOS_OK;
}

void registry_close(struct caller_registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    if (registry->open) {
        cancel_trigger(registry->cancel);
        pthread_cond_broadcast(&registry->news);
        while (registry->busy > 0) {
            pthread_cond_wait(&registry->news, &registry->lock);
        }
        registry->open = false;
        forget_all(registry);
        cancel_free(registry->cancel);
        registry->cancel = NULL;
        pthread_cond_broadcast(&registry->news);
    }
    pthread_mutex_unlock(&registry->lock);
}

int registry_new(struct caller_registry **out, struct node *node, void (*changed)(void *context),
                 void *context, struct vios_error *error)
{
    struct caller_registry *registry = calloc(1, sizeof *registry);
    *out = NULL;
    if (!registry || !(registry->saving = calloc(1, sizeof *registry->saving))) {
        free(registry);
        return error_no_memory(error, "callers");
    }
    registry->node = node;
    registry->changed = changed;
    registry->context = context;
    registry->unsaved_end = &registry->unsaved;
    registry->checks_end = &registry->checks;
    pthread_mutex_init(&registry->lock, NULL);
    condition_init(&registry->news);
    registry->watcher_started =
        thread_start(&registry->watcher, "callers-watch", run_watcher, registry) == 0;
    registry->keeper_started =
        thread_start(&registry->keeper, "callers-keep", run_keeper, registry) == 0;
    if (!registry->watcher_started || !registry->keeper_started) {
        registry_free(registry);
        return error_set(error, VIOS_E_SYSTEM, "callers", NULL, "cannot start a thread");
    }
    *out = registry;
    return VIOS_OK;
}

void registry_free(struct caller_registry *registry)
{
    if (!registry) {
        return;
    }
    registry_close(registry);
    pthread_mutex_lock(&registry->lock);
    registry->stopping = true;
    pthread_cond_broadcast(&registry->news);
    pthread_mutex_unlock(&registry->lock);
    if (registry->watcher_started) {
        pthread_join(registry->watcher, NULL);
    }
    if (registry->keeper_started) {
        pthread_join(registry->keeper, NULL);
    }
    pthread_cond_destroy(&registry->news);
    pthread_mutex_destroy(&registry->lock);
    free(registry->saving);
    free(registry);
}

/* --- for the worker --- */

struct registered *registry_find(struct caller_registry *registry, const char *id,
                                 const char *token)
{
    pthread_mutex_lock(&registry->lock);
    struct registered *found = *place_of(registry, id);
    bool right = caller_token_matches(found ? &found->caller : NULL, token);
    found = found && right ? hold(found) : NULL;
    pthread_mutex_unlock(&registry->lock);
    return found;
}

bool registry_anyone_gone(struct caller_registry *registry)
{
    return atomic_exchange(&registry->anyone_gone, false);
}

uint64_t registry_check(struct caller_registry *registry, const char *id)
{
    struct check *check = calloc(1, sizeof *check);
    if (!check) {
        return 0;
    }
    snprintf(check->id, sizeof check->id, "%s", id);
    pthread_mutex_lock(&registry->lock);
    uint64_t ticket = ++registry->tickets;
    check->ticket = ticket;
    *registry->checks_end = check;
    registry->checks_end = &check->next;
    pthread_cond_broadcast(&registry->news);
    pthread_mutex_unlock(&registry->lock);
    return ticket;
}

bool registry_checked(struct caller_registry *registry, uint64_t ticket)
{
    pthread_mutex_lock(&registry->lock);
    bool done = registry->checked >= ticket;
    pthread_mutex_unlock(&registry->lock);
    return done;
}

struct event_cursor registry_seen(struct caller_registry *registry, struct registered *registered)
{
    pthread_mutex_lock(&registry->lock);
    struct event_cursor seen = registered->caller.seen;
    pthread_mutex_unlock(&registry->lock);
    return seen;
}

void registry_note_seen(struct caller_registry *registry, struct registered *registered,
                        int64_t sequence)
{
    pthread_mutex_lock(&registry->lock);
    struct event_cursor seen = {registry->restores, sequence};
    if (registry->open && is_later(&seen, &registered->caller.seen)) {
        registered->caller.seen = seen;
        queue_unsaved(registry, hold(registered));
        pthread_cond_broadcast(&registry->news);
    }
    pthread_mutex_unlock(&registry->lock);
}
