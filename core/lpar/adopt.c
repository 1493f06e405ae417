/* adopt.c - guests that outlived the daemon. See the header. */
#include "lpar/adopt.h"

#include "base/log.h"
#include "lpar/guest.h"
#include "lpar/guest_exports.h"
#include "lpar/hold.h"
#include "lpar/incoming.h"
#include "lpar/run_folder.h"
#include "lpar/takeover.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 10000
#define END_TIMEOUT_MS 10000

static bool is_right(const struct node *node, const struct run_guest *found,
                     const struct lpar *lpar)
{
    return strcmp(lpar->uuid, found->uuid) == 0 && strcmp(lpar->owner, node->name) == 0 &&
           lpar->owner_incarnation == node->incarnation && lpar->start == found->generation;
}

/* The record that says this QEMU is right, as it will be when it waits for it; VIOS_E_STALE when it
 * is not. A record that cannot be read (VIOS_E_CORRUPT) decides nothing: the guest stays. */
static int load_current(struct node *node, const struct run_guest *found, struct lpar *lpar,
                        struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(node, &store, operation);
    if (status < 0) {
        return status;
    }
    status = lpar_load(store, found->name, lpar, operation);
    bool waits = status == VIOS_OK && incoming_waits(store, node, found, lpar, operation);
    node_store_return(node, store);
    if (waits) {
        lpar_raise(lpar);
    } else if (status == VIOS_E_NOT_FOUND || (status == VIOS_OK && !is_right(node, found, lpar))) {
        status =
            operation_fail(operation, VIOS_E_STALE, found->name, NULL, "a QEMU of an older start");
    }
    return status;
}

/* What a QEMU left in io and in the run folder when no supervisor saw its end. */
static void clear_remains(struct node *node, const char *uuid)
{
    struct operation operation;
    operation_start(&operation, END_TIMEOUT_MS, NULL);
    if (guest_exports_drop(node, uuid, &operation) < 0 ||
        run_folder_remove(node->run_dir, uuid, &operation.error) < 0) {
        log_warning("lpar", "%s: %s", uuid, operation.error.message);
    }
}

static void end_stale(struct node *node, struct run_folder *folder, const char *uuid)
{
    struct run_process process;
    struct operation operation;
    operation_start(&operation, END_TIMEOUT_MS, NULL);
    int fd = run_folder_process(folder, &process, &operation);
    if (fd >= 0) {
        log_warning("lpar", "ending QEMU %d, whose start is not the current one", (int)process.pid);
        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
        (void)operation_wait(&operation, fd, POLLIN);
        close(fd);
    }
    if (!run_folder_is_locked(folder)) {
        clear_remains(node, uuid);
    }
}

static int take_up(struct node *node, const struct lpar *lpar, const struct run_guest *found,
                   struct run_folder *folder, struct operation *operation)
{
    int status = lpars_reserve(node->lpars, lpar, false, &operation->error);
    if (status == VIOS_OK) {
        status = found->job[0] ? guest_exports_join(node, lpar, folder, lpar->start, operation)
                               : guest_exports_make(node, lpar, folder, lpar->start, operation);
    }
    if (status < 0) {
        return status;
    }
    struct guest *guest = lpars_find(node->lpars, lpar->name);
    if (guest) {
        guest_expect(guest, found->job);
    }
    status = guest ? guest_connect(guest, operation) : VIOS_E_NOT_FOUND;
    guest_release(guest);
    return status;
}

static int adopt_folder(struct node *node, const char *uuid)
{
    struct run_folder folder = {.fd = -1};
    struct run_guest found;
    struct lpar lpar;
    struct operation operation;
    operation_start(&operation, CONNECT_TIMEOUT_MS, NULL);
    int status = run_folder_open(&folder, node->run_dir, uuid, &operation.error);
    if (status == VIOS_OK) {
        status = run_folder_read_guest(&folder, &found, &operation.error);
    }
    bool known = status == VIOS_OK;
    if (known) {
        status = load_current(node, &found, &lpar, &operation);
    }
    if (status == VIOS_OK && run_folder_is_locked(&folder)) {
        status = take_up(node, &lpar, &found, &folder, &operation);
        log_notice("lpar", "guest %s: %s", found.name,
                   status == VIOS_OK ? "found running" : operation.error.message);
    } else if (status == VIOS_OK && lpar.job[0]) {
        status = VIOS_OK; /* a job that has just made the folder goes on with it */
    } else if (status == VIOS_OK || status == VIOS_E_STALE ||
               (!known && (status == VIOS_E_NOT_FOUND || status == VIOS_E_CORRUPT))) {
        end_stale(node, &folder, uuid);
        status = VIOS_OK;
    }
    run_folder_close(&folder);
    return status;
}

