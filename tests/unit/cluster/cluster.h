/*
 * cluster.h - a few agents with a store in memory and a network between them, for tests: one
 * thread, a clock that stands still unless run_ms() moves it, everything in a fixed order.
 *
 * A request to the store is carried out LATENCY_MS after it was sent and answered as long after
 * that. A fault says what becomes of the next request of one node that touches a key.
 */
#ifndef TESTS_CLUSTER_CLUSTER_H
#define TESTS_CLUSTER_CLUSTER_H

#include "cluster/agent.h"
#include "cluster/keepalive.h"
#include "tests/tap.h"
#include "tests/unit/cluster/records.h"

#define TTL_MS 5000
#define MARGIN_MS (TTL_MS / AGENT_RENEWALS_PER_TTL)
#define KEEPALIVE_MS 200
#define NODES_MAX 6
#define NOTICES_MAX 512
#define LATENCY_MS 2
#define AWAY_MS 300 /* until a request fails while the store is away */
#define WALL_MS INT64_C(1700000000000)

struct fault {
    const char *key;  /* its beginning: the next commit that changes such a key, or READ of one */
    bool done;        /* it is carried out all the same */
    int status;       /* the answer */
    int64_t after_ms; /* it is answered so much later */
    int times;
};

struct pending {
    bool used, executed;
    struct agent_request request;
    int64_t execute_ms, answer_ms;
    struct agent_answer answer;
    struct roster_listing listing;
    struct store_value value;
    int forced; /* the answer; 0: what came of it */
    bool done;
};

struct node {
    char name[8];
    struct agent *agent; /* NULL: it does not run */
    int64_t incarnation, start, rejoins;
    bool stopped;                     /* frozen: it neither ticks nor hears, and its answers wait */
    bool store_away;                  /* for it */
    bool was_promised, promise_fails; /* what is durable; noting it fails */
    struct pending pending[AGENT_LANES];
    struct fault fault;
    int64_t until_stop_ms, until_kill_ms;
    int64_t renewal_sent_ms; /* the newest */
    int requests;            /* on the control lane, in all */
};

struct packet {
    size_t from, to;
    int64_t at_ms;
    size_t size;
    uint8_t data[KEEPALIVE_SIZE_MAX];
    struct packet *next;
};

struct seen_notice {
    size_t node;
    struct agent_notice notice;
    char name[NAME_MAX_LENGTH + 1];
    int64_t at_ms;
};

static struct {
    int64_t now_ms;
    struct node nodes[NODES_MAX];
    size_t count;
    bool cut[NODES_MAX][NODES_MAX]; /* nothing gets from one to the other */
    struct packet *packets;         /* oldest first */
    struct seen_notice notices[NOTICES_MAX];
    size_t notice_count;
} lab;

/* --- its store --- */

static void execute(struct pending *pending)
{
    struct agent_answer *answer = &pending->answer;
    *answer = (struct agent_answer){
        .lane = pending->request.lane, .value = &pending->value, .listing = &pending->listing};
    switch (pending->request.kind) {
    case AGENT_LIST:
        list(&pending->listing);
        break;
    case AGENT_READ:
        answer->status = read_one(pending->request.key, &pending->value);
        break;
    case AGENT_COMMIT:
        answer->status = commit(&pending->request, &answer->revision);
        break;
    }
}

static void forget(struct pending *pending)
{
    roster_listing_clear(&pending->listing);
    store_value_clear(&pending->value);
    *pending = (struct pending){0};
}

static void answer(struct node *node, struct pending *pending)
{
    struct pending taken = *pending; /* the agent may ask again from within */
    *pending = (struct pending){0};
    taken.answer.lane = taken.request.lane;
    taken.answer.value = &taken.value;
    taken.answer.listing = &taken.listing;
    if (taken.forced != 0) {
        taken.answer.status = taken.forced;
    }
    agent_answered(node->agent, &taken.answer, lab.now_ms);
    forget(&taken);
}

static void serve_requests(struct node *node)
{
    for (size_t lane = 0; lane < AGENT_LANES; lane++) {
        struct pending *pending = &node->pending[lane];
        if (pending->used && !pending->executed && pending->execute_ms <= lab.now_ms) {
            pending->executed = true;
            if (pending->done) {
                execute(pending);
            }
        }
        if (pending->used && pending->answer_ms <= lab.now_ms && !node->stopped) {
            answer(node, pending);
        }
    }
}

/* --- what an agent does --- */

static bool fault_fits(const struct fault *fault, const struct agent_request *request)
{
    const char *key = request->kind == AGENT_COMMIT ? request->changes[0].key : request->key;
    return fault->times > 0 && key && strncmp(key, fault->key, strlen(fault->key)) == 0;
}

