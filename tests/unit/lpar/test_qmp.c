/* test_qmp.c - the QMP parser and client against a scripted peer. */
#include "lpar/qmp.h"
#include "lpar/qmp_parser.h"

#include "tests/tap.h"

#include <sys/socket.h>

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define NEGOTIATED "{\"return\": {}, \"id\": 1}\r\n"

static int parse_one(const char *text, struct qmp_message *message, struct vios_error *error)
{
    struct qmp_parser *parser = qmp_parser_new();
    memset(message, 0, sizeof *message);
    int got = qmp_parser_push(parser, text, strlen(text), error);
    got = got < 0 ? got : qmp_parser_pop(parser, message, error);
    qmp_parser_free(parser);
    return got;
}

static void sorts_the_four_kinds(void)
{
    static const char *const lines[] = {GREETING, "{\"return\": [], \"id\": 7}\n",
                                        "{\"error\": {\"class\": \"a\", \"desc\": \"b\"}}\n",
                                        "\r\n{\"event\": \"STOP\", \"timestamp\": {}}\n"};
    for (int i = 0; i < 4; i++) {
        struct qmp_message message;
        struct vios_error error;
        if (is_int(parse_one(lines[i], &message, &error), 1)) {
            is_int(message.kind, i);
            json_decref(message.json);
        }
    }
}

static void refuses_what_is_no_message(void)
{
    static const char *const lines[] = {"hello\n",
                                        "[]\n",
                                        "{}\n",
                                        "{\"event\": 5}\n",
                                        "{\"event\": \"A\", \"data\": []}\n",
                                        "{\"error\": {\"class\": \"a\"}}\n",
                                        "{\"return\": {}, \"event\": \"A\"}\n",
                                        "{\"return\": 1, \"return\": 2}\n",
                                        "{\"QMP\": 1}\n",
                                        "{\"return\": {}\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct qmp_message message;
        struct vios_error error;
        ok(parse_one(lines[i], &message, &error) == VIOS_E_CORRUPT, "line %zu", i);
    }
}

static void takes_lines_in_any_pieces(void)
{
    const char *text = "{\"return\": 1}\n{\"return\": 2}\n{\"return\": 3}";
    struct qmp_parser *parser = qmp_parser_new();
    struct qmp_message message;
    struct vios_error error;
    int count = 0;
    for (const char *at = text; *at; at++) {
        is_int(qmp_parser_push(parser, at, 1, &error), VIOS_OK);
        while (qmp_parser_pop(parser, &message, &error) > 0) {
            count++;
            is_int(json_integer_value(json_object_get(message.json, "return")), count);
            json_decref(message.json);
        }
    }
    is_int(count, 2);
    qmp_parser_free(parser);
}

static void bounds_a_line(void)
{
    struct qmp_parser *parser = qmp_parser_new();
    struct qmp_message message;
    struct vios_error error;
    char block[4096];
    int status = 0;
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 2 * QMP_LINE_MAX / 4096 && status == 0; i++) {
        status = qmp_parser_push(parser, block, sizeof block, &error);
        status = status < 0 ? status : qmp_parser_pop(parser, &message, &error);
    }
    is_int(status, VIOS_E_NO_SPACE);
    qmp_parser_free(parser);
}

/* --- the client; a peer whose every word is known before is written ahead --- */

struct peer {
    int fd;
    struct qmp *qmp;
    struct operation operation;
};

static int open_with(struct peer *peer, const char *script)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ||
        write(pair[1], script, strlen(script)) != (ssize_t)strlen(script)) {
        exit(1);
    }
    operation_start(&peer->operation, 10000, NULL);
    peer->fd = pair[1];
    peer->qmp = NULL;
    return qmp_open(&peer->qmp, pair[0], &peer->operation);
}

/* Lies there when the next command is sent: an answer before its question breaks the connection. */
static void say(const struct peer *peer, const char *text)
{
    is_int(write(peer->fd, text, strlen(text)), strlen(text));
}

static void close_peer(struct peer *peer)
{
    qmp_close(peer->qmp);
    close(peer->fd);
}

static void negotiates(void)
{
    struct peer peer;
    char got[256] = "";
    if (ok(open_with(&peer, GREETING NEGOTIATED) == VIOS_OK, "%s", peer.operation.error.message)) {
        ok(read(peer.fd, got, sizeof got - 1) > 0, "nothing sent");
        ok(strstr(got, "qmp_capabilities"), "sent %s", got);
    }
    close_peer(&peer);
}

static void wants_a_greeting_first(void)
{
    struct peer peer;
    is_int(open_with(&peer, NEGOTIATED), VIOS_E_CORRUPT);
    close_peer(&peer);
}

