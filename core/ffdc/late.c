/*
 * late.c - what could not be had at once is added later: this node's parts that are missing in the
 * record, whether they wait in the spool or were never made; records that wait for the VIOS DB; and
 * captures that a daemon before this one began, or, on the primary, a node that died meanwhile.
 */
#include "ffdc/ffdc_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "ffdc/incident.h"
#include "node/changes.h"
#include "node/driver.h"
#include "node/members.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define LOOK_MS 20000  /* for all that a look asks the VIOS DB */
#define WANTED_MAX 128 /* incidents */

struct look {
    struct ffdc *ffdc;
    struct store *store;
    char known[WANTED_MAX][MANIFEST_CORRELATOR_SIZE]; /* that have a record */
    size_t known_count;
    char wanted[WANTED_MAX][MANIFEST_CORRELATOR_SIZE]; /* that want something of this node */
    size_t wanted_count;
    char waiting[WANTED_MAX][MANIFEST_CORRELATOR_SIZE]; /* in the spool, before it was listed */
    size_t waiting_count;
    bool left; /* something is still to be done, and could not be, or a capture goes on */
    struct operation operation;
};

static const struct manifest_node *own_entry(const struct ffdc *ffdc,
                                             const struct manifest *manifest)
{
    return manifest_find((struct manifest *)manifest, ffdc->node->name);
}

/* The primary sees that to, since nobody else may ever do. */
static bool is_dead_nodes(const struct ffdc *ffdc, const struct manifest *manifest)
{
    struct node *node = ffdc->node;
    return node->driver && driver_term(node->driver, NULL) &&
           node_member_state(node, manifest->node) == MEMBER_DOWN;
}

/* A capture that nobody works on: ours, but of no thread of this process, or a dead node's. */
static bool is_abandoned(struct ffdc *ffdc, const struct manifest *manifest)
{
    if (manifest->state != MANIFEST_CAPTURING) {
        return false;
    }
    return strcmp(manifest->node, ffdc->node->name) == 0
               ? !ffdc_is_running(ffdc, manifest->correlator)
               : is_dead_nodes(ffdc, manifest);
}

static void look_at(void *context, const struct manifest *manifest)
{
    struct look *look = context;
    const struct manifest_node *entry = own_entry(look->ffdc, manifest);
    bool missing = manifest->state == MANIFEST_DONE && entry && entry->state == PART_MISSING &&
                   clock_wall_ms() - manifest_time_ms(manifest) < FFDC_LATE_MS;
    look->left |= manifest->state == MANIFEST_CAPTURING; /* its node may die */
    if (look->known_count < WANTED_MAX) {
        snprintf(look->known[look->known_count++], MANIFEST_CORRELATOR_SIZE, "%s",
                 manifest->correlator);
    }
    if ((missing || is_abandoned(look->ffdc, manifest)) && look->wanted_count < WANTED_MAX) {
        snprintf(look->wanted[look->wanted_count++], MANIFEST_CORRELATOR_SIZE, "%s",
                 manifest->correlator);
    }
}

struct taking {
    struct ffdc *ffdc;
    const struct manifest *kept; /* in the spool, for the VIOS DB did not take it; or NULL */
};

static bool take_over(void *context, struct manifest *manifest)
{
    const struct taking *taking = context;
    if (!is_abandoned(taking->ffdc, manifest)) {
        return false;
    }
    manifest->state = MANIFEST_DONE;
    for (size_t i = 0; taking->kept && i < taking->kept->node_count; i++) {
        const struct manifest_node *kept = &taking->kept->nodes[i];
        struct manifest_node *entry = manifest_find(manifest, kept->node);
        if (entry && entry->state == PART_MISSING) {
            *entry = *kept;
        }
    }
    return true;
}

/* The record as it is to be from now on. */
static int take(struct look *look, const char *correlator, struct manifest *manifest)
{
    struct manifest *kept = malloc(sizeof *kept);
    bool is_kept = kept && spool_read_manifest(look->ffdc, correlator, kept, NULL) == VIOS_OK &&
                   kept->state == MANIFEST_DONE;
    struct taking taking = {.ffdc = look->ffdc, .kept = is_kept ? kept : NULL};
    int status =
        incident_change(look->store, correlator, take_over, &taking, manifest, &look->operation);
    free(kept);
    return status;
}

static bool add_entry(void *context, struct manifest *manifest)
{
    const struct manifest_node *made = context;
    struct manifest_node *entry = manifest_find(manifest, made->node);
    if (!entry || entry->state != PART_MISSING || made->state != PART_OK) {
        return false;
    }
    entry->state = PART_LATE;
    entry->size_bytes = made->size_bytes;
    entry->epoch = made->epoch;
    memcpy(entry->digest, made->digest, sizeof entry->digest);
    return true;
}

