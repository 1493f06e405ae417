/*
 * test_callers.c - what callers are sent: the state first, then every event behind their cursor
 * that fits, in order, once, also when they are slow, come late, come twice, or say nonsense.
 * Connections are socket pairs; the other end is read here. The state and the payload files are
 * made up.
 */
#include "event/callers_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "tests/node_world.h"
#include "tests/unit/event/posts.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#define LIMIT_MS 30000 /* for whatever must happen */
#define RESTORES 3
#define OLDER_KEPT 500 /* events up to this one are not kept any more */

static struct callers *callers;

/* --- what the feed would be asked --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t as_of = 1000;     /* of the state */
static int64_t committed = 1000; /* the newest event in the payload files */
static bool older_fails;
static int states_asked;

static int make_state(struct node *of, json_t **state, int64_t *sequence,
                      struct operation *operation)
{
    (void)of;
    (void)operation;
    pthread_mutex_lock(&lock);
    *sequence = as_of;
    states_asked++;
    *state = json_pack("{s:I}", "primary_since", (json_int_t)as_of);
    pthread_mutex_unlock(&lock);
    return VIOS_OK;
}

/* Every number is an event; a file has ten of them. */
static int find_older(struct node *of, int64_t after, struct event_post *posts[PAYLOAD_EVENTS_MAX],
                      size_t *count, struct operation *operation)
{
    (void)of;
    pthread_mutex_lock(&lock);
    int64_t last = committed;
    bool fails = older_fails;
    pthread_mutex_unlock(&lock);
    *count = 0;
    if (fails) {
        return operation_fail(operation, VIOS_E_IO, "repository", NULL, "it is away");
    }
    if (after < OLDER_KEPT) {
        return operation_fail(operation, VIOS_E_COMPACTED, NULL, NULL, "not kept");
    }
    for (int64_t i = after + 1; i <= last && *count < 10; i++) {
        posts[(*count)++] = post_new(i, "node", "n1", 20);
    }
    return VIOS_OK;
}

static void set_newest(int64_t sequence)
{
    pthread_mutex_lock(&lock);
    as_of = committed = sequence;
    pthread_mutex_unlock(&lock);
}

/* Posts what comes behind the last ones. */
static void post(const char *class_name, int64_t count, size_t padding)
{
    struct event_post *posts[PAYLOAD_EVENTS_MAX];
    for (int64_t done = 0; done < count;) {
        size_t many = 0;
        for (; many < PAYLOAD_EVENTS_MAX && done < count; many++, done++) {
            posts[many] = post_new(committed + (int64_t)many + 1, class_name, "n1", padding);
        }
        set_newest(committed + (int64_t)many);
        callers_post(callers, posts, many);
    }
}

/* --- callers --- */

struct peer {
    char id[32], token[CALLER_TOKEN_SIZE];
    int fd;
    char input[65536];
    size_t size;
};

static void make_peer(struct peer *peer, const char *id, const char *classes)
{
    struct event_filter filter;
    struct operation operation;
    struct store *store = open_store(&operation);
    snprintf(peer->id, sizeof peer->id, "%s", id);
    peer->fd = -1;
    is_int(event_filter_parse(classes, NULL, &filter, NULL), VIOS_OK);
    is_int(caller_register(store, id, &filter, "uid:0", peer->token, &operation), VIOS_OK);
    node_store_return(&node, store);
}

static void hang_up(struct peer *peer)
{
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    peer->fd = -1;
}

static void dial(struct peer *peer)
{
    int pair[2];
    struct transport *transport = NULL;
    hang_up(peer);
    peer->size = 0;
    is_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    peer->fd = pair[0];
    is_int(transport_plain(&transport, pair[1], NULL), VIOS_OK);
    callers_adopt(callers, transport, "tcp:127.0.0.1:7");
}

static void say(const struct peer *peer, const char *text)
{
    size_t size = strlen(text);
    is_int(send(peer->fd, text, size, MSG_NOSIGNAL), (long long)size);
}

/* `cursor` -1: none is said. */
static void say_hello(const struct peer *peer, const char *token, int64_t restores, int64_t cursor)
{
    char line[256], at[96] = "";
    if (cursor >= 0) {
        snprintf(at, sizeof at, ",\"cursor\":{\"restores\":%lld,\"seq\":%lld}", (long long)restores,
                 (long long)cursor);
    }
    snprintf(line, sizeof line, "{\"hello\":1,\"caller\":\"%s\",\"token\":\"%s\"%s}\n", peer->id,
             token, at);
    say(peer, line);
}

