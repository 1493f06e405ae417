/*
 * capture.c - one incident, by the node that was signalled: it opens the incident, asks every other
 * member for its part while it makes its own, and writes down what became of each.
 *
 * While the VIOS DB is away the incident gets a correlator of its own making, and the manifest
 * waits in the spool until the record can be written (late.c).
 */
#include "ffdc/ffdc_private.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "ffdc/incident.h"
#include "ffdc/plain.h"
#include "node/driver.h"
#include "node/members.h"
#include "node/others.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AWAITED "its part is awaited"
#define OPEN_MS 5000
#define RECORD_MS 10000
#define PART_METHOD "daemon.ffdc_part"

/* --- the members --- */

static int64_t clock_offset_ms(struct node *node, const char *name)
{
    int64_t now_ms, offset_ms = 0;
    if (node->driver && strcmp(name, node->name) != 0) {
        offset_ms = agent_clock_offset_ms(driver_lock(node->driver, &now_ms), name);
        driver_unlock(node->driver);
    }
    return offset_ms;
}

static int add_members(struct node *node, struct manifest *manifest, struct operation *operation)
{
    struct member *members = NULL;
    size_t count = 0;
    if (node->members && node_members(node, &members, &count) != VIOS_OK) {
        return operation_no_memory(operation, NULL);
    }
    manifest_add(manifest, node->name, AWAITED);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(members[i].name, node->name) != 0) {
            struct manifest_node *entry = manifest_add(manifest, members[i].name, AWAITED);
            if (entry) {
                entry->clock_offset_ms = clock_offset_ms(node, members[i].name);
            }
        }
    }
    free(members);
    if (manifest->left_out > 0) {
        log_warning("ffdc", "%lld nodes find no room in the manifest, and are not asked",
                    (long long)manifest->left_out);
    }
    return VIOS_OK;
}

/* --- asking them --- */

struct asking {
    struct ffdc *ffdc;
    const struct call *call;
    const struct manifest *manifest; /* as it is sent */
    bool again;
    struct manifest_node *entries; /* of those that are asked, filled by their answers */
    size_t count;
    atomic_size_t next;
    struct cancel *cancel;
};

static void take_answer(struct manifest_node *entry, const json_t *answer)
{
    struct manifest_node said;
    if (!manifest_node_read(answer, &said) || strcmp(said.node, entry->node) != 0) {
        snprintf(entry->why, sizeof entry->why, "its answer is none");
        return;
    }
    said.clock_offset_ms = entry->clock_offset_ms;
    *entry = said;
}

static void ask(struct asking *asking, struct manifest_node *entry)
{
    struct call call = *asking->call; /* each its own: calls are not shared by threads */
    struct operation operation;
    json_t *answer = NULL;
    char *text = manifest_format(asking->manifest);
    json_t *parameters =
        text ? json_pack("{s:s, s:b}", "incident", text, "again", (int)asking->again) : NULL;
    operation_start(&operation, FFDC_PART_MS, asking->cancel);
    int status = parameters
                     ? others_call(&call, entry->node, PART_METHOD, parameters, &answer, &operation)
                     : operation_no_memory(&operation, NULL);
    if (status == VIOS_OK) {
        take_answer(entry, answer);
    } else {
        snprintf(entry->why, sizeof entry->why, "%s: %.100s", error_name(status),
                 operation.error.message);
        plain_text(entry->why);
    }
    json_decref(answer);
    free(text);
}

static void *ask_some(void *argument)
{
    struct asking *asking = argument;
    size_t i;
    while ((i = atomic_fetch_add(&asking->next, 1)) < asking->count) {
        ask(asking, &asking->entries[i]);
    }
    return NULL;
}

