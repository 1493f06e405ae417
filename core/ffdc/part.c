/* part.c - one node's part of an incident: collected, bundled in the spool, and moved to the
 * repository. part.json in the bundle says what became of each collector. */
#include "ffdc/ffdc_private.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "ffdc/collectors.h"
#include "ffdc/crash.h"
#include "ffdc/plain.h"
#include "node/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUMMARY_NAME "part.json"
#define PART_TRIES 2 /* that end with the daemon */

static int64_t epoch_now(struct node *node)
{
    int64_t now_ms, epoch = 0;
    if (node->driver) {
        agent_primary(driver_lock(node->driver, &now_ms), &epoch);
        driver_unlock(node->driver);
    }
    return epoch;
}

/* --- the bundle --- */

static const char *state_of(const struct collected *result)
{
    return result->status == VIOS_E_NOT_FOUND ? "absent"
           : result->status == VIOS_E_TIMEOUT ? "given up"
           : result->status != VIOS_OK        ? "failed"
           : result->cut                      ? "cut"
                                              : "ok";
}

static json_t *describe(const struct collected *result)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "name", result->collector->name,
                     "file", result->collector->file, "state", state_of(result), "size_bytes",
                     (json_int_t)result->size_bytes, "took_ms", (json_int_t)result->took_ms,
                     "limit_ms", (json_int_t)result->collector->limit_ms, "cap_bytes",
                     (json_int_t)result->collector->cap_bytes, "why", result->why);
}

static char *summary(const struct ffdc *ffdc, const struct manifest *manifest, int64_t epoch,
                     const struct collected *results, size_t count)
{
    char time[CLOCK_TEXT_SIZE];
    json_t *collectors = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(collectors, describe(&results[i]));
    }
    return json_into_text(
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:o}", "v", 1, "correlator",
                  manifest->correlator, "node", ffdc->node->name, "trigger", manifest->trigger,
                  "time", clock_format(clock_wall_ms(), time), "boot_ms",
                  (json_int_t)clock_now_ms(), "incarnation", (json_int_t)ffdc->node->incarnation,
                  "epoch", (json_int_t)epoch, "software", VIOS_VERSION, "collectors", collectors));
}

static int add_results(struct bundle_writer *writer, const char *text,
                       const struct collected *results, size_t count, struct vios_error *error)
{
    int status = bundle_add(writer, SUMMARY_NAME, text, strlen(text), error);
    for (size_t i = 0; i < count && status == VIOS_OK; i++) {
        if (results[i].fd >= 0 && results[i].size_bytes > 0) {
            status = bundle_add_file(writer, results[i].collector->file, results[i].fd,
                                     results[i].size_bytes, error);
        }
    }
    return status;
}

static int write_bundle(int folder_fd, const char *name, const char *text,
                        const struct collected *results, size_t count, struct vios_error *error)
{
    struct bundle_writer *writer;
    int status = bundle_create(&writer, folder_fd, name, error);
    if (status != VIOS_OK) {
        return status;
    }
    status = add_results(writer, text, results, count, error);
    if (status != VIOS_OK) {
        bundle_abandon(writer);
        return status;
    }
    return bundle_finish(writer, error);
}

static int collect(struct ffdc *ffdc, const struct manifest *manifest, int folder_fd, int64_t epoch,
                   struct operation *operation)
{
    struct collected results[COLLECTORS_MAX];
    char name[MANIFEST_FILE_SIZE];
    size_t count;
    const struct collector *table = collectors_all(&count);
    struct collector_source *source = collector_source_new(ffdc->node, operation);
    if (!source) {
        return operation_no_memory(operation, NULL);
    }
    collectors_run(table, count, source, ffdc->limited, folder_fd, results, operation);
    char *text = summary(ffdc, manifest, epoch, results, count);
    int status = text ? write_bundle(folder_fd, manifest_file(manifest, name), text, results, count,
                                     &operation->error)
                      : operation_no_memory(operation, NULL);
    free(text);
    collected_close(results, count);
    collector_source_release(source);
    return status;
}

/* --- to the repository --- */

static int measure(const char *path, struct manifest_node *entry, struct vios_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(error, path, "cannot be opened");
    }
    int status = bundle_digest(fd, entry->digest, &entry->size_bytes, error);
    close(fd);
    return status;
}

static int deliver(struct ffdc *ffdc, const struct manifest *manifest, const char *path,
                   struct operation *operation)
{
    struct vault vault;
    int status = ffdc_vault(ffdc, &vault, operation);
    return status == VIOS_OK
               ? vault_put(ffdc->limited, &vault, manifest, ffdc->node->name, path, operation)
               : status;
}

