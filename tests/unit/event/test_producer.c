/* test_producer.c - what a node saw reaches everybody exactly once and in its order: also when the
 * repository or the store is away, hangs, or the daemon ends in between. */
#include "base/thread.h"
#include "event/producer.h"
#include "tests/unit/event/world.h"

#define THREADS 4
#define EACH 250

static struct producer *producer;

static void start(void)
{
    struct vios_error error = {0};
    ok(producer_start(&producer, &node, &error) == VIOS_OK, "%s", error.message);
}

static void stop(void)
{
    producer_stop(producer);
    producer = NULL;
}

static int emit(const char *object, int64_t *sequence)
{
    struct operation operation;
    const struct event event = {.class = "test", .object = object, .operation = "made"};
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    *sequence = -1;
    int status = producer_emit_and_wait(producer, &event, sequence, &operation);
    ok(status == VIOS_OK, "%s: %s", object, operation.error.message);
    return status;
}

static int64_t emitted(const char *object)
{
    int64_t sequence;
    emit(object, &sequence);
    return sequence;
}

static void emit_only(const char *object)
{
    const struct event event = {.class = "test", .object = object, .operation = "made"};
    producer_emit(producer, &event);
}

static const char *object_of(const json_t *seen, size_t i)
{
    return json_get_word(json_object_get(json_array_get(seen, i), "event"), "object");
}

/* Waits until so many events are there; what they are. */
static json_t *await_events(size_t count)
{
    struct operation operation;
    json_t *seen = world_events();
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    while (json_array_size(seen) < count && operation_sleep(&operation, 20) == VIOS_OK) {
        json_decref(seen);
        seen = world_events();
    }
    is_int(json_array_size(seen), (long long)count);
    return seen;
}

/* The objects of all, in their order, are "o0", "o1" ... */
static void are_in_order(size_t count)
{
    json_t *seen = await_events(count);
    int64_t before = 0;
    for (size_t i = 0; i < json_array_size(seen); i++) {
        char object[24];
        int64_t sequence = json_get_integer(json_array_get(seen, i), "seq");
        snprintf(object, sizeof object, "o%zu", i);
        is_text(object_of(seen, i), object);
        ok(sequence > before, "%lld behind %lld", (long long)sequence, (long long)before);
        before = sequence;
    }
    json_decref(seen);
}

static size_t spooled(void)
{
    json_t *shown = producer_show(producer);
    size_t files = (size_t)json_get_integer(shown, "spooled_files");
    json_decref(shown);
    return files;
}

/* --- the repository comes and goes --- */

static void marker(char path[160], const char *name)
{
    snprintf(path, 160, "%s/%s", repository, name);
}

/* A look at its marker blocks from now on, as one at a server that does not answer. */
static void hang_repository(void)
{
    char path[160], aside[160];
    marker(path, REPOSITORY_MARKER);
    marker(aside, "aside");
    is_int(rename(path, aside), 0);
    is_int(mkfifo(path, 0600), 0);
}

/* It answers again: also who hangs in it. */
static void release_repository(void)
{
    static const char TEXT[] = "{\"v\":1,\"cluster\":\"c\",\"uuid\":\"" WORLD_UUID "\"}";
    char path[160], aside[160];
    marker(path, REPOSITORY_MARKER);
    marker(aside, "aside");
    int fifo = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    is_int(rename(aside, path), 0);
    is_int(write(fifo, TEXT, strlen(TEXT)), (long long)strlen(TEXT));
    close(fifo);
}

/* --- tests --- */

static void an_event_is_durable_when_it_is_told(void)
{
    char object[24];
    struct vios_error error = {0};
    world_new();
    ok(producer_start(&producer, &node, &error) == VIOS_OK, "%s", error.message);
    for (size_t i = 0; i < 5; i++) {
        snprintf(object, sizeof object, "o%zu", i);
        int64_t sequence = emitted(object);
        json_t *seen = world_events();
        const json_t *last = json_array_get(seen, json_array_size(seen) - 1);
        is_int(json_array_size(seen), i + 1);
        ok(sequence > 0 && json_get_integer(last, "seq") == sequence, "it has another number");
        is_text(object_of(seen, i), object);
        json_decref(seen);
    }
    json_t *shown = producer_show(producer);
    is_text(json_get_text(shown, "repository"), "ok");
    is_int(json_get_integer(shown, "queued"), 0);
    is_int(json_get_integer(shown, "lost"), 0);
    json_decref(shown);
    stop();
}

