/* publish.c - see publish.h. */
#include "event/publish.h"

#include "base/crash.h"
#include "event/event_file.h"
#include "node/driver.h"
#include "storage/repository.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void publish_begin(struct node *node, struct payload *payload)
{
    int64_t now_ms;
    *payload = (struct payload){.incarnation = node->incarnation};
    snprintf(payload->cluster, sizeof payload->cluster, "%s", node->cluster);
    snprintf(payload->node, sizeof payload->node, "%s", node->name);
    if (node->driver) {
        agent_primary(driver_lock(node->driver, &now_ms), &payload->epoch);
        driver_unlock(node->driver);
    }
    payload_name(payload);
}

int publish_check(struct node *node, struct store *store, struct operation *operation)
{
    return repository_check(node, store, false, operation);
}

/* The revision of what may be there already; VIOS_E_NOT_FOUND. */
static int find(struct store *store, const char *key, int64_t *revision,
                struct operation *operation)
{
    struct store_value value;
    int status = store_get(store, key, &value, operation);
    if (status == VIOS_OK) {
        *revision = value.created;
        store_value_clear(&value);
    }
    return status;
}

static int commit(struct store *store, const char *key, const char *fence, const char *json,
                  int64_t *revision, struct operation *operation)
{
    const struct store_compare compares[] = {{.kind = STORE_ABSENT, .key = key},
                                             {.kind = STORE_ABSENT, .key = fence}};
    const struct store_change change = {.key = key, .json = json};
    return store_commit(store, compares, 2, &change, 1, revision, operation);
}

int publish_commit(struct node *node, struct store *store, const char *name, size_t count,
                   int64_t *revision, struct operation *operation)
{
    char key[EVENT_KEY_SIZE], fence[EVENT_KEY_SIZE];
    event_record_key(node->name, name, key);
    snprintf(fence, sizeof fence, "/fence/%s/%lld", node->name, (long long)node->incarnation);
    char *json = event_record_value(count);
    if (!json) {
        return operation_no_memory(operation, "events");
    }
    int status = commit(store, key, fence, json, revision, operation);
    if (status == VIOS_E_CONFLICT || status == VIOS_E_UNKNOWN) {
        int found = find(store, key, revision, operation);
        if (found == VIOS_OK) {
            status = VIOS_OK;
        } else if (found == VIOS_E_NOT_FOUND && status == VIOS_E_CONFLICT) {
            status = operation_fail(operation, VIOS_E_STALE, "events", NULL,
                                    "this incarnation of node \"%s\" is fenced", node->name);
        }
    }
    free(json);
    return status;
}

int publish(struct node *node, struct store *store, const struct payload *payload,
            int64_t *revision, struct operation *operation)
{
    int status = publish_check(node, store, operation);
    if (status == VIOS_OK) {
        status = event_file_write(node, payload, &operation->error);
    }
    if (status == VIOS_OK) {
        crash_at("event:file:after");
        status = publish_commit(node, store, payload->name, payload->count, revision, operation);
    }
    if (status == VIOS_OK) {
        crash_at("event:commit:after");
    }
    return status;
}
