/*
 * succession.c - how long a cluster is without a primary that every live node knows, in ms:
 *
 *     succession kill PID SOCKET...            kills the primary's daemon (SIGKILL)
 *     succession resign TO SOCKET SOCKET...    the daemon at the first resigns to the node TO
 *
 * Each daemon is asked over its own connection, without a pause, until all name the same primary of
 * a higher epoch than before. One line: the milliseconds from the kill, or from the call.
 */
#include "base/clock.h"
#include "net/rpc.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NODES_MAX 64
#define PATIENCE_MS 30000

static struct rpc_client *clients[NODES_MAX];
static size_t client_count;

static void fail(const struct vios_error *error)
{
    char text[800];
    fprintf(stderr, "succession: %s\n", error_format(error, text, sizeof text));
    exit(1);
}

static json_t *call(struct rpc_client *client, const char *method, json_t *parameters)
{
    const struct rpc_handlers handlers = {.input_fd = -1};
    struct operation operation;
    json_t *result = NULL;
    operation_start(&operation, PATIENCE_MS, NULL);
    if (rpc_client_call(client, method, parameters, &handlers, &result, &operation) != VIOS_OK) {
        fail(&operation.error);
    }
    return result;
}

static struct rpc_client *open_client(const char *socket)
{
    struct operation operation;
    struct rpc_client *client;
    operation_start(&operation, PATIENCE_MS, NULL);
    if (rpc_client_open(&client, socket, &operation) != VIOS_OK) {
        fail(&operation.error);
    }
    return client;
}

/* The epoch of the primary that it names, "" with none. */
static json_int_t ask(struct rpc_client *client, char name[128])
{
    json_t *primary = call(client, "primary.show", json_object());
    const char *node = json_string_value(json_object_get(primary, "node"));
    json_int_t epoch = json_integer_value(json_object_get(primary, "epoch"));
    snprintf(name, 128, "%s", node ? node : "");
    json_decref(primary);
    return epoch;
}

static bool all_agree(json_int_t before)
{
    char first[128] = "", name[128];
    for (size_t i = 0; i < client_count; i++) {
        json_int_t epoch = ask(clients[i], name);
        if (epoch <= before || !name[0] || (i > 0 && strcmp(name, first) != 0)) {
            return false;
        }
        snprintf(first, sizeof first, "%s", name);
    }
    return true;
}

/* In a process of its own, so that its answer delays nobody who asks. */
static pid_t resign(const char *socket, const char *to)
{
    pid_t child = fork();
    if (child == 0) {
        json_decref(call(open_client(socket), "primary.resign", json_pack("{s:s}", "to", to)));
        _exit(0);
    }
    return child;
}

int main(int argc, char **argv)
{
    bool kills = argc > 3 && strcmp(argv[1], "kill") == 0;
    char name[128];
    if (!kills && !(argc > 3 && strcmp(argv[1], "resign") == 0)) {
        fprintf(stderr, "usage: see the head of tests/tools/succession.c\n");
        return 2;
    }
    for (int i = 3; i < argc && client_count < NODES_MAX; i++) {
        clients[client_count++] = open_client(argv[i]);
    }
    json_int_t before = ask(clients[0], name);
    int64_t from_ns = clock_now_ns();
    pid_t child = -1;
    if (kills) {
        kill((pid_t)strtol(argv[2], NULL, 10), SIGKILL);
    } else {
        child = resign(argv[3], argv[2]);
    }
    while (!all_agree(before)) {
        int status = 0;
        if (child > 0 && waitpid(child, &status, WNOHANG) == child && status != 0) {
            return 1; /* it has said why */
        }
        if (clock_now_ns() - from_ns > PATIENCE_MS * 1000000LL) {
            fprintf(stderr, "succession: no primary in %d ms\n", PATIENCE_MS);
            return 1;
        }
    }
    printf("%.1f\n", (double)(clock_now_ns() - from_ns) / 1e6);
    if (child > 0) {
        waitpid(child, NULL, 0); /* absent when it has ended meanwhile */
    }
    return 0;
}
