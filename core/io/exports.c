/* exports.c - see the header. */
#include "io/exports.h"

#include "base/clock.h"
#include "base/thread.h"

#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_STEP_MS 100 /* between looks at a deadline or a cancel */

struct entry {
    struct nbd_export *export;
    struct nbd_counters counters;
    struct exports *table;
    json_t *backend;
    unsigned holders; /* the table is one */
    bool drained;
    struct task drop, end, apply, resize;
    enum nbd_export_state wanted;
    bool apply_posted, applying;
    bool resizing;
    int resize_error;   /* an errno, of the last one */
    struct entry *next; /* in the table, or among the dying */
};

struct exports {
    pthread_mutex_t lock; /* of all of it, and of the entries */
    pthread_cond_t changed;
    struct entry *first, *dying;
    size_t count;
    uint64_t revision;
    exports_missing missing;
    void *missing_context;
};

#define entry_of(pointer, member)                                                                  \
    ((struct entry *)((char *)(pointer)-offsetof(struct entry, member)))

int exports_new(struct exports **out, struct vios_error *error)
{
    struct exports *exports = calloc(1, sizeof *exports);
    if (!exports) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the exports");
    }
    pthread_mutex_init(&exports->lock, NULL);
    condition_init(&exports->changed);
    *out = exports;
    return VIOS_OK;
}

void exports_set_missing(struct exports *exports, exports_missing missing, void *context)
{
    pthread_mutex_lock(&exports->lock);
    exports->missing = missing;
    exports->missing_context = context;
    pthread_mutex_unlock(&exports->lock);
}

/* --- the end of an entry --- */

static void was_closed(struct nbd_export *export)
{
    struct entry *entry = export->owner;
    struct exports *exports = entry->table;
    pthread_mutex_lock(&exports->lock);
    struct entry **link = &exports->dying;
    while (*link != entry) {
        link = &(*link)->next;
    }
    *link = entry->next;
    pthread_cond_broadcast(&exports->changed);
    pthread_mutex_unlock(&exports->lock);
    json_decref(entry->backend);
    free(entry);
}

static void end(struct task *task)
{
    struct nbd_export *export = entry_of(task, end)->export;
    export->counters = NULL;
    export->operations->close(export, was_closed);
}

static void let_go(struct entry *entry)
{
    struct exports *exports = entry->table;
    pthread_mutex_lock(&exports->lock);
    bool last = --entry->holders == 0;
    pthread_mutex_unlock(&exports->lock);
    if (last) {
        worker_post(entry->export->home, &entry->end);
    }
}

static void drop(struct task *task)
{
    struct entry *entry = entry_of(task, drop);
    nbd_export_drop(entry->export);
    let_go(entry);
}

/* --- waiting, with the lock held --- */

static int wait_changed(struct exports *exports, struct operation *operation)
{
    int status = operation_check(operation);
    if (status == VIOS_OK) {
        condition_wait(&exports->changed, &exports->lock, WAIT_STEP_MS);
    }
    return status;
}

/* With the lock held. Page memory's exports come out of the arena. */
static void was_changed(struct exports *exports, const struct entry *entry)
{
    exports->revision += entry->backend != NULL;
}

static bool is_dying(const struct exports *exports, const struct entry *entry)
{
    const struct entry *one = exports->dying;
    while (one && one != entry) {
        one = one->next;
    }
    return one != NULL;
}

/* --- the table --- */

static struct entry *find_name(const struct exports *exports, const char *name)
{
    struct entry *entry = exports->first;
    while (entry && strcmp(entry->export->name, name) != 0) {
        entry = entry->next;
    }
    return entry;
}

static void apply(struct task *task);
static void resize(struct task *task);

static struct entry *entry_new(struct exports *exports, struct nbd_export *export, json_t *backend)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry) {
        entry->export = export;
        entry->table = exports;
        entry->backend = backend;
        entry->holders = 1;
        entry->drop.run = drop;
        entry->end.run = end;
        entry->apply.run = apply;
        entry->resize.run = resize;
    }
    return entry;
}

/* With the lock held; NULL does nothing. */
static void take_out(struct exports *exports, struct entry *entry)
{
    struct entry **link = &exports->first;
    while (*link && *link != entry) {
        link = &(*link)->next;
    }
    if (*link) {
        *link = entry->next;
        exports->count--;
        was_changed(exports, entry);
        entry->next = exports->dying;
        exports->dying = entry;
        worker_post(entry->export->home, &entry->drop);
    }
}

