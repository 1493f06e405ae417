/*
 * driver.c - see driver.h.
 *
 * A lane's thread sleeps until the agent has a request for it, executes it on its own connection,
 * and gives the answer back under the lock. The agent's thread sleeps until the agent is due, a
 * datagram is there, or an answer may have changed when it is due.
 */
#include "node/driver.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/guests.h"
#include "base/log.h"
#include "base/thread.h"
#include "node/datagrams.h"
#include "node/facts.h"
#include "node/identity.h"
#include "node/members.h"
#include "node/store_lane.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PROMISED_FILE "promised"
#define FACTS_STALE_MS 10000 /* then whatever is measured hangs */
#define STRANGERS_MS 200     /* between two listings because of strangers' packets */
#define CANCEL_LOOK_MS 50    /* between two looks of who waits for a change at its cancel */
#define DRIVER_THREADS (AGENT_LANES + 2)

struct lane {
    struct driver *driver;
    enum agent_lane lane;
    int64_t timeout_ms;
    pthread_cond_t wanted;
    bool busy;
    struct agent_request request;
    struct store_lane store; /* of its thread */
};

struct driver {
    struct node *node;
    struct agent *agent;
    struct datagrams *datagrams;
    char *store_address;
    void (*fenced)(void *context);
    void *context;
    struct cancel *cancel;
    int wake;

    pthread_mutex_t lock; /* of the agent, the lanes' requests and all below */
    pthread_cond_t changed;
    uint64_t changes;
    bool stopping;
    int64_t strangers_ms; /* when it listed because of them last */
    int64_t facts_ms;     /* when they were measured last */
    int64_t commit_us;    /* see driver_take_commit_us() */
    bool serves;          /* the guests go on, see node->guests */
    bool renewed, listed; /* once */
    int first_status;     /* of the first renewal or listing that failed; its error */
    struct vios_error first_error;
    struct lane lanes[AGENT_LANES];
    pthread_t threads[DRIVER_THREADS];
    size_t thread_count;
};

static void wake_agent(struct driver *driver)
{
    eventfd_write(driver->wake, 1);
}

static void note_change(struct driver *driver)
{
    driver->changes++;
    pthread_cond_broadcast(&driver->changed);
}

/* --- what the agent wants done; under the lock --- */

static void outlet_send(void *context, const char *node, const uint8_t *data, size_t size)
{
    struct driver *driver = context;
    datagrams_send(driver->datagrams, node, data, size);
}

static void outlet_request(void *context, const struct agent_request *request)
{
    struct driver *driver = context;
    struct lane *lane = &driver->lanes[request->lane];
    assert(!lane->busy);
    lane->request = *request;
    lane->busy = true;
    pthread_cond_signal(&lane->wanted);
}

static void outlet_serve(void *context, int64_t until_stop_ms, int64_t until_kill_ms)
{
    struct driver *driver = context;
    io_client_serve(driver->node->io, until_stop_ms, until_kill_ms);
    if (!driver->serves && clock_now_ms() < until_stop_ms) { /* an answer may come too late */
        driver->serves = true;
        guests_gate(driver->node->guests, true);
    }
}

/* io does the same, unless it is frozen or dead. */
static void look_at_time(struct driver *driver, int64_t now_ms)
{
    if (driver->serves && now_ms >= agent_until_stop_ms(driver->agent)) {
        driver->serves = false;
        guests_gate(driver->node->guests, false);
    }
}

/* When the agent or the time is to be looked at. */
static int64_t due_ms(const struct driver *driver)
{
    int64_t agent_ms = agent_due_ms(driver->agent);
    int64_t stop_ms = driver->serves ? agent_until_stop_ms(driver->agent) : agent_ms;
    return agent_ms < stop_ms ? agent_ms : stop_ms;
}

static bool outlet_promised(void *context, bool are_made)
{
    struct driver *driver = context;
    int folder = driver->node->state_dir_fd;
    struct vios_error error;
    if (are_made) {
        int status = file_replace(folder, PROMISED_FILE, "", 0, 0600, &error);
        if (status != VIOS_OK) {
            log_error("cluster", "no promise can be given: %s", error.message);
        }
        return status == VIOS_OK;
    }
    return (unlinkat(folder, PROMISED_FILE, 0) == 0 || errno == ENOENT) && fsync(folder) == 0;
}

