/*
 * producer.c - see producer.h.
 *
 * A batch belongs to both threads while it is published, and goes with the last of them. The
 * batcher alone adds to the spool, so it alone decides whether a batch may pass it by. A batch that
 * was given up and spooled may still get published by the thread that hung: under the same name, so
 * that publishing it again from the spool finds it done.
 */
#include "event/producer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "event/event_file.h"
#include "event/publish.h"
#include "event/spool.h"
#include "storage/repository.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISH_TIMEOUT_MS 10000
#define BATCH_BYTES_MAX (PAYLOAD_SIZE_MAX - PAYLOAD_HEADER_MAX - EVENT_LINE_MAX)
#define CANCEL_LOOK_MS 50 /* between two looks of who waits at its cancel */

enum ticket_state { TICKET_WAITS, TICKET_PUBLISHED, TICKET_SPOOLED, TICKET_FAILED };

/* Of who waits for an event; on its stack. */
struct ticket {
    enum ticket_state state;
    int64_t sequence;
    struct vios_error error;
};

struct queued {
    json_t *event;
    size_t size;
    struct ticket *ticket; /* NULL: nobody waits, or not any more */
};

struct batch {
    struct payload payload;
    struct ticket *tickets[PAYLOAD_EVENTS_MAX];
    atomic_int holders;
    bool done;
    int status;
    int64_t revision;
    struct vios_error error;
};

struct producer {
    struct node *node;
    struct event_spool *spool;
    struct cancel *cancel;
    pthread_t batcher, publisher;
    bool batching, publishing; /* the threads were started */
    bool looked;               /* the publisher's: what this incarnation left is committed */

    pthread_mutex_t lock;   /* of all below, and of the tickets */
    pthread_cond_t changed; /* for the two threads */
    pthread_cond_t settled; /* for who waits for an event: there may be very many */
    bool stopping, batched_all;
    struct queued queue[PRODUCER_QUEUE_MAX]; /* a ring */
    size_t first, count;
    struct batch *given;       /* to the publisher; NULL: it has none */
    struct batch *batch;       /* the batcher's; its tickets */
    bool resumed;              /* it was tried to go on with what this incarnation left */
    uint64_t lost;             /* did not fit into the queue */
    uint64_t untold;           /* of these, and of those that did not fit into the spool */
    struct vios_error trouble; /* code 0: the last publishing succeeded */
};

/* --- batches --- */

static void batch_release(struct batch *batch)
{
    if (batch && atomic_fetch_sub(&batch->holders, 1) == 1) {
        payload_clear(&batch->payload);
        free(batch);
    }
}

/* Under the lock: as many of the queue as fit into one file. NULL: no memory. */
static struct batch *take_batch(struct producer *producer)
{
    size_t bytes = 0;
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch) {
        return NULL;
    }
    atomic_store(&batch->holders, 1);
    while (producer->count > 0 && batch->payload.count < PAYLOAD_EVENTS_MAX &&
           bytes < BATCH_BYTES_MAX) {
        struct queued *queued = &producer->queue[producer->first];
        batch->tickets[batch->payload.count] = queued->ticket;
        batch->payload.events[batch->payload.count++] = queued->event;
        bytes += queued->size;
        producer->first = (producer->first + 1) % PRODUCER_QUEUE_MAX;
        producer->count--;
    }
    producer->batch = batch;
    return batch;
}

/* Under the lock: whoever waits for one of its events learns how it ended. */
static void settle(struct producer *producer, struct batch *batch, enum ticket_state state,
                   int64_t revision, const struct vios_error *error)
{
    for (size_t i = 0; i < batch->payload.count; i++) {
        struct ticket *ticket = batch->tickets[i];
        if (ticket) {
            ticket->state = state;
            ticket->sequence = state == TICKET_PUBLISHED ? event_sequence(revision, i) : 0;
            if (error) {
                ticket->error = *error;
            }
        }
    }
    producer->batch = NULL;
    pthread_cond_broadcast(&producer->settled);
}

static void spool_batch(struct producer *producer, struct batch *batch)
{
    struct vios_error error = {0};
    int status = event_spool_add(producer->spool, &batch->payload, &error);
    if (status != VIOS_OK) {
        log_error("event", "%zu events are lost: %s", batch->payload.count, error.message);
    }
    pthread_mutex_lock(&producer->lock);
    settle(producer, batch, status == VIOS_OK ? TICKET_SPOOLED : TICKET_FAILED, 0, &error);
    pthread_mutex_unlock(&producer->lock);
}

