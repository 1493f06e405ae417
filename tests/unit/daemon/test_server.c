/*
 * test_server.c - the RPC server with methods of our own, over its real socket: hello, limits,
 * credit and back-pressure, cancel, bytes both ways, and callers who break the protocol.
 */
#include "base/clock.h"
#include "base/parse.h"
#include "daemon/access.h"
#include "daemon/connection.h"
#include "daemon/server.h"
#include "net/rpc.h"
#include "net/transport.h"
#include "node/method.h"
#include "node/node.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define LIMIT_MS 20000 /* for whatever must happen */

static const struct access_rules rules;
static struct node node;
static struct server *server;
static pthread_t thread;
static char socket_path[128];
static atomic_int sent_items, waiting_calls, ended_calls;

/* --- the methods --- */

static int ended(int status)
{
    atomic_fetch_add(&ended_calls, 1);
    return status;
}

static int test_count(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    json_int_t count = json_integer_value(json_object_get(parameters, "count"));
    json_int_t size = json_integer_value(json_object_get(parameters, "size"));
    atomic_store(&sent_items, 0);
    char *text = malloc((size_t)size + 1);
    memset(text, 'x', (size_t)size);
    text[size] = '\0';
    int status = VIOS_OK;
    for (json_int_t i = 0; i < count && status == VIOS_OK; i++) {
        status =
            call->operations->item(call, json_pack("{s:I, s:s}", "i", i, "text", text), operation);
        atomic_fetch_add(&sent_items, status == VIOS_OK);
    }
    free(text);
    *result = status == VIOS_OK ? json_pack("{s:I}", "sent", count) : NULL;
    return ended(status);
}

static int test_echo(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    char data[3000];
    ssize_t got;
    json_int_t total = 0;
    (void)parameters;
    int status = VIOS_OK;
    while (status == VIOS_OK &&
           (got = call->operations->receive(call, data, sizeof data, operation)) != 0) {
        status =
            got < 0 ? (int)got : call->operations->bytes(call, data, (size_t)got, false, operation);
        total += got > 0 ? got : 0;
    }
    *result = status == VIOS_OK ? json_pack("{s:I}", "bytes", total) : NULL;
    return ended(status);
}

static int test_wait(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    (void)parameters;
    (void)result;
    atomic_fetch_add(&waiting_calls, 1);
    call->operations->progress(call, "", 1, 2, "steps");
    return ended(operation_sleep(operation, LIMIT_MS));
}

static int test_big(struct call *call, const json_t *parameters, json_t **result,
                    struct operation *operation)
{
    (void)call;
    (void)parameters;
    (void)operation;
    char *text = malloc(RPC_LINE_MAX + 1);
    memset(text, 'x', RPC_LINE_MAX);
    text[RPC_LINE_MAX] = '\0';
    *result = json_pack("[s]", text);
    free(text);
    return VIOS_OK;
}

static int test_list(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    (void)call;
    (void)operation;
    json_int_t count = json_integer_value(json_object_get(parameters, "count"));
    size_t size = (size_t)json_integer_value(json_object_get(parameters, "size"));
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    *result = json_array();
    for (json_int_t i = 0; i < count; i++) {
        json_array_append_new(*result, json_pack("{s:I, s:s}", "i", i, "text", text));
    }
    free(text);
    return VIOS_OK;
}

static int test_add(struct call *call, const json_t *parameters, json_t **result,
                    struct operation *operation)
{
    (void)call;
    (void)operation;
    *result = json_integer(json_integer_value(json_object_get(parameters, "a")) + 1);
    return VIOS_OK;
}

static const struct method METHODS[] = {
    {"test.count", "count:integer size:size", ROLE_VIEWER, METHOD_STREAM, test_count},
    {"test.echo", "", ROLE_VIEWER, METHOD_STREAM, test_echo},
    {"test.wait", "", ROLE_VIEWER, METHOD_STREAM, test_wait},
    {"test.big", "", ROLE_VIEWER, METHOD_UNCONFIGURED, test_big},
    {"test.list", "count:integer size:size", ROLE_VIEWER, METHOD_UNCONFIGURED, test_list},
    {"test.add", "a:integer", ROLE_VIEWER, METHOD_UNCONFIGURED, test_add},
    {"test.change", "a:integer", ROLE_OPERATOR, METHOD_UNCONFIGURED, test_add},
};
static const struct method_group group = {METHODS, sizeof METHODS / sizeof METHODS[0]};
static const struct method_group *const groups[] = {&group, NULL};

/* --- helpers --- */

static void *serve(void *argument)
{
    (void)argument;
    server_run(server);
    return NULL;
}

