/*
 * restore.c - see restore.h.
 *
 * What is there now is read from as many places as there are: the target, what an earlier attempt
 * left of it, and the VIOS DB that this node is configured for, when that is another one (the way
 * from sqlite to etcd). All of them say how high numbers are; the first two that can be read say
 * what would be lost.
 *
 * Nobody may live. Daemons of this machine are seen by the lock of this node's state folder, which
 * is held until the end, and by who has the file open; others by what changes in the VIOS DB within
 * a TTL. That wait is always made: what a daemon that ended a moment ago allowed its io ends with
 * it, and fences that are free must not be there sooner.
 */
#include "restore/restore.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "restore/loss.h"
#include "restore/plan.h"
#include "store/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOKS_PER_TTL 10
#define ADDRESS_SIZE (PATH_MAX + 16)

/* What is there now is looked for in their order. */
enum place { BACKUP, TARGET, LEFT, CONFIGURED, PLACES };

struct restoring {
    const struct restore_request *request;
    const struct restore_outlet *outlet;
    struct operation *operation;
    char addresses[PLACES][ADDRESS_SIZE]; /* "": no such place */
    struct store_reading readings[PLACES];
    int statuses[PLACES];
    struct vios_error errors[PLACES];
    int lock_fd;
    struct restore_plan plan;
    json_t *report;
};

static void say(const struct restore_outlet *outlet, json_t *line)
{
    if (line) {
        outlet->say(outlet->context, line);
    }
}

static void progress(const struct restoring *restoring, const char *text)
{
    say(restoring->outlet, json_pack("{s:s, s:s}", "say", "progress", "text", text));
}

/* --- reading --- */

static void read_place(struct restoring *restoring, enum place place)
{
    struct operation *operation = restoring->operation;
    memset(&operation->error, 0, sizeof operation->error);
    restoring->statuses[place] = VIOS_E_NOT_FOUND;
    if (restoring->addresses[place][0]) {
        restoring->statuses[place] =
            store_read(restoring->addresses[place], "", &restoring->readings[place], operation);
    }
    restoring->errors[place] = operation->error;
}

/* The same file under two names would be replaced by itself. */
static int check_apart(const struct restore_request *request, struct operation *operation)
{
    struct stat backup, target;
    if (strncmp(request->to, "sqlite:", 7) == 0 && stat(request->file, &backup) == 0 &&
        stat(request->to + 7, &target) == 0 && backup.st_dev == target.st_dev &&
        backup.st_ino == target.st_ino) {
        return operation_fail(operation, VIOS_E_USAGE, request->file,
                              "copy it to another place first",
                              "the backup is the VIOS DB that it is to replace");
    }
    return VIOS_OK;
}

static int read_backup(struct restoring *restoring)
{
    struct operation *operation = restoring->operation;
    const struct store_list *list = &restoring->readings[BACKUP].list;
    progress(restoring, "reading the backup");
    read_place(restoring, BACKUP);
    if (restoring->statuses[BACKUP] != VIOS_OK) {
        return operation_fail(operation, restoring->statuses[BACKUP], restoring->request->file,
                              "give a file that \"vios db backup\" made", "it is no backup: %.300s",
                              restoring->errors[BACKUP].message);
    }
    return restore_check(list, &operation->error);
}

static json_t *cluster_of(const struct store_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->values[i].key, "/cluster") == 0) {
            return json_loads(list->values[i].json, 0, NULL);
        }
    }
    return NULL;
}

static bool differ(const json_t *one, const json_t *other, const char *member)
{
    const char *a = json_get_text(one, member);
    const char *b = json_get_text(other, member);
    return a && b && strcmp(a, b) != 0;
}

static bool is_other(const struct restoring *restoring, enum place place)
{
    json_t *backup = cluster_of(&restoring->readings[BACKUP].list);
    json_t *there = cluster_of(&restoring->readings[place].list);
    bool other = differ(backup, there, "name") || differ(backup, there, "uuid");
    json_decref(backup);
    json_decref(there);
    return other;
}

/* What this node is configured for has nothing to do with it when it is of another cluster. */
static void forget_other(struct restoring *restoring)
{
    if (is_other(restoring, CONFIGURED)) {
        store_reading_clear(&restoring->readings[CONFIGURED]);
        restoring->addresses[CONFIGURED][0] = '\0';
        restoring->statuses[CONFIGURED] = VIOS_E_NOT_FOUND;
    }
}

