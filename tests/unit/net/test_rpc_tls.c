/* test_rpc_tls.c - the RPC client to another node: hello, large calls both ways, refusals of either
 * side, and a node that goes away. */
#include "net/rpc.h"
#include "tests/unit/net/tls_pair.h"

#include <pthread.h>

#define LARGE 700000

static const char *const RPC[] = {"rpc", NULL};

struct node { /* answers one connection, on a thread */
    struct tls_context *context;
    int listener;
    char address[96];
    pthread_t thread;
    int calls;    /* it closes after so many */
    char met[64]; /* who came */
};

static bool wait_for(struct transport *transport, short events)
{
    struct pollfd waiting = {.fd = transport->fd, .events = events};
    return poll(&waiting, 1, 20000) == 1;
}

static bool send_all(struct transport *transport, const char *data, size_t size)
{
    size_t done = 0, sent = 0;
    while (sent < size) {
        struct iovec part = {(void *)(data + sent), size - sent};
        if (transport->operations->write(transport, &part, 1, &done) != VIOS_OK ||
            (done == 0 && !wait_for(transport, POLLOUT))) {
            return false;
        }
        sent += done;
    }
    return true;
}

/* Answers with the parameters. */
static bool answer(struct transport *transport, const json_t *request)
{
    size_t size;
    json_t *message =
        json_pack("{s:s, s:O, s:O}", "jsonrpc", "2.0", "id", json_object_get(request, "id"),
                  "result", json_object_get(request, "params"));
    char *line = rpc_format(message, &size);
    bool good = line && send_all(transport, line, size);
    free(line);
    json_decref(message);
    return good;
}

static void serve(struct node *node, struct transport *transport)
{
    struct rpc_framer *framer = rpc_framer_new();
    struct rpc_message message;
    char data[3000];
    size_t done;
    bool good = true;
    while (good && node->calls > 0) {
        good = transport->operations->read(transport, data, sizeof data, &done) == VIOS_OK &&
               rpc_framer_push(framer, data, done, NULL) == VIOS_OK &&
               (done > 0 || wait_for(transport, POLLIN));
        while (good && node->calls > 0 && rpc_framer_pop(framer, &message, NULL) > 0) {
            const struct transport_peer *peer = transport_peer(transport);
            snprintf(node->met, sizeof node->met, "%s", peer->node);
            good = answer(transport, message.json);
            json_decref(message.json);
            node->calls--;
        }
    }
    rpc_framer_free(framer);
}

static void *run(void *argument)
{
    struct node *node = argument;
    struct pollfd waiting = {.fd = node->listener, .events = POLLIN};
    struct transport *transport;
    if (poll(&waiting, 1, 20000) == 1 &&
        transport_tls_server(&transport, accept(node->listener, NULL, NULL), node->context, RPC,
                             NULL) == VIOS_OK) {
        serve(node, transport);
        transport->operations->close(transport);
    }
    return NULL;
}

static void node_start(struct node *node, struct tls_context *context, int calls)
{
    *node = (struct node){.context = context, .calls = calls};
    node->listener = transport_listen("tcp:127.0.0.1:0", NULL);
    is_int(transport_address(node->listener, node->address, sizeof node->address, NULL), VIOS_OK);
    is_int(pthread_create(&node->thread, NULL, run, node), 0);
}

static void node_end(struct node *node)
{
    pthread_join(node->thread, NULL);
    close(node->listener);
    tls_context_free(node->context);
}

static void calls_go_through(void)
{
    struct node node;
    struct rpc_client *client;
    struct operation operation;
    struct tls_context *context = context_of(lab, &n2, NULL);
    node_start(&node, context_of(lab, &n1, NULL), 3);
    operation_start(&operation, 20000, NULL);
    if (!ok(rpc_client_open_tls(&client, node.address, context, "n1", &operation) == VIOS_OK, "%s",
            operation.error.message)) {
        exit(1);
    }
    ok(rpc_client_alive(client), "alive");
    char *text = malloc(LARGE + 1);
    memset(text, 'x', LARGE);
    text[LARGE] = 0;
    for (int i = 0; i < 2; i++) {
        json_t *result = NULL;
        ok(rpc_client_call(client, "echo", json_pack("{s:s}", "text", text), NULL, &result,
                           &operation) == VIOS_OK,
           "%s", operation.error.message);
        is_int(json_string_length(json_object_get(result, "text")), LARGE);
        json_decref(result);
    }
    free(text);
    node_end(&node);
    is_text(node.met, "n2");
    ok(!rpc_client_alive(client), "it closed");
    is_int(rpc_client_call(client, "echo", NULL, NULL, NULL, &operation), VIOS_E_UNREACHABLE);
    rpc_client_close(client);
    tls_context_free(context);
}

static int nobody(void *context, const char *node, const char *serial, struct vios_error *error)
{
    (void)context;
    (void)serial;
    return error_set(error, VIOS_E_DENIED, node, NULL, "node %s was removed", node);
}

static void either_side_may_refuse(void)
{
    struct node node;
    struct rpc_client *client;
    struct operation operation;
    struct tls_context *context = context_of(lab, &n2, NULL);
    operation_start(&operation, 20000, NULL);
    node_start(&node, context_of(lab, &n1, NULL), 1);
    is_int(rpc_client_open_tls(&client, node.address, context, "n3", &operation), VIOS_E_DENIED);
    is_text(operation.error.message, "it is node n1, and not n3");
    is_text(operation.error.object, node.address);
    node_end(&node);
    node_start(&node, context_of(lab, &n1, nobody), 1);
    is_int(rpc_client_open_tls(&client, node.address, context, "n1", &operation), VIOS_E_DENIED);
    is_text(operation.error.message, "it does not know, or no longer, this node's certificate");
    node_end(&node);
    tls_context_free(context);
}

int main(void)
{
    make_lab();
    RUN(calls_go_through);
    RUN(either_side_may_refuse);
    free_lab();
    return tap_done();
}
