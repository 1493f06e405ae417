/* store_lane.c - see store_lane.h. */
#include "node/store_lane.h"

#include "base/log.h"

static int list_all(struct store *store, struct roster_listing *listing,
                    struct operation *operation)
{
    const char *prefixes[ROSTER_PREFIXES];
    struct store_list lists[ROSTER_PREFIXES];
    for (size_t i = 0; i < ROSTER_PREFIXES; i++) {
        prefixes[i] = roster_prefix(i);
    }
    int status = store_list_many(store, prefixes, ROSTER_PREFIXES, lists, NULL, operation);
    for (size_t i = 0; i < ROSTER_PREFIXES; i++) {
        *roster_listing_part(listing, i) = lists[i];
    }
    return status;
}

/* Without one keep-alives do without a new one. */
static void read_ring(struct store_lane *lane, struct operation *operation)
{
    struct store_value value;
    struct vios_error error = {0};
    if (store_get(lane->store, RING_KEY, &value, operation) != VIOS_OK) {
        return;
    }
    if (ring_parse(value.json, &lane->ring, &error) != VIOS_OK) {
        log_error("cluster", "%s", error.message);
    }
    store_value_clear(&value);
}

static int execute(struct store_lane *lane, const struct agent_request *request,
                   struct agent_answer *answer, struct operation *operation)
{
    if (!lane->store) {
        int status = store_open(&lane->store, lane->address, false, operation);
        if (status != VIOS_OK) {
            return status;
        }
    }
    switch (request->kind) {
    case AGENT_LIST: {
        struct operation reading = *operation;
        read_ring(lane, &reading);
        return list_all(lane->store, answer->listing, operation);
    }
    case AGENT_READ:
        return store_get(lane->store, request->key, answer->value, operation);
    case AGENT_COMMIT:
        break;
    }
    return store_commit(lane->store, request->compares, request->compare_count, request->changes,
                        request->change_count, &answer->revision, operation);
}

/* Says so once, and when it is over: without a listing the view of the cluster stands still. */
static void tell_failing(struct store_lane *lane, const struct agent_request *request, int status,
                         const struct vios_error *error)
{
    bool absent = status == VIOS_E_NOT_FOUND && request->kind == AGENT_READ;
    bool fails = status != VIOS_OK && status != VIOS_E_CONFLICT && !absent;
    if (fails == lane->failing || status == VIOS_E_CANCELLED) {
        return;
    }
    lane->failing = fails;
    if (fails) {
        log_error("cluster", "%s fails: %s", lane->name, error->message);
        recorder_note(lane->recorder, "cluster", "%s fails: %s", lane->name, error->message);
    } else {
        log_notice("cluster", "%s succeeds again", lane->name);
        recorder_note(lane->recorder, "cluster", "%s succeeds again", lane->name);
    }
}

void store_lane_execute(struct store_lane *lane, const struct agent_request *request,
                        struct agent_answer *answer, struct operation *operation)
{
    answer->status = execute(lane, request, answer, operation);
    tell_failing(lane, request, answer->status, &operation->error);
}

void store_lane_close(struct store_lane *lane)
{
    store_close(lane->store);
    ring_forget(&lane->ring);
}
