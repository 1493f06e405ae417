/*
 * callers.c - see callers.h; how it is made is told in callers_internal.h.
 */
#include "event/callers_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* --- being poked --- */

void callers_poke(struct callers *callers)
{
    if (!atomic_exchange(&callers->poked, true)) {
        worker_post(callers->worker, &callers->poke);
    }
}

static void on_answer(void *context)
{
    callers_poke(context);
}

static void on_registry_change(void *context)
{
    struct callers *callers = context;
    atomic_store(&callers->registry_changed, true);
    callers_poke(callers);
}

static struct caller_connection *first_by_life(struct chain *list)
{
    struct chain *first = chain_first(list);
    return first ? owner_of(first, struct caller_connection, life) : NULL;
}

static struct caller_connection *first_by_work(struct chain *list)
{
    struct chain *first = chain_first(list);
    return first ? owner_of(first, struct caller_connection, work) : NULL;
}

/* Calls `each` for all of the list, which may move them anywhere. */
static void for_all(struct chain *list, bool by_life,
                    void (*each)(struct caller_connection *connection, const void *context),
                    const void *context)
{
    struct chain all;
    chain_init(&all);
    chain_append_all(&all, list);
    while (!chain_is_empty(&all)) {
        struct caller_connection *connection = by_life ? first_by_life(&all) : first_by_work(&all);
        chain_append(list, by_life ? &connection->life : &connection->work);
        each(connection, context);
    }
}

static void look_at_check(struct caller_connection *connection, const void *unused)
{
    (void)unused;
    service_checked(connection);
}

static void look_whether_gone(struct caller_connection *connection, const void *unused)
{
    (void)unused;
    if (connection->registered && atomic_load(&connection->registered->gone)) {
        service_end(connection, VIOS_E_DENIED, "this caller is not registered any more",
                    "register it with \"vios event register\"");
    }
}

static void look_at_registry(struct callers *callers)
{
    if (!atomic_exchange(&callers->registry_changed, false)) {
        return;
    }
    for_all(&callers->checking, true, look_at_check, NULL);
    if (registry_anyone_gone(callers->registry)) {
        for_all(&callers->served, true, look_whether_gone, NULL);
    }
}

/* --- the state --- */

struct state_answer {
    struct caller_state *state;
    uint64_t number;
};

static void give_state(struct caller_connection *connection, const void *context)
{
    const struct state_answer *answer = context;
    if (connection->state_number <= answer->number) {
        service_give_state(connection, answer->state);
    }
}

static void forget_state(struct callers *callers)
{
    caller_state_release(callers->state);
    callers->state = NULL;
}

static void look_at_state(struct callers *callers)
{
    struct state_answer answer;
    struct vios_error error = {0};
    if (!catchup_take_state(callers->catchup, &answer.state, &answer.number, &error)) {
        return;
    }
    if (!answer.state) {
        log_warning("event", "the state for callers: %s", error.message);
        callers->state_retry_ms = clock_now_ms() + CALLER_AGAIN_MS;
        return;
    }
    forget_state(callers);
    callers->state = answer.state;
    callers->state_taken_ms = clock_now_ms();
    for_all(&callers->loading, false, give_state, &answer);
}

/* After a failure. */
static void ask_state_again(struct callers *callers, int64_t now_ms)
{
    if (callers->state_retry_ms > 0 && now_ms >= callers->state_retry_ms) {
        callers->state_retry_ms = 0;
        if (!chain_is_empty(&callers->loading)) {
            catchup_ask_state(callers->catchup);
        }
    }
}

/* --- older events --- */

static void give_batch(struct caller_connection *connection, const void *context)
{
    service_give_batch(connection, (struct caller_batch *)context);
}

/* What cannot be had: up to here, and why. */
struct loss {
    int64_t after;
    int64_t waits_since_ms; /* only of who waits so long */
    const char *why;
};

static void tell_loss(struct caller_connection *connection, const void *context)
{
    const struct loss *loss = context;
    if (connection->after <= loss->after && connection->waiting_ms <= loss->waits_since_ms) {
        service_resync(connection, loss->why);
        caller_connection_queue(connection);
    }
}

