/*
 * test_gateway.c - the TCP port of a node, and the calls of others.h through it: who gets in as
 * whom, who does not, and what the caller learns. Two nodes in one process: n1 has the port, n2
 * calls.
 */
#include "daemon/gateway.h"

#include "base/clock.h"
#include "base/file.h"
#include "daemon/access.h"
#include "daemon/server.h"
#include "event/callers.h"
#include "net/rpc.h"
#include "node/credentials.h"
#include "node/identity.h"
#include "node/members.h"
#include "node/others.h"
#include "tests/unit/net/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define LIMIT_MS 20000 /* for whatever must happen */
#define BIG_SIZE 700000

static const struct access_rules rules;
static struct node here, there; /* n1, n2 */
static struct server *server;
static struct gateway *gateway;
static pthread_t thread;
static char port_address[96];
static int port;

/* --- the methods of n1 --- */

static int test_who(struct call *call, const json_t *parameters, json_t **result,
                    struct operation *operation)
{
    (void)parameters;
    (void)operation;
    *result = json_pack("{s:s, s:s, s:s, s:s}", "actor", call->actor, "role", role_name(call->role),
                        "user", call->user, "from", call->from);
    return VIOS_OK;
}

static int test_turn(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    (void)call;
    (void)operation;
    *result = json_deep_copy(json_object_get(parameters, "texts"));
    return VIOS_OK;
}

static int test_refuse(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    (void)call;
    (void)parameters;
    (void)result;
    return operation_fail(operation, VIOS_E_DENIED, "token", NULL, "it never was");
}

static const struct method METHODS[] = {
    {"test.who", "", ROLE_VIEWER, 0, test_who},
    {"test.turn", "texts:list", ROLE_VIEWER, 0, test_turn},
    {"test.admit", "", ROLE_NOBODY, 0, test_who},
    {"test.refuse", "", ROLE_NOBODY, 0, test_refuse},
};
static const struct method_group group = {METHODS, sizeof METHODS / sizeof METHODS[0]};
static const struct method_group *const groups[] = {&group, NULL};

/* --- what it refused --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char refused_who[128], refused_why[256]; /* last; "": nothing */

static void note_refused(struct node *node, const char *at, const char *who, const char *why)
{
    (void)node;
    pthread_mutex_lock(&lock);
    snprintf(refused_who, sizeof refused_who, "%s %s", at, who);
    snprintf(refused_why, sizeof refused_why, "%s", why);
    pthread_mutex_unlock(&lock);
}

static const struct node_hooks hooks = {.refused = note_refused};

/* Waits for a refusal for this reason by this kind of name, and forgets it. */
static void await_refusal(const char *who, const char *why)
{
    int64_t until_ms = clock_now_ms() + LIMIT_MS;
    bool found = false;
    while (!found && clock_now_ms() < until_ms) {
        pthread_mutex_lock(&lock);
        found = strstr(refused_who, who) && strstr(refused_why, why);
        if (found) {
            refused_who[0] = refused_why[0] = '\0';
        }
        pthread_mutex_unlock(&lock);
        poll(NULL, 0, found ? 0 : 5);
    }
    ok(found, "\"%s\" was refused: %s; last: \"%s\": %s", who, why, refused_who, refused_why);
}

/* --- two nodes --- */

static void list_members(struct node *node, const char *serial_of_n2)
{
    char keys[4][16], jsons[4][200], alive_keys[4][16], alive_jsons[4][64];
    const char *serials[] = {n1.serial, serial_of_n2, "", ""};
    const int ports[] = {port, 0, 0, 1}; /* n3 never was; where n4 was nobody is */
    struct store_value nodes[4], alive[4];
    for (size_t i = 0; i < 4; i++) {
        snprintf(keys[i], sizeof keys[i], "/node/n%zu", i + 1);
        snprintf(alive_keys[i], sizeof alive_keys[i], "/alive/n%zu", i + 1);
        snprintf(jsons[i], sizeof jsons[i], "{\"address\":\"127.0.0.1\",\"serial\":\"%s\"}",
                 serials[i]);
        snprintf(alive_jsons[i], sizeof alive_jsons[i], "{\"port\":%d}", ports[i]);
        nodes[i] = (struct store_value){.key = keys[i], .json = jsons[i]};
        alive[i] = (struct store_value){.key = alive_keys[i], .json = alive_jsons[i]};
    }
    struct store_list node_list = {nodes, 4}, alive_list = {alive, 4};
    is_int(members_update(node->members, &node_list, &alive_list), VIOS_OK);
}

