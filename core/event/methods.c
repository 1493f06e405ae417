/* methods.c - the rows of noun "event", and what other daemons ask for them; those about callers
 * are in caller_methods.c. */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "event/caller_methods.h"
#include "event/event_file.h"
#include "event/events.h"
#include "event/filter.h"
#include "event/post.h"
#include "event/producer.h"
#include "event/source.h"
#include "node/members.h"
#include "node/others.h"
#include "storage/repository.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAIL_DEFAULT 10
#define TAIL_MOST 1000
#define LIST_MOST 100000
#define FOLLOW_RETRY_MS 1000
#define STATUS_MS 3000 /* for another node to say its own */

/* --- making one --- */

/* Who made it is told by the event itself, which is durable: a record of the audit for each, with a
 * commit of its own, would cost eight times as much as the event. */
static json_t *data_with_actor(const json_t *parameters, const char *actor)
{
    const json_t *given = json_object_get(parameters, "data");
    json_t *data = given ? json_copy((json_t *)given) : json_object();
    json_object_set_new(data, "by", json_string(actor));
    return data;
}

static int event_emit_call(struct call *call, const json_t *parameters, json_t **result,
                           struct operation *operation)
{
    json_t *data = data_with_actor(parameters, call->actor);
    const struct event event = {.class = json_get_text(parameters, "class"),
                                .object = json_get_text(parameters, "object"),
                                .operation = json_get_text(parameters, "operation"),
                                .old_state = json_get_text(parameters, "old"),
                                .new_state = json_get_text(parameters, "new"),
                                .data = data};
    int64_t sequence = 0;
    int status = producer_emit_and_wait(call->node->events->producer, &event, &sequence, operation);
    json_decref(data);
    if (status == VIOS_OK) {
        *result =
            json_pack("{s:o, s:s}", "seq", sequence > 0 ? json_integer(sequence) : json_null(),
                      "state", sequence > 0 ? "published" : "waits");
    }
    return status;
}

/* Another daemon does not see our file. */
static int event_payload(struct call *call, const json_t *parameters, json_t **result,
                         struct operation *operation)
{
    struct node *node = call->node;
    const char *name = json_get_text(parameters, "name");
    struct payload payload;
    char *text = NULL;
    size_t size;
    if (!payload_name_is_valid(name, NULL)) {
        return operation_fail(operation, VIOS_E_USAGE, "daemon.event_payload", NULL,
                              "it is not the name of a payload file");
    }
    int status = event_file_read(node, node->name, name, &payload, &operation->error);
    if (status == VIOS_OK) {
        status = payload_format(&payload, &text, &size, &operation->error);
        payload_clear(&payload);
    }
    if (status == VIOS_OK) {
        *result = json_pack("{s:s}", "text", text);
    }
    free(text);
    return status;
}

/* --- looking --- */

/* The last `most` of those that fit, until they are sent. */
struct last {
    json_t *items; /* an array */
    size_t most;
};

struct looking {
    struct call *call;
    struct event_filter filter;
    struct event_source *source;
    struct last last; /* most 0: items are sent at once */
    struct operation *operation;
};

static int send_item(struct looking *looking, json_t *item)
{
    struct last *last = &looking->last;
    if (!item) {
        return operation_no_memory(looking->operation, "events");
    }
    if (last->most == 0) {
        return looking->call->operations->item(looking->call, item, looking->operation);
    }
    json_array_append_new(last->items, item);
    if (json_array_size(last->items) > last->most) {
        json_array_remove(last->items, 0);
    }
    return VIOS_OK;
}

/* What is not there is an event, too. */
static json_t *gap_item(const struct event_batch *batch, int64_t restores)
{
    char time[CLOCK_TEXT_SIZE];
    return json_pack("{s:I, s:I, s:i, s:s, s:s, s:s, s:s, s:s, s:{s:s}}", "seq",
                     (json_int_t)batch->sequence, "restores", (json_int_t)restores, "epoch", 0,
                     "node", batch->record.node, "time", clock_format(clock_wall_ms(), time),
                     "class", "event", "object", "events", "operation", "resync", "data", "why",
                     batch->why);
}