/* Gives the batch to the publisher; true when it is published in time. */
static bool publish_in_time(struct producer *producer, struct batch *batch)
{
    int64_t end_ms = clock_now_ms() + PRODUCER_PATIENCE_MS, left_ms;
    pthread_mutex_lock(&producer->lock);
    bool is_free = producer->resumed && !producer->given;
    if (is_free) {
        atomic_fetch_add(&batch->holders, 1);
        producer->given = batch;
        pthread_cond_broadcast(&producer->changed);
    }
    while (is_free && !batch->done && (left_ms = end_ms - clock_now_ms()) > 0) {
        condition_wait(&producer->changed, &producer->lock, (int)left_ms);
    }
    bool published = is_free && batch->done && batch->status == VIOS_OK;
    if (published) {
        settle(producer, batch, TICKET_PUBLISHED, batch->revision, NULL);
    }
    pthread_mutex_unlock(&producer->lock);
    return published;
}

static void send_batch(struct producer *producer, struct batch *batch)
{
    struct payload header;
    publish_begin(producer->node, &header);
    pthread_mutex_lock(&producer->lock); /* forget() looks at it */
    memcpy(header.events, batch->payload.events, sizeof header.events);
    header.count = batch->payload.count;
    batch->payload = header;
    pthread_mutex_unlock(&producer->lock);
    if (event_spool_count(producer->spool, NULL) > 0 || !publish_in_time(producer, batch)) {
        spool_batch(producer, batch);
        pthread_mutex_lock(&producer->lock);
        pthread_cond_broadcast(&producer->changed);
        pthread_mutex_unlock(&producer->lock);
    }
    batch_release(batch);
}

static void *run_batcher(void *argument)
{
    struct producer *producer = argument;
    pthread_mutex_lock(&producer->lock);
    while (!producer->stopping || producer->count > 0) {
        if (producer->count == 0 || !producer->resumed) {
            if (producer->stopping) {
                producer->resumed = true; /* it goes to the spool */
            } else {
                pthread_cond_wait(&producer->changed, &producer->lock);
            }
            continue;
        }
        struct batch *batch = take_batch(producer);
        pthread_mutex_unlock(&producer->lock);
        if (batch) {
            send_batch(producer, batch);
        } else {
            log_error("event", "no memory to publish events");
        }
        pthread_mutex_lock(&producer->lock);
        if (!batch) {
            condition_wait(&producer->changed, &producer->lock, PRODUCER_RETRY_MS);
        }
    }
    producer->batched_all = true;
    pthread_cond_broadcast(&producer->changed);
    pthread_mutex_unlock(&producer->lock);
    return NULL;
}

/* --- taking up --- */

/* Under the lock. */
static int enqueue(struct producer *producer, json_t *event, size_t size, struct ticket *ticket,
                   struct vios_error *error)
{
    if (producer->count == PRODUCER_QUEUE_MAX) {
        producer->lost++;
        return error_set(error, VIOS_E_NO_SPACE, "events", "see the log of this node",
                         "%d of them wait to be published already", PRODUCER_QUEUE_MAX);
    }
    producer->queue[(producer->first + producer->count++) % PRODUCER_QUEUE_MAX] =
        (struct queued){.event = event, .size = size, .ticket = ticket};
    pthread_cond_broadcast(&producer->changed);
    return VIOS_OK;
}

static int take_up(struct producer *producer, const struct event *event, struct ticket *ticket,
                   struct vios_error *error)
{
    json_t *json;
    const char *repository;
    int status = repository_path(producer->node, "events", &repository, error);
    if (status == VIOS_OK) {
        status = event_to_json(event, clock_wall_ms(), &json, error);
    }
    if (status != VIOS_OK) {
        return status;
    }
    size_t size = json_dumpb(json, NULL, 0, JSON_COMPACT);
    pthread_mutex_lock(&producer->lock);
    status = enqueue(producer, json, size, ticket, error);
    pthread_mutex_unlock(&producer->lock);
    if (status != VIOS_OK) {
        json_decref(json);
    }
    return status;
}