static void on_request(void *context, const struct agent_request *request)
{
    struct node *node = context;
    struct pending *pending = &node->pending[request->lane];
    ok(!pending->used, "%s asks for two things on one lane", node->name);
    *pending = (struct pending){.used = true,
                                .done = true,
                                .request = *request,
                                .execute_ms = lab.now_ms + LATENCY_MS,
                                .answer_ms = lab.now_ms + 2 * LATENCY_MS};
    node->requests += request->lane == AGENT_CONTROL;
    if (request->lane == AGENT_RENEWAL && request->kind == AGENT_COMMIT) {
        node->renewal_sent_ms = lab.now_ms;
    }
    if (node->store_away) {
        pending->done = false;
        pending->forced = VIOS_E_UNREACHABLE;
        pending->answer_ms = lab.now_ms + AWAY_MS;
    } else if (fault_fits(&node->fault, request)) {
        node->fault.times--;
        pending->done = node->fault.done;
        pending->forced = node->fault.status;
        pending->answer_ms += node->fault.after_ms;
    }
}

static size_t node_of(const char *name)
{
    size_t i = 0;
    while (i < lab.count && strcmp(lab.nodes[i].name, name) != 0) {
        i++;
    }
    return i;
}

static void on_send(void *context, const char *name, const uint8_t *data, size_t size)
{
    struct packet **last = &lab.packets;
    size_t from = (size_t)((struct node *)context - lab.nodes), to = node_of(name);
    if (to == lab.count || lab.cut[from][to]) {
        return;
    }
    while (*last) {
        last = &(*last)->next;
    }
    *last = calloc(1, sizeof **last);
    **last = (struct packet){.from = from, .to = to, .at_ms = lab.now_ms + 1, .size = size};
    memcpy((*last)->data, data, size);
}

static void on_serve(void *context, int64_t until_stop_ms, int64_t until_kill_ms)
{
    struct node *node = context;
    ok(until_stop_ms > node->until_stop_ms, "T of %s goes back", node->name);
    node->until_stop_ms = until_stop_ms;
    node->until_kill_ms = until_kill_ms;
}

static bool on_promised(void *context, bool are_made)
{
    struct node *node = context;
    if (!node->promise_fails) {
        node->was_promised = are_made;
    }
    return !node->promise_fails;
}

static void on_notice(void *context, const struct agent_notice *notice)
{
    if (ok(lab.notice_count < NOTICES_MAX, "too many notices")) {
        struct seen_notice *seen = &lab.notices[lab.notice_count++];
        *seen = (struct seen_notice){.node = (size_t)((struct node *)context - lab.nodes),
                                     .notice = *notice,
                                     .at_ms = lab.now_ms};
        snprintf(seen->name, sizeof seen->name, "%s", notice->node ? notice->node : "");
    }
}

static void on_extend(void *context, json_t *record)
{
    json_object_set_new(record, "node", json_string(((struct node *)context)->name));
}

/* --- the cluster --- */

/* Its daemon starts: it reads its own record first, as daemons do. */
static void start(size_t number)
{
    struct node *node = &lab.nodes[number];
    char key[STORE_KEY_MAX];
    snprintf(key, sizeof key, "/alive/%s", node->name);
    json_t *record = text_at(key) ? json_loads(text_at(key), 0, NULL) : NULL;
    node->start = (int64_t)(number + 1) * 1000 + lab.now_ms;
    node->until_stop_ms = node->until_kill_ms = 0;
    struct agent_settings settings = {
        .name = node->name,
        .incarnation = node->incarnation,
        .start = node->start,
        .known_n = json_integer_value(json_object_get(record, "n")),
        .known_revision = revision_of(key),
        .rejoins = node->rejoins,
        .level = 1,
        .ttl_ms = TTL_MS,
        .keepalive_ms = KEEPALIVE_MS,
        .promised = node->was_promised,
        .outlet = {on_send, on_request, on_serve, on_promised, on_notice, on_extend, node}};
    json_decref(record);
    node->agent = agent_new(&settings, lab.now_ms, WALL_MS + lab.now_ms);
}

/* As kill -9: what was sent to the store before it got there is lost. */
static void kill_node(size_t number)
{
    struct node *node = &lab.nodes[number];
    for (size_t lane = 0; lane < AGENT_LANES; lane++) {
        forget(&node->pending[lane]);
    }
    agent_free(node->agent);
    node->agent = NULL;
}

