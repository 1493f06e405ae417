/* daemon.c - see daemon.h. */
#include "daemon/daemon.h"

#include "base/backtrace.h"
#include "base/file.h"
#include "base/guests.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/access.h"
#include "daemon/adoption.h"
#include "daemon/boot.h"
#include "daemon/entrance.h"
#include "daemon/notify.h"
#include "daemon/parts.h"
#include "daemon/server.h"
#include "ffdc/crash.h"
#include "node/credentials.h"
#include "node/driver.h"
#include "node/identity.h"
#include "node/members.h"
#include "node/method.h"
#include "node/ports.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORDER_SLOTS 8192
#define ACTIVATE_TIMEOUT_MS 60000
#define LOCK_WAIT_MS 3000 /* for a predecessor that was killed a moment ago */
#define RUN_DIR_MAX 512
#define PROGRAM_MAX 4200

struct daemon {
    struct node node; /* the first member: hooks get from it to us */
    struct config *config;
    atomic_bool stop_guests;
    atomic_bool restart;
    int lock_fd;
    bool marked; /* as running, see ffdc/crash.h */
    char store_address[DAEMON_STORE_ADDRESS_SIZE];
    struct server *server;

    struct entrance entrance;

    pthread_mutex_t restoring; /* held while the parts talk to a new io, and while they end */

    pthread_mutex_t activation; /* of all below */
    char cluster[NAME_MAX_LENGTH + 1];
    struct adoption *adoption;
    size_t parts_started;
};

static struct daemon *daemon_of(struct node *node)
{
    return (struct daemon *)node;
}

/* --- taking part in the cluster --- */

static int part_missing(struct daemon *daemon, struct operation *operation)
{
    return operation_fail(operation, VIOS_E_UNREACHABLE, "this node",
                          "run \"vios node token\" there, and \"vios node join TOKEN\" here",
                          "node \"%s\" is not in the cluster", daemon->node.name);
}

static int not_the_member(struct daemon *daemon, const char *why, struct operation *operation)
{
    char hint[200];
    snprintf(hint, sizeof hint,
             "run \"vios node remove %.63s\" on another node, then join with a token",
             daemon->node.name);
    return operation_fail(operation, VIOS_E_UNREACHABLE, "this node", hint,
                          "the cluster has a node \"%s\", but %s", daemon->node.name, why);
}

/* The certificate is there, and the one that the cluster knows: `self` is the member's record. */
static int read_identity(struct daemon *daemon, const json_t *self, struct operation *operation)
{
    struct identity *identity;
    const char *serial = json_get_text(self, "serial");
    int status = identity_new(&identity, &daemon->node, &operation->error);
    if (status == VIOS_E_NOT_FOUND) {
        return not_the_member(daemon, "this one has no certificate", operation);
    }
    if (status != VIOS_OK) {
        return status;
    }
    if (!serial || strcmp(serial, identity_serial(identity)) != 0) {
        identity_free(identity);
        return not_the_member(daemon, "with another certificate than this one", operation);
    }
    identity_free(daemon->node.identity); /* of an earlier look, with which nothing was begun */
    daemon->node.identity = identity;
    return VIOS_OK;
}

