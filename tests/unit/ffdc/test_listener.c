/* Proves: which events are signalled, by whom, and under which signature: the table of listener.c,
 * one event after the other; a listener ends in time, also while the repository hangs. */
#include "ffdc/listener.h"

#include "base/file.h"
#include "tests/unit/event/world.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <time.h>

static struct listener_memory memory;
static struct listener_signal signalled;

/* As n1 sees an event that `publisher` published; `more` is put behind its members. */
static bool sees(const char *publisher, bool derived, const char *time, const char *what,
                 const char *more)
{
    char class[32], object[64], operation[32], text[512];
    struct listener_event event = {.publisher = publisher, .derived = derived, .sequence = 123456};
    memset(&signalled, 0, sizeof signalled);
    is_int(sscanf(what, "%31s %63s %31s", class, object, operation), 3);
    snprintf(text, sizeof text,
             "{\"time\":\"2026-11-26T%s.000Z\",\"class\":\"%s\",\"object\":\"%s\","
             "\"operation\":\"%s\"%s}",
             time, class, object, operation, more);
    json_t *json = json_loads(text, 0, NULL);
    ok(json != NULL, "%s", text);
    event.json = json;
    bool signals = listener_judge(&memory, "n1", &event, &signalled);
    json_decref(json);
    return signals;
}

static bool hears(const char *what)
{
    return sees("n1", true, "12:00:00", what, "");
}

static void signals(const char *what, const char *trigger, const char *component,
                    const char *signature, enum manifest_priority priority)
{
    ok(hears(what), "%s is signalled", what);
    is_text(signalled.trigger, trigger);
    is_text(signalled.component, component);
    is_text(signalled.signature, signature);
    is_int(signalled.priority, priority);
    is_int(manifest_check_component(signalled.component, NULL), VIOS_OK);
}

static void failures_are_signalled(void)
{
    signals("node n3 down", "node down n3, event 123456", "node", "node down n3", PRIORITY_HIGH);
    is_int(signalled.delay_ms, 0);
    signals("node n3 removed", "node removed n3, event 123456", "node", "node removed n3",
            PRIORITY_LOW);
    signals("cluster cluster split", "cluster split cluster, event 123456", "cluster",
            "cluster split cluster", PRIORITY_HIGH);
    signals("lpar web1 panicked", "lpar panicked web1, event 123456", "lpar", "lpar panicked web1",
            PRIORITY_HIGH);
}

static void all_nodes_that_are_added_are_one(void)
{
    signals("node n3 added", "node added n3, event 123456", "node", "node added", PRIORITY_LOW);
    is_int(signalled.delay_ms, LISTENER_SETTLE_MS);
    signals("node n4 added", "node added n4, event 123456", "node", "node added", PRIORITY_LOW);
}

static void what_is_no_failure_is_not(void)
{
    ok(!hears("node n3 up"), "a node that is up");
    ok(!hears("lpar web1 started"), "a guest that is started");
    ok(!hears("cluster cluster merged"), "a split that ends");
    ok(!hears("ffdc 17 captured"), "a capture, which would make another");
    ok(!hears("backup node down"), "another class");
}

static void one_node_signals(void)
{
    ok(!sees("n2", true, "12:00:00", "node n3 down", ""), "what n2 published is n2's");
    ok(!sees("n1", false, "12:00:00", "node n3 down", ""), "what somebody emitted is no node's");
}

static void a_threshold_says_of_what(void)
{
    ok(sees("n1", true, "12:00:00", "threshold pool-full raised",
            ",\"data\":{\"node\":\"n2\",\"object\":\"fast\",\"value\":91}"),
       "it is signalled");
    is_text(signalled.trigger, "threshold raised pool-full of fast on n2, event 123456");
    is_text(signalled.signature, "threshold raised pool-full");
    is_text(signalled.component, "threshold");
    ok(sees("n1", true, "12:00:00", "threshold pool-full raised", ""), "without data too");
    is_text(signalled.trigger, "threshold raised pool-full, event 123456");
}

static bool elected(const char *publisher, const char *of, const char *time)
{
    char what[64];
    snprintf(what, sizeof what, "primary %s elected", of);
    return sees(publisher, true, time, what, "");
}