static void make_daemon(struct node *node, const char *name, const struct test_node *own)
{
    char path[128], store[160];
    struct vios_error error = {0};
    struct operation operation;
    struct store *made = NULL;
    struct credentials credentials = {.certificate = own->certificate,
                                      .key = own->key,
                                      .authority = (char *)authority_certificate(lab)};
    snprintf(path, sizeof path, "%s/%s", tap_folder(), name);
    mkdir(path, 0700);
    node->name = name;
    node->cluster = "lab";
    node->hooks = &hooks;
    node->method_groups = groups;
    node->run_dir = node->state_dir = strdup(path);
    node->run_dir_fd = node->state_dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    node->members = members_new();
    snprintf(store, sizeof store, "sqlite:%s/vios.db", path);
    node->stores = store_pool_new(store);
    operation_start(&operation, LIMIT_MS, NULL);
    is_int(node_store_create(node, &made, &operation), VIOS_OK);
    node_store_return(node, made);
    is_int(credentials_write(node, &credentials, &error), VIOS_OK);
    ok(identity_new(&node->identity, node, &error) == VIOS_OK, "%s", error.message);
    atomic_store(&node->active, true);
}

static void free_daemon(struct node *node)
{
    identity_free(node->identity);
    members_free(node->members);
    store_pool_free(node->stores);
    close(node->state_dir_fd);
    free((char *)node->state_dir);
}

static void *serve(void *argument)
{
    (void)argument;
    server_run(server);
    return NULL;
}

static void start_port(void)
{
    struct vios_error error = {0};
    int listener = transport_listen("tcp:127.0.0.1:0", &error);
    ok(listener >= 0, "%s", error.message);
    is_int(transport_address(listener, port_address, sizeof port_address, NULL), VIOS_OK);
    port = atoi(strrchr(port_address, ':') + 1);
    if (server_new(&server, &here, &rules, &error) != VIOS_OK ||
        gateway_start(&gateway, &here, server, listener, &error) != VIOS_OK ||
        pthread_create(&thread, NULL, serve, NULL) != 0) {
        printf("Bail out! %s\n", error.message);
        exit(1);
    }
}

static int call_other(enum role role, const char *name, const char *method, json_t *parameters,
                      json_t **result, struct operation *operation)
{
    struct call call = {
        .node = &there, .actor = "uid:7", .user = "bob", .from = "192.0.2.9", .role = role};
    *result = NULL;
    operation_start(operation, LIMIT_MS, NULL);
    return others_call(&call, name, method, parameters, result, operation);
}

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* --- tests --- */

static void a_member_calls_for_its_caller(void)
{
    struct operation operation;
    json_t *result;
    is_int(call_other(ROLE_OPERATOR, "n1", "test.who", NULL, &result, &operation), VIOS_OK);
    is_text(text_at(result, "actor"), "uid:7@n2");
    is_text(text_at(result, "role"), "operator");
    is_text(text_at(result, "user"), "bob");
    is_text(text_at(result, "from"), "192.0.2.9");
    json_decref(result);
    is_int(call_other(ROLE_NOBODY, "n1", "test.who", NULL, &result, &operation), VIOS_E_DENIED);
    is_int(call_other(ROLE_NOBODY, "n1", "test.admit", NULL, &result, &operation), VIOS_OK);
    json_decref(result);
}

static void what_is_longer_than_a_buffer_passes_both_ways(void)
{
    struct operation operation;
    json_t *result;
    char *text = malloc(BIG_SIZE + 1);
    memset(text, 'x', BIG_SIZE);
    text[BIG_SIZE] = '\0';
    json_t *parameters = json_pack("{s:[s]}", "texts", text);
    is_int(call_other(ROLE_ADMIN, "n1", "test.turn", parameters, &result, &operation), VIOS_OK);
    is_text(json_string_value(json_array_get(result, 0)), text);
    json_decref(result);
    free(text);
}

static void the_caller_learns_why_a_node_is_not_reached(void)
{
    struct operation operation;
    json_t *result;
    is_int(call_other(ROLE_ADMIN, "n9", "test.who", NULL, &result, &operation), VIOS_E_NOT_FOUND);
    is_text(operation.error.object, "node \"n9\"");
    is_int(call_other(ROLE_ADMIN, "n3", "test.who", NULL, &result, &operation), VIOS_E_UNREACHABLE);
    is_text(operation.error.message, "it has not been there yet");
    is_int(call_other(ROLE_ADMIN, "n4", "test.who", NULL, &result, &operation), VIOS_E_UNREACHABLE);
    is_text(operation.error.object, "node \"n4\"");
    ok(strstr(operation.error.message, "127.0.0.1:1") != NULL, "%s", operation.error.message);
}

