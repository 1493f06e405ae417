/*
 * running.c - see running.h.
 *
 * Two eventfds per stream: `room` wakes the thread that waits for credit or for the outlet to
 * drain, `input` is readable while receive() would not block (so that a method can poll it).
 */
#include "daemon/running.h"

#include "net/rpc.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CREDIT_MAX (1024 * 1024)
#define PART_SIZE (RPC_LINE_MAX / 2)

struct input_chunk {
    struct input_chunk *next;
    size_t size, used;
    char data[];
};

struct running_state {
    pthread_mutex_t lock;
    unsigned references;
    bool ended;
    struct outlet *outlet;
    struct connection_peer caller;
    int64_t credit; /* items and bytes we may send */
    int64_t sequence;
    int room;
    int input;
    int input_credit; /* "bytes" the caller may send */
    int consumed;     /* chunks read since the caller got credit last */
    struct input_chunk *first, **last;
    bool input_ended;
};

static void event_clear(int event)
{
    eventfd_t ignored;
    eventfd_read(event, &ignored);
}

static void call_progress(struct call *call, const char *job, int64_t done, int64_t total,
                          const char *unit)
{
    struct running *running = call->connection;
    if (outlet_full(running->state->outlet)) {
        return; /* the next one says more anyway */
    }
    json_t *parameters =
        json_pack("{s:I, s:s, s:I, s:I, s:s}", "id", (json_int_t)call->id, "job", job, "done",
                  (json_int_t)done, "total", (json_int_t)total, "unit", unit);
    outlet_put(running->state->outlet, rpc_notification("progress", parameters), NULL, 0);
}

/* Waits until one more message may be sent, and takes the credit for it. */
static int take_credit(struct running *running, struct operation *operation)
{
    struct running_state *state = running->state;
    for (;;) {
        int status = operation_check(operation);
        if (status != VIOS_OK) {
            return status;
        }
        event_clear(state->room);
        pthread_mutex_lock(&state->lock);
        bool may = state->credit > 0 && !outlet_full(state->outlet);
        state->credit -= may;
        pthread_mutex_unlock(&state->lock);
        if (may) {
            return VIOS_OK;
        }
        status = operation_wait(operation, state->room, POLLIN);
        if (status != VIOS_OK) {
            return status;
        }
    }
}

static int put_message(struct running *running, const char *method, json_t *parameters,
                       const void *data, size_t size, struct operation *operation)
{
    if (outlet_put(running->state->outlet, rpc_notification(method, parameters), data, size)) {
        return VIOS_OK;
    }
    int status = operation_check(operation);
    return status != VIOS_OK ? status
                             : operation_fail(operation, VIOS_E_NO_SPACE, NULL, NULL,
                                              "an item is longer than %d bytes", RPC_LINE_MAX);
}

static int call_item(struct call *call, json_t *value, struct operation *operation)
{
    struct running *running = call->connection;
    int status = take_credit(running, operation);
    if (status != VIOS_OK) {
        json_decref(value);
        return status;
    }
    json_t *parameters = json_pack("{s:I, s:I, s:o}", "id", (json_int_t)call->id, "seq",
                                   (json_int_t)++running->state->sequence, "value", value);
    return put_message(running, "item", parameters, NULL, 0, operation);
}

static int call_bytes(struct call *call, const void *data, size_t size, bool end,
                      struct operation *operation)
{
    struct running *running = call->connection;
    const char *at = data;
    int status;
    do {
        size_t part = size < RPC_BYTES_MAX ? size : RPC_BYTES_MAX;
        status = take_credit(running, operation);
        if (status == VIOS_OK) {
            json_t *parameters = json_pack("{s:I, s:I, s:b}", "id", (json_int_t)call->id, "count",
                                           (json_int_t)part, "end", (int)(end && part == size));
            status = put_message(running, "bytes", parameters, at, part, operation);
        }
        at += part;
        size -= part;
    } while (status == VIOS_OK && size > 0);
    return status;
}