/* It was made before, by an earlier request. */
static bool is_there(struct ffdc *ffdc, const struct manifest *manifest,
                     struct manifest_node *entry, struct operation *operation)
{
    struct vault vault;
    struct operation looking;
    operation_start(&looking, OPERATION_NO_DEADLINE, operation->cancel);
    return ffdc_vault(ffdc, &vault, &looking) == VIOS_OK &&
           vault_look(ffdc->limited, &vault, manifest, ffdc->node->name, entry, &looking) ==
               VIOS_OK;
}

static void miss(struct manifest_node *entry, const char *what, const struct vios_error *error)
{
    entry->state = PART_MISSING;
    entry->size_bytes = 0;
    entry->digest[0] = 0;
    snprintf(entry->why, sizeof entry->why, "%s: %.80s", what, error->message);
    plain_text(entry->why);
}

/* A collector that ends the daemon must not do so again and again: each try leaves a mark. */
static int note_try(int folder_fd, struct vios_error *error)
{
    char name[16];
    for (int i = 0; i < PART_TRIES; i++) {
        snprintf(name, sizeof name, ".try%d", i);
        int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0) {
            close(fd);
            return VIOS_OK;
        }
        if (errno != EEXIST) {
            return error_set_errno(error, "ffdc", "cannot write in the state folder");
        }
    }
    return error_set(error, VIOS_E_INVALID, "ffdc", "look at the log of the node",
                     "%d tries did not come to their end", PART_TRIES);
}

static void forget_tries(int folder_fd)
{
    char name[16];
    for (int i = 0; i < PART_TRIES; i++) {
        snprintf(name, sizeof name, ".try%d", i);
        unlinkat(folder_fd, name, 0);
    }
}

/* What was left by a daemon or an io that crashed is in the bundle of its incident now. */
static void forget_crash(struct ffdc *ffdc, const struct manifest *manifest)
{
    if (strcmp(manifest->node, ffdc->node->name) == 0) {
        crash_forget(ffdc->node, manifest->component);
    }
}

static int collect_once(struct ffdc *ffdc, const struct manifest *manifest, int folder_fd,
                        int64_t epoch, struct operation *operation)
{
    int status = note_try(folder_fd, &operation->error);
    if (status == VIOS_OK) {
        status = collect(ffdc, manifest, folder_fd, epoch, operation);
        forget_tries(folder_fd); /* it came to its end, good or bad */
    }
    if (status == VIOS_OK) {
        forget_crash(ffdc, manifest);
    }
    return status;
}

/* For who reads there meanwhile. */
static void note_in_spool(struct ffdc *ffdc, const struct manifest *manifest,
                          const struct manifest_node *entry)
{
    struct manifest *noted = malloc(sizeof *noted);
    if (noted) {
        *noted = *manifest;
        struct manifest_node *own = manifest_find(noted, entry->node);
        if (own) {
            memcpy(own->why, entry->why, sizeof own->why);
        }
        spool_put_manifest(ffdc, noted, NULL);
    }
    free(noted);
}

static void make_it(struct ffdc *ffdc, const struct manifest *manifest, struct manifest_node *entry,
                    struct operation *operation)
{
    char path[PATH_MAX];
    int folder_fd = -1;
    int status = spool_open(ffdc, manifest, &folder_fd, path, &operation->error);
    if (status == VIOS_OK && access(path, F_OK) != 0) {
        status = collect_once(ffdc, manifest, folder_fd, entry->epoch, operation);
    }
    if (status == VIOS_OK) {
        status = measure(path, entry, &operation->error);
    }
    if (status != VIOS_OK) {
        miss(entry, "it could not be captured", &operation->error);
    } else if (deliver(ffdc, manifest, path, operation) != VIOS_OK) {
        miss(entry, "it waits on the node for the repository", &operation->error);
        note_in_spool(ffdc, manifest, entry);
    } else {
        entry->state = PART_OK;
        spool_drop(ffdc, manifest->correlator);
    }
    if (folder_fd >= 0) {
        close(folder_fd);
    }
}

void part_make(struct ffdc *ffdc, const struct manifest *manifest, bool again,
               struct manifest_node *entry, struct operation *operation)
{
    memset(entry, 0, sizeof *entry);
    snprintf(entry->node, sizeof entry->node, "%s", ffdc->node->name);
    entry->epoch = epoch_now(ffdc->node);
    pthread_mutex_lock(&ffdc->part_lock);
    if (again && is_there(ffdc, manifest, entry, operation)) {
        entry->state = PART_OK;
        spool_drop(ffdc, manifest->correlator);
    } else {
        spool_make_room(ffdc);
        make_it(ffdc, manifest, entry, operation);
        if (!again || entry->state == PART_OK) { /* what waits is tried often */
            recorder_note(ffdc->node->recorder, "ffdc", "part of incident %s: %s",
                          manifest->correlator, entry->state == PART_OK ? "ok" : entry->why);
        }
    }
    pthread_mutex_unlock(&ffdc->part_lock);
}
