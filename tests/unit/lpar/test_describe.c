/* Proves: what each guest's QEMU says is in its line, and the capture ends in time with the reason
 * in it when a QEMU does not answer, is stopped, or somebody else talks to it all the time. */
#include "lpar/describe.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "lpar/guest_private.h"
#include "tests/unit/lpar/world.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define GREETING                                                                                   \
    "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": []}}\n"                 \
    "{\"return\": {}, \"id\": 1}\n"

static struct guest *guest;
static int peer = -1;

/* A guest of this node; `peer` is its QEMU. */
static void with_guest(void)
{
    int pair[2];
    char asked[1024]; /* its capabilities */
    struct operation operation;
    struct lpar lpar = {.uuid = "11111111-2222-4333-8444-555555555555",
                        .name = "web1",
                        .generation = 3,
                        .start = 3,
                        .memory_bytes = 1 << 24};
    world_new();
    is_int(lpars_reserve(node.lpars, &lpar, false, NULL), VIOS_OK);
    guest = lpars_find(node.lpars, "web1");
    is_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    peer = pair[1];
    is_int(write(peer, GREETING, strlen(GREETING)), strlen(GREETING));
    operation_start(&operation, 10000, NULL);
    is_int(qmp_open(&guest->qmp, pair[0], &operation), VIOS_OK);
    ok(read(peer, asked, sizeof asked) > 0, "it asked");
    guest->connected = true;
    guest->status.qemu_pid = getpid();
    snprintf(guest->status.state, sizeof guest->status.state, "running");
}

static void without_guest(void)
{
    guest->connected = false;
    lpars_unlist(guest);
    guest_release(guest);
    close(peer);
}

/* The one line there is, within the time; the caller's. */
static json_t *line(int64_t limit_ms)
{
    struct operation operation;
    json_t *lines = json_array();
    int64_t begin_ms = clock_now_ms();
    operation_start(&operation, limit_ms, NULL);
    lpar_describe(&node, lines, &operation);
    ok(clock_now_ms() - begin_ms < 20000, "it came to its end");
    is_int(json_array_size(lines), 1);
    json_t *first = json_incref(json_array_get(lines, 0));
    json_decref(lines);
    is_text(json_get_text(first, "name"), "web1");
    is_text(json_get_text(first, "state"), "running");
    is_int(json_get_integer(first, "generation"), 3);
    return first;
}

static void what_qemu_says_is_there(void)
{
    with_guest();
    static const char ANSWERS[] = "{\"return\": {\"status\": \"running\"}, \"id\": 2}\n";
    pid_t child = fork(); /* it answers each question when that was put */
    if (child == 0) {
        char text[1024];
        for (int id = 2; id <= 5; id++) {
            ssize_t got = read(peer, text, sizeof text);
            int size = id == 2 ? snprintf(text, sizeof text, "%s", ANSWERS)
                               : snprintf(text, sizeof text,
                                          "{\"return\": [{\"of\": %d}], \"id\": %d}\n", id, id);
            if (got <= 0 || write(peer, text, (size_t)size) != size) {
                _exit(1);
            }
        }
        _exit(0);
    }
    json_t *shown = line(10000);
    const json_t *answers = json_object_get(shown, "answers");
    is_int(json_object_size(answers), 4);
    is_text(json_get_text(json_object_get(answers, "query-status"), "status"), "running");
    is_int(json_get_integer(json_array_get(json_object_get(answers, "query-chardev"), 0), "of"), 5);
    is_text(json_get_text(shown, "unanswered"), "");
    json_decref(shown);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    without_guest();
}

static void one_that_is_silent_takes_its_time_only(void)
{
    with_guest();
    json_t *shown = line(200);
    is_int(json_object_size(json_object_get(shown, "answers")), 0);
    ok(json_get_word(shown, "unanswered")[0] != 0, "it says why");
    json_decref(shown);
    shown = line(200); /* what was asked may still be answered: another connection is awaited */
    is_text(json_get_text(shown, "unanswered"), "QEMU does not answer just now");
    json_decref(shown);
    without_guest();
}

static void nobody_is_interrupted(void)
{
    with_guest();
    pthread_mutex_lock(&guest->qmp_lock); /* as another thread in the middle of a call */
    json_t *shown = line(100);
    pthread_mutex_unlock(&guest->qmp_lock);
    is_text(json_get_text(shown, "unanswered"), "somebody else talked to its QEMU all the time");
    json_decref(shown);
    ok(!qmp_is_broken(guest->qmp), "its connection is as it was");
    without_guest();
}

static void one_that_is_stopped_is_not_asked(void)
{
    with_guest();
    pid_t child = fork();
    if (child == 0) {
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    is_int(waitpid(child, &status, WUNTRACED), child);
    guest->status.qemu_pid = child;
    json_t *shown = line(10000);
    is_text(json_get_text(shown, "unanswered"), "its QEMU stands still, stopped by a signal");
    json_decref(shown);
    ok(!qmp_is_broken(guest->qmp), "its connection is as it was");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    without_guest();
}

static void without_time_nobody_is_asked(void)
{
    with_guest();
    json_t *shown = line(0);
    is_text(json_get_text(shown, "unanswered"), "no time was left for it");
    json_decref(shown);
    guest->connected = false;
    shown = line(1000);
    is_text(json_get_text(shown, "unanswered"), "it is just being started");
    json_decref(shown);
    without_guest();
}

int main(void)
{
    world_begin();
    RUN(what_qemu_says_is_there);
    RUN(one_that_is_silent_takes_its_time_only);
    RUN(nobody_is_interrupted);
    RUN(one_that_is_stopped_is_not_asked);
    RUN(without_time_nobody_is_asked);
    world_end();
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