static void what_is_no_event_is_refused(void)
{
    struct operation operation;
    const struct event event = {.class = "Test", .object = "o", .operation = "made"};
    int64_t sequence;
    start();
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    is_int(producer_emit_and_wait(producer, &event, &sequence, &operation), VIOS_E_USAGE);
    is_text(operation.error.message, "its class and its operation must be words of a-z, 0-9 and _");
    producer_emit(producer, &event);
    producer_emit(NULL, &event);
    stop();
    is_int(config_set(node.config, "repository", "", NULL), VIOS_OK);
    start();
    const struct event good = {.class = "test", .object = "o", .operation = "made"};
    is_int(producer_emit_and_wait(producer, &good, &sequence, &operation), VIOS_E_INVALID);
    is_text(operation.error.message, "this node has no repository");
    stop();
    stop();
}

static void a_node_without_a_repository_has_no_trouble(void)
{
    start();
    stop();
    start();
    json_t *shown = producer_show(producer);
    is_text(json_get_text(shown, "repository"), "ok");
    json_decref(shown);
    stop();
}

static void *emit_many(void *argument)
{
    const char *name = argument;
    for (size_t i = 0; i < EACH; i++) {
        char object[24];
        snprintf(object, sizeof object, "%s-%03zu", name, i);
        emit_only(object);
    }
    return NULL;
}