/* Both records are there, and the certificate that fits; the cluster's name is noted. */
static int read_membership(struct daemon *daemon, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    struct store *store;
    json_t *cluster = NULL, *self = NULL;
    snprintf(key, sizeof key, "/node/%s", daemon->node.name);
    int status = node_store(&daemon->node, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = node_record(store, "/cluster", &cluster, NULL, operation);
    if (status == VIOS_OK) {
        status = node_record(store, key, &self, NULL, operation);
        status = status == VIOS_E_NOT_FOUND ? part_missing(daemon, operation) : status;
    } else if (status == VIOS_E_NOT_FOUND) {
        status = operation_fail(operation, VIOS_E_UNREACHABLE, "VIOS DB",
                                "run \"vios cluster create NAME\"", "there is no cluster yet");
    }
    if (status == VIOS_OK) {
        const char *name = json_get_text(cluster, "name");
        snprintf(daemon->cluster, sizeof daemon->cluster, "%s", name ? name : "");
        daemon->node.cluster = daemon->cluster;
        status = read_identity(daemon, self, operation);
    }
    json_decref(cluster);
    json_decref(self);
    node_store_return(&daemon->node, store);
    return status;
}

static void on_io_restored(void *context)
{
    struct daemon *daemon = context;
    size_t count;
    const struct part *const *parts = parts_all(&count);
    pthread_mutex_lock(&daemon->restoring);
    bool active = atomic_load(&daemon->node.active); /* else they have said nothing yet, and will */
    for (size_t i = 0; active && i < count; i++) {
        if (parts[i]->restored) {
            parts[i]->restored(&daemon->node);
        }
    }
    pthread_mutex_unlock(&daemon->restoring);
}

static int start_io(struct daemon *daemon, struct operation *operation)
{
    char program[PROGRAM_MAX];
    snprintf(program, sizeof program, "%s/io", daemon->node.program_dir);
    struct io_client_settings settings = {.program = program,
                                          .run_dir = daemon->node.run_dir,
                                          .page_memory_bytes =
                                              config_size(daemon->config, "page_memory"),
                                          .restored = on_io_restored,
                                          .context = daemon};
    int status = guests_new(&daemon->node.guests, &operation->error);
    return status == VIOS_OK ? io_client_start(&daemon->node.io, &settings, &operation->error)
                             : status;
}

static int start_jobs(struct daemon *daemon, struct operation *operation)
{
    struct node *node = &daemon->node;
    size_t count;
    const struct job_kind *const *kinds = parts_job_kinds(&count);
    int status = jobs_start(&node->jobs, daemon->store_address, node->name, node->incarnation,
                            kinds, count, node, &operation->error);
    if (status == VIOS_OK) {
        jobs_set_guard(node->jobs,
                       &(struct store_guard){.check = driver_guard, .context = node->driver});
    }
    return status;
}

static int start_parts(struct daemon *daemon, struct operation *operation)
{
    size_t count;
    const struct part *const *parts = parts_all(&count);
    for (size_t i = 0; i < count; i++) {
        int status = parts[i]->start ? parts[i]->start(&daemon->node, &operation->error) : VIOS_OK;
        if (status != VIOS_OK) {
            log_error("daemon", "%s does not start", parts[i]->name);
            return status;
        }
        daemon->parts_started++;
    }
    return VIOS_OK;
}

static void deactivate(struct daemon *daemon)
{
    struct node *node = &daemon->node;
    size_t count;
    const struct part *const *parts = parts_all(&count);
    bool stop_guests = atomic_load(&daemon->stop_guests);
    pthread_mutex_lock(&daemon->restoring);
    atomic_store(&node->active, false);
    pthread_mutex_unlock(&daemon->restoring);
    entrance_shut(&daemon->entrance);
    adoption_stop(daemon->adoption);
    daemon->adoption = NULL;
    jobs_stop(node->jobs);
    node->jobs = NULL;
    while (daemon->parts_started > 0) {
        const struct part *part = parts[--daemon->parts_started];
        if (part->stop) {
            part->stop(node, stop_guests);
        }
    }
    entrance_close(&daemon->entrance);
    store_pool_guard(node->stores, NULL);
    driver_stop(node->driver);
    node->driver = NULL;
    io_client_stop(node->io, stop_guests);
    node->io = NULL;
    guests_free(node->guests);
    node->guests = NULL;
    identity_free(node->identity);
    node->identity = NULL;
    members_free(node->members);
    node->members = NULL;
}

static void on_fenced(void *context)
{
    struct daemon *daemon = context;
    daemon->node.hooks->restart(&daemon->node);
}

/* What ran under the fenced incarnation ends before this node rejoins (DESIGN "Fencing N"). */
static int end_fenced(struct daemon *daemon, struct operation *operation)
{
    size_t count;
    const struct part *const *parts = parts_all(&count);
    for (size_t i = 0; i < count; i++) {
        int status = parts[i]->fenced ? parts[i]->fenced(&daemon->node, operation) : VIOS_OK;
        if (status != VIOS_OK) {
            return status;
        }
    }
    return VIOS_OK;
}

/* Takes over `udp`. */
static int start_driver(struct daemon *daemon, int udp, struct operation *operation)
{
    struct node *node = &daemon->node;
    struct boot_choice boot;
    int status = boot_choose(node, &boot, operation);
    if (status == VIOS_OK && boot.rejoins > 0) {
        log_warning("daemon", "incarnation %lld of this node was fenced: its guests end",
                    (long long)boot.rejoins);
        status = end_fenced(daemon, operation);
    }
    if (status != VIOS_OK) {
        close(udp);
        return status;
    }
    node->incarnation = boot.incarnation;
    struct driver_settings settings = {.store_address = daemon->store_address,
                                       .udp = udp,
                                       .start = boot.start,
                                       .known_n = boot.known_n,
                                       .known_revision = boot.known_revision,
                                       .rejoins = boot.rejoins,
                                       .fenced = on_fenced,
                                       .context = daemon};
    status = driver_start(&node->driver, node, &settings, operation);
    if (status == VIOS_OK) {
        store_pool_guard(node->stores,
                         &(struct store_guard){.check = driver_guard, .context = node->driver});
    }
    return status;
}

/* The agent, then the gateway: nobody is let in before it is known who may. */
static int start_network(struct daemon *daemon, struct operation *operation)
{
    struct node *node = &daemon->node;
    struct ports ports;
    int status = ports_open(&ports, config_text(node->config, "address"),
                            (int)config_integer(node->config, "port"), &operation->error);
    if (status != VIOS_OK) {
        return status;
    }
    node->port = ports.number;
    status = start_driver(daemon, ports.udp, operation);
    if (status != VIOS_OK) {
        close(ports.tcp);
        return status;
    }
    return entrance_open(&daemon->entrance, node, daemon->server, ports.tcp, &operation->error);
}

/* io first: the agent moves its gate from the first renewal on. */
static int activate_locked(struct daemon *daemon, struct operation *operation)
{
    struct node *node = &daemon->node;
    int status = read_membership(daemon, operation);
    if (status != VIOS_OK) {
        return status;
    }
    node->members = members_new();
    status = node->members ? start_io(daemon, operation)
                           : operation_fail(operation, VIOS_E_NO_SPACE, NULL, NULL, "no memory");
    if (status == VIOS_OK) {
        status = start_network(daemon, operation);
    }
    if (status == VIOS_OK) {
        status = start_jobs(daemon, operation);
    }
    if (status == VIOS_OK) {
        status = start_parts(daemon, operation);
    }
    if (status == VIOS_OK) {
        status = jobs_adopt(node->jobs, operation);
    }
    if (status == VIOS_OK) {
        status = adoption_start(&daemon->adoption, node, &operation->error);
    }
    if (status != VIOS_OK) {
        deactivate(daemon);
        return status;
    }
    atomic_store(&node->active, true);
    log_notice("daemon", "node %s of cluster %s, incarnation %lld", node->name, node->cluster,
               (long long)node->incarnation);
    recorder_note(node->recorder, "daemon", "active in %s, incarnation %lld", node->cluster,
                  (long long)node->incarnation);
    return VIOS_OK;
}

static int hook_activate(struct node *node, struct operation *operation)
{
    struct daemon *daemon = daemon_of(node);
    pthread_mutex_lock(&daemon->activation);
    int status = atomic_load(&node->active) ? VIOS_OK : activate_locked(daemon, operation);
    pthread_mutex_unlock(&daemon->activation);
    return status;
}

static void hook_stop(struct node *node, bool stop_guests)
{
    struct daemon *daemon = daemon_of(node);
    if (stop_guests) {
        atomic_store(&daemon->stop_guests, true);
    }
    server_stop(daemon->server);
}

static void hook_restart(struct node *node)
{
    struct daemon *daemon = daemon_of(node);
    atomic_store(&daemon->restart, true);
    server_stop(daemon->server);
}

static int hook_use_store(struct node *node, const char *address, struct operation *operation)
{
    struct daemon *daemon = daemon_of(node);
    snprintf(daemon->store_address, sizeof daemon->store_address, "%s", address);
    return store_pool_move(node->stores, address) ? VIOS_OK : operation_no_memory(operation, NULL);
}

static void hook_refused(struct node *node, const char *port, const char *who, const char *why)
{
    entrance_refused(&daemon_of(node)->entrance, port, who, why);
}

static void hook_peers_changed(struct node *node)
{
    entrance_recheck(&daemon_of(node)->entrance);
}

static void hook_describe(struct node *node, const char *name, json_t *lines,
                          struct operation *operation)
{
    size_t count;
    const struct part *const *parts = parts_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parts[i]->name, name) == 0 && parts[i]->describe) {
            parts[i]->describe(node, lines, operation);
        }
    }
}