static void outlet_extend(void *context, json_t *record)
{
    struct driver *driver = context;
    struct node *node = driver->node;
    uint64_t size, used;
    io_client_page_memory(node->io, &size, &used);
    size = size > 0 ? size : config_size(node->config, "page_memory");
    json_object_set_new(
        record, "page_memory",
        json_pack("{s:I, s:I}", "size", (json_int_t)size, "used", (json_int_t)used));
    json_object_set_new(record, "port", json_integer(node->port));
    datagrams_tell_ring(driver->datagrams, record);
    char nbd[MEMBER_PORT_SIZE];
    identity_nbd(node->identity, nbd, sizeof nbd);
    json_object_set_new(record, "nbd", json_string(nbd));
}

static void outlet_notice(void *context, const struct agent_notice *notice)
{
    struct driver *driver = context;
    switch (notice->kind) {
    case AGENT_NEW_PRIMARY:
        log_notice("cluster", "primary: %s, epoch %lld", notice->node[0] ? notice->node : "none",
                   (long long)notice->epoch);
        break;
    case AGENT_NODE_STATE:
        log_notice("cluster", "node %s is %s", notice->node, member_state_name(notice->state));
        break;
    case AGENT_FENCED:
        log_error("cluster", "this node is fenced: its guests end, and it begins anew");
        driver->fenced(driver->context);
        break;
    case AGENT_REMOVED:
        log_error("cluster", "this node was removed from the cluster");
        driver->fenced(driver->context);
        break;
    case AGENT_LOSES:
        log_error("cluster", "this node is on the losing side of split %lld; %lld s are left",
                  (long long)notice->epoch, (long long)notice->time_ms / 1000);
        break;
    case AGENT_FOREIGN:
        log_error("cluster", "another daemon runs under the name of this node: end one of the two");
        break;
    case AGENT_PROMISES:
        log_warning("cluster", "the VIOS DB is away; guests go on by promises: %s", notice->node);
        break;
    }
    note_change(driver);
}

/* --- the lanes --- */

static void update_members(struct driver *driver, const struct roster_listing *listing)
{
    datagrams_route(driver->datagrams, &listing->nodes, &listing->alive);
    if (members_update(driver->node->members, &listing->nodes, &listing->alive) != VIOS_OK) {
        log_error("cluster", "no memory for the view of the members");
    }
}

/* Whoever waits for the start learns of the first success, or of why it does not come. */
static void note_first(struct driver *driver, bool listed, int status,
                       const struct vios_error *error)
{
    driver->listed = driver->listed || listed;
    if (status != VIOS_OK && driver->first_status == VIOS_OK) {
        driver->first_status = status;
        driver->first_error = *error;
    }
    driver->renewed = driver->renewed || agent_until_stop_ms(driver->agent) > 0;
}

static void give_answer(struct lane *lane, struct agent_answer *answer,
                        const struct vios_error *error)
{
    struct driver *driver = lane->driver;
    int64_t now_ms = clock_now_ms();
    bool listed = lane->request.kind == AGENT_LIST && answer->status == VIOS_OK;
    lane->busy = false; /* the agent may ask again at once */
    agent_answered(driver->agent, answer, now_ms);
    if (listed) {
        update_members(driver, answer->listing);
        if (lane->store.ring.count > 0) {
            datagrams_set_ring(driver->datagrams, &lane->store.ring);
        }
    }
    note_first(driver, listed, answer->status, error);
    note_change(driver);
    wake_agent(driver);
}

/* Under the lock. One that never reached the VIOS DB says nothing of how fast that is. */
static void note_commit(struct lane *lane, int status, int64_t took_ns)
{
    struct driver *driver = lane->driver;
    if (lane->request.kind == AGENT_COMMIT && status != VIOS_E_UNREACHABLE &&
        status != VIOS_E_CANCELLED && took_ns / 1000 > driver->commit_us) {
        driver->commit_us = took_ns / 1000;
    }
}