static int add(struct exports *exports, struct nbd_export *export, json_t *backend, bool replaces,
               struct vios_error *error)
{
    struct entry *entry = entry_new(exports, export, backend);
    if (!entry) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for an export");
    }
    int status = VIOS_OK;
    pthread_mutex_lock(&exports->lock);
    if (replaces) {
        take_out(exports, find_name(exports, export->name));
    }
    if (find_name(exports, export->name)) {
        status =
            error_set(error, VIOS_E_EXISTS, export->name, NULL, "another export has this name");
    } else if (exports->count >= EXPORTS_MAX) {
        status = error_set(error, VIOS_E_NO_SPACE, export->name, NULL,
                           "there are %d exports already", EXPORTS_MAX);
    } else {
        export->counters = &entry->counters;
        export->owner = entry;
        entry->next = exports->first;
        exports->first = entry;
        exports->count++;
        was_changed(exports, entry);
    }
    pthread_mutex_unlock(&exports->lock);
    if (status != VIOS_OK) {
        free(entry);
    }
    return status;
}

int exports_add(struct exports *exports, struct nbd_export *export, json_t *backend,
                struct vios_error *error)
{
    return add(exports, export, backend, false, error);
}

int exports_replace(struct exports *exports, struct nbd_export *export, json_t *backend,
                    struct vios_error *error)
{
    return add(exports, export, backend, true, error);
}

int exports_drop(struct exports *exports, struct nbd_export *export, struct operation *operation)
{
    int status = VIOS_OK;
    pthread_mutex_lock(&exports->lock);
    struct entry *entry = exports->first;
    while (entry && entry->export != export) {
        entry = entry->next;
    }
    take_out(exports, entry);
    while (entry && operation && status == VIOS_OK && is_dying(exports, entry)) {
        status = wait_changed(exports, operation);
    }
    pthread_mutex_unlock(&exports->lock);
    return status;
}

struct nbd_export *exports_get(struct exports *exports, const char *name)
{
    pthread_mutex_lock(&exports->lock);
    struct entry *entry = find_name(exports, name);
    if (entry) {
        entry->holders++;
    }
    pthread_mutex_unlock(&exports->lock);
    return entry ? entry->export : NULL;
}

void exports_release(struct nbd_export *export)
{
    let_go(export->owner);
}

json_t *exports_backend(struct exports *exports, struct nbd_export *export)
{
    struct entry *entry = export->owner;
    pthread_mutex_lock(&exports->lock);
    json_t *backend = json_incref(entry->backend);
    pthread_mutex_unlock(&exports->lock);
    return backend;
}

void exports_set_backend(struct exports *exports, struct nbd_export *export, json_t *backend)
{
    struct entry *entry = export->owner;
    pthread_mutex_lock(&exports->lock);
    json_t *old = entry->backend;
    entry->backend = backend;
    was_changed(exports, entry);
    pthread_mutex_unlock(&exports->lock);
    json_decref(old);
}

uint64_t exports_revision(struct exports *exports)
{
    pthread_mutex_lock(&exports->lock);
    uint64_t revision = exports->revision;
    pthread_mutex_unlock(&exports->lock);
    return revision;
}

struct nbd_export **exports_all(struct exports *exports, size_t *count)
{
    *count = 0;
    pthread_mutex_lock(&exports->lock);
    struct nbd_export **all = calloc(exports->count + 1, sizeof(struct nbd_export *));
    for (struct entry *entry = all ? exports->first : NULL; entry; entry = entry->next) {
        entry->holders++;
        all[(*count)++] = entry->export;
    }
    pthread_mutex_unlock(&exports->lock);
    return all;
}

/* --- states --- */

static void drained(struct nbd_export *export)
{
    struct entry *entry = export->owner;
    pthread_mutex_lock(&entry->table->lock);
    entry->drained = true;
    pthread_cond_broadcast(&entry->table->changed);
    pthread_mutex_unlock(&entry->table->lock);
}

/* On the home worker: makes the wanted state so. */
static void apply(struct task *task)
{
    struct entry *entry = entry_of(task, apply);
    struct exports *exports = entry->table;
    pthread_mutex_lock(&exports->lock);
    enum nbd_export_state wanted = entry->wanted;
    entry->apply_posted = false;
    entry->applying = true;
    pthread_mutex_unlock(&exports->lock);
    if (wanted == EXPORT_OPEN) {
        nbd_export_open(entry->export);
    } else {
        nbd_export_hold(entry->export, wanted, wanted == EXPORT_DRAINING ? drained : NULL);
    }
    pthread_mutex_lock(&exports->lock);
    entry->applying = false;
    was_changed(exports, entry);
    pthread_cond_broadcast(&exports->changed);
    pthread_mutex_unlock(&exports->lock);
    let_go(entry);
}

