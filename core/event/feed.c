/* feed.c - see feed.h. */
#include "event/feed.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/thread.h"
#include "event/deriver.h"
#include "event/event_file.h"
#include "event/source.h"
#include "node/driver.h"
#include "storage/repository.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 500 /* between two looks whether it is still the primary */
#define OPEN_TIMEOUT_MS 10000
#define RETRY_MS 500

struct feed {
    struct node *node;
    struct callers *callers;
    struct event_index *index;
    struct producer *producer;
    struct runner runner;
};

/* Still the primary of that epoch; `left_ms` is for how long at most nobody need look again. */
static bool holds(struct feed *feed, int64_t epoch, int64_t *left_ms)
{
    struct driver_term term;
    bool primary = driver_term(feed->node->driver, &term) && term.epoch == epoch;
    int64_t left = term.until_stop_ms - clock_now_ms();
    *left_ms = left < LOOK_MS ? left : LOOK_MS;
    return primary && left > 0;
}

/* --- posting --- */

static void post(struct feed *feed, const struct event_batch *batch, int64_t restores)
{
    struct event_post *posts[PAYLOAD_EVENTS_MAX];
    size_t count = 0;
    for (size_t i = batch->first; i < batch->payload.count; i++) {
        posts[count] = event_post_new(&batch->payload, i, batch->record.revision, restores);
        if (!posts[count]) {
            callers_post(feed->callers, posts, count);
            callers_resync(feed->callers, batch->sequence,
                           "the primary had no memory for an event");
            return;
        }
        count++;
    }
    callers_post(feed->callers, posts, count);
}

/* A file that is damaged is put aside, for whoever wants to know why. */
static void quarantine(struct feed *feed, const struct event_record *record, const char *why)
{
    struct vios_error error;
    if (event_file_quarantine(feed->node, record->node, record->name, &error) != VIOS_OK) {
        log_error("event", "a damaged payload file: %s", error.message);
    }
    json_t *data =
        json_pack("{s:s, s:s, s:s}", "node", record->node, "file", record->name, "why", why);
    const struct event event = {
        .class = "event", .object = record->name, .operation = "damaged", .data = data};
    producer_emit(feed->producer, &event);
    json_decref(data);
}

static void give(struct feed *feed, const struct event_batch *batch, int64_t restores)
{
    if (!batch->gap) {
        post(feed, batch, restores);
        return;
    }
    log_error("event", "events up to %lld cannot be had: %s", (long long)batch->sequence,
              batch->why);
    callers_resync(feed->callers, batch->sequence, batch->why);
    if (batch->damaged) {
        quarantine(feed, &batch->record, batch->why);
    }
}

/* Until it is not the primary of `epoch` any more. */
static int serve(struct feed *feed, struct event_source *source, int64_t epoch)
{
    int64_t restores = event_source_restores(source), left_ms;
    int status = VIOS_OK;
    while ((status == VIOS_OK || status == VIOS_E_TIMEOUT) && holds(feed, epoch, &left_ms)) {
        struct operation operation;
        struct event_batch batch;
        operation_start(&operation, left_ms, feed->runner.cancel);
        status = event_source_next(source, &batch, &operation);
        if (status == VIOS_OK && holds(feed, epoch, &left_ms)) {
            crash_at("feed:post:before");
            give(feed, &batch, restores);
            crash_at("feed:post:after");
        } else if (status != VIOS_OK && status != VIOS_E_TIMEOUT && status != VIOS_E_CANCELLED) {
            log_warning("event", "events cannot be read: %s", operation.error.message);
        }
        payload_clear(&batch.payload);
    }
    return status;
}

/* --- one term as primary --- */

/* What is kept, for who catches up; and what comes. */
static int open_source(struct feed *feed, struct event_source **source, struct operation *operation)
{
    struct store *store;
    operation_start(operation, OPEN_TIMEOUT_MS, feed->runner.cancel);
    int status = node_store(feed->node, &store, operation);
    if (status == VIOS_OK) {
        status = event_index_load(feed->index, store, operation);
        node_store_return(feed->node, store);
    }
    return status == VIOS_OK ? event_source_open(source, feed->node, EVENT_SOURCE_RECENT, operation)
                             : status;
}

static void serve_term(struct feed *feed, int64_t epoch)
{
    struct operation operation;
    struct event_source *source;
    if (open_source(feed, &source, &operation) != VIOS_OK) {
        log_warning("event", "events cannot be read: %s", operation.error.message);
        return;
    }
    callers_open(feed->callers, epoch, event_source_restores(source), event_source_after(source));
    serve(feed, source, epoch);
    callers_close(feed->callers);
    event_source_close(source);
}

static void run_term(struct feed *feed, const struct driver_term *term)
{
    struct deriver *deriver;
    struct operation pause;
    struct vios_error error;
    const char *repository;
    int64_t left_ms;
    if (repository_path(feed->node, "events", &repository, &error) != VIOS_OK) {
        deriver = NULL; /* without one there are no events */
    } else if (deriver_start(&deriver, feed->node, feed->index, term->revision, &error) !=
               VIOS_OK) {
        log_error("event", "%s", error.message);
    }
    do {
        serve_term(feed, term->epoch);
        operation_start(&pause, OPERATION_NO_DEADLINE, feed->runner.cancel);
    } while (holds(feed, term->epoch, &left_ms) && operation_sleep(&pause, RETRY_MS) == VIOS_OK);
    deriver_stop(deriver);
}

static void *run(void *argument)
{
    struct feed *feed = argument;
    struct operation operation;
    struct driver_term term;
    uint64_t seen = 0;
    int status;
    do {
        if (driver_term(feed->node->driver, &term)) {
            run_term(feed, &term);
        }
        operation_start(&operation, LOOK_MS, feed->runner.cancel);
        status = driver_await_change(feed->node->driver, &seen, &operation);
    } while (status == VIOS_OK || status == VIOS_E_TIMEOUT);
    return NULL;
}

int feed_start(struct feed **feed, struct node *node, struct callers *callers,
               struct event_index *index, struct producer *producer, struct vios_error *error)
{
    struct feed *made = calloc(1, sizeof *made);
    *feed = NULL;
    if (!made) {
        return error_no_memory(error, "events");
    }
    *made = (struct feed){.node = node, .callers = callers, .index = index, .producer = producer};
    int status = runner_start(&made->runner, "feed", run, made, "events", error);
    if (status != VIOS_OK) {
        free(made);
        return status;
    }
    *feed = made;
    return VIOS_OK;
}

void feed_stop(struct feed *feed)
{
    if (feed) {
        runner_stop(&feed->runner);
        free(feed);
    }
}