/* Reads what comes until there is a whole line. NULL: closed, or it took too long. */
static json_t *hear(struct peer *peer)
{
    int64_t until_ms = clock_now_ms() + LIMIT_MS;
    char *newline;
    while (!(newline = memchr(peer->input, '\n', peer->size))) {
        struct pollfd one = {.fd = peer->fd, .events = POLLIN};
        int left_ms = (int)(until_ms - clock_now_ms());
        if (left_ms <= 0 || poll(&one, 1, left_ms) <= 0) {
            return NULL;
        }
        ssize_t got = recv(peer->fd, peer->input + peer->size, sizeof peer->input - peer->size, 0);
        if (got <= 0) {
            return NULL;
        }
        peer->size += (size_t)got;
    }
    size_t length = (size_t)(newline - peer->input);
    json_t *line = json_loadb(peer->input, length, 0, NULL);
    ok(line != NULL, "a line of JSON: %.*s", (int)length, peer->input);
    peer->size -= length + 1;
    memmove(peer->input, newline + 1, peer->size);
    return line;
}

/* Of the next line that is no heart-beat, this member, which it must have. */
static json_t *hear_member(struct peer *peer, const char *member)
{
    json_t *line = hear(peer);
    while (line && json_object_get(line, "beat") && strcmp(member, "beat") != 0) {
        json_decref(line);
        line = hear(peer);
    }
    json_t *value = json_incref(json_object_get(line, member));
    char *text = json_dumps(line, 0);
    ok(value != NULL, "%s: wanted %s, got %.200s", peer->id, member, text ? text : "nothing");
    free(text);
    json_decref(line);
    return value;
}

static int64_t hear_number(struct peer *peer, const char *member)
{
    json_t *value = hear_member(peer, member);
    int64_t number =
        json_is_object(value) ? json_get_integer(value, "seq") : json_integer_value(value);
    json_decref(value);
    return number;
}

/* The line of the state: its cursor. */
static int64_t hear_state(struct peer *peer, int64_t *of)
{
    json_t *line = hear(peer);
    ok(json_is_object(json_object_get(line, "state")), "%s hears the state", peer->id);
    int64_t sequence = json_get_integer(line, "seq");
    *of = json_get_integer(line, "as_of");
    json_decref(line);
    return sequence;
}

/* Dials, and hears all up to the state, which must be of the cursor `from`. */
static void begin(struct peer *peer, int64_t cursor, int64_t from)
{
    int64_t of;
    dial(peer);
    say_hello(peer, peer->token, RESTORES, cursor);
    json_t *hello = hear(peer);
    is_int(json_get_integer(hello, "hello"), 1);
    is_text(json_get_word(hello, "node"), "n1");
    is_text(json_get_word(hello, "cluster"), "c");
    is_int(json_get_integer(hello, "epoch"), 7);
    is_int(json_get_integer(hello, "restores"), RESTORES);
    is_int(json_get_integer(hello, "beat_ms"), CALLERS_BEAT_MS);
    json_decref(hello);
    is_int(hear_state(peer, &of), from);
    ok(of >= from, "as of %lld", (long long)of);
}

/* Every event of these numbers, in order, and nothing else. */
static bool hear_events(struct peer *peer, int64_t from, int64_t to)
{
    for (int64_t i = from; i <= to; i++) {
        int64_t sequence = hear_number(peer, "event");
        if (!ok(sequence == i, "%s: event %lld, want %lld", peer->id, (long long)sequence,
                (long long)i)) {
            return false;
        }
    }
    return true;
}

static void hear_error(struct peer *peer, const char *code, const char *message)
{
    json_t *error = hear_member(peer, "error");
    is_text(json_get_word(error, "code"), code);
    ok(strstr(json_get_word(error, "message"), message) != NULL, "%s",
       json_get_word(error, "message"));
    json_decref(error);
    ok(hear(peer) == NULL, "then it is closed");
}

/* Its row of callers_show(); the caller's. */
static json_t *shown(const char *id)
{
    json_t *all = callers_show(callers), *row, *found = NULL;
    size_t index;
    json_array_foreach(all, index, row)
    {
        if (strcmp(json_get_word(row, "id"), id) == 0) {
            found = json_incref(row);
        }
    }
    json_decref(all);
    return found;
}

