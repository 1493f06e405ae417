/* listener.c - see listener.h. */
#include "ffdc/listener.h"

#include "base/json.h"
#include "base/log.h"
#include "event/source.h"
#include "ffdc/ffdc.h"

#include <stdio.h>
#include <string.h>

#define OPEN_MS 10000
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
    bool derived;
    enum manifest_priority priority;
    enum signature signature;
    int64_t delay_ms;
} ROWS[] = {
    {"node", "down", true, PRIORITY_HIGH, BY_OBJECT, 0},
    {"node", "removed", true, PRIORITY_LOW, BY_OBJECT, 0},
    {"node", "added", true, PRIORITY_LOW, BY_KIND, LISTENER_SETTLE_MS},
    {"cluster", "split", true, PRIORITY_HIGH, BY_OBJECT, 0},
    {"primary", "elected", true, PRIORITY_MEDIUM, BY_OFTEN, 0},
    {"lpar", "panicked", true, PRIORITY_HIGH, BY_OBJECT, 0},
    {"threshold", "raised", false, PRIORITY_MEDIUM, BY_OBJECT, 0},
};
#define ROW_COUNT (sizeof ROWS / sizeof ROWS[0])

static const struct row *row_of(const struct listener_event *event)
{
    const char *class = json_get_word(event->json, "class");
    const char *operation = json_get_word(event->json, "operation");
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(ROWS[i].class, class) == 0 && strcmp(ROWS[i].operation, operation) == 0) {
            return event->derived || !ROWS[i].derived ? &ROWS[i] : NULL;
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
        if (status == VIOS_OK) {
            hear(node, memory, &batch);
        }
        payload_clear(&batch.payload);
    } while (status == VIOS_OK);
}

void listener_run(struct node *node, struct cancel *cancel)
{
    struct listener_memory memory = {{0}, 0};
    struct event_source *source = NULL;
    struct operation operation;
    int64_t nap_ms = RETRY_MS;
    while (!cancel_triggered(cancel)) {
        operation_start(&operation, OPEN_MS, cancel);
        int status =
            source ? VIOS_OK : event_source_open(&source, node, EVENT_SOURCE_NOW, &operation);
        if (status == VIOS_OK) { /* once open it is asked again, and misses nothing */
            follow(node, source, &memory, &operation);
            nap_ms = RETRY_MS;
        }
        if (!cancel_triggered(cancel)) {
            log_debug("ffdc", "events cannot be heard: %s", operation.error.message);
            operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
            operation_sleep(&operation, nap_ms);
            nap_ms = 2 * nap_ms < RETRY_MAX_MS ? 2 * nap_ms : RETRY_MAX_MS;
        }
    }
    event_source_close(source);
}