static void serve_request(struct lane *lane)
{
    struct driver *driver = lane->driver;
    struct roster_listing listing = {0};
    struct store_value value = {0};
    struct operation operation;
    struct agent_answer answer = {.lane = lane->lane, .listing = &listing, .value = &value};
    operation_start(&operation, lane->timeout_ms, driver->cancel);
    pthread_mutex_unlock(&driver->lock);
    int64_t began_ns = clock_now_ns();
    store_lane_execute(&lane->store, &lane->request, &answer, &operation);
    int64_t took_ns = clock_now_ns() - began_ns;
    pthread_mutex_lock(&driver->lock);
    note_commit(lane, answer.status, took_ns);
    give_answer(lane, &answer, &operation.error);
    roster_listing_clear(&listing);
    store_value_clear(&value);
}

static void *run_lane(void *argument)
{
    struct lane *lane = argument;
    struct driver *driver = lane->driver;
    pthread_mutex_lock(&driver->lock);
    while (!driver->stopping) {
        if (lane->busy) {
            serve_request(lane);
        } else {
            pthread_cond_wait(&lane->wanted, &driver->lock);
        }
    }
    pthread_mutex_unlock(&driver->lock);
    store_lane_close(&lane->store);
    return NULL;
}

/* --- the agent's thread --- */

static void receive(void *context, const char *from, const uint8_t *data, size_t size)
{
    struct driver *driver = context;
    agent_receive(driver->agent, from, data, size, clock_now_ms());
}

static void check_facts(struct driver *driver, int64_t now_ms)
{
    static const struct agent_fact stale = {
        .name = "repository", .value = "does not answer", .limit = "writable"};
    if (driver->facts_ms > 0 && now_ms - driver->facts_ms > FACTS_STALE_MS) {
        agent_set_facts(driver->agent, &stale, 1);
    }
}

/* A node that joined a moment ago is not to wait for the next listing; but who sends rubbish must
 * not make us list all the time. */
static void look_for_strangers(struct driver *driver)
{
    int64_t now_ms = clock_now_ms();
    if (now_ms - driver->strangers_ms >= STRANGERS_MS &&
        datagrams_had_strangers(driver->datagrams)) {
        driver->strangers_ms = now_ms;
        agent_list_soon(driver->agent);
    }
}

static void *run_agent(void *argument)
{
    struct driver *driver = argument;
    struct pollfd waits[] = {{.fd = datagrams_descriptor(driver->datagrams), .events = POLLIN},
                             {.fd = driver->wake, .events = POLLIN}};
    pthread_mutex_lock(&driver->lock);
    while (!driver->stopping) {
        int64_t now_ms = clock_now_ms();
        look_at_time(driver, now_ms);
        if (now_ms >= agent_due_ms(driver->agent)) {
            check_facts(driver, now_ms);
            agent_tick(driver->agent, now_ms, clock_wall_ms());
        }
        int64_t left_ms = due_ms(driver) - now_ms;
        pthread_mutex_unlock(&driver->lock);
        int ready = poll(waits, 2, left_ms > 0 ? (int)left_ms : 0);
        eventfd_t ignored;
        if (waits[1].revents) {
            eventfd_read(driver->wake, &ignored);
        }
        pthread_mutex_lock(&driver->lock);
        if (ready > 0 && waits[0].revents) {
            datagrams_receive(driver->datagrams, receive, driver);
            look_for_strangers(driver);
        }
    }
    pthread_mutex_unlock(&driver->lock);
    return NULL;
}

/* A repository that hangs delays only this thread; check_facts() then says so. */
static void *run_facts(void *argument)
{
    struct driver *driver = argument;
    struct operation pause;
    do {
        struct agent_fact facts[AGENT_FACTS_MAX];
        size_t count = facts_measure(driver->node, facts);
        pthread_mutex_lock(&driver->lock);
        agent_set_facts(driver->agent, facts, count);
        driver->facts_ms = clock_now_ms();
        pthread_mutex_unlock(&driver->lock);
        operation_start(&pause, OPERATION_NO_DEADLINE, driver->cancel);
    } while (operation_sleep(&pause, FACTS_PERIOD_MS) == VIOS_OK);
    return NULL;
}

/* --- life --- */