static void no_older(struct callers *callers, int64_t after, const struct vios_error *error)
{
    int64_t now_ms = clock_now_ms();
    bool is_gone = error->code == VIOS_E_COMPACTED;
    bool for_good = is_gone || error->code == VIOS_E_CORRUPT;
    struct loss loss = {.after = after,
                        .waits_since_ms = for_good ? INT64_MAX : now_ms - CALLERS_OLDER_WAIT_MS,
                        .why = is_gone ? "the events behind its cursor are not kept any more"
                                       : error->message};
    if (!for_good) {
        log_warning("event", "older events for callers: %s", error->message);
        callers->older_retry_ms = now_ms + CALLER_AGAIN_MS;
    }
    for_all(&callers->catching, false, tell_loss, &loss);
}

/* For who waits longest; the others take from it what they can. */
static void ask_for_older(struct callers *callers)
{
    const struct caller_connection *first = first_by_work(&callers->catching);
    if (first && !callers->older_asked && callers->batches < CALLERS_BATCHES_MAX &&
        clock_now_ms() >= callers->older_retry_ms) {
        callers->older_asked = true;
        catchup_ask_older(callers->catchup, first->after, caller_ring_floor(callers->ring));
    }
}

static void look_at_older(struct callers *callers)
{
    struct caller_batch *batch = NULL;
    int64_t after = 0;
    struct vios_error error = {0};
    if (catchup_take_older(callers->catchup, &batch, &after, &error)) {
        callers->older_asked = false;
        if (batch) {
            for_all(&callers->catching, false, give_batch, batch);
            callers->batches += batch->references > 1;
            caller_batch_release(batch);
        } else {
            no_older(callers, after, &error);
        }
    }
    ask_for_older(callers);
}

static void take_from_idler(struct caller_connection *connection, const void *context)
{
    const int64_t *before_ms = context;
    if (connection->batch && connection->unsent && connection->progress_ms < *before_ms) {
        service_drop_batch(connection);
    }
}

/* Who does not read lets others have its place. */
static void free_batches(struct callers *callers, int64_t now_ms)
{
    int64_t before_ms = now_ms - CALLERS_HOLD_MS;
    if (callers->batches >= CALLERS_BATCHES_MAX && !chain_is_empty(&callers->catching)) {
        for_all(&callers->served, true, take_from_idler, &before_ms);
    }
    ask_for_older(callers);
}

/* --- turns --- */

static void give_turns(struct callers *callers)
{
    for (int i = 0; i < CALLERS_TURN_CALLERS && !chain_is_empty(&callers->ready); i++) {
        caller_connection_turn(first_by_work(&callers->ready));
    }
    if (!chain_is_empty(&callers->ready)) {
        callers_poke(callers);
    }
}

static void run_poke(struct task *task)
{
    struct callers *callers = owner_of(task, struct callers, poke);
    atomic_store(&callers->poked, false);
    if (callers->is_stopping) {
        return;
    }
    if (callers->is_open) {
        look_at_registry(callers);
        look_at_state(callers);
        look_at_older(callers);
    }
    give_turns(callers);
}

/* --- time --- */

/* The first of the list, if it is there for so long. */
static struct caller_connection *overdue(struct chain *list, int64_t now_ms, int64_t limit_ms)
{
    struct caller_connection *first = first_by_life(list);
    return first && now_ms - first->since_ms >= limit_ms ? first : NULL;
}

/* What was not silent stands further back. */
static void beat(struct caller_connection *connection, int64_t now_ms)
{
    char line[CALLER_BEAT_SIZE];
    if (connection->unsent) {
        caller_connection_live(connection, &connection->callers->served);
        if (now_ms - connection->progress_ms >= CALLERS_STALL_MS) {
            connection->broken = true;
            caller_connection_queue(connection);
        }
        return;
    }
    caller_connection_live(connection, &connection->callers->served);
    if (caller_connection_state(connection) != CONNECTION_LOADING) {
        caller_connection_put(connection, line, caller_words_beat(connection->after, line));
        caller_connection_rewatch(connection);
        if (connection->broken) {
            caller_connection_queue(connection);
        }
    }
}

static void beat_all(struct callers *callers, int64_t now_ms)
{
    struct caller_connection *one;
    for (int i = 0; i < CALLERS_BEATS_MAX &&
                    (one = overdue(&callers->served, now_ms, CALLERS_BEAT_MS)) != NULL;
         i++) {
        beat(one, now_ms);
    }
}