/* Waits until this member of its row is at least so much. */
static void await_shown(const char *id, const char *member, int64_t least)
{
    int64_t until_ms = clock_now_ms() + LIMIT_MS, got = -1;
    while (got < least && clock_now_ms() < until_ms) {
        json_t *row = shown(id);
        got = row ? json_get_integer(row, member) : -1;
        json_decref(row);
        poll(NULL, 0, got < least ? 2 : 0);
    }
    ok(got >= least, "%s of %s is %lld, want %lld", member, id, (long long)got, (long long)least);
}

/* --- the tests; each begins where the one before ended --- */

static void who_is_new_starts_now(void)
{
    struct peer peer;
    make_peer(&peer, "new", NULL);
    post("node", 5, 10);
    begin(&peer, -1, committed);
    int64_t from = committed + 1;
    post("node", 100, 500);
    hear_events(&peer, from, committed);
    json_t *row = shown("new");
    is_text(json_get_word(row, "state"), "following");
    is_text(json_get_word(row, "address"), "127.0.0.1:7");
    is_int(json_get_integer(row, "sent"), committed);
    is_int(json_get_integer(row, "lag"), 0);
    is_int(json_get_integer(row, "connects"), 1);
    json_decref(row);
    hang_up(&peer);
}

static void a_cursor_in_the_ring_goes_on(void)
{
    struct peer peer;
    make_peer(&peer, "cursor", NULL);
    begin(&peer, committed - 50, committed - 50);
    hear_events(&peer, committed - 49, committed);
    begin(&peer, committed, committed);
    post("node", 1, 10);
    hear_events(&peer, committed, committed);
    hang_up(&peer);
}

static void an_older_cursor_is_caught_up(void)
{
    struct peer one, other;
    make_peer(&one, "late", NULL);
    make_peer(&other, "later", NULL);
    begin(&one, 700, 700);
    begin(&other, 900, 900);
    hear_events(&one, 701, committed);
    hear_events(&other, 901, committed);
    post("node", 3, 10);
    hear_events(&one, committed - 2, committed);
    hear_events(&other, committed - 2, committed);
    hang_up(&one);
    hang_up(&other);
}

static void what_is_not_kept_is_told(void)
{
    struct peer peer;
    int64_t of;
    make_peer(&peer, "tooold", NULL);
    begin(&peer, 100, 100);
    json_t *resync = hear_member(&peer, "resync");
    is_text(json_get_word(resync, "why"), "the events behind its cursor are not kept any more");
    is_int(json_get_integer(resync, "seq"), 100);
    json_decref(resync);
    is_int(hear_state(&peer, &of), committed);
    post("node", 1, 10);
    hear_events(&peer, committed, committed);
    hang_up(&peer);
}

static void a_cursor_of_before_a_restore_is_told(void)
{
    struct peer peer;
    int64_t of;
    make_peer(&peer, "restored", NULL);
    dial(&peer);
    say_hello(&peer, peer.token, RESTORES - 1, committed);
    json_decref(hear_member(&peer, "hello"));
    json_t *resync = hear_member(&peer, "resync");
    ok(strstr(json_get_word(resync, "why"), "restored") != NULL, "why");
    json_decref(resync);
    is_int(hear_state(&peer, &of), committed);
    hang_up(&peer);
}

static void a_cursor_ahead_of_all_is_told(void)
{
    struct peer peer;
    int64_t of;
    make_peer(&peer, "ahead", NULL);
    dial(&peer);
    say_hello(&peer, peer.token, RESTORES, committed + 1000);
    json_decref(hear_member(&peer, "hello"));
    json_t *resync = hear_member(&peer, "resync");
    ok(strstr(json_get_word(resync, "why"), "ahead") != NULL, "why");
    json_decref(resync);
    is_int(hear_state(&peer, &of), committed);
    post("node", 1, 10);
    hear_events(&peer, committed, committed);
    hang_up(&peer);
}

static void a_repository_that_is_away_is_waited_for(void)
{
    struct peer peer;
    make_peer(&peer, "waits", NULL);
    pthread_mutex_lock(&lock);
    older_fails = true;
    pthread_mutex_unlock(&lock);
    begin(&peer, 800, 800);
    post("node", 1, 10);
    poll(NULL, 0, 50);
    pthread_mutex_lock(&lock);
    older_fails = false;
    pthread_mutex_unlock(&lock);
    hear_events(&peer, 801, committed);
    hang_up(&peer);
}

