/*
 * prune.c - incidents that go: those that somebody names, and the oldest beyond number, age and
 * bytes (`ffdc_age` and `ffdc_quota` of `cluster set`). The record says "deleting" before a file
 * goes, and itself goes last, so that a prune that was interrupted is finished by the next; what
 * nodes keep of it they drop when the record is gone.
 */
#include "ffdc/ffdc_private.h"

#include "base/clock.h"
#include "base/json.h"
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
    int64_t older_ms; /* 0: the limits are what counts */
    int64_t age_ms;
    uint64_t quota_bytes;
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
static bool is_beyond(const struct choice *choice, size_t at, int64_t now_ms)
{
    const struct kept *kept = &choice->all[at];
    int64_t age_ms = now_ms - kept->time_ms, older_ms = choice->older_ms;
    bool limits = older_ms == 0 && at + 1 < choice->count &&
                  (choice->count - at > FFDC_INCIDENTS_MAX ||
                   choice->size_bytes > choice->quota_bytes || age_ms > choice->age_ms);
    return kept->deleting || (!kept->capturing && (limits || (older_ms > 0 && age_ms > older_ms)));
}

static int64_t setting(const json_t *cluster, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(cluster, key);
    return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
                                                                    : otherwise;
}

static int read_limits(struct store *store, struct choice *choice, struct operation *operation)
{
    json_t *cluster = NULL;
    int status = node_record(store, "/cluster", &cluster, NULL, operation);
    choice->quota_bytes = (uint64_t)setting(cluster, "ffdc_quota", FFDC_QUOTA_BYTES);
    choice->age_ms = setting(cluster, "ffdc_age", INCIDENT_AGE_MS);
    json_decref(cluster);
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

static int remove_beyond(struct ffdc *ffdc, struct store *store, int64_t older_ms, int *removed,
                         struct operation *operation)
{
    struct choice *choice = calloc(1, sizeof *choice);
    int status =
        choice ? read_limits(store, choice, operation) : operation_no_memory(operation, NULL);
    if (status == VIOS_OK) {
        choice->older_ms = older_ms;
        status = incident_each(store, look_at, choice, operation);
    }
    for (size_t i = 0; status == VIOS_OK && i < choice->count; i++) {
        if (is_beyond(choice, i, clock_wall_ms())) {
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
