/* Proves: one exchange with io's control socket: answers, io's own errors, descriptors both ways,
 * and every way in which the other side can misbehave or go away. */
#include "node/io_wire.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define PATIENCE_MS 20000

static struct operation operation;
static json_t *answer;
static bool answered;
static struct io_descriptors received;

/* Sends `text` (may be NULL) with `count` descriptors of /dev/null from the other end. */
static void put(int fd, const char *text, size_t count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * 16)];
    } control = {0};
    struct iovec part = {(char *)text, strlen(text)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    int fds[16];
    for (size_t i = 0; i < count; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    if (count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
    }
    ok(sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)part.iov_len, "it was sent");
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
}

/* What comes of a request when the other side has said `text` and, unless `stays`, gone. */
static int exchange(const char *text, size_t descriptors, bool stays)
{
    int pair[2];
    json_t *request = json_pack("{s:s}", "do", "hello");
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    answer = NULL;
    received.count = 0;
    if (text) {
        put(pair[1], text, descriptors);
    }
    if (!stays) {
        shutdown(pair[1], SHUT_WR);
    }
    int status =
        io_wire_exchange(pair[0], request, NULL, &answer, &received, &answered, &operation);
    json_decref(request);
    close(pair[0]);
    close(pair[1]);
    return status;
}

