/* hibernate.c - see hibernate.h. */
#include "lpar/hibernate.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "hibernation/configuration.h"
#include "lpar/ending.h"
#include "lpar/guest.h"
#include "lpar/hold.h"
#include "lpar/job_guest.h"
#include "lpar/migration.h"
#include "lpar/own.h"
#include "lpar/saved.h"
#include "lpar/saved_pages.h"
#include "lpar/validate.h"
#include "lpar/view.h"
#include "node/node.h"
#include "paging/plan.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_MS 5000    /* QEMU, io, or the VIOS DB */
#define DRAIN_MS 60000 /* for what the guest had written to reach its disks */

/* --- claim --- */

static int claim(struct job *job, struct lpar *lpar)
{
    struct validation validation = {.what = VALIDATE_HIBERNATE};
    return validate(job_node(job), job->store, lpar, &validation, &job->operation);
}

static int hibernate_claim(struct job *job)
{
    struct lpar lpar;
    char lu[HIBERNATION_FILE_NAME_MAX + 1], uuid[UUID_TEXT_SIZE];
    int status = lpar_job_claim(job, lpar_job_name(job), claim, &lpar);
    if (status == VIOS_OK && !job_text(job, "lu")[0]) {
        uuid_make(uuid);
        snprintf(lu, sizeof lu, "%s-%" PRId64 "-%.8s", lpar.name, lpar.generation, uuid);
        json_object_set_new(job->data, "lu", json_string(lu));
        json_object_set_new(job->data, "generation", json_integer(lpar.generation));
    }
    return status;
}

static int hibernate_claim_undo(struct job *job)
{
    int status = paging_plan_settle(job, lpar_job_name(job));
    return status == VIOS_OK ? lpar_job_release(job, lpar_job_name(job), NULL) : status;
}

/* --- save --- */

struct saving {
    struct job *job;
    struct hibernation_writer *writer;
    uint64_t done, memory_bytes, paging_bytes;
};

/* Of both, as they could become; the state itself may be a little more than the memory. */
static void tell_progress(const struct saving *saving, uint64_t done)
{
    uint64_t total = saving->memory_bytes + saving->paging_bytes;
    job_progress(saving->job, (int64_t)done, (int64_t)(done > total ? done : total), "bytes");
}

static int write_state(void *context, const void *data, size_t size, struct operation *operation)
{
    struct saving *saving = context;
    saving->done += size;
    tell_progress(saving, saving->done);
    return hibernation_writer_write(saving->writer, HIBERNATION_STREAM, data, size, operation);
}

static void pages_progress(void *context, uint64_t done_bytes)
{
    const struct saving *saving = context;
    tell_progress(saving, saving->memory_bytes + done_bytes);
}

/* The guest stands still, and so do its pages. */
static int save_pages(struct saving *saving, const struct lpar *lpar, struct guest *guest)
{
    struct job *job = saving->job;
    struct guest_status now;
    int status = saved_pages_size(job_node(job), lpar, &saving->paging_bytes, &job->operation);
    json_object_set_new(job->data, "paging_bytes", json_integer((json_int_t)saving->paging_bytes));
    if (status < 0 || saving->paging_bytes == 0) {
        return status;
    }
    guest_status(guest, &now);
    return saved_pages_write(job, lpar, now.start, saving->writer, pages_progress, saving);
}

static int make_header(struct job *job, const struct lpar *lpar, struct guest *guest,
                       struct hibernation_header *header)
{
    const struct node *node = job_node(job);
    struct operation asking;
    *header = (struct hibernation_header){
        .incarnation = node->incarnation,
        .generation = lpar->generation,
        .memory_bytes = lpar->memory_bytes,
        .created_ms = clock_wall_ms(),
        .encrypted = json_is_true(json_object_get(job->data, "encrypt")),
    };
    snprintf(header->lpar, sizeof header->lpar, "%s", lpar->uuid);
    snprintf(header->name, sizeof header->name, "%s", lpar->name);
    snprintf(header->node, sizeof header->node, "%s", node->name);
    snprintf(header->machine, sizeof header->machine, "%s", lpar->machine);
    job_limit(job, &asking, ASK_MS);
    int status = job_keep(job, &asking, guest_qemu_version(guest, header->qemu, &asking));
    return status == VIOS_OK ? saved_cluster(job->store, header->cluster, &job->operation) : status;
}