static void end_overdue(struct callers *callers, int64_t now_ms)
{
    struct caller_connection *one;
    while ((one = overdue(&callers->silent, now_ms, CALLERS_HELLO_MS)) != NULL) {
        service_end(one, VIOS_E_TIMEOUT, "it did not say hello in time", "");
    }
    while ((one = overdue(&callers->checking, now_ms, CALLERS_HELLO_MS)) != NULL) {
        service_end(one, VIOS_E_UNREACHABLE, "the registration cannot be looked up now",
                    "try again later");
    }
    while ((one = overdue(&callers->refused, now_ms, CALLERS_REFUSE_MS)) != NULL) {
        service_refuse(one);
    }
    while ((one = overdue(&callers->ending, now_ms, CALLERS_END_MS)) != NULL) {
        caller_connection_close(one);
    }
}

static void on_tick(struct timer *timer)
{
    struct callers *callers = owner_of(timer, struct callers, tick);
    int64_t now_ms = clock_now_ms();
    end_overdue(callers, now_ms);
    if (callers->is_open) {
        beat_all(callers, now_ms);
        ask_state_again(callers, now_ms);
        free_batches(callers, now_ms);
    }
    if (callers->count > 0) {
        worker_arm(callers->worker, &callers->tick, now_ms + CALLERS_TICK_MS);
    }
}

/* --- adopting --- */

/* Its socket keeps little for who does not read, and a peer that is not there any more is found
 * out. */
static void limit_socket(int fd)
{
    int bytes = CALLERS_SOCKET_BYTES, line = CALLERS_LINE_MAX, limit_ms = CALLERS_STALL_MS, on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &line, sizeof line);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof limit_ms);
}

/* The oldest that has not said hello goes; false: there is none. */
static bool make_room(struct callers *callers)
{
    struct caller_connection *silent = first_by_life(&callers->silent);
    if (silent) {
        caller_connection_close(silent);
    }
    return silent != NULL;
}

static void run_adopt(struct task *task)
{
    struct caller_connection *connection = owner_of(task, struct caller_connection, adopt);
    struct callers *callers = connection->callers;
    bool fits = callers->silent_count < CALLERS_UNGREETED_MAX || make_room(callers);
    fits = fits && !callers->is_stopping && (callers->count < CALLERS_MAX || make_room(callers));
    callers->count++;
    callers->silent_count++;
    caller_connection_live(connection, &callers->silent);
    if (!fits) {
        caller_connection_close(connection);
        return;
    }
    limit_socket(connection->transport->fd);
    if (!callers->tick.armed) {
        worker_arm(callers->worker, &callers->tick, clock_now_ms() + CALLERS_TICK_MS);
    }
    caller_connection_open(connection);
}

void callers_adopt(struct callers *callers, struct transport *transport, const char *address)
{
    struct caller_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        transport->operations->close(transport);
        return;
    }
    connection->callers = callers;
    connection->transport = transport;
    connection->began_wall_ms = clock_wall_ms();
    snprintf(connection->address, sizeof connection->address, "%s",
             strncmp(address, "tcp:", 4) == 0 ? address + 4 : address);
    chain_init(&connection->life);
    chain_init(&connection->work);
    state_machine_start(&connection->machine, "caller", CONNECTION_STATES, CONNECTION_STATE_COUNT,
                        CONNECTION_GREETING, NULL);
    connection->adopt.run = run_adopt;
    worker_post(callers->worker, &connection->adopt);
}

/* --- what is asked of the worker, which the asking thread waits for --- */

struct request {
    struct task task;
    struct callers *callers;
    void (*run)(struct callers *callers, struct request *request);
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
    int64_t epoch, restores, sequence;
    struct event_post *const *posts;
    size_t count;
    const char *why;
    struct shown *shown;
};

static void run_request(struct task *task)
{
    struct request *request = owner_of(task, struct request, task);
    request->run(request->callers, request);
    pthread_mutex_lock(&request->lock);
    request->is_done = true;
    pthread_cond_signal(&request->done);
    pthread_mutex_unlock(&request->lock);
}