static void clear(void)
{
    json_decref(answer);
    answer = NULL;
    io_descriptors_close(&received);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void answers_come_back(void)
{
    operation_start(&operation, PATIENCE_MS, NULL);
    is_int(exchange("{\"ok\":true,\"pid\":7}\n", 0, true), VIOS_OK);
    ok(answered, "it answered");
    is_int(json_integer_value(json_object_get(answer, "pid")), 7);
    clear();
}

static void its_errors_are_ours(void)
{
    operation_start(&operation, PATIENCE_MS, NULL);
    is_int(exchange("{\"error\":{\"code\":\"stale\",\"object\":\"web1\",\"message\":\"too old\","
                    "\"hint\":\"wait\"}}\n",
                    0, true),
           VIOS_E_STALE);
    ok(answered, "it answered");
    ok(!answer, "there is no answer");
    is_text(operation.error.object, "web1");
    is_text(operation.error.message, "too old");
    is_text(operation.error.hint, "wait");
    is_int(exchange("{\"error\":{\"code\":\"nosuch\"}}\n", 0, true), VIOS_E_SYSTEM);
    is_text(operation.error.message, "io refused");
}

static void nonsense_is_corrupt(void)
{
    operation_start(&operation, PATIENCE_MS, NULL);
    is_int(exchange("{}\n", 0, true), VIOS_E_CORRUPT);
    is_text(operation.error.message, "its answer is neither ok nor an error");
    is_int(exchange("{\"ok\":false}\n", 0, true), VIOS_E_CORRUPT);
    is_int(exchange("nonsense\n", 0, true), VIOS_E_CORRUPT);
    ok(!answered, "nonsense is no answer");
    is_int(exchange("[]\n", 0, true), VIOS_E_CORRUPT);
    ok(!answered, "nor is an array");
}

static void an_end_is_told(void)
{
    operation_start(&operation, PATIENCE_MS, NULL);
    is_int(exchange(NULL, 0, false), VIOS_E_UNREACHABLE);
    ok(!answered, "no answer");
    is_text(operation.error.message, "the connection ended");
    is_int(exchange("{\"ok\":tr", 0, false), VIOS_E_UNREACHABLE);
}

static void it_waits_no_longer_than_told(void)
{
    struct cancel *cancel = cancel_new();
    operation_start(&operation, 1, NULL);
    is_int(exchange(NULL, 0, true), VIOS_E_TIMEOUT);
    ok(!answered, "no answer");
    cancel_trigger(cancel);
    operation_start(&operation, PATIENCE_MS, cancel);
    is_int(exchange("{\"ok\":", 0, true), VIOS_E_CANCELLED);
    cancel_free(cancel);
}

static void descriptors_come_along(void)
{
    int before = open_descriptors();
    operation_start(&operation, PATIENCE_MS, NULL);
    is_int(exchange("{\"ok\":true}\n", 3, true), VIOS_OK);
    is_int(received.count, 3);
    ok(fcntl(received.fds[2], F_GETFD) & FD_CLOEXEC, "no child inherits them");
    clear();
    is_int(exchange("{\"error\":{\"code\":\"io\"}}\n", 3, true), VIOS_E_IO);
    is_int(received.count, 0);
    is_int(exchange("{\"ok\"", 3, false), VIOS_E_UNREACHABLE);
    is_int(received.count, 0);
    is_int(open_descriptors(), before);
}

static void descriptors_that_are_lost_are_noticed(void)
{
    struct rlimit limit, low;
    int before = open_descriptors();
    getrlimit(RLIMIT_NOFILE, &limit);
    low = limit;
    int spare[3];
    for (int i = 0; i < 3; i++) {
        spare[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    int pair[2];
    json_t *request = json_pack("{s:s}", "do", "give");
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    put(pair[1], "{\"ok\":true}\n", 8);
    close(spare[0]);
    low.rlim_cur = (rlim_t)pair[1] + 1; /* spare[0] is the only room left below */
    setrlimit(RLIMIT_NOFILE, &low);
    operation_start(&operation, PATIENCE_MS, NULL);
    int status =
        io_wire_exchange(pair[0], request, NULL, &answer, &received, &answered, &operation);
    setrlimit(RLIMIT_NOFILE, &limit);
    is_int(status, VIOS_E_NO_SPACE);
    ok(!answered, "it does not count as an answer");
    ok(strstr(operation.error.hint, "LimitNOFILE") != NULL, "%s", operation.error.hint);
    json_decref(request);
    close(spare[1]);
    close(spare[2]);
    close(pair[0]);
    close(pair[1]);
    is_int(open_descriptors(), before);
}

static void descriptors_are_sent_once(void)
{
    int pair[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct io_descriptors sent = {.fds = {null, null}, .count = 2};
    char room[CMSG_SPACE(sizeof(int) * 16)], line[256];
    struct iovec part = {line, sizeof line};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    json_t *request = json_pack("{s:s}", "do", "guest");
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    put(pair[1], "{\"ok\":true}\n", 0);
    operation_start(&operation, PATIENCE_MS, NULL);
    is_int(io_wire_exchange(pair[0], request, &sent, NULL, NULL, &answered, &operation), VIOS_OK);
    ssize_t got = recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC);
    is_int(got, strlen("{\"do\":\"guest\"}\n"));
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    ok(header && header->cmsg_len == CMSG_LEN(2 * sizeof(int)), "two came with it");
    for (size_t i = 0; header && i < 2; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        close(fd);
    }
    json_decref(request);
    close(null);
    close(pair[0]);
    close(pair[1]);
}

static void a_request_has_a_limit(void)
{
    int pair[2];
    char *text = calloc(1, IO_WIRE_REQUEST_MAX + 1);
    memset(text, 'x', IO_WIRE_REQUEST_MAX);
    json_t *request = json_pack("{s:s}", "do", text);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    operation_start(&operation, PATIENCE_MS, NULL);
    is_int(io_wire_exchange(pair[0], request, NULL, NULL, NULL, &answered, &operation),
           VIOS_E_INVALID);
    ok(!answered, "nothing was asked");
    is_int(recv(pair[1], text, 1, MSG_DONTWAIT), -1);
    json_decref(request);
    free(text);
    close(pair[0]);
    close(pair[1]);
}

/* Says `{"ok":true,"text":"xxx…` for ever, or until nobody listens. */
static void *talk(void *argument)
{
    int fd = *(int *)argument;
    char text[4096];
    memset(text, 'x', sizeof text);
    memcpy(text, "{\"ok\":true,\"text\":\"", 19);
    while (send(fd, text, sizeof text, MSG_NOSIGNAL) > 0) {
        memset(text, 'x', sizeof text);
    }
    return NULL;
}

static void an_answer_has_a_limit(void)
{
    int pair[2];
    pthread_t talker;
    json_t *request = json_pack("{s:s}", "do", "hello");
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    pthread_create(&talker, NULL, talk, &pair[1]);
    operation_start(&operation, PATIENCE_MS, NULL);
    is_int(io_wire_exchange(pair[0], request, NULL, NULL, NULL, &answered, &operation),
           VIOS_E_CORRUPT);
    ok(strstr(operation.error.message, "an answer of more than") != NULL, "%s",
       operation.error.message);
    close(pair[0]);
    pthread_join(talker, NULL);
    close(pair[1]);
    json_decref(request);
}

int main(void)
{
    RUN(answers_come_back);
    RUN(its_errors_are_ours);
    RUN(nonsense_is_corrupt);
    RUN(an_end_is_told);
    RUN(it_waits_no_longer_than_told);
    RUN(descriptors_come_along);
    RUN(descriptors_that_are_lost_are_noticed);
    RUN(descriptors_are_sent_once);
    RUN(a_request_has_a_limit);
    RUN(an_answer_has_a_limit);
    return tap_done();
}