/* Takes what there is; 0 with `*ended` unset when there is nothing yet. */
static size_t take_input(struct running_state *state, void *data, size_t size, bool *ended,
                         int *credit)
{
    pthread_mutex_lock(&state->lock);
    size_t taken = 0;
    struct input_chunk *chunk;
    while (taken < size && (chunk = state->first) != NULL) {
        size_t part =
            chunk->size - chunk->used < size - taken ? chunk->size - chunk->used : size - taken;
        memcpy((char *)data + taken, chunk->data + chunk->used, part);
        chunk->used += part;
        taken += part;
        if (chunk->used == chunk->size) {
            state->first = chunk->next;
            state->last = state->first ? state->last : &state->first;
            state->consumed++;
            free(chunk);
        }
    }
    *ended = state->input_ended && !state->first;
    if (!state->first && !state->input_ended) {
        event_clear(state->input);
    }
    *credit = state->consumed >= RPC_CREDIT_START / 2 ? state->consumed : 0;
    state->consumed -= *credit;
    state->input_credit += *credit;
    pthread_mutex_unlock(&state->lock);
    return taken;
}

static ssize_t call_receive(struct call *call, void *data, size_t size, struct operation *operation)
{
    struct running *running = call->connection;
    struct running_state *state = running->state;
    for (;;) {
        bool ended;
        int credit;
        size_t taken = take_input(state, data, size, &ended, &credit);
        if (credit > 0) {
            json_t *parameters =
                json_pack("{s:I, s:i}", "id", (json_int_t)call->id, "items", credit);
            outlet_put(state->outlet, rpc_notification("rpc.more", parameters), NULL, 0);
        }
        if (taken > 0 || ended || size == 0) {
            return (ssize_t)taken;
        }
        int status = operation_wait(operation, state->input, POLLIN);
        if (status != VIOS_OK) {
            return status;
        }
    }
}

static int call_descriptor(struct call *call)
{
    struct running *running = call->connection;
    return running->state->input;
}

static const struct call_operations operations = {.progress = call_progress,
                                                  .item = call_item,
                                                  .bytes = call_bytes,
                                                  .receive = call_receive,
                                                  .descriptor = call_descriptor};

static void state_free(struct running_state *state)
{
    if (!state) {
        return;
    }
    while (state->first) {
        struct input_chunk *chunk = state->first;
        state->first = chunk->next;
        free(chunk);
    }
    if (state->room >= 0) {
        close(state->room);
    }
    if (state->input >= 0) {
        close(state->input);
    }
    outlet_release(state->outlet);
    pthread_mutex_destroy(&state->lock);
    free(state);
}

static struct running_state *state_new(const struct method *method,
                                       const struct connection_peer *caller, struct outlet *outlet)
{
    struct running_state *state = calloc(1, sizeof *state);
    if (!state) {
        return NULL;
    }
    bool stream = method->flags & METHOD_STREAM;
    pthread_mutex_init(&state->lock, NULL);
    state->references = 2;
    state->outlet = outlet_reference(outlet);
    state->caller = *caller;
    state->credit = RPC_CREDIT_START;
    state->input_credit = RPC_CREDIT_START;
    state->last = &state->first;
    state->room = stream ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    state->input = stream ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    if (stream && (state->room < 0 || state->input < 0)) {
        state_free(state);
        return NULL;
    }
    return state;
}

struct running *running_new(struct node *node, const struct method *method, json_t *parameters,
                            int64_t id, const struct connection_peer *caller, struct outlet *outlet)
{
    struct running *running = calloc(1, sizeof *running);
    struct cancel *cancel = cancel_new();
    struct running_state *state = cancel ? state_new(method, caller, outlet) : NULL;
    if (!running || !state) {
        json_decref(parameters);
        cancel_free(cancel);
        state_free(state);
        free(running);
        return NULL;
    }
    *running = (struct running){.method = method,
                                .parameters = parameters,
                                .cancel = cancel,
                                .state = state,
                                .call = {.node = node,
                                         .actor = state->caller.actor,
                                         .user = state->caller.user,
                                         .from = state->caller.from,
                                         .role = caller->role,
                                         .operations = &operations,
                                         .connection = running,
                                         .id = id}};
    return running;
}