static const struct node_hooks hooks = {.activate = hook_activate,
                                        .use_store = hook_use_store,
                                        .refused = hook_refused,
                                        .peers_changed = hook_peers_changed,
                                        .describe = hook_describe,
                                        .restart = hook_restart,
                                        .stop = hook_stop};

/* --- beginning --- */

static int open_folder(const char *path, mode_t mode, int *fd, struct vios_error *error)
{
    int status = file_make_folders(path, mode, error);
    if (status != VIOS_OK) {
        return status;
    }
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0 || fchmod(*fd, mode) != 0) {
        return error_set_errno(error, path, "cannot use this folder");
    }
    return VIOS_OK;
}

static int take_lock(struct daemon *daemon, struct vios_error *error)
{
    const char *path = daemon->node.state_dir;
    daemon->lock_fd = openat(daemon->node.state_dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (daemon->lock_fd < 0) {
        return error_set_errno(error, path, "cannot make its lock");
    }
    int status = file_lock(daemon->lock_fd, LOCK_WAIT_MS, error);
    if (status == VIOS_E_LOCKED) {
        return error_set(error, VIOS_E_LOCKED, path, "give another state_dir, or end that daemon",
                         "another daemon uses this state folder");
    }
    return status;
}

static int open_folders(struct daemon *daemon, struct vios_error *error)
{
    struct node *node = &daemon->node;
    if (strlen(node->run_dir) > RUN_DIR_MAX) {
        return error_set(error, VIOS_E_USAGE, node->run_dir, "give a shorter run_dir",
                         "its name has more than %d bytes", RUN_DIR_MAX);
    }
    int status = open_folder(node->state_dir, 0700, &node->state_dir_fd, error);
    if (status == VIOS_OK) {
        status = take_lock(daemon, error);
    }
    if (status == VIOS_OK) {
        status = open_folder(node->run_dir, 0711, &node->run_dir_fd, error);
    }
    return status;
}

/* A daemon that cannot is one all the same. */
static void leave_backtraces(struct daemon *daemon)
{
    struct vios_error error;
    const struct backtrace_settings settings = {.program = "daemon",
                                                .folder_fd = daemon->node.state_dir_fd,
                                                .file = BACKTRACE_DAEMON,
                                                .core_fd = daemon->node.run_dir_fd};
    if (backtrace_install(&settings, &error) != VIOS_OK) {
        log_warning("daemon", "a crash would leave no back-trace: %s", error.message);
    }
}

/* The recorder of a daemon that crashed is put aside before this one writes into it. */
static int open_recorder(struct daemon *daemon, struct vios_error *error)
{
    char path[PROGRAM_MAX];
    int status = crash_look(daemon->node.state_dir_fd, daemon->node.state_dir, error);
    if (status != VIOS_OK) {
        return status;
    }
    daemon->marked = true;
    leave_backtraces(daemon);
    snprintf(path, sizeof path, "%s/recorder", daemon->node.state_dir);
    return recorder_open(&daemon->node.recorder, path, RECORDER_SLOTS, error);
}

/* No cluster yet is no failure: then it waits for `cluster create` or `node join`. */
static int activate_at_start(struct daemon *daemon, struct vios_error *error)
{
    struct operation operation;
    operation_start(&operation, ACTIVATE_TIMEOUT_MS, NULL);
    pthread_mutex_lock(&daemon->activation);
    int status = read_membership(daemon, &operation);
    if (status == VIOS_E_UNREACHABLE) {
        log_notice("daemon", "%s: %s", operation.error.message, operation.error.hint);
        status = VIOS_OK;
    } else if (status == VIOS_OK) {
        status = activate_locked(daemon, &operation);
    }
    pthread_mutex_unlock(&daemon->activation);
    *error = operation.error;
    return status;
}

void daemon_store_address(const struct config *config, char address[DAEMON_STORE_ADDRESS_SIZE])
{
    char path[PROGRAM_MAX], *joined = NULL;
    size_t size;
    const char *state_dir = config_text(config, "state_dir");
    const char *store = config_text(config, "store");
    snprintf(path, sizeof path, "%s/%s", state_dir, CREDENTIALS_STORE);
    if (store && store[0]) {
        snprintf(address, DAEMON_STORE_ADDRESS_SIZE, "%s", store);
    } else if (file_read(AT_FDCWD, path, DAEMON_STORE_ADDRESS_SIZE - 1, &joined, &size, NULL) ==
               VIOS_OK) {
        snprintf(address, DAEMON_STORE_ADDRESS_SIZE, "%s", joined);
    } else {
        snprintf(address, DAEMON_STORE_ADDRESS_SIZE, "sqlite:%s/vios.db", state_dir);
    }
    free(joined);
}

static void fill_node(struct daemon *daemon, const struct daemon_settings *settings)
{
    struct node *node = &daemon->node;
    node->config = settings->config;
    node->config_path = settings->config_path;
    node->program_dir = settings->program_dir;
    node->name = config_text(settings->config, "node");
    node->run_dir = config_text(settings->config, "run_dir");
    node->state_dir = config_text(settings->config, "state_dir");
    node->run_dir_fd = node->state_dir_fd = -1;
    node->hooks = &hooks;
    node->method_groups = parts_methods();
    node->cluster = "";
    daemon_store_address(settings->config, daemon->store_address);
    node->stores = store_pool_new(daemon->store_address);
}

static struct daemon *daemon_new(const struct daemon_settings *settings)
{
    struct daemon *daemon = calloc(1, sizeof *daemon);
    if (daemon) {
        pthread_mutex_init(&daemon->activation, NULL);
        pthread_mutex_init(&daemon->restoring, NULL);
        entrance_init(&daemon->entrance);
        daemon->config = settings->config;
        atomic_init(&daemon->stop_guests, settings->stop_guests);
        daemon->lock_fd = -1;
        fill_node(daemon, settings);
    }
    return daemon;
}

int daemon_start(struct daemon **daemon, const struct daemon_settings *settings,
                 struct vios_error *error)
{
    struct daemon *made = daemon_new(settings);
    *daemon = NULL;
    if (!made || !made->node.stores) {
        daemon_free(made);
        return error_no_memory(error, NULL);
    }
    struct access_rules rules;
    int status = access_read(&rules, settings->config, error);
    if (status == VIOS_OK) {
        status = open_folders(made, error);
    }
    if (status == VIOS_OK) {
        status = open_recorder(made, error);
    }
    if (status == VIOS_OK) {
        status = server_new(&made->server, &made->node, &rules, error);
    }
    if (status == VIOS_OK) {
        status = activate_at_start(made, error);
    }
    if (status != VIOS_OK) {
        daemon_free(made);
        return status;
    }
    *daemon = made;
    return VIOS_OK;
}

bool daemon_run(struct daemon *daemon)
{
    notify_send("READY=1");
    recorder_note(daemon->node.recorder, "daemon", "serves, process %ld", (long)getpid());
    server_run(daemon->server);
    bool anew = atomic_load(&daemon->restart);
    if (!anew) {
        notify_send("STOPPING=1");
    }
    recorder_note(daemon->node.recorder, "daemon", anew ? "begins anew" : "ends");
    return anew;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void daemon_free(struct daemon *daemon)
{
    if (!daemon) {
        return;
    }
    struct node *node = &daemon->node;
    entrance_shut(&daemon->entrance); /* it gives connections to the server */
    server_free(daemon->server);      /* waits for the methods that still run */
    deactivate(daemon);
    store_pool_free(node->stores);
    recorder_close(node->recorder);
    if (daemon->marked) {
        crash_end(node->state_dir_fd);
    }
    close_fd(daemon->lock_fd);
    close_fd(node->run_dir_fd);
    close_fd(node->state_dir_fd);
    pthread_mutex_destroy(&daemon->activation);
    pthread_mutex_destroy(&daemon->restoring);
    entrance_destroy(&daemon->entrance);
    free(daemon);
}