/* Another cluster's VIOS DB is nothing that this backup is to replace. */
static int check_cluster(struct restoring *restoring)
{
    json_t *backup = cluster_of(&restoring->readings[BACKUP].list);
    json_t *target = cluster_of(&restoring->readings[TARGET].list);
    int status = VIOS_OK;
    if (is_other(restoring, TARGET)) {
        const char *there = json_get_text(target, "name");
        const char *ours = json_get_text(backup, "name");
        status = operation_fail(restoring->operation, VIOS_E_INVALID, restoring->request->to,
                                "give --to with a place that has no VIOS DB yet",
                                "it has another cluster, \"%.63s\"; the backup is of \"%.63s\"",
                                there ? there : "", ours ? ours : "");
    }
    json_decref(backup);
    json_decref(target);
    return status;
}

/* Where nothing can be written nothing needs to be looked at either. */
static int read_now(struct restoring *restoring)
{
    progress(restoring, "reading what is there now");
    for (enum place place = TARGET; place < PLACES; place++) {
        read_place(restoring, place);
    }
    int status = restoring->statuses[TARGET];
    if (status != VIOS_OK && status != VIOS_E_NOT_FOUND && status != VIOS_E_CORRUPT) {
        restoring->operation->error = restoring->errors[TARGET];
        return status;
    }
    forget_other(restoring);
    return check_cluster(restoring);
}

/* --- who lives --- */

static int take_lock(struct restoring *restoring)
{
    char path[PATH_MAX];
    struct operation *operation = restoring->operation;
    if (snprintf(path, sizeof path, "%s/lock", restoring->request->state_dir) >= PATH_MAX) {
        return VIOS_OK;
    }
    restoring->lock_fd = open(path, O_RDWR | O_CLOEXEC);
    if (restoring->lock_fd < 0) {
        return errno == ENOENT || errno == ENOTDIR
                   ? VIOS_OK /* no daemon ever ran here */
                   : error_set_errno(&operation->error, path, "cannot see whether a daemon runs");
    }
    int status = file_lock(restoring->lock_fd, 0, &operation->error);
    if (status == VIOS_E_LOCKED) {
        return operation_fail(operation, VIOS_E_LOCKED, restoring->request->state_dir,
                              "end the daemons of all nodes first",
                              "the daemon of this node still runs");
    }
    return status;
}

static int living(struct restoring *restoring, const char *address, const char *key)
{
    return operation_fail(restoring->operation, VIOS_E_LOCKED, address,
                          "end the daemons of all nodes first",
                          "a cluster lives there: %.100s was just written", key);
}

static int compare_alive(struct restoring *restoring, const char *address,
                         const struct store_list *before, const struct store_list *after)
{
    size_t at = 0;
    for (size_t i = 0; i < after->count; i++) {
        const struct store_value *value = &after->values[i];
        while (at < before->count && strcmp(before->values[at].key, value->key) < 0) {
            at++;
        }
        if (at == before->count || strcmp(before->values[at].key, value->key) != 0 ||
            before->values[at].revision != value->revision) {
            return living(restoring, address, value->key);
        }
    }
    return VIOS_OK;
}

static int look_at(struct restoring *restoring, enum place place)
{
    struct store_reading now;
    const char *address = restoring->addresses[place];
    int status = store_read(address, "/alive/", &now, restoring->operation);
    bool readable = status == VIOS_OK || status == VIOS_E_CORRUPT;
    status = operation_check(restoring->operation);
    if (status == VIOS_OK && readable) {
        status = compare_alive(restoring, address, &restoring->readings[place].list, &now.list);
    }
    store_reading_clear(&now);
    return status;
}

static int look_once(struct restoring *restoring)
{
    static const enum place places[] = {TARGET, CONFIGURED};
    int status = VIOS_OK;
    for (size_t i = 0; i < 2 && status == VIOS_OK; i++) {
        enum place place = places[i];
        if (restoring->addresses[place][0]) {
            status = store_check_unused(restoring->addresses[place], restoring->operation);
        }
        if (status == VIOS_OK && (restoring->statuses[place] == VIOS_OK ||
                                  restoring->statuses[place] == VIOS_E_CORRUPT)) {
            status = look_at(restoring, place);
        }
    }
    return status;
}

