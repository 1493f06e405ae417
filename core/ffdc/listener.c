/* listener.c - see listener.h. */
#include "ffdc/listener.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "event/source.h"
#include "ffdc/ffdc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_MS 10000
#define LOOK_MS 100
#define RETRY_MS 1000
#define RETRY_MAX_MS 30000 /* while the VIOS DB is away */

/* --- the table --- */

enum signature {
    BY_OBJECT,
    BY_KIND, /* whichever it is of */
    BY_OFTEN /* likewise, and only when there were too many of them lately */
};

static const struct row {
    const char *class, *operation;
    enum manifest_priority priority;
    enum signature signature;
    int64_t delay_ms;
} ROWS[] = {
    {"node", "down", PRIORITY_HIGH, BY_OBJECT, 0},
    {"node", "removed", PRIORITY_LOW, BY_OBJECT, 0},
    {"node", "added", PRIORITY_LOW, BY_KIND, LISTENER_SETTLE_MS},
    {"cluster", "split", PRIORITY_HIGH, BY_OBJECT, 0},
    {"primary", "elected", PRIORITY_MEDIUM, BY_OFTEN, 0},
    {"lpar", "panicked", PRIORITY_HIGH, BY_OBJECT, 0},
    {"threshold", "raised", PRIORITY_MEDIUM, BY_OBJECT, 0},
};
#define ROW_COUNT (sizeof ROWS / sizeof ROWS[0])

static const struct row *row_of(const struct listener_event *event)
{
    const char *class = json_get_word(event->json, "class");
    const char *operation = json_get_word(event->json, "operation");
    for (size_t i = 0; event->derived && i < ROW_COUNT; i++) {
        if (strcmp(ROWS[i].class, class) == 0 && strcmp(ROWS[i].operation, operation) == 0) {
            return &ROWS[i];
        }
    }
    return NULL;
}

/* --- the judgement --- */

/* Counts one more; whether there were too many, this one included. */
static bool too_often(struct listener_memory *memory, const struct listener_event *event)
{
    int64_t now_ms = manifest_parse_time(json_get_word(event->json, "time"));
    if (now_ms < 0) {
        return false;
    }
    memory->elected_ms[memory->next] = now_ms;
    memory->next = (memory->next + 1) % LISTENER_ELECTIONS;
    int64_t first_ms = memory->elected_ms[memory->next]; /* it is overwritten next */
    return first_ms > 0 && now_ms - first_ms <= LISTENER_ELECTIONS_MS;
}

/* A threshold's event says of what, and on which node. */
static void describe(const struct row *row, const struct listener_event *event, char *text,
                     size_t size)
{
    const json_t *data = json_object_get(event->json, "data");
    const char *node = json_get_word(data, "node"), *object = json_get_word(data, "object");
    int used = snprintf(text, size, "%s %s%s %.40s", row->class, row->operation,
                        row->signature == BY_OFTEN ? " too often, now" : "",
                        json_get_word(event->json, "object"));
    if (strcmp(row->class, "threshold") == 0 && used > 0 && (size_t)used < size) {
        snprintf(text + used, size - (size_t)used, "%s%.20s%s%.20s", object[0] ? " of " : "",
                 object, node[0] ? " on " : "", node);
    }
}

bool listener_judge(struct listener_memory *memory, const char *own,
                    const struct listener_event *event, struct listener_signal *signal)
{
    const struct row *row = row_of(event);
    if (!row || (row->signature == BY_OFTEN && !too_often(memory, event)) ||
        strcmp(event->publisher, own) != 0) {
        return false;
    }
    char what[MANIFEST_TRIGGER_SIZE - sizeof ", event 9223372036854775807"];
    describe(row, event, what, sizeof what);
    snprintf(signal->trigger, sizeof signal->trigger, "%s, event %lld", what,
             (long long)event->sequence);
    snprintf(signal->component, sizeof signal->component, "%s", row->class);
    snprintf(signal->signature, sizeof signal->signature, "%s %s%s%.150s", row->class,
             row->operation, row->signature == BY_OBJECT ? " " : "",
             row->signature == BY_OBJECT ? json_get_word(event->json, "object") : "");
    signal->priority = row->priority;
    signal->delay_ms = row->delay_ms;
    return true;
}

/* --- the thread --- */

struct listener {
    struct node *node;
    struct cancel *cancel;
    pthread_t thread;
    pthread_mutex_t lock; /* both below */
    pthread_cond_t done;
    bool ended;
    bool given_up; /* nobody waits for it: the thread frees this */
};

