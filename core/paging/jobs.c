/*
 * jobs.c - making and removing a paging device.
 *
 * The record is the device: once it is committed the reconcilers of all nodes do the rest, and
 * once it is gone they give everything back. So the steps only write it, wait for the others,
 * and attach the device to a guest that runs already.
 */
#include "paging/jobs.h"

#include "base/clock.h"
#include "base/json.h"
#include "paging/device.h"
#include "paging/placement.h"
#include "paging/reconcile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READY_TIMEOUT_MS 20000
#define DROP_TIMEOUT_MS 20000

/* --- create --- */

static bool named(const json_t *names, const char *name)
{
    size_t index;
    json_t *item;
    if (!json_is_array(names)) {
        return true; /* any node will do */
    }
    json_array_foreach(names, index, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), name) == 0) {
            return true;
        }
    }
    return false;
}

static int has_device(struct job *job)
{
    return operation_fail(&job->operation, VIOS_E_EXISTS, job->object,
                          "remove it first with \"vios paging remove\"",
                          "the LPAR has a paging device already");
}

/* The nodes, only those that were asked for being usable. */
static int choose_nodes(struct job *job, struct paging_record *record)
{
    struct operation *operation = &job->operation;
    struct paging_round round = {.node = job_node(job), .operation = operation};
    struct placement_node *nodes = NULL;
    int status = node_members(round.node, &round.members, &round.member_count);
    if (status == VIOS_OK) {
        status = paging_views_list(job->store, &round.views, &round.view_count, NULL, operation);
    }
    if (status == VIOS_OK && !(nodes = paging_placement_nodes(&round))) {
        status = operation_no_memory(operation, NULL);
    }
    if (status == VIOS_OK) {
        const json_t *wanted = json_object_get(job->data, "nodes");
        for (size_t i = 0; i < round.member_count; i++) {
            nodes[i].usable = nodes[i].usable && named(wanted, nodes[i].name);
        }
        status = paging_place(nodes, round.member_count, record, &operation->error);
    }
    free(nodes);
    free(round.members);
    free(round.views);
    return status;
}