static int await_silence(struct restoring *restoring)
{
    int64_t ttl_ms = restoring->request->ttl_ms;
    int64_t until_ms = clock_now_ms() + ttl_ms;
    char text[128];
    snprintf(text, sizeof text, "looking for %lld s whether a cluster lives there",
             (long long)((ttl_ms + 999) / 1000));
    progress(restoring, text);
    int status = look_once(restoring);
    while (status == VIOS_OK && clock_now_ms() < until_ms) {
        status = operation_sleep(restoring->operation, ttl_ms / LOOKS_PER_TTL + 1);
        if (status == VIOS_OK) {
            status = look_once(restoring);
        }
    }
    return status;
}

/* --- what would be lost --- */

/* The place that says what is there now. */
static enum place current_place(const struct restoring *restoring)
{
    for (enum place place = TARGET; place < PLACES; place++) {
        if (restoring->readings[place].list.count > 0) {
            return place;
        }
    }
    bool here =
        restoring->addresses[CONFIGURED][0] && restoring->statuses[TARGET] == VIOS_E_NOT_FOUND;
    return here ? CONFIGURED : TARGET;
}

static const char *state_name(int status)
{
    return status == VIOS_OK            ? "OK"
           : status == VIOS_E_CORRUPT   ? "damaged"
           : status == VIOS_E_NOT_FOUND ? "absent"
                                        : "unreachable";
}

static json_t *describe_backup(const struct restoring *restoring)
{
    struct stat file;
    char time[CLOCK_TEXT_SIZE] = "";
    if (stat(restoring->request->file, &file) == 0) {
        clock_format((int64_t)file.st_mtim.tv_sec * 1000, time);
    }
    json_t *cluster = cluster_of(&restoring->readings[BACKUP].list);
    const char *name = json_get_text(cluster, "name");
    json_t *backup = json_pack("{s:I, s:I, s:s, s:s}", "revision",
                               (json_int_t)restoring->readings[BACKUP].revision, "keys",
                               (json_int_t)restoring->readings[BACKUP].list.count, "time", time,
                               "cluster", name ? name : "");
    json_decref(cluster);
    return backup;
}

static int make_report(struct restoring *restoring)
{
    enum place now = current_place(restoring);
    const struct store_list *list = &restoring->readings[now].list;
    const struct restore_plan *plan = &restoring->plan;
    json_t *losses =
        list->count > 0 ? restore_loss(&restoring->readings[BACKUP].list, list) : json_array();
    restoring->report =
        json_pack("{s:s, s:s, s:o, s:{s:s, s:s, s:I, s:s}, s:o, s:O, s:O, s:O, s:O}", "file",
                  restoring->request->file, "to", restoring->request->to, "backup",
                  describe_backup(restoring), "now", "address", restoring->addresses[now], "state",
                  state_name(restoring->statuses[now]), "revision",
                  (json_int_t)restoring->readings[now].revision, "why",
                  restoring->errors[now].message, "losses", losses, "nodes", plan->nodes, "start",
                  plan->start, "hibernations", plan->hibernations, "jobs", plan->jobs);
    return restoring->report ? VIOS_OK : operation_no_memory(restoring->operation, "db restore");
}

static int make_plan(struct restoring *restoring)
{
    struct restore_content contents[PLACES];
    char actor[32];
    for (enum place place = BACKUP; place < PLACES; place++) {
        contents[place] = (struct restore_content){&restoring->readings[place].list,
                                                   restoring->readings[place].revision};
    }
    snprintf(actor, sizeof actor, "uid:%u", (unsigned)getuid());
    struct restore_act act = {clock_wall_ms(), actor, restoring->request->file};
    int status =
        restore_plan_make(&restoring->plan, contents, PLACES, &act, &restoring->operation->error);
    return status == VIOS_OK ? make_report(restoring) : status;
}

static void say_report(const struct restoring *restoring, const char *kind, json_t *more)
{
    json_t *line = json_copy(restoring->report);
    json_object_set_new(line, "say", json_string(kind));
    json_object_update(line, more);
    json_decref(more);
    say(restoring->outlet, line);
}

/* --- writing --- */

/* A daemon that is still told to use the old VIOS DB must not find it. */
static int retire(struct restoring *restoring, char retired[PATH_MAX + 64])
{
    retired[0] = '\0';
    const char *address = restoring->addresses[CONFIGURED];
    return address[0] ? store_retire(address, retired, restoring->operation) : VIOS_OK;
}