static int begin_file(struct job *job, const struct lpar *lpar, struct guest *guest, int folder,
                      struct hibernation_writer **writer)
{
    char hash[65], *configuration = NULL;
    struct hibernation_key key;
    struct hibernation_writing writing = {
        .folder_fd = folder, .name = job_text(job, "lu"), .key = &key};
    json_t *spec = lpar_spec_json(lpar);
    lpar_adapter_hash(lpar, hash);
    int status = make_header(job, lpar, guest, &writing.header);
    if (status == VIOS_OK) {
        status = saved_key(job->store, true, &key, &job->operation);
    }
    if (status == VIOS_OK) {
        status =
            hibernation_configuration_format(spec, hash, &configuration, &job->operation.error);
    }
    if (status == VIOS_OK) {
        writing.configuration = configuration;
        status = hibernation_writer_begin(writer, &writing, &job->operation.error);
    }
    explicit_bzero(&key, sizeof key);
    free(configuration);
    json_decref(spec);
    return status;
}

static int write_file(struct job *job, const struct lpar *lpar, struct guest *guest, int folder)
{
    const struct migration_port port = guest_port(guest);
    struct saving saving = {.job = job, .memory_bytes = lpar->memory_bytes};
    char file[UUID_TEXT_SIZE] = "";
    uint64_t size_bytes = 0;
    int status = begin_file(job, lpar, guest, folder, &saving.writer);
    if (status < 0) {
        return status;
    }
    snprintf(file, sizeof file, "%s", hibernation_writer_header(saving.writer)->file);
    status = migration_save(&port, write_state, &saving, &job->operation);
    if (status == VIOS_OK) {
        status = save_pages(&saving, lpar, guest);
    }
    if (status < 0) {
        hibernation_writer_abandon(saving.writer);
        return status;
    }
    status = hibernation_writer_finish(saving.writer, &size_bytes, &job->operation);
    json_object_set_new(job->data, "file", json_string(file));
    json_object_set_new(job->data, "size_bytes", json_integer((json_int_t)size_bytes));
    return status;
}

static int stop_guest(struct job *job, struct guest *guest)
{
    struct operation stopping;
    job_limit(job, &stopping, DRAIN_MS);
    return job_keep(job, &stopping, guest_call(guest, "stop", NULL, NULL, &stopping));
}

static int hibernate_save(struct job *job)
{
    struct lpar lpar;
    struct guest *guest;
    int status = job_guest_find(job, &lpar, &guest);
    int folder =
        status == VIOS_OK ? saved_folder(job_node(job), job->store, &job->operation) : status;
    if (folder >= 0) {
        saved_sweep(folder, job_text(job, "lu")); /* of a daemon that was killed in this step */
        status = stop_guest(job, guest);
        if (status == VIOS_OK) {
            status = write_file(job, &lpar, guest, folder);
        }
        close(folder);
    } else {
        status = folder;
    }
    guest_release(guest);
    return status;
}

static int hibernate_save_undo(struct job *job)
{
    int status = job_guest_go_on(job);
    if (status == VIOS_OK &&
        saved_remove(job_node(job), job->store, job_text(job, "lu"), &job->operation) < 0) {
        log_warning("lpar", "%s stays in the repository: %s", job_text(job, "lu"),
                    job->operation.error.message);
    }
    return status;
}

/* --- commit --- */

static void describe(const struct job *job, const struct lpar *lpar, struct saved *saved)
{
    *saved = (struct saved){
        .size_bytes = (uint64_t)json_get_integer(job->data, "size_bytes"),
        .memory_bytes = lpar->memory_bytes,
        .encrypted = json_is_true(json_object_get(job->data, "encrypt")),
    };
    snprintf(saved->lu, sizeof saved->lu, "%s", job_text(job, "lu"));
    snprintf(saved->file, sizeof saved->file, "%s", job_text(job, "file"));
    snprintf(saved->node, sizeof saved->node, "%s", job_node(job)->name);
    clock_format(clock_wall_ms(), saved->time);
}

/* This job did it, perhaps before its daemon ended. */
static bool is_done(struct job *job, const struct lpar *lpar)
{
    struct saved saved;
    struct operation asking;
    job_limit(job, &asking, ASK_MS);
    return !lpar->owner[0] && saved_load(job->store, lpar->name, &saved, &asking) == VIOS_OK &&
           saved.generation == lpar->generation && strcmp(saved.file, job_text(job, "file")) == 0;
}