/* --- what an earlier daemon left --- */

struct resuming {
    struct producer *producer;
    struct store *store;
    struct store_list committed; /* the records of this incarnation */
    struct operation *operation;
};

static int by_key(const void *key, const void *value)
{
    const struct store_value *committed = value;
    return strcmp(key, committed->key);
}

static bool is_committed(const struct resuming *resuming, const char *name)
{
    char key[EVENT_KEY_SIZE];
    const struct store_list *list = &resuming->committed;
    event_record_key(resuming->producer->node->name, name, key);
    return list->count > 0 &&
           bsearch(key, list->values, list->count, sizeof list->values[0], by_key) != NULL;
}

static int resume_file(void *context, const char *name, struct vios_error *error)
{
    struct resuming *resuming = context;
    struct node *node = resuming->producer->node;
    struct payload payload;
    int64_t incarnation, revision;
    (void)error;
    if (!payload_name_is_valid(name, &incarnation) || incarnation != node->incarnation ||
        is_committed(resuming, name) ||
        event_file_read(node, node->name, name, &payload, &resuming->operation->error) != VIOS_OK) {
        return VIOS_OK; /* not ours to go on with; a damaged one will be found by its reader */
    }
    int status = payload.derived > 0 /* the next primary derives that again */
                     ? VIOS_OK
                     : publish_commit(node, resuming->store, name, payload.count, &revision,
                                      resuming->operation);
    payload_clear(&payload);
    return status;
}

static int list_committed(struct resuming *resuming)
{
    char prefix[EVENT_KEY_SIZE];
    const struct node *node = resuming->producer->node;
    snprintf(prefix, sizeof prefix, EVENT_PREFIX "%s/%lld-", node->name,
             (long long)node->incarnation);
    return store_list(resuming->store, prefix, &resuming->committed, NULL, resuming->operation);
}

/* A daemon before this one may have ended between a file and its commit. There may be very many
 * files, and few of them are not committed: so the records are listed, not asked for. */