static void ask_worker(struct callers *callers, struct request *request,
                       void (*run)(struct callers *callers, struct request *request))
{
    request->task.run = run_request;
    request->callers = callers;
    request->run = run;
    pthread_mutex_init(&request->lock, NULL);
    pthread_cond_init(&request->done, NULL);
    worker_post(callers->worker, &request->task);
    pthread_mutex_lock(&request->lock);
    while (!request->is_done) {
        pthread_cond_wait(&request->done, &request->lock);
    }
    pthread_mutex_unlock(&request->lock);
    pthread_cond_destroy(&request->done);
    pthread_mutex_destroy(&request->lock);
}

static void close_all(struct chain *list)
{
    struct caller_connection *one;
    while ((one = first_by_life(list)) != NULL) {
        caller_connection_close(one);
    }
}

static void run_close(struct callers *callers, struct request *request)
{
    (void)request;
    callers->is_open = false;
    close_all(&callers->silent);
    close_all(&callers->checking);
    close_all(&callers->refused);
    close_all(&callers->served);
    close_all(&callers->ending);
    catchup_reset(callers->catchup);
    callers->older_asked = false;
    callers->state_retry_ms = callers->older_retry_ms = 0;
    callers->primary_ms = 0;
    forget_state(callers);
    caller_ring_reset(callers->ring, 0);
}

static void run_open(struct callers *callers, struct request *request)
{
    caller_ring_reset(callers->ring, request->sequence);
    callers->epoch = request->epoch;
    callers->restores = request->restores;
    callers->is_open = true;
}

static void run_post(struct callers *callers, struct request *request)
{
    for (size_t i = 0; i < request->count; i++) {
        if (callers->is_open) {
            caller_ring_add(callers->ring, request->posts[i]);
        } else {
            free(request->posts[i]);
        }
    }
    chain_append_all(&callers->ready, &callers->idle);
    give_turns(callers);
}

static void start_again(struct caller_connection *connection, const void *context)
{
    const struct request *request = context;
    connection->behind = request->sequence;
    if (caller_connection_state(connection) == CONNECTION_LOADING) {
        connection->takes_known = false;
    } else {
        service_resync(connection, request->why);
        caller_connection_queue(connection);
    }
}

static void run_resync(struct callers *callers, struct request *request)
{
    caller_ring_reset(callers->ring, request->sequence);
    for_all(&callers->served, true, start_again, request);
}

void callers_open(struct callers *callers, int64_t epoch, int64_t restores, int64_t sequence)
{
    struct request request = {.epoch = epoch, .restores = restores, .sequence = sequence};
    struct vios_error error = {0};
    if (registry_open(callers->registry, restores, &error) != VIOS_OK) {
        log_error("event", "callers are not served: %s", error.message);
        return;
    }
    ask_worker(callers, &request, run_open);
}

void callers_post(struct callers *callers, struct event_post *const *posts, size_t count)
{
    struct request request = {.posts = posts, .count = count};
    ask_worker(callers, &request, run_post);
}

void callers_resync(struct callers *callers, int64_t sequence, const char *why)
{
    struct request request = {.sequence = sequence, .why = why};
    ask_worker(callers, &request, run_resync);
}

void callers_close(struct callers *callers)
{
    struct request request = {0};
    ask_worker(callers, &request, run_close);
    registry_close(callers->registry);
}

/* --- the whole --- */

static void begin(struct callers *callers, const struct callers_settings *settings)
{
    struct chain *const lists[] = {&callers->silent, &callers->checking, &callers->refused,
                                   &callers->served, &callers->ending,   &callers->ready,
                                   &callers->idle,   &callers->loading,  &callers->catching};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        chain_init(lists[i]);
    }
    callers->settings = *settings;
    callers->node = settings->node;
    callers->poke.run = run_poke;
    callers->tick.expired = on_tick;
}

int callers_start(struct callers **out, const struct callers_settings *settings,
                  struct vios_error *error)
{
    struct callers *callers = calloc(1, sizeof *callers);
    *out = NULL;
    if (!callers) {
        return error_no_memory(error, "callers");
    }
    begin(callers, settings);
    callers->ring = caller_ring_new(CALLERS_RING_EVENTS, CALLERS_RING_BYTES);
    int status = callers->ring ? worker_start(&callers->worker, "callers", error)
                               : error_no_memory(error, "callers");
    if (status == VIOS_OK) {
        status =
            registry_new(&callers->registry, callers->node, on_registry_change, callers, error);
    }
    if (status == VIOS_OK) {
        status = catchup_new(&callers->catchup, settings, on_answer, callers, error);
    }
    if (status != VIOS_OK) {
        callers_stop(callers);
        return status;
    }
    *out = callers;
    return VIOS_OK;
}

