/*
 * fake_daemon.c - answers the shell as a daemon would, with what the tests of the shell need:
 * known lists, each error code, a call that lasts until it is cancelled, awkward text.
 *
 *     fake_daemon FOLDER       listens on FOLDER/vios.sock until it is killed
 *
 * A node's state is what FOLDER/STATE-n2 says ("up" without it), so that a test can change it.
 * One process a connection, one call at a time.
 */
#include "base/file.h"
#include "net/rpc.h"
#include "net/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int connection;
static int folder_fd;
static struct rpc_framer *framer;
static const uint8_t *received; /* the bytes behind the message received last */
static size_t received_size;

static void send_json(json_t *message)
{
    size_t size;
    char *line = rpc_format(message, &size);
    if (!line || file_write_all(connection, line, size, NULL) != VIOS_OK) {
        exit(1);
    }
    free(line);
    json_decref(message);
}

static void answer(const json_t *id, json_t *result)
{
    send_json(json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result));
}

static void answer_error(const json_t *id, int code, const char *object, const char *text,
                         const char *hint)
{
    struct vios_error error;
    error_set(&error, code, object, hint, "%s", text);
    send_json(json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "error",
                        rpc_error_to_json(&error)));
}

/* The next message, waiting at most `timeout_ms`; NULL: none came. Ends with the connection. */
static json_t *receive(int timeout_ms)
{
    struct rpc_message message;
    char data[4096];
    for (;;) {
        int status = rpc_framer_pop(framer, &message, NULL);
        if (status == 1) {
            received = message.data;
            received_size = message.data_size;
            return message.json;
        }
        struct pollfd input = {.fd = connection, .events = POLLIN};
        int ready = status == 0 ? poll(&input, 1, timeout_ms) : -1;
        if (ready == 0) {
            return NULL;
        }
        ssize_t got = ready > 0 ? read(connection, data, sizeof data) : -1;
        if (got <= 0 || rpc_framer_push(framer, data, (size_t)got, NULL) != VIOS_OK) {
            exit(0);
        }
    }
}

static json_t *node(const char *name)
{
    char file[64], *state = NULL;
    size_t size = 0;
    snprintf(file, sizeof file, "STATE-%s", name);
    if (file_read(folder_fd, file, sizeof file, &state, &size, NULL) == VIOS_OK) {
        state[strcspn(state, "\n")] = '\0';
    }
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s}", "name", name, "state",
                             size > 0 ? state : "up", "address", "127.0.0.1", "role", "member",
                             "level", 1, "since", "2026-01-02T03:04:05.000Z");
    free(state);
    return json;
}

static void list_nodes(const json_t *id, const json_t *parameters)
{
    (void)parameters;
    answer(id, json_pack("[o, o]", node("n1"), node("n2")));
}

static void show_node(const json_t *id, const json_t *parameters)
{
    const char *name = json_string_value(json_object_get(parameters, "node"));
    if (name && (strcmp(name, "n1") == 0 || strcmp(name, "n2") == 0)) {
        answer(id, node(name));
    } else {
        answer_error(id, VIOS_E_NOT_FOUND, "node \"n9\"", "there is no such node",
                     "did you mean \"n1\", \"n2\"?");
    }
}

/* Wide, combining and control characters, an empty field, a delimiter within a value. */
static void list_audit(const json_t *id, const json_t *parameters)
{
    (void)parameters;
    answer(id, json_pack("[{s:s, s:s, s:s, s:s, s:s, s:s}, {s:s, s:s, s:s, s:s, s:s}]", "time",
                         "2026-01-02T03:04:05.000Z", "actor", "uid:0", "node", "n1", "method",
                         "node.drain", "object", "日本 e\xcc\x81", "outcome", "ok", "time",
                         "2026-01-02T03:04:06.000Z", "actor", "uid:1000", "node", "n2", "method",
                         "evil\n\x1b[31m", "outcome", "a:b"));
}