static void a_call_is_forwarded_once(void)
{
    struct operation operation;
    struct call call = {.node = &there, .actor = "uid:7", .role = ROLE_ADMIN};
    json_t *result = NULL,
           *parameters = json_pack("{s:s, s:s}", "node", "n1", "method", "node.call");
    operation_start(&operation, LIMIT_MS, NULL);
    is_int(node_call(&call, parameters, &result, &operation), VIOS_E_USAGE);
    json_decref(parameters);
}

/* With the token's fingerprint, and no certificate. */
static void who_joins_is_nobody(void)
{
    char fingerprint[DIGEST_TEXT_SIZE];
    struct operation operation;
    struct tls_context *tls = NULL;
    struct transport *transport = NULL;
    struct rpc_client *client = NULL;
    json_t *result = NULL;
    operation_start(&operation, LIMIT_MS, NULL);
    is_int(certificate_fingerprint(authority_certificate(lab), fingerprint, NULL), VIOS_OK);
    is_int(tls_context_new_joining(&tls, fingerprint, NULL), VIOS_OK);
    is_int(transport_tls_connect(&transport, port_address, tls, TLS_JOIN, NULL, &operation),
           VIOS_OK);
    is_int(rpc_client_open_on(&client, transport, port_address, &operation), VIOS_OK);
    is_text(text_at(rpc_client_hello(client), "role"), "nobody");
    is_int(rpc_client_call(client, "test.who", NULL, NULL, &result, &operation), VIOS_E_DENIED);
    is_int(rpc_client_call(client, "test.admit", NULL, NULL, &result, &operation), VIOS_OK);
    ok(strncmp(text_at(result, "actor"), "join:tcp:127.0.0.1:", 19) == 0, "%s",
       text_at(result, "actor"));
    json_decref(result);
    is_int(rpc_client_call(client, "test.refuse", NULL, NULL, &result, &operation), VIOS_E_DENIED);
    await_refusal("RPC join:tcp:127.0.0.1:", "it never was");
    rpc_client_speak_for(client, "uid:0", "admin");
    is_int(rpc_client_call(client, "test.admit", NULL, NULL, &result, &operation), VIOS_E_DENIED);
    rpc_client_close(client);
    tls_context_free(tls);
}