/* After a fence: the daemon has killed the guests, and begins anew. */
__attribute__((unused)) static void rejoin(size_t number)
{
    struct node *node = &lab.nodes[number];
    kill_node(number);
    node->rejoins = node->incarnation++;
    start(number);
}

static void add_node(const char *name)
{
    char key[STORE_KEY_MAX];
    struct node *node = &lab.nodes[lab.count++];
    snprintf(node->name, sizeof node->name, "%s", name);
    node->incarnation = 1;
    snprintf(key, sizeof key, "/node/%s", name);
    put(key, "{\"v\":1,\"role\":\"member\",\"state\":\"up\"}");
}

/* n1, n2, ...; none of them runs. */
static void begin(size_t count)
{
    memset(&lab, 0, sizeof lab);
    memset(&records, 0, sizeof records);
    lab.now_ms = 1000000;
    put("/cluster", "{\"v\":1,\"level\":1}");
    for (size_t i = 1; i <= count; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%zu", i);
        add_node(name);
    }
}

static void deliver(void)
{
    while (lab.packets && lab.packets->at_ms <= lab.now_ms) {
        struct packet *packet = lab.packets;
        struct node *node = &lab.nodes[packet->to];
        lab.packets = packet->next;
        if (node->agent && !node->stopped && !lab.cut[packet->from][packet->to]) {
            ok(agent_receive(node->agent, lab.nodes[packet->from].name, packet->data, packet->size,
                             lab.now_ms),
               "a message of %s is refused", lab.nodes[packet->from].name);
        }
        free(packet);
    }
}

static void run_ms(int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        lab.now_ms++;
        deliver();
        for (size_t k = 0; k < lab.count; k++) {
            struct node *node = &lab.nodes[k];
            if (node->agent) {
                serve_requests(node);
            }
            if (node->agent && !node->stopped && lab.now_ms >= agent_due_ms(node->agent)) {
                agent_tick(node->agent, lab.now_ms, WALL_MS + lab.now_ms);
            }
        }
    }
}

static void end(void)
{
    for (size_t i = 0; i < lab.count; i++) {
        kill_node(i);
    }
    while (lab.packets) {
        struct packet *next = lab.packets->next;
        free(lab.packets);
        lab.packets = next;
    }
    while (records.count > 0) {
        change(records.entries[0].key, NULL);
    }
}

/* So many nodes, up for a while, with n1 as primary. */
__attribute__((unused)) static void begin_running(size_t count)
{
    begin(count);
    start(0);
    run_ms(300);
    for (size_t i = 1; i < count; i++) {
        start(i);
    }
    run_ms(6000);
}

/* --- what became of it --- */

static struct agent *agent_of(size_t number)
{
    return lab.nodes[number].agent;
}

/* Who acts as primary: its number; NODES_MAX: nobody. Two are an error. */
__attribute__((unused)) static size_t primary_now(void)
{
    size_t primary = NODES_MAX;
    for (size_t i = 0; i < lab.count; i++) {
        if (agent_of(i) && agent_is_primary(agent_of(i), lab.now_ms) &&
            agent_primary_revision(agent_of(i)) == revision_of("/primary")) {
            ok(primary == NODES_MAX, "two primaries");
            primary = i;
        }
    }
    return primary;
}

/* Runs until somebody acts as primary, `most_ms` at most; the number. */
__attribute__((unused)) static size_t await_primary(int64_t most_ms)
{
    for (int64_t i = 0; i < most_ms && primary_now() == NODES_MAX; i++) {
        run_ms(1);
    }
    return primary_now();
}

/* The notices of a kind that a node gave since `from_ms`, about `name` unless NULL. */
__attribute__((unused)) static size_t notices(size_t node, enum agent_notice_kind kind,
                                              const char *name, int64_t from_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < lab.notice_count; i++) {
        const struct seen_notice *seen = &lab.notices[i];
        count += seen->node == node && seen->notice.kind == kind && seen->at_ms >= from_ms &&
                 (!name || strcmp(seen->name, name) == 0);
    }
    return count;
}

__attribute__((unused)) static const char *state_of(size_t seen_by, const char *name)
{
    return member_state_name(agent_member_state(agent_of(seen_by), name, lab.now_ms));
}

/* All messages between the two parts are lost: bit i of `side` is node i. */
__attribute__((unused)) static void cut_off(unsigned side, bool is_cut)
{
    for (size_t a = 0; a < lab.count; a++) {
        for (size_t b = 0; b < lab.count; b++) {
            if ((side >> a & 1) != (side >> b & 1)) {
                lab.cut[a][b] = is_cut;
            }
        }
    }
}

#endif