static int resume(struct producer *producer, struct operation *operation)
{
    const char *repository;
    struct resuming resuming = {.producer = producer, .operation = operation};
    operation_start(operation, PUBLISH_TIMEOUT_MS, producer->cancel);
    if (repository_path(producer->node, "events", &repository, NULL) != VIOS_OK) {
        return VIOS_OK; /* without one there are no events */
    }
    int status = node_store(producer->node, &resuming.store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = publish_check(producer->node, resuming.store, operation);
    if (status == VIOS_OK) {
        status = list_committed(&resuming);
    }
    if (status == VIOS_OK) {
        status = event_file_each(producer->node, producer->node->name, resume_file, &resuming,
                                 &operation->error);
        store_list_clear(&resuming.committed);
    }
    node_store_return(producer->node, resuming.store);
    return status;
}

/* --- publishing --- */

/* Nothing of this daemon comes before what the one before it left. */
static int look_first(struct producer *producer, struct operation *operation)
{
    int status = producer->looked ? VIOS_OK : resume(producer, operation);
    producer->looked = status == VIOS_OK;
    return status;
}

static int publish_now(struct producer *producer, const struct payload *payload, int64_t *revision,
                       struct operation *operation)
{
    struct store *store;
    int status = look_first(producer, operation);
    if (status != VIOS_OK) {
        return status;
    }
    operation_start(operation, PUBLISH_TIMEOUT_MS, producer->cancel);
    status = node_store(producer->node, &store, operation);
    if (status == VIOS_OK) {
        status = publish(producer->node, store, payload, revision, operation);
        node_store_return(producer->node, store);
    }
    return status;
}

/* Under the lock. */
static void note_outcome(struct producer *producer, int status, const struct vios_error *error)
{
    if (status != VIOS_OK && producer->trouble.code == 0) {
        log_warning("event", "events wait on this node: %s", error->message);
    } else if (status == VIOS_OK && producer->trouble.code != 0) {
        log_notice("event", "events are published again");
    }
    producer->trouble = status == VIOS_OK ? (struct vios_error){0} : *error;
}

static void serve_given(struct producer *producer)
{
    struct batch *batch = producer->given;
    struct operation operation;
    pthread_mutex_unlock(&producer->lock);
    int64_t revision = 0;
    int status = publish_now(producer, &batch->payload, &revision, &operation);
    pthread_mutex_lock(&producer->lock);
    batch->status = status;
    batch->revision = revision;
    batch->done = true;
    producer->given = NULL;
    note_outcome(producer, status, &operation.error);
    pthread_cond_broadcast(&producer->changed);
    batch_release(batch);
}

/* Publishes the first that waits; false: it failed, or nothing waits. */
static bool drain_one(struct producer *producer)
{
    struct payload payload;
    struct operation operation;
    struct vios_error error;
    int64_t revision;
    if (event_spool_first(producer->spool, &payload, &error) != VIOS_OK) {
        return false;
    }
    bool is_ours = strcmp(payload.node, producer->node->name) == 0 &&
                   strcmp(payload.cluster, producer->node->cluster) == 0;
    int status = is_ours ? publish_now(producer, &payload, &revision, &operation) : VIOS_OK;
    if (!is_ours) { /* the folder was another node's, or this node was in another cluster */
        log_warning("event", "events of node %s of cluster %s waited here: they are dropped",
                    payload.node, payload.cluster);
    }
    if (status == VIOS_OK) {
        event_spool_remove_first(producer->spool);
    }
    pthread_mutex_lock(&producer->lock);
    note_outcome(producer, status, &operation.error);
    pthread_mutex_unlock(&producer->lock);
    payload_clear(&payload);
    return status == VIOS_OK;
}

/* Under the lock. When it fails what comes waits in the spool, and it is tried again. */
static void try_to_resume(struct producer *producer)
{
    struct operation operation;
    pthread_mutex_unlock(&producer->lock);
    int status = look_first(producer, &operation);
    pthread_mutex_lock(&producer->lock);
    note_outcome(producer, status, &operation.error);
    producer->resumed = true;
    pthread_cond_broadcast(&producer->changed);
}

/* Under the lock, so that a batch that is spooled now wakes it: until there is something to do, or
 * to be tried again. */
static void await_work(struct producer *producer)
{
    if (producer->given || producer->batched_all) {
        return;
    }
    if (!producer->looked || event_spool_count(producer->spool, NULL) > 0) {
        condition_wait(&producer->changed, &producer->lock, PRODUCER_RETRY_MS);
    } else {
        pthread_cond_wait(&producer->changed, &producer->lock);
    }
}

/* Under the lock: when events can be published again, what did not fit becomes one of them. */
static void tell_lost(struct producer *producer)
{
    uint64_t lost = 0;
    if (producer->trouble.code == 0 && event_spool_count(producer->spool, NULL) == 0) {
        event_spool_count(producer->spool, &lost);
        lost += producer->untold;
        producer->untold = 0;
    }
    if (lost == 0) {
        return;
    }
    json_t *data = json_pack("{s:I}", "count", (json_int_t)lost);
    const struct event event = {
        .class = "event", .object = producer->node->name, .operation = "lost", .data = data};
    pthread_mutex_unlock(&producer->lock);
    int status = take_up(producer, &event, NULL, NULL);
    pthread_mutex_lock(&producer->lock);
    producer->untold += status == VIOS_OK ? 0 : lost;
    json_decref(data);
}

static void *run_publisher(void *argument)
{
    struct producer *producer = argument;
    pthread_mutex_lock(&producer->lock);
    try_to_resume(producer);
    while (!producer->batched_all) {
        if (producer->given) {
            serve_given(producer);
            continue;
        }
        if (!producer->looked) {
            try_to_resume(producer);
        }
        pthread_mutex_unlock(&producer->lock);
        bool drained = drain_one(producer);
        pthread_mutex_lock(&producer->lock);
        tell_lost(producer);
        if (!drained) {
            await_work(producer);
        }
    }
    pthread_mutex_unlock(&producer->lock);
    return NULL;
}

/* --- emitting --- */

void producer_emit(struct producer *producer, const struct event *event)
{
    struct vios_error error;
    int status = producer ? take_up(producer, event, NULL, &error) : VIOS_OK;
    if (status != VIOS_OK) {
        log_error("event", "%s %s is lost: %s", event->class, event->operation, error.message);
    }
    if (status == VIOS_E_NO_SPACE) {
        pthread_mutex_lock(&producer->lock);
        producer->untold++;
        pthread_mutex_unlock(&producer->lock);
    }
}

/* Under the lock: nobody waits for it any more. */
static void forget(struct producer *producer, const struct ticket *ticket)
{
    for (size_t i = 0; i < producer->count; i++) {
        struct queued *queued = &producer->queue[(producer->first + i) % PRODUCER_QUEUE_MAX];
        queued->ticket = queued->ticket == ticket ? NULL : queued->ticket;
    }
    for (size_t i = 0; producer->batch && i < producer->batch->payload.count; i++) {
        struct ticket **of = &producer->batch->tickets[i];
        *of = *of == ticket ? NULL : *of;
    }
}

int producer_emit_and_wait(struct producer *producer, const struct event *event, int64_t *sequence,
                           struct operation *operation)
{
    struct ticket ticket = {.state = TICKET_WAITS};
    int status = take_up(producer, event, &ticket, &operation->error);
    if (status != VIOS_OK) {
        return status;
    }
    pthread_mutex_lock(&producer->lock);
    while (ticket.state == TICKET_WAITS && (status = operation_check(operation)) == VIOS_OK) {
        condition_wait(&producer->settled, &producer->lock, CANCEL_LOOK_MS);
    }
    forget(producer, &ticket);
    pthread_mutex_unlock(&producer->lock);
    *sequence = ticket.sequence;
    if (ticket.state == TICKET_FAILED) {
        operation->error = ticket.error;
        return ticket.error.code;
    }
    return ticket.state == TICKET_WAITS ? status : VIOS_OK;
}

json_t *producer_show(struct producer *producer)
{
    pthread_mutex_lock(&producer->lock);
    json_t *shown = json_pack("{s:I, s:I, s:I, s:s}", "queued", (json_int_t)producer->count,
                              "spooled_files", (json_int_t)event_spool_count(producer->spool, NULL),
                              "lost", (json_int_t)producer->lost, "repository",
                              producer->trouble.code == 0 ? "ok" : producer->trouble.message);
    pthread_mutex_unlock(&producer->lock);
    return shown;
}

/* --- life --- */

static int start_threads(struct producer *producer, struct vios_error *error)
{
    producer->batching = thread_start(&producer->batcher, "events", run_batcher, producer) == 0;
    producer->publishing =
        thread_start(&producer->publisher, "publish", run_publisher, producer) == 0;
    return producer->batching && producer->publishing
               ? VIOS_OK
               : error_set(error, VIOS_E_NO_SPACE, "events", NULL, "no thread for them");
}

int producer_start(struct producer **producer, struct node *node, struct vios_error *error)
{
    struct producer *made = calloc(1, sizeof *made);
    *producer = NULL;
    if (!made) {
        return error_no_memory(error, "events");
    }
    made->node = node;
    pthread_mutex_init(&made->lock, NULL);
    condition_init(&made->changed);
    condition_init(&made->settled);
    made->cancel = cancel_new();
    int status = made->cancel ? event_spool_open(&made->spool, node->state_dir_fd, error)
                              : error_no_memory(error, "events");
    if (status == VIOS_OK) {
        status = start_threads(made, error);
    }
    if (status != VIOS_OK) {
        producer_stop(made);
        return status;
    }
    *producer = made;
    return VIOS_OK;
}

void producer_stop(struct producer *producer)
{
    if (!producer) {
        return;
    }
    pthread_mutex_lock(&producer->lock);
    producer->stopping = true;
    producer->batched_all = !producer->batching;
    pthread_cond_broadcast(&producer->changed);
    pthread_mutex_unlock(&producer->lock);
    if (producer->batching) {
        pthread_join(producer->batcher, NULL);
    }
    cancel_trigger(producer->cancel);
    if (producer->publishing) {
        pthread_join(producer->publisher, NULL);
    }
    batch_release(producer->given); /* never served: it is in the spool */
    while (producer->count > 0) {   /* without a batcher */
        json_decref(
            producer->queue[(producer->first + --producer->count) % PRODUCER_QUEUE_MAX].event);
    }
    event_spool_close(producer->spool);
    pthread_cond_destroy(&producer->changed);
    pthread_cond_destroy(&producer->settled);
    pthread_mutex_destroy(&producer->lock);
    cancel_free(producer->cancel);
    free(producer);
}