static void add(struct look *look, const char *correlator, struct manifest *manifest)
{
    struct ffdc *ffdc = look->ffdc;
    struct operation *operation = &look->operation;
    struct manifest_node made;
    if (take(look, correlator, manifest) != VIOS_OK) {
        look->left = true;
        return;
    }
    const struct manifest_node *entry = own_entry(ffdc, manifest);
    if (manifest->state == MANIFEST_DONE && entry && entry->state == PART_MISSING) {
        struct operation making; /* it may take longer than a look at the VIOS DB */
        operation_start(&making, FFDC_PART_MS, ffdc->cancel);
        part_make(ffdc, manifest, true, &made, &making);
        operation_start(operation, LOOK_MS, ffdc->cancel);
        look->left |=
            made.state != PART_OK || incident_change(look->store, correlator, add_entry, &made,
                                                     manifest, operation) != VIOS_OK;
    } else if (manifest->state == MANIFEST_DONE) {
        spool_drop(ffdc, correlator);
    }
    capture_publish(ffdc, manifest, operation);
    recorder_note(ffdc->node->recorder, "ffdc", "incident %s is looked at again", correlator);
}

/* --- the spool --- */

static bool is_known(const struct look *look, const char *correlator)
{
    for (size_t i = 0; i < look->known_count; i++) {
        if (strcmp(look->known[i], correlator) == 0) {
            return true;
        }
    }
    return false;
}

static void note_waiting(void *context, const char *correlator)
{
    struct look *look = context;
    if (look->waiting_count < WANTED_MAX) {
        snprintf(look->waiting[look->waiting_count++], MANIFEST_CORRELATOR_SIZE, "%.31s",
                 correlator);
    }
}

/* Its record was never written, or was removed: what lay there before the records were listed was
 * made for one that was there already. */
static void settle(struct look *look, const char *correlator)
{
    struct ffdc *ffdc = look->ffdc;
    if (is_known(look, correlator) || ffdc_is_running(ffdc, correlator)) {
        return;
    }
    if (correlator[0] != 'x') {
        log_notice("ffdc", "what waited of incident %s is dropped: it was removed", correlator);
        spool_drop(ffdc, correlator);
        return;
    }
    struct manifest *manifest = malloc(sizeof *manifest);
    if (manifest && spool_read_manifest(ffdc, correlator, manifest, NULL) == VIOS_OK &&
        manifest->state == MANIFEST_DONE) { /* that of the node that was signalled */
        const struct manifest_node *entry = own_entry(ffdc, manifest);
        bool added = incident_add(look->store, manifest, &look->operation) == VIOS_OK;
        look->left |= !added;
        if (added && (!entry || entry->state != PART_MISSING)) {
            spool_drop(ffdc, correlator);
        }
        ffdc_poke(ffdc); /* now it is known */
    }
    free(manifest);
}

/* --- the thread --- */

static void look_once(struct ffdc *ffdc, bool *left)
{
    struct look *look = calloc(1, sizeof *look);
    struct manifest *manifest = calloc(1, sizeof *manifest);
    *left = true;
    if (look && manifest) {
        look->ffdc = ffdc;
        operation_start(&look->operation, LOOK_MS, ffdc->cancel);
        spool_each(ffdc, note_waiting, look);
        int status = node_store(ffdc->node, &look->store, &look->operation);
        if (status == VIOS_OK) {
            status = incident_each(look->store, look_at, look, &look->operation);
        }
        for (size_t i = 0; status == VIOS_OK && i < look->wanted_count; i++) {
            add(look, look->wanted[i], manifest);
        }
        bool all_known = status == VIOS_OK && look->known_count < WANTED_MAX;
        for (size_t i = 0; all_known && i < look->waiting_count; i++) {
            settle(look, look->waiting[i]);
        }
        *left = status != VIOS_OK || look->left;
        node_store_return(ffdc->node, look->store);
    }
    free(manifest);
    free(look);
}

void late_run(struct ffdc *ffdc)
{
    int64_t nap_ms = FFDC_LATE_LOOK_MS;
    while (!cancel_triggered(ffdc->cancel)) {
        struct operation nap;
        eventfd_t ignored;
        bool left;
        eventfd_read(ffdc->poke, &ignored); /* fails when nobody poked */
        look_once(ffdc, &left);
        operation_start(&nap, left ? nap_ms : OPERATION_NO_DEADLINE, ffdc->cancel);
        operation_wait(&nap, left ? -1 : ffdc->poke, left ? 0 : POLLIN);
        nap_ms = !left ? FFDC_LATE_LOOK_MS : nap_ms * 2;
        nap_ms = nap_ms < FFDC_LATE_LOOK_MAX_MS ? nap_ms : FFDC_LATE_LOOK_MAX_MS;
    }
}

static void changed(void *context)
{
    ffdc_poke(context);
}

void late_watch(struct ffdc *ffdc)
{
    changes_follow(ffdc->node, "/incident/", "ffdc", changed, ffdc, ffdc->cancel);
}