static void a_filter_lets_some_through_and_the_cursor_goes_on(void)
{
    struct peer peer;
    make_peer(&peer, "picky", "lpar");
    begin(&peer, committed, committed);
    post("node", 50, 10);
    post("lpar", 1, 10);
    is_int(hear_number(&peer, "event"), committed);
    post("node", 50, 10);
    is_int(hear_number(&peer, "beat"), committed); /* after a silence */
    hang_up(&peer);
}

static void what_it_has_seen_is_saved(void)
{
    char line[64], key[CALLER_KEY_SIZE];
    struct peer peer;
    int64_t seen = 0, until_ms = clock_now_ms() + LIMIT_MS;
    make_peer(&peer, "saved", NULL);
    begin(&peer, -1, committed);
    post("node", 10, 10);
    hear_events(&peer, committed - 9, committed);
    snprintf(line, sizeof line, "{\"seen\":%lld}\n", (long long)committed - 4);
    say(&peer, line);
    await_shown("saved", "seen", committed - 4);
    await_shown("saved", "lag", 4);
    caller_key("saved", key);
    while (seen == 0 && clock_now_ms() < until_ms) {
        struct operation operation;
        struct store *store = open_store(&operation);
        json_t *record = NULL;
        is_int(node_record(store, key, &record, NULL, &operation), VIOS_OK);
        seen = json_get_integer(record, "seen");
        json_decref(record);
        node_store_return(&node, store);
        poll(NULL, 0, seen == 0 ? 10 : 0);
    }
    is_int(seen, committed - 4);
    begin(&peer, -1, committed - 4); /* without a cursor: that one */
    hear_events(&peer, committed - 3, committed);
    hang_up(&peer);
}

static void who_says_more_than_it_was_sent_is_closed(void)
{
    char line[64];
    struct peer peer;
    make_peer(&peer, "liar", NULL);
    begin(&peer, -1, committed);
    snprintf(line, sizeof line, "{\"seen\":%lld}\n", (long long)committed + 1);
    say(&peer, line);
    hear_error(&peer, "invalid", "was not sent");
    hang_up(&peer);
}

static void a_second_connection_replaces_the_first(void)
{
    struct peer first, second;
    make_peer(&first, "again", NULL);
    second = first;
    begin(&first, -1, committed);
    begin(&second, -1, committed);
    hear_error(&first, "conflict", "replaced");
    post("node", 1, 10);
    hear_events(&second, committed, committed);
    json_t *row = shown("again");
    is_int(json_get_integer(row, "connects"), 2);
    json_decref(row);
    hang_up(&first);
    hang_up(&second);
}

static void who_is_unregistered_is_closed(void)
{
    struct operation operation;
    struct peer peer;
    make_peer(&peer, "leaving", NULL);
    begin(&peer, -1, committed);
    struct store *store = open_store(&operation);
    is_int(caller_unregister(store, "leaving", &operation), VIOS_OK);
    node_store_return(&node, store);
    hear_error(&peer, "denied", "not registered any more");
    dial(&peer);
    say_hello(&peer, peer.token, RESTORES, -1);
    hear_error(&peer, "denied", "there is no such caller");
    make_peer(&peer, "leaving", NULL);
    begin(&peer, -1, committed);
    hang_up(&peer);
}

/* Both hear the same, after the same time. */
static void a_wrong_token_is_as_an_unknown_id(void)
{
    struct peer wrong, unknown = {.id = "unknown", .fd = -1};
    make_peer(&wrong, "wrong", NULL);
    const char *token = "000000000000000000000000000000000000000000000000";
    int64_t began_ms = clock_now_ms();
    dial(&wrong);
    dial(&unknown);
    say_hello(&wrong, token, 0, -1);
    say_hello(&unknown, token, 0, -1);
    hear_error(&wrong, "denied", "there is no such caller, or its token is another one");
    hear_error(&unknown, "denied", "there is no such caller, or its token is another one");
    ok(clock_now_ms() - began_ms >= CALLERS_REFUSE_MS, "not at once");
    hang_up(&wrong);
    hang_up(&unknown);
}