static int give_up(struct job *job, const struct lpar *lpar, struct ownership **ownership)
{
    char key[STORE_KEY_MAX];
    struct store_value value = {0};
    struct saved saved;
    struct operation asking;
    const struct node *node = job_node(job);
    snprintf(key, sizeof key, "/lpar/%s", lpar->name);
    describe(job, lpar, &saved);
    json_t *json = saved_to_json(&saved);
    job_limit(job, &asking, ASK_MS);
    int status = job_keep(job, &asking, store_get(job->store, key, &value, &asking));
    const struct ownership_facts facts = {.node = node->name,
                                          .incarnation = node->incarnation,
                                          .lpar = &value,
                                          .wanted = "hibernated",
                                          .saved = json,
                                          .recorder = node->recorder};
    if (status == VIOS_OK) {
        status = ownership_begin(ownership, OWNERSHIP_HIBERNATE, &facts, &job->operation.error);
    }
    if (status == VIOS_OK) {
        status = own_drive(job, lpar->name, *ownership, NULL);
    }
    store_value_clear(&value);
    json_decref(json);
    return status;
}

/* It has the paging device whose pages are in the file, or still none. Where the outcome of the
 * commit is not known it may go on in the next generation: then it keeps its pages. */
static int plan_paging(struct job *job, const struct lpar *lpar)
{
    uint64_t bytes = 0;
    int status = saved_pages_size(job_node(job), lpar, &bytes, &job->operation);
    if (status == VIOS_OK && (int64_t)bytes != json_get_integer(job->data, "paging_bytes")) {
        status = lpar_job_fail(job, VIOS_E_CONFLICT, "try it again",
                               "its paging device is not the one that was saved");
    }
    return status == VIOS_OK ? paging_plan_continue(job, lpar->name, lpar->generation + 1) : status;
}

static int hibernate_commit(struct job *job)
{
    struct lpar lpar;
    struct ownership *ownership = NULL;
    int status = lpar_load(job->store, lpar_job_name(job), &lpar, &job->operation);
    if (status < 0 || is_done(job, &lpar)) {
        return status;
    }
    if (lpar.generation != json_get_integer(job->data, "generation")) { /* it is what was saved */
        return lpar_job_fail(job, VIOS_E_CONFLICT, "try it again", "it has gone on meanwhile");
    }
    status = plan_paging(job, &lpar);
    if (status == VIOS_OK) {
        status = job_guest_drain(job, &lpar);
    }
    if (status == VIOS_OK) {
        status = give_up(job, &lpar, &ownership);
    }
    if (status == VIOS_OK) {
        char why[160];
        snprintf(why, sizeof why, "it is not hibernated: %s", ownership_why(ownership));
        status = lpar_load(job->store, lpar_job_name(job), &lpar, &job->operation);
        if (status == VIOS_OK && !is_done(job, &lpar)) {
            status = lpar_job_fail(job, VIOS_E_CONFLICT, "try it again", why);
        }
    }
    ownership_free(ownership);
    return status;
}

/* --- end, finish --- */

static int hibernate_end(struct job *job)
{
    struct lpar lpar;
    int status = lpar_job_load(job, lpar_job_name(job), &lpar);
    return status < 0 ? status : ending_end(job, &lpar, false);
}

static int hibernate_finish(struct job *job)
{
    char why[320];
    struct node *node = job_node(job);
    snprintf(why, sizeof why, "its memory is in " SAVED_FOLDER "/%s", job_text(job, "lu"));
    int status =
        lpar_publish(job->store, lpar_job_name(job),
                     &(struct lpar_run){.node = node->name,
                                        .incarnation = node->incarnation,
                                        .generation = json_get_integer(job->data, "generation"),
                                        .state = "hibernated",
                                        .why = why},
                     &job->operation);
    if (status == VIOS_OK) {
        status = paging_plan_settle(job, lpar_job_name(job));
    }
    if (status == VIOS_OK) {
        status = lpar_job_release(job, lpar_job_name(job), NULL);
    }
    return status < 0
               ? status
               : view_show(node, job->store, lpar_job_name(job), &job->result, &job->operation);
}

static const struct job_step STEPS[] = {
    {"claim", hibernate_claim, hibernate_claim_undo},
    {"save", hibernate_save, hibernate_save_undo},
    {"commit", hibernate_commit, NULL},
    {"end", hibernate_end, NULL},
    {"finish", hibernate_finish, NULL},
};

const struct job_kind lpar_hibernate_job = {"lpar.hibernate", STEPS, sizeof STEPS / sizeof *STEPS,
                                            2, .is_local = true};