static int fill_record(struct job *job, struct paging_record *record)
{
    const struct node *node = job_node(job);
    struct paging_lpar lpar;
    const char *name = job_text(job, "lpar"), *disk = job_text(job, "disk");
    int status = paging_lpar_load(job->store, name, &lpar, &job->operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = paging_policy_parse(job_text(job, "policy"), &record->policy, &job->operation.error);
    snprintf(record->lpar, sizeof record->lpar, "%s", name);
    snprintf(record->uuid, sizeof record->uuid, "%s", lpar.uuid);
    snprintf(record->host, sizeof record->host, "%s", lpar.owner[0] ? lpar.owner : node->name);
    snprintf(record->disk, sizeof record->disk, "%s", disk);
    snprintf(record->job, sizeof record->job, "%s", job->id);
    clock_format(clock_wall_ms(), record->created);
    record->generation = record->start = lpar.generation;
    record->size_bytes = (uint64_t)json_get_integer(job->data, "size_bytes");
    return status;
}

/* Before nodes are looked for: that the memory they have is taken by this very device would be a
 * poor explanation. write_record() decides. */
static int refuse_second(struct job *job, const char *lpar)
{
    struct store_value value;
    char key[PAGING_KEY_SIZE];
    int status = store_get(job->store, paging_record_key(lpar, key), &value, &job->operation);
    if (status == VIOS_OK) {
        store_value_clear(&value);
        return has_device(job);
    }
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

/* Chooses the nodes, once: the choice is kept in the job's record. */
static int place(struct job *job)
{
    if (json_object_get(job->data, "record")) {
        return VIOS_OK;
    }
    struct paging_record *record = calloc(1, sizeof *record);
    if (!record) {
        return operation_no_memory(&job->operation, NULL);
    }
    int status = fill_record(job, record);
    if (status == VIOS_OK) {
        status = refuse_second(job, record->lpar);
    }
    if (status == VIOS_OK) {
        status = choose_nodes(job, record);
    }
    if (status == VIOS_OK) {
        char *json = paging_record_format(record);
        json_object_set_new(job->data, "record", json_string(json ? json : ""));
        free(json);
    }
    free(record);
    return status;
}

/* Its memory goes with the device that it has, or with none. */
static int refuse_hibernated(struct job *job, const struct paging_lpar *lpar)
{
    return lpar->hibernated
               ? operation_fail(&job->operation, VIOS_E_CONFLICT, job->object,
                                "let it go on first with \"vios lpar restart\"",
                                "the LPAR is hibernated: its paging device cannot change")
               : VIOS_OK;
}

/* VIOS_OK: the record that is there is this job's. */
static int is_ours(struct job *job, const char *lpar, struct paging_view *view)
{
    int status = paging_view_load(job->store, lpar, view, &job->operation);
    if (status == VIOS_OK && strcmp(view->record.job, job->id) != 0) {
        status = has_device(job);
    }
    return status;
}

static int write_once(struct job *job)
{
    char key[PAGING_KEY_SIZE], lpar_key[PAGING_KEY_SIZE];
    const char *name = job_text(job, "lpar");
    struct paging_lpar lpar;
    int status = paging_lpar_load(job->store, name, &lpar, &job->operation);
    if (status == VIOS_OK) {
        status = refuse_hibernated(job, &lpar);
    }
    if (status != VIOS_OK) {
        return status;
    }
    snprintf(lpar_key, sizeof lpar_key, "/lpar/%s", name);
    const struct store_compare compares[] = {{STORE_ABSENT, paging_record_key(name, key), 0},
                                             {STORE_REVISION_IS, lpar_key, lpar.revision}};
    const struct store_change change = {key, job_text(job, "record")};
    return store_commit(job->store, compares, 2, &change, 1, NULL, &job->operation);
}

static int write_record(struct job *job)
{
    struct store_tries tries = {0};
    int status;
    struct paging_view *view = malloc(sizeof *view);
    if (!view) {
        return operation_no_memory(&job->operation, NULL);
    }
    do {
        status = is_ours(job, job_text(job, "lpar"), view);
        if (status == VIOS_E_NOT_FOUND) {
            status = write_once(job);
        }
    } while (store_try_again(&tries, &status));
    free(view);
    return status;
}

/* The record as `view` has it, and what was published of it; `also` (may be NULL) must hold too. */
static int commit_removal(struct job *job, const struct paging_view *view,
                          const struct store_compare *also)
{
    char key[PAGING_KEY_SIZE], run_key[PAGING_KEY_SIZE];
    struct store_compare compares[2] = {
        {STORE_REVISION_IS, paging_record_key(view->record.lpar, key), view->revision}};
    if (also) {
        compares[1] = *also;
    }
    struct store_change changes[] = {{key, NULL},
                                     {paging_run_key(view->record.lpar, run_key), NULL}};
    return store_commit(job->store, compares, also ? 2 : 1, changes, 2, NULL, &job->operation);
}

static int remove_record(struct job *job)
{
    const char *lpar = job_text(job, "lpar");
    struct paging_view *view = malloc(sizeof *view);
    if (!view) {
        return operation_no_memory(&job->operation, NULL);
    }
    int status = is_ours(job, lpar, view);
    if (status == VIOS_OK) {
        status = commit_removal(job, view, NULL);
    } else if (status == VIOS_E_NOT_FOUND || status == VIOS_E_EXISTS) {
        status = VIOS_OK;
    }
    free(view);
    return status;
}

static int await_ready(struct job *job)
{
    struct operation operation;
    struct paging_view *view = malloc(sizeof *view);
    const char *lpar = job_text(job, "lpar");
    operation_start(&operation, READY_TIMEOUT_MS, job->operation.cancel);
    int status = view ? paging_view_load(job->store, lpar, view, &operation)
                      : operation_no_memory(&operation, NULL);
    if (status == VIOS_OK) {
        status = paging_reconcile_await(job_node(job), lpar, view->record.uuid, view->generation,
                                        PAGING_WHOLE, &operation);
    }
    job->operation.error = operation.error;
    free(view);
    return status;
}

static int attach(struct job *job)
{
    const struct paging_guest_operations *guest = paging_guest(job_node(job));
    return guest ? guest->attach(job_node(job), job_text(job, "lpar"), &job->operation) : VIOS_OK;
}

static int detach(struct job *job)
{
    const struct paging_guest_operations *guest = paging_guest(job_node(job));
    return guest ? guest->detach(job_node(job), job_text(job, "lpar"), &job->operation) : VIOS_OK;
}

static const struct job_step CREATE_STEPS[] = {
    {"place", place, NULL},
    {"record", write_record, remove_record},
    {"ready", await_ready, NULL},
    {"attach", attach, detach},
};

const struct job_kind paging_create_job = {"paging.create", CREATE_STEPS, 4, 4};

/* --- remove --- */

/* One try. VIOS_E_CONFLICT: the record or the LPAR's changed in between. */
static int delete_once(struct job *job, struct paging_view *view)
{
    char lpar_key[PAGING_KEY_SIZE];
    const char *name = job_text(job, "lpar"), *device = job_text(job, "device");
    struct paging_lpar lpar = {0};
    int status = paging_lpar_load(job->store, name, &lpar, &job->operation);
    bool exists = status == VIOS_OK;
    if (status != VIOS_OK && status != VIOS_E_NOT_FOUND) {
        return status;
    }
    status = paging_view_load(job->store, name, view, &job->operation);
    if (status == VIOS_E_NOT_FOUND ||
        (status == VIOS_OK && device[0] && strcmp(view->record.job, device) != 0)) {
        return VIOS_OK; /* done by an earlier run of this step; another device is not ours */
    }
    if (status != VIOS_OK) {
        return status;
    }
    if (lpar.owner[0]) {
        return operation_fail(&job->operation, VIOS_E_LOCKED, job->object,
                              "stop the guest first with \"vios lpar stop\"",
                              "the guest is running on node %s and uses this memory", lpar.owner);
    }
    if ((status = refuse_hibernated(job, &lpar)) != VIOS_OK) {
        return status;
    }
    snprintf(lpar_key, sizeof lpar_key, "/lpar/%s", name);
    struct store_compare same = {exists ? STORE_REVISION_IS : STORE_ABSENT, lpar_key,
                                 lpar.revision};
    return commit_removal(job, view, &same);
}

static int delete_record(struct job *job)
{
    struct store_tries tries = {0};
    int status;
    struct paging_view *view = malloc(sizeof *view);
    if (!view) {
        return operation_no_memory(&job->operation, NULL);
    }
    do {
        status = delete_once(job, view);
    } while (store_try_again(&tries, &status));
    free(view);
    return status;
}

/* Until this node's pager is gone; the page servers follow by themselves. */
static int await_dropped(struct job *job)
{
    struct operation operation;
    const char *uuid = job_text(job, "uuid");
    json_int_t generation = json_get_integer(job->data, "generation");
    operation_start(&operation, DROP_TIMEOUT_MS, job->operation.cancel);
    int status = paging_reconcile_await(job_node(job), job_text(job, "lpar"), uuid, generation,
                                        PAGING_GONE, &operation);
    job->operation.error = operation.error;
    return status;
}

static const struct job_step REMOVE_STEPS[] = {
    {"delete", delete_record, NULL},
    {"drop", await_dropped, NULL},
};

const struct job_kind paging_remove_job = {"paging.remove", REMOVE_STEPS, 2, 0};