/* config.get NAME-OF-AN-ERROR fails with that error. */
static void get_config(const json_t *id, const json_t *parameters)
{
    const char *key = json_string_value(json_object_get(parameters, "key"));
    if (strcmp(key, "ttl") == 0) {
        answer(id, json_pack("{s:s, s:s, s:s}", "key", key, "value", "5s", "origin", "default"));
    } else {
        answer_error(id, error_code(key), "key", "as asked", "ask for another");
    }
}

static bool there(const char *file)
{
    return faccessat(folder_fd, file, F_OK, 0) == 0;
}

/* Makes an empty file. */
static void touch(const char *file)
{
    int fd = openat(folder_fd, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
    }
}

static const char *waiting = "WAITING"; /* the file that says so */

/* Lasts until it is cancelled, telling its progress, which FOLDER/WAITING says. With FOLDER/HOLD it
 * answers to the cancel only when that file is gone; FOLDER/LEFT says that it came. */
static void wait_job(const json_t *id, const json_t *parameters)
{
    (void)parameters;
    for (int done = 0;; done++) {
        json_t *message = receive(done > 0 ? 50 : 0);
        const char *method = json_string_value(json_object_get(message, "method"));
        if (method && strcmp(method, "rpc.cancel") == 0) {
            touch("LEFT");
            while (there("HOLD")) {
                poll(NULL, 0, 10);
            }
            answer_error(id, VIOS_E_CANCELLED, NULL, "job j-1 goes on",
                         "vios job wait j-1, vios job cancel j-1");
            json_decref(message);
            return;
        }
        json_decref(message);
        send_json(json_pack("{s:s, s:s, s:{s:O, s:s, s:i, s:i, s:s}}", "jsonrpc", "2.0", "method",
                            "progress", "params", "id", id, "job", "j-1", "done", done, "total",
                            1000, "unit", "steps"));
        touch(waiting);
    }
}

static void cancel_job(const json_t *id, const json_t *parameters)
{
    touch("CANCELLED");
    answer(id,
           json_pack("{s:O, s:s}", "id", json_object_get(parameters, "job"), "state", "undoing"));
}

static void send_bytes(const json_t *id, const void *data, size_t size)
{
    send_json(json_pack("{s:s, s:s, s:{s:O, s:i, s:b}}", "jsonrpc", "2.0", "method", "bytes",
                        "params", "id", id, "count", (int)size, "end", 0));
    if (file_write_all(connection, data, size, NULL) != VIOS_OK) {
        exit(1);
    }
}

/* Sends back what it gets, in brackets, until its end or a cancel. */
static void console(const json_t *id, const json_t *parameters)
{
    (void)parameters;
    static const char greeting[] = "guest ready\r\n";
    send_bytes(id, greeting, sizeof greeting - 1);
    for (bool end = false; !end;) {
        json_t *message = receive(-1);
        const char *method = json_string_value(json_object_get(message, "method"));
        bool cancelled = method && strcmp(method, "rpc.cancel") == 0;
        end = json_is_true(json_object_get(json_object_get(message, "params"), "end"));
        if (received_size > 0) {
            char text[RPC_INPUT_MAX + 2];
            int size =
                snprintf(text, sizeof text, "[%.*s]", (int)received_size, (const char *)received);
            send_bytes(id, text, (size_t)size);
        }
        json_decref(message);
        if (cancelled) {
            answer_error(id, VIOS_E_CANCELLED, NULL, "the console was left", NULL);
            return;
        }
    }
    answer(id, json_object());
}

static void hello(const json_t *id, const json_t *parameters)
{
    (void)parameters;
    answer(id, json_pack("{s:i, s:s, s:s, s:s}", "level", RPC_LEVEL, "node", "n1", "cluster", "lab",
                         "role", "admin"));
}

/* n2 is known, and does not answer. */
static void call_node(const json_t *id, const json_t *parameters)
{
    const char *name = json_string_value(json_object_get(parameters, "node"));
    const char *method = json_string_value(json_object_get(parameters, "method"));
    if (method && strcmp(method, "job.wait") == 0) {
        waiting = "WAITING-n2";
        wait_job(id, json_object_get(parameters, "parameters"));
    } else if (name && strcmp(name, "n2") == 0) {
        answer_error(id, VIOS_E_UNREACHABLE, "node \"n2\"", "its daemon does not answer", NULL);
    } else {
        answer_error(id, VIOS_E_NOT_FOUND, "node \"n7\"", "there is no such node",
                     "did you mean \"n1\", \"n2\"?");
    }
}

