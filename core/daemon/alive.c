/*
 * alive.c - see alive.h.
 *
 * STATE_DIR/boot {"v","boot_id","incarnation","start"} says on which boot this node ran last, and
 * what its last daemon called itself. That one is dead (the state folder is locked), so its record
 * is taken over at once; a record of an unknown start is watched for a TTL first, for it may be of
 * a living daemon with the same name and another state folder.
 */
#include "daemon/alive.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cluster/renewal.h"
#include "node/members.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BOOT_FILE "boot"
#define BOOT_FILE_MAX 4096
#define BOOT_ID_SIZE 40
#define RENEWALS_PER_TTL 5
#define WATCH_MS 100 /* between two looks at a foreign record */

struct alive {
    struct node *node;
    struct store *store;
    char *store_address;
    int64_t ttl_ms;
    struct cancel *cancel;
    pthread_t thread;
    bool running;
    bool known_failing; /* the log says so already */
    struct renewal renewal;
};

struct boot {
    char id[BOOT_ID_SIZE];
    int64_t incarnation; /* 0: never ran */
    int64_t start;
};

struct own_record {
    int64_t revision; /* 0: none */
    int64_t incarnation, start, n;
};

/* --- the boot --- */

static int read_boot_id(char id[BOOT_ID_SIZE], struct vios_error *error)
{
    char *text = NULL;
    size_t size;
    int status =
        file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", BOOT_FILE_MAX, &text, &size, error);
    if (status == VIOS_OK) {
        snprintf(id, BOOT_ID_SIZE, "%.36s", text);
        free(text);
    }
    return status;
}

static int read_boot(struct node *node, struct boot *boot, struct vios_error *error)
{
    char *text = NULL;
    size_t size;
    memset(boot, 0, sizeof *boot);
    int status = file_read(node->state_dir_fd, BOOT_FILE, BOOT_FILE_MAX, &text, &size, error);
    if (status == VIOS_E_NOT_FOUND) {
        memset(error, 0, sizeof *error);
        return VIOS_OK;
    }
    if (status != VIOS_OK) {
        return status;
    }
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *id = json_string_value(json_object_get(json, "boot_id"));
    free(text);
    if (!id) {
        json_decref(json);
        return error_set(error, VIOS_E_CORRUPT, "boot", "remove the file in the state folder",
                         "the file that names the last boot is damaged");
    }
    snprintf(boot->id, sizeof boot->id, "%s", id);
    boot->incarnation = json_integer_value(json_object_get(json, "incarnation"));
    boot->start = json_integer_value(json_object_get(json, "start"));
    json_decref(json);
    return VIOS_OK;
}

static int write_boot(struct node *node, const struct boot *boot, struct vios_error *error)
{
    json_t *json = json_pack("{s:i, s:s, s:I, s:I}", "v", 1, "boot_id", boot->id, "incarnation",
                             (json_int_t)boot->incarnation, "start", (json_int_t)boot->start);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "out of memory");
    }
    int status = file_replace(node->state_dir_fd, BOOT_FILE, text, strlen(text), 0600, error);
    free(text);
    return status;
}

/* --- the record --- */

static int read_own(struct alive *alive, struct own_record *own, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    json_t *record;
    memset(own, 0, sizeof *own);
    snprintf(key, sizeof key, "/alive/%s", alive->node->name);
    int status = node_record(alive->store, key, &record, &own->revision, operation);
    if (status == VIOS_E_NOT_FOUND) {
        memset(&operation->error, 0, sizeof operation->error);
        return VIOS_OK;
    }
    if (status == VIOS_OK) {
        own->incarnation = json_integer_value(json_object_get(record, "incarnation"));
        own->start = json_integer_value(json_object_get(record, "start"));
        own->n = json_integer_value(json_object_get(record, "n"));
        json_decref(record);
    }
    return status;
}

static char *own_text(struct alive *alive, int64_t n)
{
    uint64_t size, used;
    struct node *node = alive->node;
    io_client_page_memory(node->io, &size, &used);
    json_t *record =
        json_pack("{s:i, s:I, s:I, s:I, s:{}, s:s, s:{s:I, s:I}}", "v", 1, "incarnation",
                  (json_int_t)node->incarnation, "start", (json_int_t)alive->renewal.start, "n",
                  (json_int_t)n, "row", "state", "up", "page_memory", "size",
                  (json_int_t)(size > 0 ? size : config_size(node->config, "page_memory")), "used",
                  (json_int_t)used);
    char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
    json_decref(record);
    return text;
}