static int send_batch(struct looking *looking, const struct event_batch *batch)
{
    int64_t restores = event_source_restores(looking->source);
    int status = VIOS_OK;
    if (batch->gap) {
        return send_item(looking, gap_item(batch, restores));
    }
    for (size_t i = batch->first; status == VIOS_OK && i < batch->payload.count; i++) {
        const json_t *event = batch->payload.events[i];
        if (event_filter_fits(&looking->filter, json_get_word(event, "class"),
                              json_get_word(event, "object"))) {
            status = send_item(looking,
                               event_item(&batch->payload, i, batch->record.revision, restores));
        }
    }
    return status;
}

/* What is there now. */
static int look_back(struct looking *looking)
{
    int status = VIOS_OK;
    while (status == VIOS_OK && event_source_waits(looking->source)) {
        struct event_batch batch;
        status = event_source_next(looking->source, &batch, looking->operation);
        if (status == VIOS_OK) {
            status = send_batch(looking, &batch);
        }
        payload_clear(&batch.payload);
    }
    size_t i;
    json_t *item;
    struct last last = looking->last;
    looking->last.most = 0;
    json_array_foreach(last.items, i, item)
    {
        status = status == VIOS_OK ? send_item(looking, json_incref(item)) : status;
    }
    return status;
}

/* Until the caller has enough. The VIOS DB may be away meanwhile. */
static int look_on(struct looking *looking)
{
    int status = VIOS_OK;
    while (status == VIOS_OK) {
        struct event_batch batch;
        status = event_source_next(looking->source, &batch, looking->operation);
        if (status == VIOS_OK) {
            status = send_batch(looking, &batch);
        } else if (status == VIOS_E_UNREACHABLE || status == VIOS_E_IO) {
            status = operation_sleep(looking->operation, FOLLOW_RETRY_MS);
        }
        payload_clear(&batch.payload);
    }
    return status;
}

static int look(struct call *call, const json_t *parameters, int64_t after, size_t most,
                bool follow, struct operation *operation)
{
    struct looking looking = {.call = call, .operation = operation, .last = {.most = most}};
    int status =
        event_filter_parse(json_get_text(parameters, "class"), json_get_text(parameters, "object"),
                           &looking.filter, &operation->error);
    if (status == VIOS_OK) {
        looking.last.items = json_array();
        status = event_source_open(&looking.source, call->node, after, operation);
    }
    if (status == VIOS_OK) {
        status = look_back(&looking);
    }
    if (status == VIOS_OK && follow) {
        status = look_on(&looking);
    }
    event_source_close(looking.source);
    json_decref(looking.last.items);
    event_filter_clear(&looking.filter);
    return status;
}

static int read_limit(const json_t *parameters, int64_t otherwise, int64_t most, int64_t *limit,
                      struct operation *operation)
{
    *limit = otherwise;
    if (json_object_get(parameters, "limit") &&
        !json_read_integer(parameters, "limit", 0, most, limit)) {
        return operation_fail(operation, VIOS_E_USAGE, "limit", NULL,
                              "it is not between 0 and %lld", (long long)most);
    }
    return VIOS_OK;
}

static int event_list(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    int64_t limit;
    int status = read_limit(parameters, LIST_MOST, LIST_MOST, &limit, operation);
    if (status == VIOS_OK) {
        status = look(call, parameters, json_get_integer(parameters, "since"), (size_t)limit, false,
                      operation);
    }
    *result = status == VIOS_OK ? json_object() : NULL;
    return status;
}