static int open_raw(void)
{
    struct operation operation;
    operation_start(&operation, LIMIT_MS, NULL);
    int fd = transport_connect(port_address, &operation);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    struct timeval limit = {.tv_sec = LIMIT_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

/* Whether the other end closes it; what it says before that is of no interest. */
static bool is_closed(int fd)
{
    char data[256];
    ssize_t got;
    do {
        got = recv(fd, data, sizeof data, 0);
    } while (got > 0);
    return got == 0 || errno == ECONNRESET;
}

static void who_speaks_no_tls_is_refused(void)
{
    int fd = open_raw();
    is_int(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    ok(is_closed(fd), "closed");
    await_refusal("RPC tcp:127.0.0.1:", "it does not speak TLS 1.3");
    close(fd);
}

static void who_is_slow_with_the_handshake_is_refused(void)
{
    int fd = open_raw();
    int64_t began_ms = clock_now_ms();
    ok(is_closed(fd), "closed");
    ok(clock_now_ms() - began_ms >= GATEWAY_HANDSHAKE_MS - 100, "not before its time");
    await_refusal("RPC tcp:127.0.0.1:", "it did not finish the handshake in time");
    close(fd);
}

/* They fill the port and say nothing: who comes behind them gets in all the same. */
static void the_silent_make_room(void)
{
    static int fds[GATEWAY_STRANGERS_MAX + 1];
    struct operation operation;
    json_t *result = NULL;
    for (size_t i = 0; i <= GATEWAY_STRANGERS_MAX; i++) {
        fds[i] = open_raw();
    }
    int64_t began_ms = clock_now_ms();
    is_int(call_other(ROLE_ADMIN, "n1", "test.who", NULL, &result, &operation), VIOS_OK);
    json_decref(result);
    ok(is_closed(fds[0]), "the oldest is closed");
    ok(clock_now_ms() - began_ms < GATEWAY_HANDSHAKE_MS - 500, "long before its time");
    await_refusal("RPC tcp:127.0.0.1:", "while others waited");
    struct pollfd last = {.fd = fds[GATEWAY_STRANGERS_MAX - 1], .events = POLLIN};
    is_int(poll(&last, 1, 0), 0); /* no more than needed */
    for (size_t i = 0; i <= GATEWAY_STRANGERS_MAX; i++) {
        close(fds[i]);
    }
    await_refusal("RPC tcp:127.0.0.1:", "cut off during the handshake");
}

/* --- callers of events --- */

static int no_state(struct node *node, json_t **state, int64_t *sequence,
                    struct operation *operation)
{
    (void)node;
    (void)operation;
    *sequence = 0;
    *state = json_object();
    return VIOS_OK;
}

static int no_older(struct node *node, int64_t after, struct event_post *posts[PAYLOAD_EVENTS_MAX],
                    size_t *count, struct operation *operation)
{
    (void)node;
    (void)after;
    (void)posts;
    (void)operation;
    *count = 0;
    return VIOS_OK;
}

/* What a caller without a certificate hears after it said hello, to its end. */
static void dial_as_caller(char *heard, size_t size)
{
    struct operation operation;
    struct transport *transport = NULL;
    size_t done, used = 0;
    heard[0] = '\0';
    operation_start(&operation, LIMIT_MS, NULL);
    is_int(transport_tls_connect(&transport, port_address, identity_tls(there.identity), TLS_EVENT,
                                 "n1", &operation),
           VIOS_OK);
    if (!transport) {
        return;
    }
    const char *hello = "{\"hello\":1,\"caller\":\"a\",\"token\":\"b\"}\n";
    struct iovec part = {(void *)hello, strlen(hello)};
    (void)transport->operations->write(transport, &part, 1, &done);
    while (transport->operations->read(transport, heard + used, size - 1 - used, &done) ==
               VIOS_OK &&
           (done > 0 || operation_wait(&operation, transport->fd, POLLIN) == VIOS_OK)) {
        used += done;
    }
    heard[used] = '\0';
    transport->operations->close(transport);
}

static void callers_are_handed_on(void)
{
    char heard[1024];
    struct callers *callers = NULL;
    struct callers_settings settings = {.node = &here, .state = no_state, .older = no_older};
    dial_as_caller(heard, sizeof heard);
    is_text(heard, ""); /* the part has not started yet */
    is_int(callers_start(&callers, &settings, NULL), VIOS_OK);
    atomic_store(&here.callers, callers);
    dial_as_caller(heard, sizeof heard);
    is_text(heard, "{\"moved\":{\"node\":\"\",\"address\":\"\"}}\n");
    callers_open(callers, 1, 0, 0);
    dial_as_caller(heard, sizeof heard);
    ok(strstr(heard, "{\"error\":{\"code\":\"denied\"") == heard, "%s", heard);
    atomic_store(&here.callers, NULL);
    callers_stop(callers);
}

static void who_is_removed_is_closed(void)
{
    struct operation operation;
    struct rpc_client *client = NULL;
    json_t *result;
    operation_start(&operation, LIMIT_MS, NULL);
    is_int(
        rpc_client_open_tls(&client, port_address, identity_tls(there.identity), "n1", &operation),
        VIOS_OK);
    gateway_recheck(gateway);
    is_int(rpc_client_call(client, "test.who", NULL, NULL, &result, &operation), VIOS_OK);
    is_text(text_at(result, "actor"), "node:n2");
    is_text(text_at(result, "role"), "admin");
    json_decref(result);
    list_members(&here, n1.serial);
    gateway_recheck(gateway);
    int64_t until_ms = clock_now_ms() + LIMIT_MS;
    while (rpc_client_alive(client) && clock_now_ms() < until_ms) {
        poll(NULL, 0, 5);
    }
    ok(!rpc_client_alive(client), "closed");
    await_refusal("RPC tcp:127.0.0.1:", "node n2 has another certificate now");
    rpc_client_close(client);
    is_int(call_other(ROLE_ADMIN, "n1", "test.who", NULL, &result, &operation), VIOS_E_DENIED);
    await_refusal("RPC tcp:127.0.0.1:", "node n2 has another certificate now");
    list_members(&here, n2.serial);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    make_lab();
    make_daemon(&here, "n1", &n1);
    make_daemon(&there, "n2", &n2);
    start_port();
    list_members(&here, n2.serial);
    list_members(&there, n2.serial);
    RUN(a_member_calls_for_its_caller);
    RUN(what_is_longer_than_a_buffer_passes_both_ways);
    RUN(the_caller_learns_why_a_node_is_not_reached);
    RUN(a_call_is_forwarded_once);
    RUN(who_joins_is_nobody);
    RUN(who_speaks_no_tls_is_refused);
    RUN(who_is_slow_with_the_handshake_is_refused);
    RUN(the_silent_make_room);
    RUN(callers_are_handed_on);
    RUN(who_is_removed_is_closed);
    gateway_stop(gateway);
    server_stop(server);
    pthread_join(thread, NULL);
    server_free(server);
    free_daemon(&here);
    free_daemon(&there);
    free_lab();
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