static void gives_results_and_queues_events(void)
{
    struct peer peer;
    json_t *result = NULL;
    is_int(open_with(&peer, GREETING NEGOTIATED "{\"event\": \"STOP\"}\n"), VIOS_OK);
    say(&peer, "{\"return\": {\"a\": 1}, \"id\": 2}\n"
               "{\"event\": \"RESUME\"}\n");
    is_int(qmp_call(peer.qmp, "query-status", NULL, -1, &result, &peer.operation), VIOS_OK);
    is_int(json_integer_value(json_object_get(result, "a")), 1);
    json_decref(result);
    for (int i = 0; i < 2; i++) {
        json_t *event = qmp_next_event(peer.qmp);
        is_text(json_string_value(json_object_get(event, "event")), i ? "RESUME" : "STOP");
        json_decref(event);
    }
    ok(!qmp_next_event(peer.qmp), "a third event");
    ok(!qmp_events_lost(peer.qmp), "events lost");
    close_peer(&peer);
}

static void carries_a_refusal(void)
{
    struct peer peer;
    is_int(open_with(&peer, GREETING NEGOTIATED), VIOS_OK);
    say(&peer, "{\"error\": {\"class\": \"GenericError\", "
               "\"desc\": \"no way\"}, \"id\": 2}\n");
    is_int(qmp_call(peer.qmp, "cont", NULL, -1, NULL, &peer.operation), VIOS_E_IO);
    is_text(peer.operation.error.message, "QEMU refused cont: no way");
    ok(!qmp_is_broken(peer.qmp), "broken");
    close_peer(&peer);
}

static void breaks_on_a_foreign_answer(void)
{
    struct peer peer;
    is_int(open_with(&peer, GREETING NEGOTIATED), VIOS_OK);
    say(&peer, "{\"return\": {}, \"id\": 99}\n");
    is_int(qmp_call(peer.qmp, "cont", NULL, -1, NULL, &peer.operation), VIOS_E_CORRUPT);
    ok(qmp_is_broken(peer.qmp), "not broken");
    is_int(qmp_call(peer.qmp, "cont", NULL, -1, NULL, &peer.operation), VIOS_E_UNREACHABLE);
    close_peer(&peer);
}

static void drops_old_events_and_says_so(void)
{
    struct peer peer;
    is_int(open_with(&peer, GREETING NEGOTIATED), VIOS_OK);
    for (int i = 0; i < QMP_EVENTS_MAX + 10; i++) {
        char line[64];
        int size = snprintf(line, sizeof line, "{\"event\": \"E%d\"}\n", i);
        is_int(write(peer.fd, line, (size_t)size), size);
        is_int(qmp_receive(peer.qmp, &peer.operation.error), VIOS_OK);
    }
    ok(qmp_events_lost(peer.qmp), "nothing lost");
    json_t *event = qmp_next_event(peer.qmp);
    is_text(json_string_value(json_object_get(event, "event")), "E10");
    json_decref(event);
    close_peer(&peer);
}

static void notices_the_end(void)
{
    struct peer peer;
    is_int(open_with(&peer, GREETING NEGOTIATED "{\"event\": \"SHUTDOWN\"}\n"), VIOS_OK);
    shutdown(peer.fd, SHUT_RDWR);
    is_int(qmp_receive(peer.qmp, &peer.operation.error), VIOS_E_UNREACHABLE);
    json_t *event = qmp_next_event(peer.qmp);
    is_text(json_string_value(json_object_get(event, "event")), "SHUTDOWN");
    json_decref(event);
    close_peer(&peer);
}

static void obeys_a_deadline(void)
{
    struct peer peer;
    is_int(open_with(&peer, GREETING NEGOTIATED), VIOS_OK);
    operation_start(&peer.operation, 20, NULL);
    is_int(qmp_call(peer.qmp, "stop", NULL, -1, NULL, &peer.operation), VIOS_E_TIMEOUT);
    ok(qmp_is_broken(peer.qmp), "not broken");
    close_peer(&peer);
}

static void passes_a_descriptor(void)
{
    struct peer peer;
    int pipes[2];
    char data[512];
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {data, sizeof data};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    is_int(open_with(&peer, GREETING NEGOTIATED), VIOS_OK);
    say(&peer, "{\"return\": {}, \"id\": 2}\n");
    ok(read(peer.fd, data, sizeof data) > 0, "no capabilities");
    is_int(pipe(pipes), 0);
    is_int(qmp_call(peer.qmp, "getfd", json_pack("{s:s}", "fdname", "x"), pipes[1], NULL,
                    &peer.operation),
           VIOS_OK);
    ok(recvmsg(peer.fd, &message, 0) > 0, "nothing came");
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (ok(header && header->cmsg_type == SCM_RIGHTS, "no descriptor")) {
        int fd;
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
        is_int(write(fd, "!", 1), 1);
        is_int(read(pipes[0], data, 1), 1);
        close(fd);
    }
    close(pipes[0]);
    close(pipes[1]);
    close_peer(&peer);
}

int main(void)
{
    RUN(sorts_the_four_kinds);
    RUN(refuses_what_is_no_message);
    RUN(takes_lines_in_any_pieces);
    RUN(bounds_a_line);
    RUN(negotiates);
    RUN(wants_a_greeting_first);
    RUN(gives_results_and_queues_events);
    RUN(carries_a_refusal);
    RUN(breaks_on_a_foreign_answer);
    RUN(drops_old_events_and_says_so);
    RUN(notices_the_end);
    RUN(obeys_a_deadline);
    RUN(passes_a_descriptor);
    return tap_done();
}