static int commit_own(struct alive *alive, int64_t n, int64_t *revision,
                      struct operation *operation)
{
    char key[STORE_KEY_MAX], fence[STORE_KEY_MAX];
    struct node *node = alive->node;
    snprintf(key, sizeof key, "/alive/%s", node->name);
    snprintf(fence, sizeof fence, "/fence/%s/%lld", node->name, (long long)node->incarnation);
    int64_t known = alive->renewal.revision;
    struct store_compare compares[] = {
        {.kind = known > 0 ? STORE_REVISION_IS : STORE_ABSENT, .key = key, .revision = known},
        {.kind = STORE_ABSENT, .key = fence}};
    char *text = own_text(alive, n);
    if (!text) {
        return operation_fail(operation, VIOS_E_NO_SPACE, NULL, NULL, "out of memory");
    }
    struct store_change change = {.key = key, .json = text};
    int status = store_commit(alive->store, compares, 2, &change, 1, revision, operation);
    free(text);
    return status;
}

/* After a conflict or an unknown outcome: what is there tells which commit succeeded. */
static int resolve(struct alive *alive, struct operation *operation)
{
    struct own_record own;
    int64_t before_ms = alive->renewal.renewed_ms;
    int status = read_own(alive, &own, operation);
    if (status != VIOS_OK) {
        return status;
    }
    if (own.revision == 0) {
        renewal_read_absent(&alive->renewal);
        return operation_fail(operation, VIOS_E_CONFLICT, alive->node->name, NULL,
                              "its record was removed");
    }
    switch (renewal_read(&alive->renewal, own.incarnation, own.start, own.n, own.revision)) {
    case RENEWAL_OURS:
        return alive->renewal.renewed_ms > before_ms
                   ? VIOS_OK
                   : operation_fail(operation, VIOS_E_CONFLICT, alive->node->name, NULL,
                                    "the renewal was not done; this incarnation may be fenced");
    case RENEWAL_BEFORE_US:
        return operation_fail(operation, VIOS_E_CONFLICT, alive->node->name, NULL,
                              "the renewal was not done; this incarnation may be fenced");
    case RENEWAL_FOREIGN:
        break;
    }
    return operation_fail(operation, VIOS_E_CONFLICT, alive->node->name,
                          "end one of the two daemons",
                          "another daemon runs under the name of this node");
}

/* One renewal, and what follows from it for the gate. */
static int renew(struct alive *alive, struct operation *operation)
{
    int64_t revision = 0;
    int64_t sent_ms = clock_now_ms();
    int64_t n = renewal_attempt(&alive->renewal, sent_ms);
    int status = commit_own(alive, n, &revision, operation);
    if (status == VIOS_OK) {
        renewal_succeeded(&alive->renewal, revision);
    } else if (status == VIOS_E_CONFLICT || status == VIOS_E_UNKNOWN) {
        status = resolve(alive, operation);
    }
    if (status == VIOS_OK) {
        int64_t margin_ms = alive->ttl_ms / RENEWALS_PER_TTL;
        int64_t end_ms = alive->renewal.renewed_ms + alive->ttl_ms;
        io_client_serve(alive->node->io, end_ms - margin_ms, end_ms - margin_ms / 2);
    }
    return status;
}

