/* lpars.c - the table of this node's guests, and memory admission. See guest.h. */
#include "lpar/guest_exports.h"
#include "lpar/guest_private.h"

#include "base/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define GUESTS_MAX 400

int lpars_open(struct lpars **out, struct node *node, struct vios_error *error)
{
    struct lpars *lpars = calloc(1, sizeof *lpars);
    assert(lpars);
    lpars->node = node;
    lpars->cancel = cancel_new();
    lpars->qemu = qemu_facts_new();
    if (!lpars->cancel || !lpars->qemu) {
        cancel_free(lpars->cancel);
        qemu_facts_free(lpars->qemu);
        free(lpars);
        return error_set_errno(error, "lpar", "cannot make a descriptor");
    }
    pthread_mutex_init(&lpars->lock, NULL);
    pthread_cond_init(&lpars->changed, NULL);
    *out = lpars;
    return VIOS_OK;
}

void lpars_close(struct lpars *lpars)
{
    if (!lpars) {
        return;
    }
    cancel_trigger(lpars->cancel);
    pthread_mutex_lock(&lpars->lock);
    for (struct guest *guest = lpars->first; guest; guest = guest->next) {
        guest_wake(guest);
    }
    while (lpars->threads > 0) {
        pthread_cond_wait(&lpars->changed, &lpars->lock);
    }
    pthread_mutex_unlock(&lpars->lock);
    size_t count = 0;
    struct guest **list = lpars_list(lpars, &count);
    for (size_t i = 0; i < count; i++) {
        lpars_unlist(list[i]);
        guest_release(list[i]);
    }
    free(list);
    cancel_free(lpars->cancel);
    qemu_facts_free(lpars->qemu);
    pthread_mutex_destroy(&lpars->lock);
    pthread_cond_destroy(&lpars->changed);
    free(lpars);
}

static void free_guest(struct guest *guest)
{
    qmp_close(guest->qmp);
    console_free(guest->console);
    close(guest->wake);
    if (guest->process_fd >= 0) {
        close(guest->process_fd);
    }
    pthread_mutex_destroy(&guest->qmp_lock);
    pthread_mutex_destroy(&guest->exports_lock);
    pthread_mutex_destroy(&guest->lock);
    free(guest);
}

void guest_release(struct guest *guest)
{
    if (!guest) {
        return;
    }
    struct lpars *lpars = guest->lpars;
    pthread_mutex_lock(&lpars->lock);
    bool last = --guest->references == 0;
    pthread_mutex_unlock(&lpars->lock);
    if (last) {
        free_guest(guest);
    }
}

void lpars_unlist(struct guest *guest)
{
    struct lpars *lpars = guest->lpars;
    pthread_mutex_lock(&lpars->lock);
    for (struct guest **at = &lpars->first; *at; at = &(*at)->next) {
        if (*at == guest) {
            *at = guest->next;
            guest->references--;
            break;
        }
    }
    pthread_cond_broadcast(&lpars->changed);
    pthread_mutex_unlock(&lpars->lock);
}

static struct guest *find_locked(struct lpars *lpars, const char *name)
{
    struct guest *guest = lpars->first;
    while (guest && strcmp(guest->lpar.name, name) != 0) {
        guest = guest->next;
    }
    return guest;
}

struct guest *lpars_find(struct lpars *lpars, const char *name)
{
    pthread_mutex_lock(&lpars->lock);
    struct guest *guest = find_locked(lpars, name);
    if (guest) {
        guest->references++;
    }
    pthread_mutex_unlock(&lpars->lock);
    return guest;
}

struct guest **lpars_list(struct lpars *lpars, size_t *count)
{
    pthread_mutex_lock(&lpars->lock);
    size_t n = 0;
    for (struct guest *guest = lpars->first; guest; guest = guest->next) {
        n++;
    }
    struct guest **list = calloc(n + 1, sizeof(struct guest *));
    assert(list);
    *count = 0;
    for (struct guest *guest = lpars->first; guest; guest = guest->next) {
        guest->references++;
        list[(*count)++] = guest;
    }
    pthread_mutex_unlock(&lpars->lock);
    return list;
}

int lpars_await_gone(struct lpars *lpars, const char *name, struct operation *operation)
{
    for (;;) {
        struct guest *guest = lpars_find(lpars, name);
        guest_release(guest);
        if (!guest) {
            return VIOS_OK;
        }
        int status = operation_sleep(operation, 10);
        if (status < 0) {
            return status;
        }
    }
}

/* --- admission --- */

static uint64_t machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return (uint64_t)pages * (uint64_t)size;
}

static void capacity_locked(const struct lpars *lpars, struct lpars_capacity *capacity)
{
    memset(capacity, 0, sizeof *capacity);
    capacity->memory_bytes = machine_memory();
    capacity->lent_bytes = config_size(lpars->node->config, "page_memory");
    for (const struct guest *guest = lpars->first; guest; guest = guest->next) {
        capacity->guests_bytes += guest->lpar.memory_bytes;
        capacity->guests++;
    }
    uint64_t used = capacity->guests_bytes + capacity->lent_bytes;
    capacity->free_bytes = used < capacity->memory_bytes ? capacity->memory_bytes - used : 0;
}