static int write_all(struct restoring *restoring)
{
    char aside[PATH_MAX + 64], retired[PATH_MAX + 64];
    const struct restore_plan *plan = &restoring->plan;
    progress(restoring, "writing");
    int status = store_replace(restoring->request->to, &plan->list, plan->revision, aside,
                               restoring->operation);
    if (status == VIOS_OK) {
        status = retire(restoring, retired);
    }
    if (status == VIOS_OK) {
        say_report(restoring, "result",
                   json_pack("{s:I, s:I, s:I, s:s, s:s}", "restores", (json_int_t)plan->restores,
                             "epoch", (json_int_t)plan->epoch, "keys", (json_int_t)plan->list.count,
                             "aside", aside, "retired", retired));
    }
    return status;
}

static int run(struct restoring *restoring)
{
    int status = check_apart(restoring->request, restoring->operation);
    if (status == VIOS_OK) {
        status = read_backup(restoring);
    }
    if (status == VIOS_OK) {
        status = take_lock(restoring);
    }
    if (status == VIOS_OK) {
        status = read_now(restoring);
    }
    if (status == VIOS_OK) {
        status = await_silence(restoring);
    }
    if (status == VIOS_OK) {
        status = make_plan(restoring);
    }
    if (status == VIOS_OK && restoring->request->dry_run) {
        say_report(restoring, "result", json_object());
    } else if (status == VIOS_OK) {
        say_report(restoring, "report", json_object());
        status = write_all(restoring);
    }
    return status;
}

static void name_places(struct restoring *restoring)
{
    const struct restore_request *request = restoring->request;
    snprintf(restoring->addresses[BACKUP], ADDRESS_SIZE, "sqlite:%s", request->file);
    snprintf(restoring->addresses[TARGET], ADDRESS_SIZE, "%s", request->to);
    store_replace_left(request->to, restoring->addresses[LEFT]);
    if (strcmp(request->configured, request->to) != 0) {
        snprintf(restoring->addresses[CONFIGURED], ADDRESS_SIZE, "%s", request->configured);
    }
}

static void say_error(const struct restore_outlet *outlet, const struct vios_error *error)
{
    say(outlet, json_pack("{s:s, s:{s:s, s:s, s:s, s:s}}", "say", "error", "error", "code",
                          error_name(error->code), "object", error->object, "message",
                          error->message, "hint", error->hint));
}

int restore_run(const struct restore_request *request, const struct restore_outlet *outlet,
                struct operation *operation)
{
    struct restoring *restoring = calloc(1, sizeof *restoring);
    int status = restoring ? VIOS_OK : operation_no_memory(operation, "db restore");
    if (restoring) {
        *restoring = (struct restoring){
            .request = request, .outlet = outlet, .operation = operation, .lock_fd = -1};
        name_places(restoring);
        status = run(restoring);
        for (enum place place = BACKUP; place < PLACES; place++) {
            store_reading_clear(&restoring->readings[place]);
        }
        restore_plan_clear(&restoring->plan);
        json_decref(restoring->report);
        if (restoring->lock_fd >= 0) {
            close(restoring->lock_fd);
        }
    }
    free(restoring);
    if (status != VIOS_OK) {
        say_error(outlet, &operation->error);
    }
    return status;
}

/* --- checking --- */

/* An etcd's members are asked too. */
static int check_members(const char *address, struct operation *operation)
{
    struct store *store = NULL;
    int status = store_open(&store, address, false, operation);
    if (status == VIOS_OK) {
        status = store_check(store, operation);
    }
    store_close(store);
    return status;
}

int restore_check_run(const char *address, const struct restore_outlet *outlet,
                      struct operation *operation)
{
    char whole[ADDRESS_SIZE];
    struct store_reading reading = {0};
    bool is_path = strncmp(address, "sqlite:", 7) != 0 && strncmp(address, "etcd:", 5) != 0;
    snprintf(whole, sizeof whole, "%s%s", is_path ? "sqlite:" : "", address);
    int status = store_read(whole, "", &reading, operation);
    if (status == VIOS_OK) {
        status = restore_check(&reading.list, &operation->error);
    }
    if (status == VIOS_OK && strncmp(whole, "etcd:", 5) == 0) {
        status = check_members(whole, operation);
    }
    if (status == VIOS_OK) {
        say(outlet, json_pack("{s:s, s:s, s:s, s:I, s:I}", "say", "result", "address", address,
                              "state", "OK", "revision", (json_int_t)reading.revision, "keys",
                              (json_int_t)reading.list.count));
    } else {
        say_error(outlet, &operation->error);
    }
    store_reading_clear(&reading);
    return status;
}
