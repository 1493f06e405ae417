/*
 * caller_service.c - what is said on a caller's connection, and when: PROTOCOL.md as a state
 * machine, see callers_internal.h.
 */
#include "event/callers_internal.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define GREETING STATE_BIT(CONNECTION_GREETING)
#define CHECKING STATE_BIT(CONNECTION_CHECKING)
#define REFUSED STATE_BIT(CONNECTION_REFUSED)
#define LOADING STATE_BIT(CONNECTION_LOADING)
#define CATCHING STATE_BIT(CONNECTION_CATCHING)
#define FOLLOWING STATE_BIT(CONNECTION_FOLLOWING)
#define ENDING STATE_BIT(CONNECTION_ENDING)

const struct state_row CONNECTION_STATES[] = {
    [CONNECTION_GREETING] = {"greeting", CHECKING | LOADING | ENDING},
    [CONNECTION_CHECKING] = {"checking", REFUSED | LOADING | ENDING},
    [CONNECTION_REFUSED] = {"refused", ENDING},
    [CONNECTION_LOADING] = {"loading", CATCHING | FOLLOWING | ENDING},
    [CONNECTION_CATCHING] = {"catching up", LOADING | FOLLOWING | ENDING},
    [CONNECTION_FOLLOWING] = {"following", LOADING | ENDING},
    [CONNECTION_ENDING] = {"ending", 0},
};
const size_t CONNECTION_STATE_COUNT = sizeof CONNECTION_STATES / sizeof CONNECTION_STATES[0];

static void move(struct caller_connection *connection, enum connection_state state,
                 const char *reason)
{
    connection->callers->silent_count -= caller_connection_state(connection) == CONNECTION_GREETING;
    state_machine_move(&connection->machine, state, reason);
}

/* --- the end --- */

/* Takes over the last line. */
static void end_with(struct caller_connection *connection, char *line, const char *reason)
{
    if (caller_connection_state(connection) == CONNECTION_ENDING) {
        free(line);
        return;
    }
    move(connection, CONNECTION_ENDING, reason);
    service_drop_batch(connection);
    caller_state_release(connection->state);
    connection->state = NULL;
    caller_connection_live(connection, &connection->callers->ending);
    caller_connection_put_line(connection, line);
    caller_connection_queue(connection);
}

void service_end(struct caller_connection *connection, int code, const char *message,
                 const char *hint)
{
    struct vios_error error = {0};
    error_set(&error, code, NULL, hint, "%s", message);
    end_with(connection, caller_words_error(&error), message);
}

static void say_moved(struct caller_connection *connection)
{
    struct callers *callers = connection->callers;
    int64_t now_ms = clock_now_ms();
    if (now_ms - callers->primary_ms >= CALLERS_PRIMARY_MS) {
        caller_primary(callers->node, callers->primary, callers->primary_address);
        if (strcmp(callers->primary, callers->node->name) == 0) { /* it has only just become it */
            callers->primary[0] = callers->primary_address[0] = '\0';
        }
        callers->primary_ms = now_ms;
    }
    end_with(connection, caller_words_moved(callers->primary, callers->primary_address),
             "not primary");
}

/* --- who it is --- */

/* What was registered says who was there before. */
static void replace_older(struct registered *registered)
{
    struct caller_connection *older = registered->connection;
    if (older) {
        registered->connection = NULL;
        service_end(older, VIOS_E_CONFLICT, "replaced by another connection of this caller", "");
    }
}

/* From where it goes on; why it cannot, NULL when it can. */
static const char *choose_cursor(struct caller_connection *connection)
{
    struct callers *callers = connection->callers;
    struct event_cursor cursor = connection->hello->has_cursor
                                     ? connection->hello->cursor
                                     : registry_seen(callers->registry, connection->registered);
    connection->is_anew = !connection->hello->has_cursor && cursor.sequence == 0;
    connection->takes_known = true;
    if (!connection->is_anew && cursor.restores != callers->restores) {
        return "the VIOS DB was restored: numbers of before mean nothing";
    }
    connection->after = cursor.sequence;
    return NULL;
}

static void load(struct caller_connection *connection, const char *reason)
{
    connection->state_number = 0;
    move(connection, CONNECTION_LOADING, reason);
    caller_connection_queue(connection);
}

static void say_resync(struct caller_connection *connection, const char *why)
{
    connection->is_anew = true;
    connection->registered->resyncs++;
    caller_connection_put_line(connection, caller_words_resync(why, connection->after));
}

/* Takes over the reference to `registered`. */
static void greet(struct caller_connection *connection, struct registered *registered)
{
    struct callers *callers = connection->callers;
    replace_older(registered);
    registered->connection = connection;
    registered->connects++;
    connection->registered = registered;
    load(connection, "greeted");
    caller_connection_live(connection, &callers->served);
    caller_connection_put_line(connection, caller_words_hello(callers->node->cluster,
                                                              callers->node->name, callers->epoch,
                                                              callers->restores, CALLERS_BEAT_MS));
    const char *why = choose_cursor(connection);
    if (why) {
        say_resync(connection, why);
    }
    caller_said_forget(connection->hello);
    free(connection->hello);
    connection->hello = NULL;
}