static void hear(struct node *node, struct listener_memory *memory, const struct event_batch *batch)
{
    for (size_t i = batch->first; !batch->gap && i < batch->payload.count; i++) {
        struct listener_signal signal;
        const struct listener_event event = {.json = batch->payload.events[i],
                                             .publisher = batch->payload.node,
                                             .derived = batch->payload.derived > 0,
                                             .sequence = event_sequence(batch->record.revision, i)};
        if (listener_judge(memory, node->name, &event, &signal)) {
            ffdc_signal(node, &(struct ffdc_signal){.trigger = signal.trigger,
                                                    .component = signal.component,
                                                    .signature = signal.signature,
                                                    .priority = signal.priority,
                                                    .delay_ms = signal.delay_ms});
        }
    }
}

/* Until it fails, or the cancel. */
static void follow(struct node *node, struct event_source *source, struct listener_memory *memory,
                   struct operation *operation)
{
    int status;
    do {
        struct event_batch batch;
        operation_start(operation, OPERATION_NO_DEADLINE, operation->cancel);
        status = event_source_next(source, &batch, operation);
        if (status == VIOS_OK && !cancel_triggered(operation->cancel)) {
            hear(node, memory, &batch);
        }
        payload_clear(&batch.payload);
    } while (status == VIOS_OK);
}

static void listen(struct listener *listener)
{
    struct listener_memory memory = {{0}, 0};
    struct event_source *source = NULL;
    struct operation operation;
    int64_t nap_ms = RETRY_MS;
    while (!cancel_triggered(listener->cancel)) {
        operation_start(&operation, OPEN_MS, listener->cancel);
        int status = source
                         ? VIOS_OK
                         : event_source_open(&source, listener->node, EVENT_SOURCE_NOW, &operation);
        if (status == VIOS_OK) { /* once open it is asked again, and misses nothing */
            follow(listener->node, source, &memory, &operation);
            nap_ms = RETRY_MS;
        }
        if (!cancel_triggered(listener->cancel)) {
            log_debug("ffdc", "events cannot be heard: %s", operation.error.message);
            operation_start(&operation, OPERATION_NO_DEADLINE, listener->cancel);
            operation_sleep(&operation, nap_ms);
            nap_ms = 2 * nap_ms < RETRY_MAX_MS ? 2 * nap_ms : RETRY_MAX_MS;
        }
    }
    event_source_close(source);
}

/* --- its life --- */

static void free_listener(struct listener *listener)
{
    cancel_free(listener->cancel);
    pthread_cond_destroy(&listener->done);
    pthread_mutex_destroy(&listener->lock);
    free(listener);
}

static void *run(void *argument)
{
    struct listener *listener = argument;
    listen(listener);
    pthread_mutex_lock(&listener->lock);
    listener->ended = true;
    bool given_up = listener->given_up;
    pthread_cond_signal(&listener->done);
    pthread_mutex_unlock(&listener->lock);
    if (given_up) {
        free_listener(listener);
    }
    return NULL;
}

int listener_start(struct listener **listener, struct node *node, struct vios_error *error)
{
    struct listener *made = calloc(1, sizeof *made);
    *listener = NULL;
    if (!made) {
        return error_no_memory(error, "ffdc");
    }
    made->node = node;
    made->cancel = cancel_new();
    pthread_mutex_init(&made->lock, NULL);
    condition_init(&made->done);
    if (!made->cancel || thread_start(&made->thread, "ffdc-listen", run, made) != 0) {
        free_listener(made);
        return error_set(error, VIOS_E_NO_SPACE, "ffdc", NULL, "cannot start its threads");
    }
    *listener = made;
    return VIOS_OK;
}

void listener_stop(struct listener *listener)
{
    if (!listener) {
        return;
    }
    int64_t end_ms = clock_now_ms() + LISTENER_END_MS;
    cancel_trigger(listener->cancel);
    pthread_mutex_lock(&listener->lock);
    while (!listener->ended && clock_now_ms() < end_ms) {
        condition_wait(&listener->done, &listener->lock, LOOK_MS);
    }
    listener->given_up = !listener->ended;
    bool given_up = listener->given_up;
    pthread_t thread = listener->thread;
    pthread_mutex_unlock(&listener->lock);
    if (given_up) {
        pthread_detach(thread);
        log_warning("ffdc", "a read of the repository hangs: it is left to itself");
    } else {
        pthread_join(thread, NULL);
        free_listener(listener);
    }
}