static int list_members(struct alive *alive, struct operation *operation)
{
    struct store_list nodes, records;
    int status = store_list(alive->store, "/node/", &nodes, NULL, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = store_list(alive->store, "/alive/", &records, NULL, operation);
    if (status == VIOS_OK) {
        status = members_update(alive->node->members, &nodes, &records, clock_now_ms());
        store_list_clear(&records);
    }
    store_list_clear(&nodes);
    return status;
}

/* --- the thread --- */

static int round_once(struct alive *alive)
{
    struct operation operation;
    operation_start(&operation, alive->ttl_ms / 2, alive->cancel);
    int status = VIOS_OK;
    if (!alive->store) {
        status = store_open(&alive->store, alive->store_address, false, &operation);
    }
    if (status == VIOS_OK) {
        status = renew(alive, &operation);
    }
    int listed = alive->store ? list_members(alive, &operation) : status;
    status = status == VIOS_OK ? listed : status;
    if (status != VIOS_OK && !alive->known_failing && status != VIOS_E_CANCELLED) {
        log_error("alive", "the renewal fails: %s", operation.error.message);
        recorder_note(alive->node->recorder, "alive", "fails: %s", operation.error.message);
    } else if (status == VIOS_OK && alive->known_failing) {
        log_notice("alive", "the renewal succeeds again");
        recorder_note(alive->node->recorder, "alive", "succeeds again");
    }
    alive->known_failing = status != VIOS_OK;
    return status;
}

static void *alive_run(void *argument)
{
    struct alive *alive = argument;
    int64_t period_ms = alive->ttl_ms / RENEWALS_PER_TTL;
    int64_t next_ms = clock_now_ms() + period_ms;
    struct operation pause;
    for (;;) {
        operation_start(&pause, OPERATION_NO_DEADLINE, alive->cancel);
        int64_t left_ms = next_ms - clock_now_ms();
        if (operation_sleep(&pause, left_ms > 0 ? left_ms : 0) != VIOS_OK ||
            cancel_triggered(alive->cancel)) {
            return NULL;
        }
        round_once(alive);
        int64_t now_ms = clock_now_ms();
        next_ms = next_ms + period_ms > now_ms ? next_ms + period_ms : now_ms;
    }
}

/* --- the beginning --- */

/* The record changes while we look: its writer lives. */
static int watch_foreign(struct alive *alive, struct own_record *own, struct operation *operation)
{
    int64_t until_ms = clock_now_ms() + alive->ttl_ms;
    int64_t revision = own->revision;
    while (clock_now_ms() < until_ms) {
        int status = operation_sleep(operation, WATCH_MS);
        if (status == VIOS_OK) {
            status = read_own(alive, own, operation);
        }
        if (status != VIOS_OK) {
            return status;
        }
        if (own->revision != revision) {
            return operation_fail(operation, VIOS_E_CONFLICT, alive->node->name,
                                  "give this node another name, or end the other daemon",
                                  "another daemon runs under the name of this node");
        }
    }
    return VIOS_OK;
}

static int choose_incarnation(struct alive *alive, struct operation *operation)
{
    struct boot boot = {0};
    struct own_record own = {0};
    char id[BOOT_ID_SIZE];
    int status = read_boot_id(id, &operation->error);
    if (status == VIOS_OK) {
        status = read_boot(alive->node, &boot, &operation->error);
    }
    if (status == VIOS_OK) {
        status = read_own(alive, &own, operation);
    }
    bool known = own.revision == 0 || own.start == boot.start;
    if (status == VIOS_OK && !known) {
        status = watch_foreign(alive, &own, operation);
    }
    if (status != VIOS_OK) {
        return status;
    }
    bool same_boot = known && boot.incarnation > 0 && strcmp(boot.id, id) == 0;
    int64_t highest = own.incarnation > boot.incarnation ? own.incarnation : boot.incarnation;
    boot.incarnation = same_boot ? highest : highest + 1;
    snprintf(boot.id, sizeof boot.id, "%s", id);
    uint32_t start = 0;
    if (getrandom(&start, sizeof start, 0) != (ssize_t)sizeof start) {
        return error_set_errno(&operation->error, "alive", "no random number");
    }
    boot.start = start;
    renewal_begin(&alive->renewal, boot.incarnation, boot.start, own.n, own.revision);
    alive->node->incarnation = boot.incarnation;
    return write_boot(alive->node, &boot, &operation->error);
}

static int start_thread(struct alive *alive, struct operation *operation)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&alive->thread, NULL, alive_run, alive);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        return operation_fail(operation, VIOS_E_NO_SPACE, "alive", NULL, "no thread for it");
    }
    pthread_setname_np(alive->thread, "alive");
    alive->running = true;
    return VIOS_OK;
}

int alive_start(struct alive **alive, struct node *node, const char *store_address,
                struct operation *operation)
{
    struct alive *made = calloc(1, sizeof *made);
    *alive = NULL;
    if (!made) {
        return operation_fail(operation, VIOS_E_NO_SPACE, NULL, NULL, "out of memory");
    }
    made->node = node;
    made->ttl_ms = config_duration_ms(node->config, "ttl");
    made->store_address = strdup(store_address);
    made->cancel = cancel_new();
    int status = made->store_address && made->cancel
                     ? store_open(&made->store, store_address, false, operation)
                     : operation_fail(operation, VIOS_E_NO_SPACE, NULL, NULL, "out of memory");
    if (status == VIOS_OK) {
        status = choose_incarnation(made, operation);
    }
    if (status == VIOS_OK) {
        status = renew(made, operation);
    }
    if (status == VIOS_OK) {
        status = list_members(made, operation);
    }
    if (status == VIOS_OK) {
        status = start_thread(made, operation);
    }
    if (status != VIOS_OK) {
        alive_stop(made);
        return status;
    }
    *alive = made;
    return VIOS_OK;
}

void alive_stop(struct alive *alive)
{
    if (!alive) {
        return;
    }
    cancel_trigger(alive->cancel);
    if (alive->running) {
        pthread_join(alive->thread, NULL);
    }
    store_close(alive->store);
    cancel_free(alive->cancel);
    free(alive->store_address);
    free(alive);
}