static void garbage_is_closed_with_a_reason(void)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"\n", "no JSON object"},
        {"GET / HTTP/1.1\r\n", "no JSON object"},
        {"{}\n", "neither \"hello\" nor \"seen\""},
        {"{\"seen\":1}\n", "say hello first"},
        {"{\"hello\":0}\n", "number of a level"},
        {"{\"hello\":1,\"caller\":\"../x\"}\n", "\"caller\" is not an id"},
        {"{\"hello\":1,\"caller\":\"a\"}\n", "\"token\" is not a token"},
        {"{\"hello\":1,\"caller\":\"a\",\"token\":\"b\",\"cursor\":7}\n", "its cursor is not"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct peer peer = {.id = "garbage", .fd = -1};
        dial(&peer);
        say(&peer, rows[i].text);
        hear_error(&peer, "invalid", rows[i].message);
        hang_up(&peer);
    }
    struct peer peer = {.id = "longwinded", .fd = -1};
    dial(&peer);
    for (int i = 0; i < 2 * CALLERS_LINE_MAX / 64; i++) {
        char text[65];
        memset(text, 'x', 64);
        text[64] = '\0';
        (void)send(peer.fd, text, 64, MSG_NOSIGNAL);
    }
    hear_error(&peer, "invalid", "the line is too long");
    hang_up(&peer);
}

static void a_line_may_come_in_pieces(void)
{
    char line[256];
    struct peer peer;
    make_peer(&peer, "pieces", NULL);
    dial(&peer);
    int size = snprintf(line, sizeof line,
                        "{\"hello\":1,\"caller\":\"pieces\",\"token\":\"%s\"}\r\n", peer.token);
    for (int i = 0; i < size; i++) {
        is_int(send(peer.fd, line + i, 1, MSG_NOSIGNAL), 1);
        poll(NULL, 0, i % 20 ? 0 : 1);
    }
    json_decref(hear_member(&peer, "hello"));
    hang_up(&peer);
}

/* The oldest go when there are too many; who is greeted stays. */
static void the_silent_are_few(void)
{
    static struct peer silent[CALLERS_UNGREETED_MAX + 4], peer;
    make_peer(&peer, "greeted", NULL);
    begin(&peer, -1, committed);
    for (size_t i = 0; i < CALLERS_UNGREETED_MAX + 4; i++) {
        silent[i] = (struct peer){.id = "silent", .fd = -1};
        dial(&silent[i]);
    }
    ok(hear(&silent[0]) == NULL && hear(&silent[3]) == NULL, "the oldest are closed");
    struct pollfd last = {.fd = silent[CALLERS_UNGREETED_MAX + 3].fd, .events = POLLIN};
    is_int(poll(&last, 1, 0), 0);
    post("node", 1, 10);
    hear_events(&peer, committed, committed);
    for (size_t i = 0; i < CALLERS_UNGREETED_MAX + 4; i++) {
        hang_up(&silent[i]);
    }
    hang_up(&peer);
}

/* 10,000 events pass one that does not read; another gets all of them. */
static void a_slow_caller_is_resynced_and_delays_nobody(void)
{
    static struct peer slow, quick;
    int64_t of, first = committed + 1, last = 0;
    make_peer(&slow, "slow", NULL);
    make_peer(&quick, "quick", NULL);
    begin(&slow, -1, committed);
    begin(&quick, -1, committed);
    for (int i = 0; i < 100; i++) {
        int64_t from = committed + 1;
        post("node", 100, 4000);
        if (!hear_events(&quick, from, committed)) {
            break;
        }
    }
    ok(caller_ring_floor(callers->ring) > first, "it has fallen out of the ring");
    json_t *row = shown("slow");
    is_text(json_get_word(row, "state"), "slow");
    ok(json_get_integer(row, "lag") > 5000, "lag %lld", (long long)json_get_integer(row, "lag"));
    json_decref(row);
    json_t *line;
    while ((line = hear(&slow)) && json_object_get(line, "event")) {
        int64_t sequence = json_get_integer(json_object_get(line, "event"), "seq");
        if (!ok(sequence == (last ? last + 1 : first), "event %lld", (long long)sequence)) {
            break;
        }
        last = sequence;
        json_decref(line);
    }
    ok(json_object_get(line, "resync") != NULL, "then RESYNC");
    is_int(json_get_integer(json_object_get(line, "resync"), "seq"), last);
    json_decref(line);
    is_int(hear_state(&slow, &of), committed);
    post("node", 10, 10);
    hear_events(&slow, committed - 9, committed);
    hear_events(&quick, committed - 9, committed);
    await_shown("slow", "resyncs", 1);
    hang_up(&slow);
    hang_up(&quick);
}

