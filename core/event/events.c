/* events.c - see events.h. */
#include "event/events.h"

#include "event/callers.h"
#include "event/feed.h"
#include "event/index.h"
#include "event/producer.h"
#include "event/retrieve.h"
#include "event/state.h"

#include <stdlib.h>
#include <string.h>

/* For who catches up: the next file of those that the primary knows. */
static int older(struct node *node, int64_t after, struct event_post *posts[PAYLOAD_EVENTS_MAX],
                 size_t *count, struct operation *operation)
{
    struct event_record record;
    struct payload payload;
    int64_t since_ms = 0;
    *count = 0;
    if (after < event_index_dropped(node->events->index)) {
        return operation_fail(operation, VIOS_E_COMPACTED, "events", NULL,
                              "older events are not kept any more");
    }
    if (!event_index_after(node->events->index, after, &record)) {
        return VIOS_OK;
    }
    int status = retrieve(node, &record, &since_ms, &payload, operation);
    for (size_t i = 0; status == VIOS_OK && i < payload.count; i++) {
        if (event_sequence(record.revision, i) > after) {
            posts[*count] = event_post_new(&payload, i, record.revision,
                                           event_index_restores(node->events->index));
            status = posts[*count] ? VIOS_OK : operation_no_memory(operation, "events");
            *count += status == VIOS_OK;
        }
    }
    payload_clear(&payload);
    return status == VIOS_E_NOT_FOUND || status == VIOS_E_CORRUPT ? VIOS_E_COMPACTED : status;
}

static void stop(struct node *node, bool stop_guests)
{
    struct events *events = node->events;
    (void)stop_guests;
    if (events) { /* the callers' threads look at it until they have ended */
        feed_stop(events->feed);
        producer_stop(events->producer);
        callers_stop(atomic_exchange(&node->callers, NULL));
        node->events = NULL;
        event_index_free(events->index);
        free(events);
    }
}

static int start(struct node *node, struct vios_error *error)
{
    struct events *events = calloc(1, sizeof *events);
    const struct callers_settings settings = {.node = node, .state = event_state, .older = older};
    if (!events) {
        return error_no_memory(error, "events");
    }
    node->events = events;
    events->index = event_index_new();
    struct callers *callers = NULL;
    int status = events->index ? callers_start(&callers, &settings, error)
                               : error_no_memory(error, "events");
    atomic_store(&node->callers, callers);
    if (status == VIOS_OK) {
        status = producer_start(&events->producer, node, error);
    }
    if (status == VIOS_OK) {
        status = feed_start(&events->feed, node, callers, events->index, events->producer, error);
    }
    if (status != VIOS_OK) {
        stop(node, false);
    }
    return status;
}

const struct part event_part = {
    .name = "event", .start = start, .stop = stop, .methods = &event_methods};