void running_release(struct running *running)
{
    pthread_mutex_lock(&running->state->lock);
    bool last = --running->state->references == 0;
    pthread_mutex_unlock(&running->state->lock);
    if (last) {
        state_free(running->state);
        cancel_free(running->cancel);
        json_decref(running->parameters);
        free(running);
    }
}

/* An array that is too long for a line, in parts; the answer with the rest follows. */
static bool put_parts(struct running *running, const json_t *array)
{
    struct outlet *outlet = running->state->outlet;
    json_t *part = json_array(), *value;
    size_t i, size = 0;
    bool put = true;
    json_array_foreach(array, i, value)
    {
        size_t more = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) + 1;
        if (put && size > 0 && size + more > PART_SIZE) {
            json_t *parameters =
                json_pack("{s:I, s:o}", "id", (json_int_t)running->call.id, "value", part);
            put = outlet_put(outlet, rpc_notification("part", parameters), NULL, 0);
            part = json_array();
            size = 0;
        }
        json_array_append(part, value);
        size += more;
    }
    json_t *id = json_integer(running->call.id);
    json_t *rest = rpc_answer(id, part);
    json_decref(id);
    if (!put) {
        json_decref(rest);
        return false;
    }
    return outlet_put(outlet, rest, NULL, 0);
}

/* Takes over `result`. */
static bool put_answer(struct running *running, const json_t *id, json_t *result)
{
    json_t *answer = rpc_answer(id, json_incref(result));
    bool put = outlet_put(running->state->outlet, answer, NULL, 0) ||
               (json_is_array(result) && put_parts(running, result));
    json_decref(result);
    return put;
}

void running_answer(struct running *running, int status, json_t *result,
                    const struct vios_error *error)
{
    struct running_state *state = running->state;
    struct vios_error why = *error;
    json_t *id = json_integer(running->call.id);
    if (status == VIOS_OK) {
        if (!put_answer(running, id, result ? result : json_object())) {
            status = error_set(&why, VIOS_E_NO_SPACE, NULL, "ask for less",
                               "the answer is longer than %d bytes", RPC_LINE_MAX);
        }
    } else {
        json_decref(result);
    }
    if (status != VIOS_OK) {
        outlet_put(state->outlet, rpc_failure(id, &why), NULL, 0);
    }
    json_decref(id);
    pthread_mutex_lock(&state->lock);
    state->ended = true;
    pthread_mutex_unlock(&state->lock);
    outlet_wake(state->outlet);
}

bool running_ended(const struct running *running)
{
    pthread_mutex_lock(&running->state->lock);
    bool ended = running->state->ended;
    pthread_mutex_unlock(&running->state->lock);
    return ended;
}

void running_room(struct running *running)
{
    if (running->state->room >= 0) {
        eventfd_write(running->state->room, 1);
    }
}

void running_credit(struct running *running, int64_t items)
{
    pthread_mutex_lock(&running->state->lock);
    int64_t room = CREDIT_MAX - running->state->credit;
    running->state->credit += items < room ? items : room;
    pthread_mutex_unlock(&running->state->lock);
    running_room(running);
}

int running_input(struct running *running, const void *data, size_t size, bool end,
                  struct vios_error *error)
{
    struct running_state *state = running->state;
    if (state->input < 0) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL, "%s takes no bytes",
                         running->method->name);
    }
    struct input_chunk *chunk = malloc(sizeof *chunk + size);
    pthread_mutex_lock(&state->lock);
    bool good = chunk && size <= RPC_INPUT_MAX && state->input_credit > 0 && !state->input_ended;
    if (good) {
        state->input_credit--;
        *chunk = (struct input_chunk){.size = size};
        memcpy(chunk->data, data, size);
        *state->last = chunk;
        state->last = &chunk->next;
        state->input_ended = end;
        eventfd_write(state->input, 1);
    }
    pthread_mutex_unlock(&state->lock);
    if (!good) {
        free(chunk);
        return error_set(error, VIOS_E_INVALID, NULL, NULL,
                         "bytes without credit, behind the end, or more than %d at once",
                         RPC_INPUT_MAX);
    }
    return VIOS_OK;
}