static int event_tail(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    int64_t limit;
    bool since = json_object_get(parameters, "since") != NULL;
    int status = read_limit(parameters, TAIL_DEFAULT, TAIL_MOST, &limit, operation);
    int64_t after = since        ? json_get_integer(parameters, "since")
                    : limit == 0 ? EVENT_SOURCE_NOW
                                 : EVENT_SOURCE_RECENT;
    if (status == VIOS_OK) {
        status = look(call, parameters, after, since ? 0 : (size_t)limit,
                      json_is_true(json_object_get(parameters, "follow")), operation);
    }
    *result = status == VIOS_OK ? json_object() : NULL;
    return status;
}

/* --- what waits --- */

static json_t *own_status(struct node *node)
{
    const char *repository;
    struct vios_error error = {0};
    json_t *shown = producer_show(node->events->producer);
    const char *why = json_get_word(shown, "repository"), *state = "waits";
    if (strcmp(why, "ok") == 0) {
        state = why;
        why = "";
    }
    if (repository_path(node, "events", &repository, &error) != VIOS_OK) {
        state = "none";
        why = error.message;
    }
    json_t *row = json_pack("{s:s, s:s, s:O?, s:O?, s:O?, s:s}", "node", node->name, "state", state,
                            "queued", json_object_get(shown, "queued"), "files",
                            json_object_get(shown, "spooled_files"), "lost",
                            json_object_get(shown, "lost"), "why", why);
    json_decref(shown);
    return row;
}

static int daemon_event_status(struct call *call, const json_t *parameters, json_t **result,
                               struct operation *operation)
{
    (void)parameters;
    *result = own_status(call->node);
    return *result ? VIOS_OK : operation_no_memory(operation, NULL);
}

static json_t *status_of(struct call *call, const char *name, struct operation *operation)
{
    struct operation asking;
    json_t *row = NULL;
    if (strcmp(name, call->node->name) == 0) {
        return own_status(call->node);
    }
    operation_start(&asking, STATUS_MS, operation->cancel);
    if (others_call(call, name, "daemon.event_status", json_object(), &row, &asking) != VIOS_OK) {
        row = json_pack("{s:s, s:s, s:n, s:n, s:n, s:s}", "node", name, "state",
                        error_name(asking.error.code), "queued", "files", "lost", "why",
                        asking.error.message);
    }
    return row;
}

static int event_status(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    struct member *members = NULL;
    size_t count = 0;
    (void)parameters;
    int status = node_members(call->node, &members, &count) == VIOS_OK
                     ? VIOS_OK
                     : operation_no_memory(operation, NULL);
    for (size_t i = 0; status == VIOS_OK && i < count; i++) {
        json_t *row = status_of(call, members[i].name, operation);
        status = row ? call->operations->item(call, row, operation)
                     : operation_no_memory(operation, NULL);
    }
    free(members);
    *result = status == VIOS_OK ? json_object() : NULL;
    return status;
}

static const struct method METHODS[] = {
    {"event.emit", "class:text object:text operation:text old:text? new:text? data:object?",
     ROLE_OPERATOR, METHOD_LASTS, event_emit_call},
    {"event.list", "class:text? object:text? since:integer? limit:integer?", ROLE_VIEWER,
     METHOD_STREAM, event_list},
    {"event.tail", "follow:boolean? class:text? object:text? since:integer? limit:integer?",
     ROLE_VIEWER, METHOD_STREAM, event_tail},
    {"event.status", "", ROLE_VIEWER, METHOD_STREAM, event_status},
    {"daemon.event_payload", "name:text", ROLE_ADMIN, METHOD_LASTS, event_payload},
    {"daemon.event_status", "", ROLE_VIEWER, 0, daemon_event_status},
    {"event.register", "id:name class:text? object:text?", ROLE_ADMIN, METHOD_CHANGES,
     event_register},
    {"event.unregister", "id:name", ROLE_ADMIN, METHOD_CHANGES, event_unregister},
    {"event.callers", "", ROLE_VIEWER, METHOD_STREAM, event_callers},
};

const struct method_group event_methods = {METHODS, sizeof METHODS / sizeof METHODS[0]};