static void what_cannot_be_had_is_told_to_all(void)
{
    struct peer one, other;
    int64_t of;
    make_peer(&one, "lost1", NULL);
    make_peer(&other, "lost2", "lpar");
    begin(&one, -1, committed);
    begin(&other, -1, committed);
    set_newest(committed + 10);
    callers_resync(callers, committed, "payload file 4-x is damaged");
    for (struct peer *peer = &one;; peer = &other) {
        json_t *resync = hear_member(peer, "resync");
        is_text(json_get_word(resync, "why"), "payload file 4-x is damaged");
        json_decref(resync);
        is_int(hear_state(peer, &of), committed);
        if (peer == &other) {
            break;
        }
    }
    post("lpar", 1, 10);
    hear_events(&one, committed, committed);
    hear_events(&other, committed, committed);
    hang_up(&one);
    hang_up(&other);
}

/* Many that come at once share what is looked up for them. */
static void a_crowd_shares_the_state(void)
{
    static struct peer peers[100];
    int64_t of;
    for (size_t i = 0; i < 100; i++) {
        char id[16];
        snprintf(id, sizeof id, "crowd%zu", i);
        make_peer(&peers[i], id, NULL);
    }
    pthread_mutex_lock(&lock);
    int before = states_asked;
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < 100; i++) {
        dial(&peers[i]);
        say_hello(&peers[i], peers[i].token, RESTORES, committed - 300);
    }
    int64_t from = committed - 299;
    for (size_t i = 0; i < 100; i++) {
        json_decref(hear_member(&peers[i], "hello"));
        is_int(hear_state(&peers[i], &of), from - 1);
        hear_events(&peers[i], from, committed);
        hang_up(&peers[i]);
    }
    ok(states_asked - before < 50, "the state was made %d times", states_asked - before);
}

static void who_is_not_primary_says_so(void)
{
    struct peer peer, idle = {.id = "idle", .fd = -1};
    make_peer(&peer, "moved", NULL);
    begin(&peer, -1, committed);
    dial(&idle);
    callers_close(callers);
    ok(hear(&peer) == NULL && hear(&idle) == NULL, "all are closed, without a word");
    dial(&peer);
    say_hello(&peer, peer.token, RESTORES, -1);
    json_t *moved = hear_member(&peer, "moved");
    is_text(json_get_word(moved, "node"), "");
    is_text(json_get_word(moved, "address"), "");
    json_decref(moved);
    ok(hear(&peer) == NULL, "then it is closed");
    callers_open(callers, 7, RESTORES, committed);
    begin(&peer, committed, committed);
    post("node", 1, 10);
    hear_events(&peer, committed, committed);
    hang_up(&peer);
    hang_up(&idle);
}

/* A new primary has nothing in its ring yet. */
static void the_next_primary_goes_on_where_the_last_was(void)
{
    struct peer peer;
    make_peer(&peer, "stays", NULL);
    begin(&peer, -1, committed);
    callers_close(callers);
    set_newest(committed + 25); /* written, and not posted */
    callers_open(callers, 7, RESTORES, committed);
    post("node", 5, 10);
    begin(&peer, committed - 30, committed - 30);
    hear_events(&peer, committed - 29, committed);
    hang_up(&peer);
}

int main(void)
{
    char path[128];
    struct vios_error error = {0};
    struct callers_settings settings = {.node = &node, .state = make_state, .older = find_older};
    snprintf(path, sizeof path, "%s/vios.db", tap_folder());
    make_store(path);
    ok(callers_start(&callers, &settings, &error) == VIOS_OK, "%s", error.message);
    callers_open(callers, 7, RESTORES, committed);
    RUN(who_is_new_starts_now);
    RUN(a_cursor_in_the_ring_goes_on);
    RUN(an_older_cursor_is_caught_up);
    RUN(what_is_not_kept_is_told);
    RUN(a_cursor_of_before_a_restore_is_told);
    RUN(a_cursor_ahead_of_all_is_told);
    RUN(a_repository_that_is_away_is_waited_for);
    RUN(a_filter_lets_some_through_and_the_cursor_goes_on);
    RUN(what_it_has_seen_is_saved);
    RUN(who_says_more_than_it_was_sent_is_closed);
    RUN(a_second_connection_replaces_the_first);
    RUN(who_is_unregistered_is_closed);
    RUN(a_wrong_token_is_as_an_unknown_id);
    RUN(garbage_is_closed_with_a_reason);
    RUN(a_line_may_come_in_pieces);
    RUN(the_silent_are_few);
    RUN(a_slow_caller_is_resynced_and_delays_nobody);
    RUN(what_cannot_be_had_is_told_to_all);
    RUN(a_crowd_shares_the_state);
    RUN(who_is_not_primary_says_so);
    RUN(the_next_primary_goes_on_where_the_last_was);
    callers_stop(callers);
    store_pool_free(node.stores);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