static int start_thread(struct driver *driver, const char *name, void *(*run)(void *),
                        void *argument, struct vios_error *error)
{
    if (thread_start(&driver->threads[driver->thread_count], name, run, argument) != 0) {
        return error_set(error, VIOS_E_NO_SPACE, name, NULL, "no thread for it");
    }
    driver->thread_count++;
    return VIOS_OK;
}

static int start_threads(struct driver *driver, struct vios_error *error)
{
    int status = start_thread(driver, "alive", run_lane, &driver->lanes[AGENT_RENEWAL], error);
    if (status == VIOS_OK) {
        status = start_thread(driver, "control", run_lane, &driver->lanes[AGENT_CONTROL], error);
    }
    if (status == VIOS_OK) {
        status = start_thread(driver, "facts", run_facts, driver, error);
    }
    return status == VIOS_OK ? start_thread(driver, "cluster", run_agent, driver, error) : status;
}

static struct agent *make_agent(struct driver *driver, const struct driver_settings *settings)
{
    struct node *node = driver->node;
    struct agent_settings made = {
        .name = node->name,
        .incarnation = node->incarnation,
        .start = settings->start,
        .known_n = settings->known_n,
        .known_revision = settings->known_revision,
        .rejoins = settings->rejoins,
        .level = NODE_SOFTWARE_LEVEL,
        .ttl_ms = config_duration_ms(node->config, "ttl"),
        .keepalive_ms = config_duration_ms(node->config, "keepalive"),
        .promised = faccessat(node->state_dir_fd, PROMISED_FILE, F_OK, 0) == 0,
        .recorder = node->recorder,
        .outlet = {.send = outlet_send,
                   .request = outlet_request,
                   .serve = outlet_serve,
                   .promised = outlet_promised,
                   .notice = outlet_notice,
                   .extend = outlet_extend,
                   .context = driver},
    };
    return agent_new(&made, clock_now_ms(), clock_wall_ms());
}

static void make_lane(struct driver *driver, enum agent_lane which, const char *name)
{
    struct node *node = driver->node;
    struct lane *lane = &driver->lanes[which];
    *lane = (struct lane){
        .driver = driver,
        .lane = which,
        .timeout_ms = config_duration_ms(node->config, "ttl") / 2,
        .store = {.name = name, .address = driver->store_address, .recorder = node->recorder}};
    pthread_cond_init(&lane->wanted, NULL);
}

static struct driver *driver_new(struct node *node, const struct driver_settings *settings)
{
    struct driver *driver = calloc(1, sizeof *driver);
    if (!driver) {
        return NULL;
    }
    driver->node = node;
    driver->fenced = settings->fenced;
    driver->context = settings->context;
    driver->commit_us = -1;
    pthread_mutex_init(&driver->lock, NULL);
    condition_init(&driver->changed);
    driver->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    driver->cancel = cancel_new();
    driver->store_address = strdup(settings->store_address);
    make_lane(driver, AGENT_RENEWAL, "the renewal");
    make_lane(driver, AGENT_CONTROL, "the look at the cluster");
    driver->agent = make_agent(driver, settings);
    return driver;
}

/* Until the first renewal and the first listing; a failure of either is why the start fails. */
static int await_first(struct driver *driver, struct operation *operation)
{
    uint64_t seen = 0;
    for (;;) {
        pthread_mutex_lock(&driver->lock);
        bool done = driver->renewed && driver->listed;
        int status = done ? VIOS_OK : driver->first_status;
        if (!done && status != VIOS_OK) {
            operation->error = driver->first_error;
        }
        pthread_mutex_unlock(&driver->lock);
        if (done || status != VIOS_OK) {
            return status;
        }
        status = driver_await_change(driver, &seen, operation);
        if (status != VIOS_OK) {
            return status;
        }
    }
}

int driver_start(struct driver **driver, struct node *node, const struct driver_settings *settings,
                 struct operation *operation)
{
    struct driver *made = driver_new(node, settings);
    *driver = NULL;
    int status = VIOS_OK;
    if (!made || made->wake < 0 || !made->cancel || !made->store_address || !made->agent) {
        status = operation_no_memory(operation, NULL);
    }
    if (status == VIOS_OK) {
        status = datagrams_open(&made->datagrams, node, settings->udp, settings->start,
                                &operation->error);
    } else {
        close(settings->udp);
    }
    if (status == VIOS_OK) {
        status = start_threads(made, &operation->error);
    }
    if (status == VIOS_OK) {
        status = await_first(made, operation);
    }
    if (status != VIOS_OK) {
        driver_stop(made);
        return status;
    }
    *driver = made;
    return VIOS_OK;
}