void lpars_capacity(struct lpars *lpars, struct lpars_capacity *capacity)
{
    pthread_mutex_lock(&lpars->lock);
    capacity_locked(lpars, capacity);
    pthread_mutex_unlock(&lpars->lock);
}

static int admit_locked(struct lpars *lpars, const struct lpar *lpar, struct vios_error *error)
{
    struct lpars_capacity has;
    char object[96];
    capacity_locked(lpars, &has);
    if (has.guests >= GUESTS_MAX) {
        return error_set(error, VIOS_E_NO_SPACE, lpar_object(lpar->name, object),
                         "start it on another node", "this node runs %zu guests already",
                         has.guests);
    }
    if (lpar->memory_bytes > has.free_bytes) {
        return error_set(error, VIOS_E_NO_SPACE, lpar_object(lpar->name, object),
                         "stop a guest, or start it on another node",
                         "it needs %llu MiB; this node has %llu MiB, its guests have %llu MiB and "
                         "%llu MiB are lent as page memory",
                         (unsigned long long)(lpar->memory_bytes >> 20),
                         (unsigned long long)(has.memory_bytes >> 20),
                         (unsigned long long)(has.guests_bytes >> 20),
                         (unsigned long long)(has.lent_bytes >> 20));
    }
    return VIOS_OK;
}

static struct guest *new_guest(struct lpars *lpars, const struct lpar *lpar)
{
    struct guest *guest = calloc(1, sizeof *guest);
    assert(guest);
    guest->lpars = lpars;
    guest->references = 1;
    guest->lpar = *lpar;
    guest->console = console_new();
    guest->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    guest->process_fd = -1;
    guest->status.start = lpar->start;
    snprintf(guest->status.state, sizeof guest->status.state, "starting");
    pthread_mutex_init(&guest->qmp_lock, NULL);
    pthread_mutex_init(&guest->exports_lock, NULL);
    pthread_mutex_init(&guest->lock, NULL);
    return guest;
}

int lpars_reserve(struct lpars *lpars, const struct lpar *lpar, bool admit,
                  struct vios_error *error)
{
    int status = VIOS_OK;
    pthread_mutex_lock(&lpars->lock);
    struct guest *guest = find_locked(lpars, lpar->name);
    if (guest && !guest->connected) {
        guest->lpar = *lpar;
        guest->status.start = lpar->start;
    } else if (!guest) {
        status = admit ? admit_locked(lpars, lpar, error) : VIOS_OK;
        if (status == VIOS_OK) {
            guest = new_guest(lpars, lpar);
            guest->next = lpars->first;
            lpars->first = guest;
        }
    }
    pthread_mutex_unlock(&lpars->lock);
    return status;
}

int lpars_check_memory(struct lpars *lpars, const struct lpar *lpar, struct vios_error *error)
{
    pthread_mutex_lock(&lpars->lock);
    int status = find_locked(lpars, lpar->name) ? VIOS_OK : admit_locked(lpars, lpar, error);
    pthread_mutex_unlock(&lpars->lock);
    return status;
}

struct qemu_facts *lpars_qemu(struct lpars *lpars)
{
    return lpars->qemu;
}

void lpars_unreserve(struct lpars *lpars, const char *name, const char *job)
{
    struct guest *guest = lpars_find(lpars, name);
    if (guest && !guest_is_connected(guest) && (!job || strcmp(guest->lpar.job, job) == 0)) {
        lpars_unlist(guest);
    }
    guest_release(guest);
}

/* --- io is new --- */

static int make_exports(struct guest *guest, struct operation *operation)
{
    struct run_folder folder = {.fd = -1};
    struct node *node = guest->lpars->node;
    bool waits = guest_is_expected(guest);
    int status = run_folder_open(&folder, node->run_dir, guest->lpar.uuid, &operation->error);
    if (status == VIOS_OK) {
        status = (waits ? guest_exports_join : guest_exports_make)(node, &guest->lpar, &folder,
                                                                   guest->status.start, operation);
    }
    if (status == VIOS_OK && waits) {
        status = guest_exports_serve(node, &guest->lpar, guest->status.start, "standby", operation);
    }
    if (status == VIOS_OK) {
        status = guest_exports_watch(node, &guest->lpar, guest->process_fd, operation);
    }
    run_folder_close(&folder);
    return status;
}

/* Unless it has ended: its supervisor drops them, and nobody would drop what is made afterwards. */
static void restore_exports(struct guest *guest)
{
    struct operation operation;
    pthread_mutex_lock(&guest->exports_lock);
    operation_start(&operation, 10000, guest->lpars->cancel);
    if (guest_is_connected(guest) && !guest->exports_ended && make_exports(guest, &operation) < 0) {
        log_error("lpar", "guest %s: the new io does not serve it: %s", guest->lpar.name,
                  operation.error.message);
    }
    pthread_mutex_unlock(&guest->exports_lock);
}

void lpars_restore_exports(struct lpars *lpars)
{
    size_t count = 0;
    struct guest **list = lpars_list(lpars, &count);
    for (size_t i = 0; i < count; i++) {
        restore_exports(list[i]);
        guest_release(list[i]);
    }
    free(list);
}
