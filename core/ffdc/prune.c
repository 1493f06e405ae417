/*
 * prune.c - incidents that go: those that somebody names, and the oldest beyond age, number and
 * bytes. The record says "deleting" before a file goes, and itself goes last, so that a prune that
 * was interrupted is finished by the next; what nodes keep of it they drop when the record is gone.
 */
#include "ffdc/ffdc_private.h"

#include "base/clock.h"
#include "ffdc/incident.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHOSEN_MAX 256
#define PRUNE_MS 60000

struct kept {
    char correlator[MANIFEST_CORRELATOR_SIZE];
    int64_t time_ms;
    uint64_t size_bytes;
    bool deleting, capturing;
};

struct choice {
    struct kept all[CHOSEN_MAX]; /* oldest first */
    size_t count;
    uint64_t size_bytes;
};

static void look_at(void *context, const struct manifest *manifest)
{
    struct choice *choice = context;
    if (choice->count < CHOSEN_MAX) {
        struct kept *kept = &choice->all[choice->count++];
        snprintf(kept->correlator, sizeof kept->correlator, "%s", manifest->correlator);
        kept->time_ms = manifest_time_ms(manifest);
        kept->size_bytes = manifest_size_bytes(manifest);
        kept->deleting = manifest->state == MANIFEST_DELETING;
        kept->capturing = manifest->state == MANIFEST_CAPTURING;
        choice->size_bytes += kept->size_bytes;
    }
}

static bool mark(void *context, struct manifest *manifest)
{
    (void)context;
    bool already = manifest->state == MANIFEST_DELETING;
    manifest->state = MANIFEST_DELETING;
    return !already;
}

static int remove_one(struct ffdc *ffdc, struct store *store, const char *correlator,
                      struct operation *operation)
{
    struct vault vault;
    struct manifest *manifest = malloc(sizeof *manifest);
    int status = manifest ? incident_change(store, correlator, mark, NULL, manifest, operation)
                          : operation_no_memory(operation, NULL);
    if (status == VIOS_OK) {
        status = ffdc_vault(ffdc, &vault, operation);
    }
    if (status == VIOS_OK) {
        status = vault_remove(ffdc->limited, &vault, correlator, operation);
    }
    if (status == VIOS_OK) {
        status = incident_forget(store, manifest, operation);
    }
    free(manifest);
    return status;
}

/* The oldest that is beyond a limit goes, one by one; the newest always stays. */
static bool is_beyond(const struct choice *choice, size_t at, int64_t older_ms, int64_t now_ms)
{
    const struct kept *kept = &choice->all[at];
    int64_t age_ms = now_ms - kept->time_ms;
    bool limits = older_ms == 0 && at + 1 < choice->count &&
                  (choice->count - at > FFDC_INCIDENTS_MAX ||
                   choice->size_bytes > (uint64_t)FFDC_QUOTA_BYTES || age_ms > INCIDENT_AGE_MS);
    return kept->deleting || (!kept->capturing && (limits || (older_ms > 0 && age_ms > older_ms)));
}

static int remove_beyond(struct ffdc *ffdc, struct store *store, int64_t older_ms, int *removed,
                         struct operation *operation)
{
    struct choice *choice = calloc(1, sizeof *choice);
    int status = choice ? incident_each(store, look_at, choice, operation)
                        : operation_no_memory(operation, NULL);
    for (size_t i = 0; status == VIOS_OK && i < choice->count; i++) {
        if (is_beyond(choice, i, older_ms, clock_wall_ms())) {
            status = remove_one(ffdc, store, choice->all[i].correlator, operation);
            choice->size_bytes -= choice->all[i].size_bytes;
            *removed += status == VIOS_OK;
        }
    }
    free(choice);
    return status;
}

int prune_run(struct ffdc *ffdc, const char *correlator, int64_t older_ms, int *removed,
              struct operation *operation)
{
    struct store *store = NULL;
    *removed = 0;
    int status = node_store(ffdc->node, &store, operation);
    if (status == VIOS_OK && correlator) {
        status = remove_one(ffdc, store, correlator, operation);
        *removed = status == VIOS_OK;
    } else if (status == VIOS_OK) {
        status = remove_beyond(ffdc, store, older_ms, removed, operation);
    }
    node_store_return(ffdc->node, store);
    return status;
}