void driver_stop(struct driver *driver)
{
    if (!driver) {
        return;
    }
    pthread_mutex_lock(&driver->lock);
    driver->stopping = true;
    for (size_t i = 0; i < AGENT_LANES; i++) {
        pthread_cond_broadcast(&driver->lanes[i].wanted);
    }
    pthread_mutex_unlock(&driver->lock);
    cancel_trigger(driver->cancel);
    wake_agent(driver);
    for (size_t i = 0; i < driver->thread_count; i++) {
        pthread_join(driver->threads[i], NULL);
    }
    agent_free(driver->agent);
    datagrams_close(driver->datagrams);
    for (size_t i = 0; i < AGENT_LANES; i++) {
        pthread_cond_destroy(&driver->lanes[i].wanted);
    }
    pthread_cond_destroy(&driver->changed);
    pthread_mutex_destroy(&driver->lock);
    cancel_free(driver->cancel);
    if (driver->wake >= 0) {
        close(driver->wake);
    }
    free(driver->store_address);
    free(driver);
}

/* --- for others --- */

struct agent *driver_lock(struct driver *driver, int64_t *now_ms)
{
    pthread_mutex_lock(&driver->lock);
    *now_ms = clock_now_ms();
    return driver->agent;
}

void driver_unlock(struct driver *driver)
{
    pthread_mutex_unlock(&driver->lock);
}

bool driver_term(struct driver *driver, struct driver_term *term)
{
    int64_t now_ms;
    struct driver_term found;
    const struct agent *agent = driver_lock(driver, &now_ms);
    bool primary = agent_is_primary(agent, now_ms);
    agent_primary(agent, &found.epoch);
    found.revision = agent_primary_revision(agent);
    found.until_stop_ms = agent_until_stop_ms(agent);
    driver_unlock(driver);
    if (term) {
        *term = found;
    }
    return primary;
}

int64_t driver_take_commit_us(struct driver *driver)
{
    pthread_mutex_lock(&driver->lock);
    int64_t commit_us = driver->commit_us;
    driver->commit_us = -1;
    pthread_mutex_unlock(&driver->lock);
    return commit_us;
}

json_t *driver_keepalives(struct driver *driver)
{
    pthread_mutex_lock(&driver->lock);
    json_t *counts = datagrams_counts(driver->datagrams);
    pthread_mutex_unlock(&driver->lock);
    return counts;
}

int driver_await_change(struct driver *driver, uint64_t *seen, struct operation *operation)
{
    int status = VIOS_OK;
    pthread_mutex_lock(&driver->lock);
    while (status == VIOS_OK && driver->changes == *seen) {
        /* A cancel has no condition of its own: it is looked at now and then. */
        condition_wait(&driver->changed, &driver->lock, CANCEL_LOOK_MS);
        status = operation_check(operation);
    }
    *seen = driver->changes;
    pthread_mutex_unlock(&driver->lock);
    return status;
}

int driver_await_primary(struct driver *driver, const char *other_than, struct operation *operation)
{
    uint64_t seen = 0;
    for (;;) {
        int64_t now_ms, epoch;
        const struct agent *agent = driver_lock(driver, &now_ms);
        const char *primary = agent_primary(agent, &epoch);
        bool done = primary[0] && (!other_than || strcmp(primary, other_than) != 0);
        driver_unlock(driver);
        int status = done ? VIOS_OK : driver_await_change(driver, &seen, operation);
        if (done || status != VIOS_OK) {
            return status;
        }
    }
}

int driver_guard(void *context, struct operation *operation)
{
    int64_t now_ms;
    struct driver *driver = context;
    const struct agent *agent = driver_lock(driver, &now_ms);
    bool may = agent_may_commit(agent, now_ms);
    driver_unlock(driver);
    return may ? VIOS_OK
               : operation_fail(operation, VIOS_E_UNREACHABLE, "VIOS DB", "try again in a moment",
                                "it was away, and this node promised to commit nothing yet");
}