/* `each` is called for every run folder, by its LPAR's UUID. The worst outcome. */
static int for_each_folder(struct node *node, int (*each)(struct node *node, const char *uuid),
                           struct operation *operation)
{
    char path[4096];
    int worst = VIOS_OK;
    snprintf(path, sizeof path, "%s/lpar", node->run_dir);
    DIR *parent = opendir(path);
    const struct dirent *entry;
    while (parent && (entry = readdir(parent)) != NULL) {
        int status = parse_uuid(entry->d_name, NULL) < 0 ? VIOS_OK : each(node, entry->d_name);
        if (status < 0) {
            worst = operation_fail(operation, status, entry->d_name, NULL,
                                   "a guest could not be taken up, or ended");
        }
    }
    if (parent) {
        closedir(parent);
    }
    return worst;
}

int lpar_adopt_guests(struct node *node, struct operation *operation)
{
    return for_each_folder(node, adopt_folder, operation);
}

static int end_folder(struct node *node, const char *uuid)
{
    struct run_folder folder = {.fd = -1};
    struct vios_error error;
    int status = run_folder_open(&folder, node->run_dir, uuid, &error);
    if (status == VIOS_OK) {
        end_stale(node, &folder, uuid);
        status = run_folder_is_locked(&folder) ? VIOS_E_LOCKED : VIOS_OK;
        run_folder_close(&folder);
    }
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

int lpar_end_guests(struct node *node, struct operation *operation)
{
    int status = for_each_folder(node, end_folder, operation);
    if (status == VIOS_OK && guest_exports_drop_shared(node, operation) < 0) {
        status =
            operation_fail(operation, operation->error.code, "io", "see what it says, or end it",
                           "what the guests had written does "
                           "not come to an end");
    }
    return status;
}

int lpar_settle(struct node *node, struct store *store, const char *name,
                struct operation *operation)
{
    struct lpar lpar;
    int status = lpar_load(store, name, &lpar, operation);
    struct guest *guest = lpars_find(node->lpars, name);
    bool running = guest != NULL;
    guest_release(guest);
    if (status < 0 || running || strcmp(lpar.owner, node->name) != 0 ||
        run_folder_lives(node->run_dir, lpar.uuid) ||
        lpar_check_lock(store, &lpar, NULL, operation) < 0) {
        return status < 0 ? status : 1;
    }
    clear_remains(node, lpar.uuid);
    lpar.owner[0] = lpar.job[0] = 0;
    lpar.wanted = LPAR_STOPPED;
    status = lpar_save(store, &lpar, operation);
    if (status == VIOS_OK) {
        status = lpar_publish(store, name,
                              &(struct lpar_run){.node = node->name,
                                                 .incarnation = node->incarnation,
                                                 .generation = lpar.generation,
                                                 .state = "stopped",
                                                 .why = "it ended while no daemon watched"},
                              operation);
    }
    return status == VIOS_E_CONFLICT ? 1 : status; /* somebody is at it already */
}

/* What an incarnation before this one owned, and anybody may take over, is moved by the primary; it
 * may be on its way already. */
static bool is_left_to_others(struct node *node, struct store *store, const struct lpar *lpar)
{
    struct operation operation;
    json_t *cluster = NULL;
    if (lpar->owner_incarnation == node->incarnation || !lpar_moves(lpar)) {
        return false;
    }
    operation_start(&operation, CONNECT_TIMEOUT_MS, NULL);
    (void)node_record(store, "/cluster", &cluster, NULL, &operation);
    bool in_maintenance = json_is_true(json_object_get(cluster, "maintenance"));
    json_decref(cluster);
    return !in_maintenance && takeover_check(node, store, lpar, &operation) == VIOS_OK;
}

int lpar_settle_all(struct node *node, struct store *store, json_t **names,
                    struct operation *operation)
{
    struct store_list list;
    *names = json_array();
    int status = store_list(store, "/lpar/", &list, NULL, operation);
    if (status < 0) {
        return status;
    }
    for (size_t i = 0; i < list.count; i++) {
        struct lpar lpar;
        if (lpar_parse(list.values[i].json, &lpar, &operation->error) == VIOS_OK &&
            strcmp(lpar.owner, node->name) == 0 && !is_left_to_others(node, store, &lpar) &&
            lpar_settle(node, store, lpar.name, operation) == VIOS_OK && lpar.autostart) {
            json_array_append_new(*names, json_string(lpar.name));
        }
    }
    store_list_clear(&list);
    return VIOS_OK;
}