static void many_arrive_once_and_in_order(void)
{
    static char names[THREADS][4] = {"0", "1", "2", "3"};
    size_t next[THREADS] = {0};
    pthread_t threads[THREADS];
    world_new();
    start();
    for (size_t i = 0; i < THREADS; i++) {
        is_int(thread_start(&threads[i], "emit", emit_many, names[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    stop();
    json_t *seen = world_events();
    is_int(json_array_size(seen), THREADS * EACH);
    for (size_t i = 0; i < json_array_size(seen); i++) {
        char object[24];
        size_t thread = (size_t)(object_of(seen, i)[0] - '0');
        snprintf(object, sizeof object, "%zu-%03zu", thread, next[thread % THREADS]++);
        is_text(object_of(seen, i), object);
    }
    json_decref(seen);
}

/* A file has a size limit too. */
static void large_ones_are_shared_out(void)
{
    char text[7000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    json_t *data = json_pack("{s:s}", "text", text);
    world_new();
    start();
    for (size_t i = 0; i < 200; i++) {
        char object[24];
        snprintf(object, sizeof object, "o%zu", i);
        const struct event event = {
            .class = "test", .object = object, .operation = "made", .data = data};
        producer_emit(producer, &event);
    }
    stop();
    are_in_order(200);
    json_decref(data);
}

/* Ten while it is away, two behind them: all come, in their order. */
static void comes_back(const char *from, const char *to)
{
    char object[24];
    start();
    int64_t sequence = emitted("o0");
    ok(sequence > 0, "the first is published");
    is_int(rename(from, to), 0);
    for (size_t i = 1; i <= 10; i++) {
        snprintf(object, sizeof object, "o%zu", i);
        sequence = emitted(object);
        is_int(sequence, 0);
    }
    is_int(count_records(), 1);
    is_int(spooled(), 10);
    json_t *shown = producer_show(producer);
    ok(strcmp(json_get_word(shown, "repository"), "ok") != 0, "it is away");
    json_decref(shown);
    is_int(rename(to, from), 0);
    emit_only("o11");
    emit_only("o12");
    are_in_order(13);
    stop();
}

static void the_repository_comes_back(void)
{
    char aside[160];
    world_new();
    snprintf(aside, sizeof aside, "%s.aside", repository);
    comes_back(repository, aside);
}

static void its_marker_comes_back(void)
{
    char path[160], aside[160];
    world_new();
    marker(path, REPOSITORY_MARKER);
    marker(aside, "aside");
    comes_back(path, aside);
}

static void what_waits_is_published_by_the_next_daemon(void)
{
    char aside[160];
    world_new();
    snprintf(aside, sizeof aside, "%s.aside", repository);
    is_int(rename(repository, aside), 0);
    start();
    is_int(emitted("o0"), 0);
    is_int(emitted("o1"), 0);
    emit_only("o2");
    stop();
    is_int(rename(aside, repository), 0);
    is_int(count_records(), 0);
    start();
    are_in_order(3);
    stop();
}

/* Commits fail, and some say that they do not know. */
static void the_store_comes_back(void)
{
    char path[160], faulty[320];
    world_new();
    store_pool_free(node.stores);
    snprintf(path, sizeof path, "%s/db", world);
    snprintf(faulty, sizeof faulty,
             "faulty:commit.1=unreachable,commit.2=unknown_not_done,commit.3=unknown_done,"
             "commit.5=timeout,commit.6=unknown_done:sqlite:%s",
             path);
    node.stores = store_pool_new(faulty);
    start();
    for (size_t i = 0; i < 20; i++) {
        char object[24];
        snprintf(object, sizeof object, "o%zu", i);
        int64_t sequence = emitted(object);
        ok(sequence >= 0, "%s is lost", object);
    }
    are_in_order(20);
    stop();
}

static void *release_later(void *argument)
{
    struct operation operation;
    size_t files = 0;
    (void)argument;
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    while (files == 0 && operation_sleep(&operation, 20) == VIOS_OK) {
        files = spooled();
    }
    release_repository();
    return NULL;
}

static void one_that_hangs_delays_nobody_for_long(void)
{
    world_new();
    start();
    ok(emitted("o0") > 0, "the first is published");
    hang_repository();
    is_int(emitted("o1"), 0);
    is_int(emitted("o2"), 0);
    release_repository();
    are_in_order(3);
    stop();
}

/* Nothing is lost, also of what was given to the thread that hangs. */
static void it_is_stopped_while_the_repository_hangs(void)
{
    pthread_t thread;
    world_new();
    hang_repository();
    start();
    emit_only("o0");
    emit_only("o1");
    is_int(thread_start(&thread, "release", release_later, NULL), 0);
    producer_stop(producer); /* the thread looks at it meanwhile */
    pthread_join(thread, NULL);
    start();
    are_in_order(2);
    stop();
}

static void *cancel_later(void *argument)
{
    struct operation operation;
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    operation_sleep(&operation, 100);
    cancel_trigger(argument);
    return NULL;
}

/* Who waits may go; the event stays. */
static void a_wait_is_cancelled(void)
{
    struct operation operation;
    struct cancel *cancel = cancel_new();
    const struct event event = {.class = "test", .object = "o0", .operation = "made"};
    int64_t sequence = -1;
    pthread_t thread;
    world_new();
    hang_repository();
    start();
    is_int(thread_start(&thread, "cancel", cancel_later, cancel), 0);
    operation_start(&operation, WORLD_TIMEOUT_MS, cancel);
    is_int(producer_emit_and_wait(producer, &event, &sequence, &operation), VIOS_E_CANCELLED);
    pthread_join(thread, NULL);
    operation_start(&operation, 50, NULL);
    const struct event other = {.class = "test", .object = "o1", .operation = "made"};
    is_int(producer_emit_and_wait(producer, &other, &sequence, &operation), VIOS_E_TIMEOUT);
    release_repository();
    are_in_order(2);
    stop();
    cancel_free(cancel);
}

/* The queue takes so many; those that it does not take are counted, and that is told. */
static void a_full_queue_loses_and_tells(void)
{
    struct operation operation;
    int64_t sequence;
    const struct event event = {.class = "test", .object = "more", .operation = "made"};
    world_new();
    hang_repository();
    start();
    for (size_t i = 0; i < PRODUCER_QUEUE_MAX + 3; i++) {
        emit_only("o");
    }
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    is_int(producer_emit_and_wait(producer, &event, &sequence, &operation), VIOS_E_NO_SPACE);
    is_text(operation.error.message, "4096 of them wait to be published already");
    release_repository();
    json_t *seen = await_events(PRODUCER_QUEUE_MAX + 1);
    const json_t *last = json_object_get(json_array_get(seen, PRODUCER_QUEUE_MAX), "event");
    is_text(json_get_text(last, "operation"), "lost");
    is_text(json_get_text(last, "object"), "n1");
    is_int(json_get_integer(json_object_get(last, "data"), "count"), 3);
    json_decref(seen);
    stop();
}

/* Neither the repository nor the node's own disk takes them. */
static void what_cannot_be_spooled_is_told(void)
{
    struct operation operation;
    char path[160], aside[160];
    int64_t sequence;
    const struct event event = {.class = "test", .object = "o", .operation = "made"};
    world_new();
    start();
    marker(path, REPOSITORY_MARKER);
    marker(aside, "aside");
    is_int(rename(path, aside), 0);
    is_int(unlinkat(node.state_dir_fd, "events", AT_REMOVEDIR), 0);
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    is_int(producer_emit_and_wait(producer, &event, &sequence, &operation), VIOS_E_NOT_FOUND);
    is_int(rename(aside, path), 0);
    ok(emitted("behind") > 0, "the next one is published");
    json_t *seen = await_events(2);
    const json_t *last = json_object_get(json_array_get(seen, 1), "event");
    is_text(json_get_text(last, "operation"), "lost");
    is_int(json_get_integer(json_object_get(last, "data"), "count"), 1);
    json_decref(seen);
    stop();
}

/* --- what an earlier daemon left --- */

static bool has_record(const char *name)
{
    char key[EVENT_KEY_SIZE];
    bool has = false;
    struct operation operation;
    struct store *store = open_store(&operation);
    event_record_key("n1", name, key);
    is_int(node_has_record(store, key, &has, &operation), VIOS_OK);
    node_store_return(&node, store);
    return has;
}

static void files_without_a_record_are_committed(void)
{
    char own[PAYLOAD_NAME_SIZE], derived[PAYLOAD_NAME_SIZE], other[PAYLOAD_NAME_SIZE],
        done[PAYLOAD_NAME_SIZE], damaged[PAYLOAD_NAME_SIZE];
    world_new();
    node.incarnation = 4;
    make_file("n1", 4, 2, 0, own);
    make_file("n1", 4, 1, 17, derived);
    make_file("n1", 3, 1, 0, other);
    make_file("n1", 4, 1, 0, done);
    int64_t revision = make_record("n1", done, 1, 0);
    make_file("n1", 4, 1, 0, damaged);
    is_int(truncate(file_path("n1", damaged), 10), 0);
    start();
    int64_t sequence = emitted("next");
    stop();
    ok(has_record(own), "that of this incarnation");
    ok(!has_record(derived), "one of the deriver: the next primary derives it again");
    ok(!has_record(other), "one of another incarnation");
    ok(!has_record(damaged), "a damaged one");
    json_t *seen = world_events();
    is_int(json_array_size(seen), 4);
    is_int(json_get_integer(json_array_get(seen, 0), "seq"), event_sequence(revision, 0));
    is_int(json_get_integer(json_array_get(seen, 3), "seq"), sequence);
    json_decref(seen);
}

/* The repository is not there yet when the daemon begins. */
static void they_are_committed_later_too(void)
{
    char name[PAYLOAD_NAME_SIZE], path[160], aside[160];
    world_new();
    make_file("n1", 1, 1, 0, name);
    marker(path, REPOSITORY_MARKER);
    marker(aside, "aside");
    is_int(rename(path, aside), 0);
    start();
    is_int(emitted("o1"), 0);
    is_int(rename(aside, path), 0);
    are_in_order(2);
    ok(has_record(name), "it has no record");
    stop();
}

/* Its daemon will be another incarnation in a moment, which publishes it. */
static void a_fenced_one_loses_nothing(void)
{
    world_new();
    put("/fence/n1/1", "{\"v\":1,\"state\":\"closing\",\"by\":\"n2\"}");
    start();
    is_int(emitted("o0"), 0);
    is_int(emitted("o1"), 0);
    json_t *shown = producer_show(producer);
    is_text(json_get_text(shown, "repository"), "this incarnation of node \"n1\" is fenced");
    json_decref(shown);
    is_int(count_records(), 0);
    stop();
    node.incarnation = 2;
    start();
    are_in_order(2);
    stop();
}

int main(void)
{
    RUN(an_event_is_durable_when_it_is_told);
    RUN(what_is_no_event_is_refused);
    RUN(a_node_without_a_repository_has_no_trouble);
    RUN(many_arrive_once_and_in_order);
    RUN(large_ones_are_shared_out);
    RUN(the_repository_comes_back);
    RUN(its_marker_comes_back);
    RUN(what_waits_is_published_by_the_next_daemon);
    RUN(the_store_comes_back);
    RUN(one_that_hangs_delays_nobody_for_long);
    RUN(it_is_stopped_while_the_repository_hangs);
    RUN(a_wait_is_cancelled);
    RUN(a_full_queue_loses_and_tells);
    RUN(what_cannot_be_spooled_is_told);
    RUN(files_without_a_record_are_committed);
    RUN(they_are_committed_later_too);
    RUN(a_fenced_one_loses_nothing);
    world_end();
    return tap_done();
}