/* Asks all, and makes the own part meanwhile when `own` is not NULL. */
static void ask_all(struct asking *asking, struct manifest_node *own, struct operation *operation)
{
    pthread_t threads[FFDC_ASK_AT_ONCE];
    size_t started = 0;
    while (started < asking->count && started < FFDC_ASK_AT_ONCE &&
           thread_start(&threads[started], "ffdc-ask", ask_some, asking) == 0) {
        started++;
    }
    if (own) {
        part_make(asking->ffdc, asking->manifest, asking->again, own, operation);
    }
    if (started == 0) {
        ask_some(asking);
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* Asks those whose parts are missing. `*got` are their entries, and how many: the caller's. */
static int gather(struct ffdc *ffdc, const struct manifest *manifest, struct call *call, bool again,
                  struct manifest_node **got, size_t *count, struct operation *operation)
{
    struct manifest_node *own = NULL;
    struct manifest_node *entries = calloc(manifest->node_count + 1, sizeof *entries);
    *count = 0;
    *got = entries;
    if (!entries) {
        return operation_no_memory(operation, NULL);
    }
    for (size_t i = 0; i < manifest->node_count; i++) {
        const struct manifest_node *entry = &manifest->nodes[i];
        if (entry->state != PART_MISSING) {
            continue;
        }
        if (strcmp(entry->node, ffdc->node->name) == 0) {
            own = &entries[manifest->node_count]; /* behind the others: its place for now */
        } else {
            entries[(*count)++] = *entry;
        }
    }
    struct asking asking = {.ffdc = ffdc,
                            .call = call,
                            .manifest = manifest,
                            .again = again,
                            .entries = entries,
                            .count = *count,
                            .cancel = operation->cancel};
    ask_all(&asking, own, operation);
    if (own) {
        entries[(*count)++] = *own;
    }
    return VIOS_OK;
}

/* --- the record --- */

struct outcome {
    const struct manifest_node *entries;
    size_t count;
    bool again;
};

/* What a node has added itself meanwhile stays. */
static bool note_outcome(void *context, struct manifest *manifest)
{
    const struct outcome *outcome = context;
    for (size_t i = 0; i < outcome->count; i++) {
        struct manifest_node *entry = manifest_find(manifest, outcome->entries[i].node);
        if (!entry || entry->state != PART_MISSING) {
            continue;
        }
        char before[MANIFEST_WHY_SIZE];
        memcpy(before, entry->why, sizeof before);
        int64_t offset_ms = entry->clock_offset_ms;
        *entry = outcome->entries[i];
        entry->clock_offset_ms = offset_ms;
        if (outcome->again && entry->state == PART_OK) {
            entry->state = PART_LATE;
            memcpy(entry->why, before, sizeof before);
        }
    }
    manifest->state = manifest->state == MANIFEST_CAPTURING ? MANIFEST_DONE : manifest->state;
    return true;
}

static int write_outcome(struct ffdc *ffdc, struct outcome *outcome, struct manifest *manifest,
                         struct operation *operation)
{
    struct store *store = NULL;
    struct operation writing;
    operation_start(&writing, RECORD_MS, operation->cancel);
    int status = node_store(ffdc->node, &store, &writing);
    if (status == VIOS_OK) {
        struct manifest *written = malloc(sizeof *written);
        status = written ? incident_change(store, manifest->correlator, note_outcome, outcome,
                                           written, &writing)
                         : operation_no_memory(&writing, NULL);
        if (status == VIOS_OK) {
            *manifest = *written;
        }
        free(written);
        node_store_return(ffdc->node, store);
    }
    if (status != VIOS_OK) { /* it waits for the VIOS DB beside the bundle */
        note_outcome(outcome, manifest);
        operation->error = writing.error;
    }
    return status;
}

static bool is_same_record(struct ffdc *ffdc, struct manifest *manifest, int64_t *revision,
                           struct operation *operation)
{
    struct store *store = NULL;
    int64_t before = *revision;
    if (node_store(ffdc->node, &store, operation) == VIOS_OK &&
        incident_read(store, manifest->correlator, manifest, revision, operation) != VIOS_OK) {
        *revision = before; /* it is not there, or cannot be read: what we have is the last */
    }
    node_store_return(ffdc->node, store);
    return before == *revision;
}

void capture_publish(struct ffdc *ffdc, const struct manifest *manifest,
                     struct operation *operation)
{
    struct vault vault;
    struct operation writing;
    int64_t revision = 0;
    struct manifest *newest = malloc(sizeof *newest);
    operation_start(&writing, RECORD_MS, operation->cancel);
    if (!newest || ffdc_vault(ffdc, &vault, &writing) != VIOS_OK) {
        free(newest);
        return; /* whoever brings the first bundle there writes it */
    }
    *newest = *manifest;
    is_same_record(ffdc, newest, &revision, &writing);
    for (int tries = 0; tries < STORE_TRIES; tries++) {
        if (vault_put_manifest(ffdc->limited, &vault, newest, &writing) != VIOS_OK ||
            is_same_record(ffdc, newest, &revision, &writing)) {
            break;
        }
    }
    free(newest);
}

/* --- the whole --- */

static int fill(struct ffdc *ffdc, const struct ffdc_wanted *wanted, struct manifest *manifest,
                struct operation *operation)
{
    memset(manifest, 0, sizeof *manifest);
    clock_format(clock_wall_ms(), manifest->time);
    memcpy(manifest->last, manifest->time, sizeof manifest->last);
    manifest->count = wanted->count;
    manifest->priority = wanted->priority;
    snprintf(manifest->trigger, sizeof manifest->trigger, "%s", wanted->trigger);
    snprintf(manifest->component, sizeof manifest->component, "%s", wanted->component);
    snprintf(manifest->signature, sizeof manifest->signature, "%s", wanted->signature);
    snprintf(manifest->node, sizeof manifest->node, "%s", ffdc->node->name);
    plain_text(manifest->trigger);
    plain_text(manifest->signature);
    return add_members(ffdc->node, manifest, operation);
}

static int open_it(struct ffdc *ffdc, struct manifest *manifest, bool *repeated,
                   struct operation *operation)
{
    struct store *store = NULL;
    struct operation opening;
    operation_start(&opening, OPEN_MS, operation->cancel);
    int status = node_store(ffdc->node, &store, &opening);
    if (status == VIOS_OK) {
        status = incident_open(store, manifest, repeated, &opening);
        node_store_return(ffdc->node, store);
    }
    if (status != VIOS_OK && !cancel_triggered(operation->cancel)) {
        char uuid[UUID_TEXT_SIZE];
        uuid_make(uuid);
        snprintf(manifest->correlator, sizeof manifest->correlator, "x%.8s%.4s", uuid, uuid + 9);
        log_warning("ffdc", "incident %s has no record yet: %s", manifest->correlator,
                    opening.error.message);
        return VIOS_OK;
    }
    operation->error = opening.error;
    return status;
}

static int capture_it(struct ffdc *ffdc, struct call *call, struct manifest *manifest,
                      struct operation *operation)
{
    struct outcome outcome = {0};
    struct manifest_node *entries = NULL;
    int status = gather(ffdc, manifest, call, false, &entries, &outcome.count, operation);
    outcome.entries = entries;
    if (status == VIOS_OK && write_outcome(ffdc, &outcome, manifest, operation) != VIOS_OK) {
        status = spool_put_manifest(ffdc, manifest, &operation->error);
    }
    free(entries);
    return status;
}

/* Opens it, and, unless it is a repeat, captures it; in a place among those that run. */
static int run_in(struct ffdc *ffdc, int place, struct call *call, struct manifest *manifest,
                  bool *repeated, struct operation *operation)
{
    int status = open_it(ffdc, manifest, repeated, operation);
    if (status != VIOS_OK || *repeated) {
        return status;
    }
    ffdc_number(ffdc, place, manifest->correlator);
    recorder_note(ffdc->node->recorder, "ffdc", "incident %s begins: %s", manifest->correlator,
                  manifest->trigger);
    crash_at("capture:open:after");
    return capture_it(ffdc, call, manifest, operation);
}

static void prune(struct ffdc *ffdc, struct operation *operation)
{
    int removed;
    struct operation pruning;
    operation_start(&pruning, RECORD_MS, operation->cancel);
    if (prune_run(ffdc, NULL, 0, &removed, &pruning) != VIOS_OK) {
        log_warning("ffdc", "old incidents stay: %s", pruning.error.message);
    }
}

int capture_run(struct ffdc *ffdc, const struct ffdc_wanted *wanted, struct call *call,
                struct manifest *manifest, bool *repeated, struct operation *operation)
{
    *repeated = false;
    int status = fill(ffdc, wanted, manifest, operation);
    int place = status == VIOS_OK ? ffdc_begin(ffdc, &operation->error) : status;
    if (place < 0) {
        return place;
    }
    status = run_in(ffdc, place, call, manifest, repeated, operation);
    ffdc_number(ffdc, place, "");
    if (status == VIOS_OK && !*repeated) {
        capture_publish(ffdc, manifest, operation);
        prune(ffdc, operation);
    }
    ffdc_poke(ffdc); /* whoever looked meanwhile left it to us */
    return status;
}

int capture_again(struct ffdc *ffdc, const char *correlator, struct call *call,
                  struct manifest *manifest, struct operation *operation)
{
    struct store *store = NULL;
    struct manifest_node *entries = NULL;
    struct outcome outcome = {.again = true};
    int64_t revision;
    int status = node_store(ffdc->node, &store, operation);
    if (status == VIOS_OK) {
        status = incident_read(store, correlator, manifest, &revision, operation);
        node_store_return(ffdc->node, store);
    }
    if (status == VIOS_OK && ffdc_is_running(ffdc, correlator)) {
        status = operation_fail(operation, VIOS_E_LOCKED, "ffdc", "wait for its end",
                                "the incident is being captured");
    }
    if (status == VIOS_OK) {
        status = gather(ffdc, manifest, call, true, &entries, &outcome.count, operation);
    }
    if (status == VIOS_OK) {
        outcome.entries = entries;
        status = write_outcome(ffdc, &outcome, manifest, operation);
        capture_publish(ffdc, manifest, operation);
    }
    free(entries);
    return status;
}