static void show_cluster(const json_t *id, const json_t *parameters)
{
    (void)parameters;
    answer(id, json_pack("{s:s, s:s, s:n, s:i, s:i}", "name", "lab", "state", "OK", "primary",
                         "epoch", 0, "nodes", 2));
}

static void list_lpars(const json_t *id, const json_t *parameters)
{
    (void)parameters;
    answer(id, json_pack("[{s:s, s:s, s:s, s:i, s:i}, {s:s, s:s, s:s, s:i, s:i}]", "name", "web1",
                         "state", "running", "node", "n1", "memory_mib", 128, "generation", 3,
                         "name", "db-main", "state", "stopped", "node", "", "memory_mib", 512,
                         "generation", 1));
}

static void list_paging(const json_t *id, const json_t *parameters)
{
    (void)parameters;
    answer(id, json_pack("[{s:s, s:s, s:s, s:i, s:i}]", "lpar", "web1", "node", "n1", "state", "OK",
                         "pages_in", 100, "pages_out", 200));
}

/* Of a call that is a job: its id, as when the caller does not wait. */
static void submit_job(const json_t *id, const json_t *parameters)
{
    if (json_is_false(json_object_get(parameters, "wait"))) {
        answer(id, json_pack("{s:s}", "job", "j-1"));
    } else {
        answer_error(id, VIOS_E_TIMEOUT, NULL, "the job does not end", NULL);
    }
}

static void empty_list(const json_t *id, const json_t *parameters)
{
    (void)parameters;
    answer(id, json_array());
}

/* Of one method, as far as `explain` asks. */
static void describe(const json_t *id, const json_t *parameters)
{
    (void)parameters;
    answer(id, json_pack("[{s:s, s:[], s:s, s:b, s:b}]", "name", "lpar.stop", "parameters", "role",
                         "operator", "changes", 1, "job", 1));
}

static void serve(void)
{
    static const struct {
        const char *name;
        void (*call)(const json_t *id, const json_t *parameters);
    } methods[] = {{"rpc.hello", hello},       {"node.list", list_nodes},
                   {"node.show", show_node},   {"audit.list", list_audit},
                   {"config.get", get_config}, {"job.wait", wait_job},
                   {"job.list", empty_list},   {"lpar.list", list_lpars},
                   {"lpar.console", console},  {"cluster.status", show_cluster},
                   {"node.call", call_node},   {"paging.create", submit_job},
                   {"lpar.stop", submit_job},  {"paging.list", list_paging},
                   {"job.cancel", cancel_job}, {"rpc.describe", describe}};
    for (;;) {
        json_t *message = receive(-1);
        const char *name = json_string_value(json_object_get(message, "method"));
        const json_t *id = json_object_get(message, "id");
        size_t i = 0;
        while (name && i < sizeof methods / sizeof methods[0] &&
               strcmp(methods[i].name, name) != 0) {
            i++;
        }
        if (id && i < sizeof methods / sizeof methods[0]) {
            methods[i].call(id, json_object_get(message, "params"));
        } else if (id) {
            answer_error(id, VIOS_E_USAGE, name, "no such method", NULL);
        }
        json_decref(message);
    }
}

int main(int argc, char **argv)
{
    char address[4200];
    struct vios_error error;
    if (argc != 2) {
        fprintf(stderr, "use: fake_daemon FOLDER\n");
        return 2;
    }
    snprintf(address, sizeof address, "unix:%s/vios.sock", argv[1]);
    folder_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int listener = transport_listen(address, &error);
    if (folder_fd < 0 || listener < 0) {
        fprintf(stderr, "%s: %s\n", address, error.message);
        return 1;
    }
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        struct pollfd input = {.fd = listener, .events = POLLIN};
        poll(&input, 1, -1);
        connection = accept(listener, NULL, NULL);
        if (connection >= 0 && fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(listener);
            framer = rpc_framer_new();
            serve();
        }
        if (connection >= 0) {
            close(connection);
        }
    }
}
