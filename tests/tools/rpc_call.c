/*
 * rpc_call.c - one RPC call, for tests: rpc_call SOCKET METHOD [JSON]. The result goes to stdout
 * as one line of sorted JSON, items too, bytes as they are; progress goes to stderr. An error goes
 * to stderr as {"error":{...}}. SIGINT and SIGTERM cancel the call. With RPC_CALL_ITEMS=N the
 * stream is ended after N items; stdin is forwarded when RPC_CALL_INPUT is set.
 */
#include "net/rpc.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct cancel *cancel;
static long items_left = -1;

static void on_signal(int number)
{
    (void)number;
    cancel_trigger(cancel);
}

static void print_json(FILE *to, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    fprintf(to, "%s\n", text ? text : "null");
    fflush(to);
    free(text);
}

static void on_progress(void *context, const json_t *parameters)
{
    (void)context;
    print_json(stderr, parameters);
}

static bool on_item(void *context, const json_t *value)
{
    (void)context;
    print_json(stdout, value);
    return items_left < 0 || --items_left > 0;
}

static bool on_bytes(void *context, const void *data, size_t size, bool end)
{
    (void)context;
    (void)end;
    fwrite(data, 1, size, stdout);
    fflush(stdout);
    return true;
}

static int report(const struct vios_error *error)
{
    json_t *whole = rpc_error_to_json(error);
    fputs("{\"error\":", stderr);
    char *text = json_dumps(json_object_get(whole, "data"), JSON_COMPACT | JSON_SORT_KEYS);
    fprintf(stderr, "%s}\n", text);
    free(text);
    json_decref(whole);
    return error_exit_status(error->code);
}

int main(int argc, char **argv)
{
    struct operation operation;
    struct rpc_client *client;
    struct rpc_handlers handlers = {
        .progress = on_progress, .item = on_item, .bytes = on_bytes, .input_fd = -1};
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: rpc_call SOCKET METHOD [JSON]\n");
        return 2;
    }
    json_t *parameters = json_loads(argc == 4 ? argv[3] : "{}", 0, NULL);
    const char *items = getenv("RPC_CALL_ITEMS");
    items_left = items ? atol(items) : -1;
    handlers.input_fd = getenv("RPC_CALL_INPUT") ? STDIN_FILENO : -1;
    cancel = cancel_new();
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    if (rpc_client_open(&client, argv[1], &operation) != VIOS_OK) {
        json_decref(parameters);
        cancel_free(cancel);
        return report(&operation.error);
    }
    json_t *result = NULL;
    int status = strcmp(argv[2], "rpc.hello") == 0
                     ? (result = json_deep_copy(rpc_client_hello(client)), VIOS_OK)
                     : rpc_client_call(client, argv[2], json_incref(parameters), &handlers, &result,
                                       &operation);
    int exit_status = 0;
    if (status == VIOS_OK) {
        print_json(stdout, result);
    } else {
        exit_status = report(&operation.error);
    }
    json_decref(result);
    json_decref(parameters);
    rpc_client_close(client);
    cancel_free(cancel);
    return exit_status;
}
