/* plan.c - see plan.h. */
#include "paging/plan.h"

#include "node/node.h"
#include "paging/device.h"
#include "paging/paging.h"
#include "paging/placement.h"
#include "paging/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct change {
    struct job *job;
    const char *lpar, *target;
    int64_t generation;
    struct paging_lpar now;  /* of the LPAR */
    struct paging_view view; /* of its device */
};

static int load(struct change *change)
{
    struct job *job = change->job;
    int status = paging_view_load(job->store, change->lpar, &change->view, &job->operation);
    return status == VIOS_OK
               ? paging_lpar_load(job->store, change->lpar, &change->now, &job->operation)
               : status;
}

static bool is_of_job(const struct change *change)
{
    return strcmp(change->view.record.plan.job, change->job->id) == 0;
}

/* Calls `once` until what it commits is known. */
static int run(struct job *job, const char *lpar, const char *target, int64_t generation,
               int (*once)(struct change *change))
{
    struct store_tries tries = {0};
    struct change *change = calloc(1, sizeof *change);
    int status;
    if (!change) {
        return operation_no_memory(&job->operation, lpar);
    }
    do {
        *change =
            (struct change){.job = job, .lpar = lpar, .target = target, .generation = generation};
        status = load(change);
        if (status == VIOS_OK) {
            status = once(change);
        }
    } while (store_try_again(&tries, &status));
    free(change);
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

/* --- noting it --- */

/* While the job holds the LPAR, and this node is not fenced. */
static int commit(struct change *change, int64_t start)
{
    struct job *job = change->job;
    const struct node *node = job_node(job);
    struct paging_record *record = &change->view.record;
    char key[PAGING_KEY_SIZE], lpar_key[PAGING_KEY_SIZE], fence_key[STORE_KEY_MAX];
    snprintf(lpar_key, sizeof lpar_key, "/lpar/%s", change->lpar);
    snprintf(fence_key, sizeof fence_key, "/fence/%s/%lld", node->name,
             (long long)node->incarnation);
    if (strcmp(change->now.job, job->id) != 0) {
        return operation_fail(&job->operation, VIOS_E_STALE, lpar_key, NULL,
                              "somebody else has taken it over");
    }
    record->plan = (struct paging_plan){.generation = change->generation, .start = start};
    snprintf(record->plan.job, sizeof record->plan.job, "%s", job->id);
    snprintf(record->plan.node, sizeof record->plan.node, "%s", node->name);
    snprintf(record->plan.target, sizeof record->plan.target, "%s", change->target);
    const struct store_compare compares[] = {
        {STORE_REVISION_IS, paging_record_key(change->lpar, key), change->view.revision},
        {STORE_REVISION_IS, lpar_key, change->now.revision},
        {STORE_ABSENT, fence_key, 0}};
    char *json = paging_record_format(record);
    const struct store_change changes[] = {{key, json}};
    int status = json ? store_commit(job->store, compares, 3, changes, 1, NULL, &job->operation)
                      : operation_no_memory(&job->operation, key);
    free(json);
    return status;
}

static bool is_usable(const struct placement_node *nodes, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(nodes[i].name, name) == 0) {
            return nodes[i].usable;
        }
    }
    return false;
}

/* Nothing is in the regions, so that what lies badly is laid elsewhere now; what cannot be stays
 * where it is, as when a node is lost. */
static void place_region(struct paging_record *record, size_t region, struct placement_node *nodes,
                         size_t count)
{
    struct paging_region *now = &record->regions[region];
    struct vios_error ignored;
    now->number++;
    for (size_t i = 0; i < now->replica_count; i++) {
        char node[NAME_MAX_LENGTH + 1];
        memcpy(node, now->replicas[i], sizeof node);
        if (strcmp(node, record->host) == 0 || !is_usable(nodes, count, node)) {
            (void)paging_place_again(nodes, count, record, region, node, now->number, &ignored);
        }
    }
}

static int place(struct change *change)
{
    struct job *job = change->job;
    struct paging_record *record = &change->view.record;
    struct paging_round round = {.node = job_node(job), .operation = &job->operation};
    struct placement_node *nodes = NULL;
    snprintf(record->host, sizeof record->host, "%s", round.node->name);
    int status = node_members(round.node, &round.members, &round.member_count);
    if (status == VIOS_OK) {
        status =
            paging_views_list(job->store, &round.views, &round.view_count, NULL, &job->operation);
    }
    if (status == VIOS_OK && !(nodes = paging_placement_nodes(&round))) {
        status = operation_no_memory(&job->operation, change->lpar);
    }
    for (size_t i = 0; status == VIOS_OK && i < record->region_count; i++) {
        place_region(record, i, nodes, round.member_count);
    }
    free(nodes);
    free(round.members);
    free(round.views);
    return status;
}

/* Of a restart in the same generation that failed, and that had filled it in part. */
static int drop_remains(const struct change *change)
{
    char name[160];
    struct job *job = change->job;
    struct operation asking;
    paging_export_name(change->view.record.uuid, change->generation, name, sizeof name);
    job_limit(job, &asking, 5000);
    int status =
        io_client_call(job_node(job)->io, json_pack("{s:s, s:s}", "do", "drop", "name", name), NULL,
                       0, NULL, &asking);
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : job_keep(job, &asking, status);
}

static int plan_restart(struct change *change)
{
    if (is_of_job(change)) {
        return VIOS_OK; /* and nothing is in it yet */
    }
    int status = drop_remains(change);
    if (status == VIOS_OK) {
        status = place(change);
    }
    return status == VIOS_OK ? commit(change, change->generation) : status;
}

int paging_plan_restart(struct job *job, const char *lpar, int64_t generation)
{
    return run(job, lpar, "", generation, plan_restart);
}

static int plan_continue(struct change *change)
{
    return is_of_job(change) ? VIOS_OK : commit(change, change->view.generation);
}

int paging_plan_continue(struct job *job, const char *lpar, int64_t generation)
{
    return run(job, lpar, "", generation, plan_continue);
}

int paging_plan_move(struct job *job, const char *lpar, const char *target, int64_t generation)
{
    return run(job, lpar, target, generation, plan_continue);
}

/* --- its end --- */

static int settle(struct change *change)
{
    struct paging_record *record = &change->view.record;
    const struct paging_plan plan = record->plan;
    if (!is_of_job(change)) {
        return VIOS_OK;
    }
    bool moved = plan.target[0] && strcmp(change->now.owner, plan.target) == 0;
    if (change->now.generation == plan.generation &&
        (moved || strcmp(change->now.owner, plan.node) == 0)) {
        record->generation = plan.generation;
        record->start = moved ? plan.generation : plan.start;
    }
    if (moved) {
        snprintf(record->host, sizeof record->host, "%s", plan.target);
    }
    record->plan = (struct paging_plan){.job = ""};
    return paging_view_commit(change->job->store, &change->view, &change->job->operation);
}

int paging_plan_settle(struct job *job, const char *lpar)
{
    int status = run(job, lpar, "", 0, settle);
    return status == VIOS_E_CORRUPT ? VIOS_OK : status;
}

static int drop(struct change *change)
{
    struct paging_record *record = &change->view.record;
    if (!record->plan.job[0]) {
        return VIOS_OK;
    }
    record->plan = (struct paging_plan){.job = ""};
    return paging_view_commit(change->job->store, &change->view, &change->job->operation);
}

int paging_plan_drop(struct job *job, const char *lpar)
{
    return run(job, lpar, "", 0, drop);
}