static void start_server(void)
{
    struct vios_error error = {0};
    node.name = "n1";
    node.cluster = "lab";
    node.run_dir = tap_folder();
    node.run_dir_fd = open(node.run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    node.method_groups = groups;
    atomic_store(&node.active, true);
    snprintf(socket_path, sizeof socket_path, "unix:%s/vios.sock", node.run_dir);
    if (server_new(&server, &node, &rules, &error) != VIOS_OK ||
        pthread_create(&thread, NULL, serve, NULL) != 0) {
        printf("Bail out! %s\n", error.message);
        exit(1);
    }
}

static struct rpc_client *open_client(struct operation *operation)
{
    struct rpc_client *client = NULL;
    operation_start(operation, LIMIT_MS, NULL);
    is_int(rpc_client_open(&client, socket_path, operation), VIOS_OK);
    return client;
}

static void answers_still(struct rpc_client *client, struct operation *operation)
{
    json_t *result = NULL;
    is_int(
        rpc_client_call(client, "test.add", json_pack("{s:i}", "a", 1), NULL, &result, operation),
        VIOS_OK);
    json_decref(result);
}

static bool await_value(atomic_int *value, int wanted)
{
    int64_t until_ms = clock_now_ms() + LIMIT_MS;
    while (atomic_load(value) != wanted && clock_now_ms() < until_ms) {
        poll(NULL, 0, 5);
    }
    return atomic_load(value) == wanted;
}

/* A raw connection. */
static int open_raw(void)
{
    struct operation operation;
    operation_start(&operation, LIMIT_MS, NULL);
    int fd = transport_connect(socket_path, &operation);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    struct timeval limit = {.tv_sec = LIMIT_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static void send_text(int fd, const char *text)
{
    is_int(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All that comes until the other end closes, or until `wanted` is in it. */
static const char *read_until(int fd, const char *wanted)
{
    static char text[256 * 1024];
    size_t size = 0;
    text[0] = '\0';
    while (size + 1 < sizeof text && !(wanted && strstr(text, wanted))) {
        ssize_t got = recv(fd, text + size, sizeof text - 1 - size, 0);
        if (got <= 0) {
            break;
        }
        size += (size_t)got;
        text[size] = '\0';
    }
    return text;
}

#define HELLO                                                                                      \
    "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"rpc.hello\",\"params\":{\"level\":[1,1]}}\n"

static int open_greeted(void)
{
    int fd = open_raw();
    send_text(fd, HELLO);
    ok(strstr(read_until(fd, "\n"), "\"role\":\"admin\"") != NULL, "hello");
    return fd;
}

/* --- tests --- */

static void says_who_it_is(void)
{
    struct operation operation;
    struct rpc_client *client = open_client(&operation);
    const json_t *hello = rpc_client_hello(client);
    is_text(json_string_value(json_object_get(hello, "node")), "n1");
    is_text(json_string_value(json_object_get(hello, "cluster")), "lab");
    is_text(json_string_value(json_object_get(hello, "role")), "admin");
    is_int(json_integer_value(json_object_get(hello, "level")), 1);
    rpc_client_close(client);
}

#define LIMIT(role)                                                                                \
    "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"rpc.limit\",\"params\":{\"role\":\"" role "\"}}\n"
#define CHANGE "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"test.change\",\"params\":{\"a\":1}}\n"

/* Sends `text`; `wanted` comes. */
static void is_told(int fd, const char *text, const char *wanted)
{
    send_text(fd, text);
    const char *got = read_until(fd, wanted);
    ok(strstr(got, wanted) != NULL, "got %s", got);
}

static void a_limit_holds_for_good(void)
{
    int fd = open_raw();
    is_told(fd, LIMIT("viewer") HELLO, "\"node\":\"n1\",\"cluster\":\"lab\",\"role\":\"viewer\"");
    is_told(fd, LIMIT("admin") CHANGE, "needs the role operator; yours is viewer");
    close(fd);
    fd = open_greeted();
    is_told(fd, CHANGE, "\"result\":2");
    is_told(fd, LIMIT("viewer") CHANGE, "needs the role operator; yours is viewer");
    close(fd);
    fd = open_raw();
    is_told(fd, LIMIT("root") HELLO, "role is not viewer, operator or admin");
    ok(strstr(read_until(fd, NULL), "lab") == NULL, "and the hello is not answered");
    close(fd);
}

static void answers_and_refuses(void)
{
    struct operation operation;
    struct rpc_client *client = open_client(&operation);
    json_t *result = NULL;
    is_int(
        rpc_client_call(client, "test.add", json_pack("{s:i}", "a", 4), NULL, &result, &operation),
        VIOS_OK);
    is_int(json_integer_value(result), 5);
    json_decref(result);
    is_int(rpc_client_call(client, "test.ad", NULL, NULL, NULL, &operation), VIOS_E_USAGE);
    ok(strstr(operation.error.hint, "\"test.add\"") != NULL, "%s", operation.error.hint);
    is_int(rpc_client_call(client, "test.add", NULL, NULL, NULL, &operation), VIOS_E_USAGE);
    is_text(operation.error.object, "test.add");
    is_int(rpc_client_call(client, "test.big", NULL, NULL, NULL, &operation), VIOS_E_NO_SPACE);
    atomic_store(&node.active, false);
    is_int(rpc_client_call(client, "test.wait", NULL, NULL, NULL, &operation), VIOS_E_UNREACHABLE);
    ok(strstr(operation.error.hint, "cluster create") != NULL, "%s", operation.error.hint);
    atomic_store(&node.active, true);
    rpc_client_close(client);
}

struct seen {
    json_int_t items, wanted;
    bool in_order;
    size_t bytes;
    unsigned char sum;
};

static bool see_item(void *context, const json_t *value)
{
    struct seen *seen = context;
    seen->in_order =
        seen->in_order && json_integer_value(json_object_get(value, "i")) == seen->items;
    return ++seen->items != seen->wanted;
}

/* Lists of any length come whole; one element cannot be cut. */
static void carries_long_answers(void)
{
    static const struct {
        json_int_t count, size;
    } lists[] = {{0, 1}, {3, 100}, {3, RPC_LINE_MAX - 1000}, {40, 300 * 1000}, {20000, 200}};
    struct operation operation;
    struct rpc_client *client = open_client(&operation);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        json_t *result = NULL, *value;
        size_t at, in_order = 0;
        json_t *wanted = json_pack("{s:I, s:I}", "count", lists[i].count, "size", lists[i].size);
        is_int(rpc_client_call(client, "test.list", wanted, NULL, &result, &operation), VIOS_OK);
        json_array_foreach(result, at, value)
        {
            in_order += json_integer_value(json_object_get(value, "i")) == (json_int_t)at &&
                        json_string_length(json_object_get(value, "text")) == (size_t)lists[i].size;
        }
        is_int(json_array_size(result), lists[i].count);
        is_int(in_order, lists[i].count);
        json_decref(result);
    }
    json_t *wanted = json_pack("{s:i, s:i}", "count", 2, "size", RPC_LINE_MAX);
    is_int(rpc_client_call(client, "test.list", wanted, NULL, NULL, &operation), VIOS_E_NO_SPACE);
    answers_still(client, &operation);
    rpc_client_close(client);
}

static void streams_items_in_order(void)
{
    struct operation operation;
    struct rpc_client *client = open_client(&operation);
    struct seen seen = {.wanted = -1, .in_order = true};
    struct rpc_handlers handlers = {.item = see_item, .input_fd = -1, .context = &seen};
    json_t *result = NULL;
    is_int(rpc_client_call(client, "test.count", json_pack("{s:i, s:i}", "count", 1000, "size", 10),
                           &handlers, &result, &operation),
           VIOS_OK);
    is_int(seen.items, 1000);
    ok(seen.in_order, "in order");
    is_int(json_integer_value(json_object_get(result, "sent")), 1000);
    json_decref(result);
    rpc_client_close(client);
}

static void a_handler_ends_a_stream(void)
{
    struct operation operation;
    struct rpc_client *client = open_client(&operation);
    struct seen seen = {.wanted = 3, .in_order = true};
    struct rpc_handlers handlers = {.item = see_item, .input_fd = -1, .context = &seen};
    atomic_store(&ended_calls, 0);
    is_int(rpc_client_call(client, "test.count",
                           json_pack("{s:i, s:i}", "count", 1000000, "size", 10), &handlers, NULL,
                           &operation),
           VIOS_OK);
    is_int(seen.items, 3);
    ok(await_value(&ended_calls, 1), "the method ended");
    answers_still(client, &operation);
    rpc_client_close(client);
}

static void a_stream_stops_without_credit(void)
{
    int fd = open_greeted();
    send_text(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"test.count\","
                  "\"params\":{\"count\":100,\"size\":1}}\n");
    read_until(fd, "\"seq\":64,");
    ok(await_value(&sent_items, RPC_CREDIT_START), "sent %d", atomic_load(&sent_items));
    struct pollfd more = {.fd = fd, .events = POLLIN};
    is_int(poll(&more, 1, 100), 0);
    send_text(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.more\",\"params\":"
                  "{\"id\":1,\"items\":36}}\n");
    ok(strstr(read_until(fd, "\"result\""), "\"seq\":100,") != NULL, "all of them");
    close(fd);
}

static void a_stream_waits_for_a_reader(void)
{
    int fd = open_greeted();
    send_text(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"test.count\","
                  "\"params\":{\"count\":60,\"size\":500000}}\n");
    int before = -1;
    while (before != atomic_load(&sent_items) || before < 1) { /* until it stands still */
        before = atomic_load(&sent_items);
        poll(NULL, 0, 200);
    }
    ok(before < 20, "%d items of 500,000 bytes wait", before);
    atomic_store(&ended_calls, 0);
    close(fd);
    ok(await_value(&ended_calls, 1), "a connection that ends cancels its stream");
}

static bool see_bytes(void *context, const void *data, size_t size, bool end)
{
    struct seen *seen = context;
    (void)end;
    for (size_t i = 0; i < size; i++) {
        seen->sum = (unsigned char)(seen->sum * 31 + ((const unsigned char *)data)[i]);
    }
    seen->bytes += size;
    return true;
}

static void carries_bytes_both_ways(void)
{
    enum { SIZE = 5 * 1024 * 1024 };
    struct operation operation;
    struct rpc_client *client = open_client(&operation);
    FILE *file = tmpfile();
    unsigned char sum = 0;
    for (size_t i = 0; i < SIZE; i++) {
        int byte = (int)((i * 2654435761u) >> 13 & 255);
        putc(byte, file);
        sum = (unsigned char)(sum * 31 + byte);
    }
    rewind(file);
    struct seen seen = {0};
    struct rpc_handlers handlers = {.bytes = see_bytes, .input_fd = fileno(file), .context = &seen};
    json_t *result = NULL;
    is_int(rpc_client_call(client, "test.echo", NULL, &handlers, &result, &operation), VIOS_OK);
    is_int(json_integer_value(json_object_get(result, "bytes")), SIZE);
    is_int(seen.bytes, SIZE);
    is_int(seen.sum, sum);
    json_decref(result);
    rpc_client_close(client);
    fclose(file);
}

struct source {
    struct seen seen;
    int left; /* bytes that it still gives */
    int end;  /* what it returns behind them */
};

static ssize_t give_some(void *context, char *data, size_t size)
{
    struct source *source = context;
    size_t part = (size_t)source->left < size ? (size_t)source->left : size;
    memset(data, 'x', part);
    source->left -= (int)part;
    return part > 0 ? (ssize_t)part : source->end;
}

/* Echoes what it gives; the result. */
static json_t *echo_source(struct source *source)
{
    struct operation operation;
    struct rpc_client *client = open_client(&operation);
    int ready = eventfd(1, EFD_CLOEXEC);
    struct rpc_handlers handlers = {
        .bytes = see_bytes, .input_fd = ready, .receive = give_some, .context = source};
    json_t *result = NULL;
    is_int(rpc_client_call(client, "test.echo", NULL, &handlers, &result, &operation), VIOS_OK);
    rpc_client_close(client);
    close(ready);
    return result;
}

static void sends_what_a_function_gives(void)
{
    enum { SIZE = 3 * 1024 * 1024 };
    struct source whole = {.left = SIZE};
    json_t *result = echo_source(&whole);
    is_int(json_integer_value(json_object_get(result, "bytes")), SIZE);
    is_int(whole.seen.bytes, SIZE);
    json_decref(result);
    struct source broken = {.left = SIZE, .end = VIOS_E_IO};
    ok(!echo_source(&broken), "a source that breaks cancels the call");
    is_int(broken.left, 0);
}

static struct cancel *cancel;

static void cancel_now(void *context, const json_t *parameters)
{
    (void)context;
    is_text(json_string_value(json_object_get(parameters, "unit")), "steps");
    cancel_trigger(cancel);
}

static void cancels_a_call(void)
{
    struct operation operation;
    struct rpc_client *client = open_client(&operation);
    struct rpc_handlers handlers = {.progress = cancel_now, .input_fd = -1};
    cancel = cancel_new();
    operation_start(&operation, LIMIT_MS, cancel);
    is_int(rpc_client_call(client, "test.wait", NULL, &handlers, NULL, &operation),
           VIOS_E_CANCELLED);
    operation_start(&operation, 50, NULL);
    is_int(rpc_client_call(client, "test.wait", NULL, NULL, NULL, &operation), VIOS_E_TIMEOUT);
    operation_start(&operation, LIMIT_MS, NULL);
    answers_still(client, &operation);
    rpc_client_close(client);
    cancel_free(cancel);
}

static void closes_on_broken_protocol(void)
{
    static const char *const texts[] = {
        "garbage\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"test.add\",\"params\":{\"a\":1}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"rpc.hello\",\"params\":{\"level\":[2,9]}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"rpc.hello\"}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"rpc.hello\"}\n",
        HELLO "nonsense\n",
        HELLO "{\"jsonrpc\":\"2.0\",\"id\":1}\n",
        HELLO "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"test.wait\"}\n"
              "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.more\",\"params\":{\"id\":1,\"items\":-1}}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int fd = open_raw();
        send_text(fd, texts[i]);
        const char *text = read_until(fd, NULL);
        ok(strstr(text, "\"code\":\"invalid\"") != NULL, "text %zu: %s", i, text);
        close(fd);
    }
}

static void refuses_bytes_beyond_credit(void)
{
    static const char bytes[] = "{\"jsonrpc\":\"2.0\",\"method\":\"bytes\",\"params\":"
                                "{\"id\":1,\"count\":1,\"end\":false}}\nx";
    int fd = open_greeted();
    send_text(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"test.count\","
                  "\"params\":{\"count\":100,\"size\":1}}\n");
    for (int i = 0; i <= RPC_CREDIT_START; i++) {
        send_text(fd, bytes);
    }
    const char *text = read_until(fd, NULL);
    ok(strstr(text, "without credit") != NULL, "%s", text);
    close(fd);
}

static void bounds_the_calls_of_a_connection(void)
{
    atomic_store(&waiting_calls, 0);
    int fd = open_greeted();
    char line[128];
    for (int id = 1; id <= CONNECTION_CALLS_MAX + 1; id++) {
        snprintf(line, sizeof line, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"test.wait\"}\n",
                 id);
        send_text(fd, line);
    }
    const char *text = read_until(fd, "\"code\":\"no_space\"");
    ok(strstr(text, "\"code\":\"no_space\"") != NULL, "the last is refused");
    ok(await_value(&waiting_calls, CONNECTION_CALLS_MAX), "all of them run: %d",
       atomic_load(&waiting_calls)); /* one cancelled before it runs does nothing at all */
    snprintf(line, sizeof line,
             "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.cancel\",\"params\":"
             "{\"id\":%d}}\n",
             CONNECTION_CALLS_MAX);
    send_text(fd, line);
    text = read_until(fd, "\"code\":\"cancelled\"");
    ok(strstr(text, "\"code\":\"cancelled\"") != NULL, "one is cancelled");
    atomic_store(&ended_calls, 0);
    close(fd);
    ok(await_value(&ended_calls, CONNECTION_CALLS_MAX - 1), "the end cancels the others: %d",
       atomic_load(&ended_calls));
}

static void anyone_may_connect(void)
{
    struct stat status;
    is_int(fstatat(node.run_dir_fd, "vios.sock", &status, 0), 0);
    is_int(status.st_mode & 0777, 0666);
}

static void no_daemon_is_unreachable(void)
{
    struct operation operation;
    struct rpc_client *client = NULL;
    operation_start(&operation, LIMIT_MS, NULL);
    is_int(rpc_client_open(&client, "/nonexistent/vios.sock", &operation), VIOS_E_UNREACHABLE);
    ok(strstr(operation.error.hint, "vios lab up") != NULL, "%s", operation.error.hint);
    is_int(error_exit_status(VIOS_E_UNREACHABLE), 4);
}

static void ends_with_calls_running(void)
{
    int fd = open_greeted();
    send_text(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"test.wait\"}\n");
    read_until(fd, "progress");
    server_stop(server);
    const char *text = read_until(fd, NULL);
    ok(strstr(text, "\"code\":\"cancelled\"") != NULL, "%s", text);
    close(fd);
    pthread_join(thread, NULL);
    server_free(server);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    start_server();
    RUN(says_who_it_is);
    RUN(a_limit_holds_for_good);
    RUN(answers_and_refuses);
    RUN(carries_long_answers);
    RUN(streams_items_in_order);
    RUN(a_handler_ends_a_stream);
    RUN(a_stream_stops_without_credit);
    RUN(a_stream_waits_for_a_reader);
    RUN(carries_bytes_both_ways);
    RUN(sends_what_a_function_gives);
    RUN(cancels_a_call);
    RUN(closes_on_broken_protocol);
    RUN(refuses_bytes_beyond_credit);
    RUN(bounds_the_calls_of_a_connection);
    RUN(anyone_may_connect);
    RUN(no_daemon_is_unreachable);
    RUN(ends_with_calls_running);
    close(node.run_dir_fd);
    rmdir(node.run_dir);
    return tap_done();
}