static void run_stop(struct callers *callers, struct request *request)
{
    callers->is_stopping = true;
    run_close(callers, request);
    worker_disarm(callers->worker, &callers->tick);
}

void callers_stop(struct callers *callers)
{
    struct request request = {0};
    if (!callers) {
        return;
    }
    if (callers->catchup) { /* it has started as a whole */
        ask_worker(callers, &request, run_stop);
    }
    catchup_free(callers->catchup);
    registry_free(callers->registry);
    worker_stop(callers->worker);
    caller_ring_free(callers->ring);
    free(callers);
}

/* --- showing --- */

struct shown_row {
    char id[NAME_MAX_LENGTH + 1];
    char address[CALLER_ADDRESS_SIZE];
    const char *state;
    int64_t sent, seen, lag, resyncs, connects, since_ms;
    size_t queue_bytes;
};

struct shown {
    size_t count;
    struct shown_row rows[];
};

/* How many events of the ring are behind this one; all of them, when it is older. */
static int64_t events_behind(const struct caller_ring *ring, int64_t sequence)
{
    uint64_t place;
    int64_t floor = caller_ring_floor(ring);
    (void)caller_ring_find(ring, sequence > floor ? sequence : floor, &place);
    return (int64_t)(caller_ring_end(ring) - place);
}

static void show_one(struct callers *callers, const struct caller_connection *connection,
                     struct shown_row *row)
{
    struct registered *registered = connection->registered;
    const struct caller_ring *ring = callers->ring;
    struct event_cursor seen = registry_seen(callers->registry, registered);
    bool is_ours = seen.restores == callers->restores && seen.sequence > 0;
    bool follows = caller_connection_state(connection) == CONNECTION_FOLLOWING;
    snprintf(row->id, sizeof row->id, "%s", registered->caller.id);
    snprintf(row->address, sizeof row->address, "%s", connection->address);
    row->state = follows && connection->unsent ? "slow" : state_machine_name(&connection->machine);
    row->sent = connection->after;
    row->seen = is_ours ? seen.sequence : 0;
    row->lag = events_behind(ring, is_ours ? seen.sequence : connection->after);
    row->resyncs = registered->resyncs;
    row->connects = registered->connects;
    row->since_ms = connection->began_wall_ms;
    row->queue_bytes = connection->unsent_size - connection->unsent_start;
    if (follows && caller_ring_has(ring, connection->place)) {
        row->queue_bytes += caller_ring_bytes(ring, connection->place);
    }
}

static void run_show(struct callers *callers, struct request *request)
{
    struct shown *shown = calloc(1, sizeof *shown + callers->count * sizeof shown->rows[0]);
    struct chain *list = &callers->served;
    for (struct chain *at = list->next; shown && at != list; at = at->next) {
        show_one(callers, owner_of(at, struct caller_connection, life),
                 &shown->rows[shown->count++]);
    }
    request->shown = shown;
}

static json_t *row_to_json(const struct shown_row *row)
{
    char since[CLOCK_TEXT_SIZE];
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "id", row->id, "address",
                     row->address, "state", row->state, "sent", (json_int_t)row->sent, "seen",
                     (json_int_t)row->seen, "lag", (json_int_t)row->lag, "queue_bytes",
                     (json_int_t)row->queue_bytes, "resyncs", (json_int_t)row->resyncs, "connects",
                     (json_int_t)row->connects, "since", clock_format(row->since_ms, since));
}

json_t *callers_show(struct callers *callers)
{
    struct request request = {0};
    json_t *array = json_array();
    ask_worker(callers, &request, run_show);
    for (size_t i = 0; request.shown && i < request.shown->count; i++) {
        json_array_append_new(array, row_to_json(&request.shown->rows[i]));
    }
    if (!request.shown) {
        json_decref(array);
        array = NULL;
    }
    free(request.shown);
    return array;
}