int exports_set_state(struct exports *exports, struct nbd_export *export,
                      enum nbd_export_state state, struct operation *operation)
{
    struct entry *entry = export->owner;
    int status = VIOS_OK;
    pthread_mutex_lock(&exports->lock);
    entry->wanted = state;
    entry->drained = false;
    if (!entry->apply_posted) {
        entry->apply_posted = true;
        entry->holders++; /* for the task */
        worker_post(export->home, &entry->apply);
    }
    while (status == VIOS_OK && (entry->apply_posted || entry->applying ||
                                 (state == EXPORT_DRAINING && !entry->drained))) {
        status = wait_changed(exports, operation);
    }
    pthread_mutex_unlock(&exports->lock);
    return status;
}

/* --- sizes --- */

/* On the home worker. */
static void resize(struct task *task)
{
    struct entry *entry = entry_of(task, resize);
    struct exports *exports = entry->table;
    int error = entry->export->operations->measure(entry->export);
    if (error == 0) {
        nbd_export_reconnect(entry->export);
    }
    pthread_mutex_lock(&exports->lock);
    entry->resizing = false;
    entry->resize_error = error;
    pthread_cond_broadcast(&exports->changed);
    pthread_mutex_unlock(&exports->lock);
    let_go(entry);
}

int exports_resize(struct exports *exports, struct nbd_export *export, uint64_t *size_bytes,
                   struct operation *operation)
{
    struct entry *entry = export->owner;
    int status = VIOS_OK;
    if (!export->operations->measure) {
        return operation_fail(operation, VIOS_E_INVALID, export->name, NULL, "its size is fixed");
    }
    pthread_mutex_lock(&exports->lock);
    while (status == VIOS_OK && entry->resizing) { /* somebody else's began before our change */
        status = wait_changed(exports, operation);
    }
    if (status == VIOS_OK) {
        entry->resizing = true;
        entry->holders++; /* for the task */
        worker_post(export->home, &entry->resize);
    }
    while (status == VIOS_OK && entry->resizing) {
        status = wait_changed(exports, operation);
    }
    if (status == VIOS_OK && entry->resize_error) {
        status = operation_fail(operation, VIOS_E_INVALID, export->name, "enlarge its file first",
                                "its file is smaller than it was");
    }
    pthread_mutex_unlock(&exports->lock);
    *size_bytes = export->size;
    return status;
}

/* --- what the NBD server asks --- */

static bool may_use(const struct nbd_export *export, const char *identity)
{
    if (strcmp(identity, "local") == 0) {
        return true;
    }
    if (strncmp(identity, "node:", 5) == 0) {
        return export->node[0] && strcmp(export->node, identity + 5) == 0;
    }
    return strncmp(identity, "lpar:", 5) == 0 && !export->node[0] && export->lpar[0] &&
           strcmp(export->lpar, identity + 5) == 0;
}

static struct nbd_export *find_usable(struct exports *exports, const char *name,
                                      const char *identity)
{
    pthread_mutex_lock(&exports->lock);
    struct entry *entry = find_name(exports, name);
    if (entry && !may_use(entry->export, identity)) {
        entry = NULL;
    }
    if (entry) {
        entry->holders++;
    }
    pthread_mutex_unlock(&exports->lock);
    return entry ? entry->export : NULL;
}

static struct nbd_export *find(void *context, const char *name, const char *identity)
{
    struct exports *exports = context;
    struct nbd_export *export = find_usable(exports, name, identity);
    pthread_mutex_lock(&exports->lock);
    exports_missing missing = exports->missing;
    pthread_mutex_unlock(&exports->lock);
    if (!export && missing && strncmp(identity, "node:", 5) == 0 &&
        missing(exports->missing_context, name, identity + 5) == VIOS_OK) {
        export = find_usable(exports, name, identity);
    }
    return export;
}

static void release(void *context, struct nbd_export *export)
{
    (void)context;
    exports_release(export);
}

static void list(void *context, const char *identity,
                 void (*one)(void *cookie, const struct nbd_export *export), void *cookie)
{
    struct exports *exports = context;
    pthread_mutex_lock(&exports->lock);
    for (struct entry *entry = exports->first; entry; entry = entry->next) {
        if (may_use(entry->export, identity)) {
            one(cookie, entry->export);
        }
    }
    pthread_mutex_unlock(&exports->lock);
}

const struct nbd_server_operations exports_server_operations = {
    .find = find,
    .release = release,
    .list = list,
};