/* False: not as far as is known. */
static bool recognize(struct caller_connection *connection)
{
    struct registered *registered = registry_find(connection->callers->registry,
                                                  connection->hello->id, connection->hello->token);
    if (registered) {
        greet(connection, registered);
    }
    return registered != NULL;
}

/* Takes over `hello`. */
static void take_hello(struct caller_connection *connection, struct caller_said *hello)
{
    struct callers *callers = connection->callers;
    connection->hello = hello;
    if (recognize(connection)) {
        return;
    }
    move(connection, CONNECTION_CHECKING, "not known");
    caller_connection_live(connection, &callers->checking);
    connection->ticket = registry_check(callers->registry, hello->id);
    if (connection->ticket == 0) {
        service_end(connection, VIOS_E_NO_SPACE, "there is no memory", "try again later");
    }
}

void service_checked(struct caller_connection *connection)
{
    struct callers *callers = connection->callers;
    bool is_checked = registry_checked(callers->registry, connection->ticket);
    if (recognize(connection) || !is_checked) {
        return;
    }
    int64_t since_ms = connection->since_ms;
    move(connection, CONNECTION_REFUSED, "not registered, or another token");
    caller_connection_live(connection, &callers->refused);
    connection->since_ms = since_ms; /* whatever the check took */
}

void service_refuse(struct caller_connection *connection)
{
    service_end(connection, VIOS_E_DENIED, "there is no such caller, or its token is another one",
                "register it with \"vios event register\"");
}

/* --- what it says --- */

static void take_seen(struct caller_connection *connection, int64_t sequence)
{
    if (sequence > connection->after) {
        service_end(connection, VIOS_E_INVALID, "it was not sent what it says it has seen", "");
        return;
    }
    registry_note_seen(connection->callers->registry, connection->registered, sequence);
}

static void take_greeting(struct caller_connection *connection, const struct caller_said *said)
{
    if (!connection->callers->is_open) {
        say_moved(connection);
        return;
    }
    struct caller_said *hello = malloc(sizeof *hello);
    if (!hello) {
        connection->broken = true;
        return;
    }
    *hello = *said;
    take_hello(connection, hello);
}

void service_line(struct caller_connection *connection, const char *line, size_t size)
{
    struct caller_said said = {0};
    struct vios_error error = {0};
    enum connection_state state = caller_connection_state(connection);
    if (size > 0 && line[size - 1] == '\r') {
        size--; /* as `openssl s_client -crlf` sends it */
    }
    if (size > CALLERS_LINE_MAX || caller_said_parse(line, size, &said, &error) != VIOS_OK) {
        service_end(connection, VIOS_E_INVALID,
                    size > CALLERS_LINE_MAX ? "the line is too long" : error.message, error.hint);
    } else if (said.kind == CALLER_SAYS_HELLO && state == CONNECTION_GREETING) {
        take_greeting(connection, &said);
    } else if (said.kind == CALLER_SAYS_SEEN && connection->registered) {
        take_seen(connection, said.seen);
    } else {
        service_end(connection, VIOS_E_INVALID,
                    said.kind == CALLER_SAYS_HELLO ? "it has said hello already"
                                                   : "say hello first, and wait for the answer",
                    "");
    }
    caller_said_forget(&said);
}

/* --- the state --- */

/* Whether the state that others had is good enough: it is not old, and nothing came since. */
static bool can_take_known(const struct caller_connection *connection)
{
    const struct callers *callers = connection->callers;
    return connection->takes_known && callers->state &&
           callers->state->as_of >= caller_ring_newest(callers->ring) &&
           clock_now_ms() - callers->state_taken_ms < CALLERS_STATE_MS;
}

static void begin_state(struct caller_connection *connection, struct caller_state *state)
{
    state->references++;
    connection->state = state;
    connection->state_at = 0;
    if (connection->is_anew) {
        int64_t from = state->as_of > connection->behind ? state->as_of : connection->behind;
        connection->after = from;
    }
}

void service_give_state(struct caller_connection *connection, struct caller_state *state)
{
    int64_t newest = caller_ring_newest(connection->callers->ring);
    int64_t known = state->as_of > newest ? state->as_of : newest;
    if (!connection->is_anew && connection->after > known) {
        if (connection->takes_known) { /* that state may be older than the cursor */
            connection->takes_known = false;
            connection->state_number = 0;
            caller_connection_queue(connection);
            return;
        }
        connection->after = 0;
        say_resync(connection, "the cursor is ahead of all events that there are");
    }
    begin_state(connection, state);
    caller_connection_queue(connection);
}