static void primaries_that_follow_each_other_are_trouble(void)
{
    memory = (struct listener_memory){{0}, 0};
    ok(!elected("n1", "n1", "12:00:00"), "one");
    ok(!elected("n2", "n2", "12:04:00"), "two, whoever published it");
    ok(elected("n1", "n1", "12:10:00"), "three in ten minutes");
    is_text(signalled.trigger, "primary elected too often, now n1, event 123456");
    is_text(signalled.signature, "primary elected");
    ok(!elected("n2", "n2", "12:13:00"), "the fourth is n2's to signal");
    ok(elected("n1", "n1", "12:14:00"), "the fifth again ours");
    ok(!elected("n1", "n1", "12:24:00"), "three in eleven minutes are not");
    ok(!elected("n1", "n1", "12:24:01"), "nor three in ten minutes and a second");
    ok(elected("n1", "n1", "12:24:02"), "but these are");
    ok(!elected("n1", "n1", "nonsense"), "a time that is none counts for nothing");
}

static void long_names_leave_room_for_the_number(void)
{
    char object[64] = "", what[100];
    memset(object, 'x', sizeof object - 1);
    snprintf(what, sizeof what, "threshold %s raised", object);
    ok(sees("n1", true, "12:00:00", what, ""), "it is signalled");
    ok(strstr(signalled.trigger, "xxx, event 123456") != NULL, "%s", signalled.trigger);
}

static void nap(void)
{
    struct timespec while_ms = {.tv_nsec = 20 * 1000000L};
    nanosleep(&while_ms, NULL);
}

/* What the listener's thread is in, as /proc has it: "257 0x..." in a system call. False: there is
 * no such thread. */
static bool look(char call[64])
{
    char path[320], name[32];
    bool found = false;
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    while (tasks && !found && (task = readdir(tasks)) != NULL) {
        char *text = NULL;
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        if (file_read(AT_FDCWD, path, sizeof name, &text, NULL, NULL) == VIOS_OK) {
            found = strcmp(text, "ffdc-listen\n") == 0;
        }
        free(text);
    }
    call[0] = 0;
    if (found) {
        char *text = NULL;
        snprintf(path, sizeof path, "/proc/self/task/%s/syscall", task->d_name);
        if (file_read(AT_FDCWD, path, 4096, &text, NULL, NULL) == VIOS_OK) {
            snprintf(call, 64, "%.63s", text);
        }
        free(text);
    }
    if (tasks) {
        closedir(tasks);
    }
    return found;
}

/* Once it is there: a file that nobody writes is to its reader what a dead mount is. */
static bool hang(void)
{
    char name[PAYLOAD_NAME_SIZE], call[64], wanted[16];
    snprintf(wanted, sizeof wanted, "%d ", SYS_openat);
    for (int i = 0; i < 1000; i++) {
        if (i % 50 == 0) { /* the first may come before it listens */
            make_file("n2", 1, 1, 0, name);
            is_int(unlink(file_path("n2", name)), 0);
            is_int(mkfifo(file_path("n2", name), 0600), 0);
            make_record("n2", name, 1, 0);
        }
        nap();
        if (look(call) && strncmp(call, wanted, strlen(wanted)) == 0) {
            return true;
        }
    }
    return false;
}

/* Each file's reader comes to an end. */
static void end_hanging(void)
{
    char folder[200], path[480];
    struct dirent *entry;
    snprintf(folder, sizeof folder, "%s/events/n2", repository);
    DIR *files = opendir(folder);
    while (files && (entry = readdir(files)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0) {
            close(fd);
        }
    }
    if (files) {
        closedir(files);
    }
}

static void a_repository_that_hangs_holds_nothing_up(void)
{
    char call[64];
    struct listener *listener;
    if (access("/proc/self/syscall", R_OK) != 0) {
        SKIP("the kernel does not say what a thread waits for");
    }
    world_new();
    is_int(listener_start(&listener, &node, NULL), VIOS_OK);
    ok(hang(), "it hangs");
    int64_t begin_ms = clock_now_ms();
    listener_stop(listener);
    ok(clock_now_ms() - begin_ms < 20000, "it is not waited for");
    ok(look(call), "it hangs still");
    for (int i = 0; i < 1000 && look(call); i++) { /* whichever file it is */
        end_hanging();
        nap();
    }
    ok(!look(call), "it ends when it can");
}

static void one_that_waits_ends_at_once(void)
{
    struct listener *listener;
    world_new();
    is_int(listener_start(&listener, &node, NULL), VIOS_OK);
    listener_stop(listener);
    is_int(listener_start(&listener, &node, NULL), VIOS_OK);
    nap();
    listener_stop(listener);
    listener_stop(NULL);
}

int main(void)
{
    RUN(failures_are_signalled);
    RUN(all_nodes_that_are_added_are_one);
    RUN(what_is_no_failure_is_not);
    RUN(one_node_signals);
    RUN(a_threshold_says_of_what);
    RUN(primaries_that_follow_each_other_are_trouble);
    RUN(long_names_leave_room_for_the_number);
    RUN(one_that_waits_ends_at_once);
    RUN(a_repository_that_hangs_holds_nothing_up);
    world_end();
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