/* Where it goes on after the state, or a batch. */
static void find_place(struct caller_connection *connection)
{
    bool found = caller_ring_find(connection->callers->ring, connection->after, &connection->place);
    connection->waiting_ms = clock_now_ms();
    if (found) {
        move(connection, CONNECTION_FOLLOWING, "in the ring");
    } else if (caller_connection_state(connection) != CONNECTION_CATCHING) {
        move(connection, CONNECTION_CATCHING, "older than the ring");
    }
}

static void send_state(struct caller_connection *connection)
{
    char end[CALLER_BEAT_SIZE];
    struct caller_state *state = connection->state;
    size_t left = state->size - connection->state_at;
    size_t piece = left < CALLERS_TURN_BYTES ? left : CALLERS_TURN_BYTES;
    caller_connection_put(connection, state->text + connection->state_at, piece);
    connection->state_at += piece;
    if (connection->state_at < state->size) {
        return;
    }
    caller_connection_put(connection, end, caller_words_state_end(connection->after, end));
    connection->state = NULL;
    caller_state_release(state);
    find_place(connection);
}

static struct chain *send_loading(struct caller_connection *connection)
{
    struct callers *callers = connection->callers;
    if (!connection->state && connection->state_number == 0 && can_take_known(connection)) {
        service_give_state(connection, callers->state);
    }
    if (connection->state) {
        send_state(connection);
        return &callers->ready;
    }
    if (connection->state_number == 0) {
        connection->state_number = catchup_ask_state(callers->catchup);
    }
    return &callers->loading;
}

void service_resync(struct caller_connection *connection, const char *why)
{
    service_drop_batch(connection);
    say_resync(connection, why);
    connection->takes_known = false;
    load(connection, why);
}

/* --- older events --- */

void service_give_batch(struct caller_connection *connection, struct caller_batch *batch)
{
    if (connection->after < batch->from) {
        return;
    }
    if (connection->after < batch->through) {
        batch->references++;
        connection->batch = batch;
        connection->batch_at = 0;
    }
    caller_connection_queue(connection);
}

void service_drop_batch(struct caller_connection *connection)
{
    if (connection->batch) {
        connection->callers->batches -= connection->batch->references == 1;
        caller_batch_release(connection->batch);
        connection->batch = NULL;
    }
}

/* As caller_ring_take() does. */
static size_t take_older(struct caller_connection *connection, char *data, size_t size)
{
    const struct caller_batch *batch = connection->batch;
    size_t used = 0;
    for (; connection->batch_at < batch->count; connection->batch_at++) {
        const struct event_post *post = batch->posts[connection->batch_at];
        bool fits = post->sequence > connection->after &&
                    event_filter_fits(&connection->registered->caller.filter, post->class_name,
                                      post->object);
        if (fits && used + post->size > size) {
            return used;
        }
        if (fits) {
            memcpy(data + used, post->line, post->size);
            used += post->size;
        }
        connection->after = post->sequence > connection->after ? post->sequence : connection->after;
    }
    if (batch->through > connection->after) {
        connection->after = batch->through;
    }
    service_drop_batch(connection);
    return used;
}

static struct chain *send_older(struct caller_connection *connection)
{
    struct callers *callers = connection->callers;
    if (!connection->batch) {
        find_place(connection);
        return caller_connection_state(connection) == CONNECTION_FOLLOWING ? &callers->ready
                                                                           : &callers->catching;
    }
    size_t size = take_older(connection, callers->output, sizeof callers->output);
    caller_connection_put(connection, callers->output, size);
    return &callers->ready;
}

/* --- the ring --- */

/* Several pieces: what TLS and the kernel know of this connection is in the cache behind the first,
 * and the other end reads more at once. */
static struct chain *send_news(struct caller_connection *connection)
{
    struct callers *callers = connection->callers;
    const struct caller_ring *ring = callers->ring;
    if (!caller_ring_has(ring, connection->place)) {
        service_resync(connection, "it took events more slowly than they came");
        return &callers->ready;
    }
    for (int i = 0; i < CALLERS_TURN_PIECES && connection->place < caller_ring_end(ring); i++) {
        size_t size =
            caller_ring_take(ring, &connection->registered->caller.filter, &connection->place,
                             &connection->after, callers->output, sizeof callers->output);
        if (size > 0) {
            caller_connection_put(connection, callers->output, size);
        }
        if (connection->unsent || connection->broken) {
            break;
        }
    }
    return connection->place < caller_ring_end(ring) ? &callers->ready : &callers->idle;
}

struct chain *service_send(struct caller_connection *connection)
{
    switch (caller_connection_state(connection)) {
    case CONNECTION_LOADING:
        return send_loading(connection);
    case CONNECTION_CATCHING:
        return send_older(connection);
    case CONNECTION_FOLLOWING:
        return send_news(connection);
    case CONNECTION_ENDING:
        connection->broken = true; /* all is sent */
        return NULL;
    case CONNECTION_GREETING:
    case CONNECTION_CHECKING:
    case CONNECTION_REFUSED:
        return NULL;
    }
    return NULL;
}
