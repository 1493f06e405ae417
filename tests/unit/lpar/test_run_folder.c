/* test_run_folder.c - run folders: the lock, the process, its identity; and consoles. */
#include "lpar/console.h"
#include "lpar/network.h"
#include "lpar/run_folder.h"

#include "base/file.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define UUID "11111111-2222-4333-8444-555555555555"
#define UUID2 "11111111-2222-4333-8444-666666666666"

static void makes_a_private_folder(void)
{
    struct run_folder folder;
    struct vios_error error = {.message = ""};
    struct stat status;
    is_int(run_folder_open(&folder, tap_folder(), UUID, &error), VIOS_E_NOT_FOUND);
    ok(run_folder_make(&folder, tap_folder(), UUID, 0, &error) == VIOS_OK, "%s", error.message);
    is_int(fstat(folder.fd, &status), 0);
    is_int(status.st_mode & 07777, 0700);
    is_int(folder.uid, 0);
    run_folder_close(&folder);
    ok(run_folder_make(&folder, tap_folder(), UUID, 0, &error) == VIOS_OK, "again: %s",
       error.message);
    run_folder_close(&folder);
    is_int(run_folder_remove(tap_folder(), UUID, &error), VIOS_OK);
    is_int(run_folder_remove(tap_folder(), UUID, &error), VIOS_OK);
}

/* Only root can be another user: a plain user's guests run as that user. */
static void keeps_the_user_of_a_plain_daemon(void)
{
    struct run_folder folder;
    struct vios_error error = {.message = ""};
    struct stat status;
    ok(run_folder_make(&folder, tap_folder(), UUID, 2000000000, &error) == VIOS_OK, "%s",
       error.message);
    is_int(folder.uid, 0);
    is_int(fstat(folder.fd, &status), 0);
    is_int(status.st_uid, geteuid());
    is_int(status.st_mode & 07777, 0700);
    run_folder_close(&folder);
    is_int(run_folder_remove(tap_folder(), UUID, &error), VIOS_OK);
}

static void gives_each_guest_its_user(void)
{
    struct run_folder one, two;
    struct vios_error error = {.message = ""};
    struct stat status;
    ok(run_folder_make(&one, tap_folder(), UUID, 2000000000, &error) == VIOS_OK, "%s",
       error.message);
    ok(run_folder_make(&two, tap_folder(), UUID2, 2000000000, &error) == VIOS_OK, "%s",
       error.message);
    is_int(one.uid, 2000000000 + 0x1111111);
    ok(one.uid != two.uid, "both have user %u", (unsigned)one.uid);
    is_int(fstat(one.fd, &status), 0);
    is_int(status.st_uid, 0);
    is_int(status.st_gid, one.uid);
    is_int(status.st_mode & 07777, 0710);
    run_folder_close(&one);
    run_folder_close(&two);
    run_folder_remove(tap_folder(), UUID, &error);
    run_folder_remove(tap_folder(), UUID2, &error);
}

static void keeps_who_the_guest_is(void)
{
    struct run_folder folder;
    struct vios_error error = {.message = ""};
    struct run_guest guest = {.name = "web1", .uuid = UUID, .generation = 9}, again;
    run_folder_make(&folder, tap_folder(), UUID, 0, &error);
    ok(run_folder_write_guest(&folder, &guest, &error) == VIOS_OK, "%s", error.message);
    ok(run_folder_read_guest(&folder, &again, &error) == VIOS_OK, "%s", error.message);
    is_text(again.name, "web1");
    is_text(again.uuid, UUID);
    is_int(again.generation, 9);
    file_replace(folder.fd, "guest.json", "{\"v\":1", 6, 0600, &error);
    is_int(run_folder_read_guest(&folder, &again, &error), VIOS_E_CORRUPT);
    run_folder_close(&folder);
    run_folder_remove(tap_folder(), UUID, &error);
}

/* A child that holds the lock, as QEMU does. */
static pid_t hold(int lock)
{
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    close(lock);
    return child;
}

static void write_pid(const struct run_folder *folder, pid_t pid, uint64_t start_time)
{
    char text[64];
    struct vios_error error;
    int size = snprintf(text, sizeof text, "%d %llu\n", (int)pid, (unsigned long long)start_time);
    file_replace(folder->fd, "pid", text, (size_t)size, 0600, &error);
}

static void knows_a_living_process(void)
{
    struct run_folder folder;
    struct run_process process;
    struct operation operation;
    operation_start(&operation, 10000, NULL);
    run_folder_make(&folder, tap_folder(), UUID, 0, &operation.error);
    ok(!run_folder_is_locked(&folder), "locked");
    is_int(run_folder_process(&folder, &process, &operation), VIOS_E_NOT_FOUND);
    int lock = run_folder_lock(&folder, &operation.error);
    pid_t child = hold(lock);
    ok(run_folder_is_locked(&folder), "not locked");
    is_int(run_folder_lock(&folder, &operation.error), VIOS_E_LOCKED);
    write_pid(&folder, child, run_process_start_time(child) + 1);
    is_int(run_folder_process(&folder, &process, &operation), VIOS_E_NOT_FOUND);
    write_pid(&folder, child, run_process_start_time(child));
    int fd = run_folder_process(&folder, &process, &operation);
    if (ok(fd >= 0, "%s", operation.error.message)) {
        is_int(process.pid, child);
        kill(child, SIGKILL);
        is_int(operation_wait(&operation, fd, POLLIN), VIOS_OK);
        close(fd);
    }
    waitpid(child, NULL, 0);
    ok(!run_folder_is_locked(&folder), "still locked");
    run_folder_close(&folder);
    run_folder_remove(tap_folder(), UUID, &operation.error);
}

static void waits_for_the_pid_file(void)
{
    struct run_folder folder;
    struct run_process process;
    struct operation operation;
    operation_start(&operation, 50, NULL);
    run_folder_make(&folder, tap_folder(), UUID, 0, &operation.error);
    pid_t child = hold(run_folder_lock(&folder, &operation.error));
    is_int(run_folder_process(&folder, &process, &operation), VIOS_E_TIMEOUT);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    run_folder_close(&folder);
    run_folder_remove(tap_folder(), UUID, &operation.error);
}

static void finds_the_last_words(void)
{
    struct run_folder folder;
    struct vios_error error;
    char words[320];
    run_folder_make(&folder, tap_folder(), UUID, 0, &error);
    run_folder_last_words(&folder, words, sizeof words);
    is_text(words, "");
    file_replace(folder.fd, "log", "one\ntwo\n \n", 10, 0600, &error);
    run_folder_last_words(&folder, words, sizeof words);
    is_text(words, "two");
    run_folder_close(&folder);
    run_folder_remove(tap_folder(), UUID, &error);
}

static void keeps_the_end_of_a_console(void)
{
    static char data[CONSOLE_RING_SIZE + 100], got[CONSOLE_RING_SIZE * 2];
    int pair[2];
    uint64_t cursor;
    struct vios_error error;
    bool end = false;
    size_t count = 0, part;
    struct console *console = console_new();
    is_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    console_attach(console, pair[0]);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (char)('a' + i % 23);
    }
    for (size_t sent = 0; sent < sizeof data; sent += part) {
        part = sizeof data - sent < 1000 ? sizeof data - sent : 1000;
        is_int(write(pair[1], data + sent, part), part);
        ok(console_receive(console), "ended");
    }
    int event = console_watch(console, &cursor, &error);
    while ((part = console_read(console, &cursor, got + count, sizeof got - count, &end)) > 0) {
        count += part;
    }
    is_int(count, CONSOLE_RING_SIZE);
    ok(memcmp(got, data + 100, CONSOLE_RING_SIZE) == 0, "other bytes");
    ok(!end, "ended");
    close(pair[1]);
    ok(!console_receive(console), "not ended");
    is_int(console_descriptor(console), -1);
    console_end(console);
    is_int(console_read(console, &cursor, got, sizeof got, &end), 0);
    ok(end, "not ended");
    console_unwatch(console, event);
    console_free(console);
}

static void types_into_a_console(void)
{
    int pair[2];
    char got[8] = "";
    struct operation operation;
    struct console *console = console_new();
    operation_start(&operation, 5000, NULL);
    is_int(console_write(console, "x", 1, &operation), VIOS_E_UNREACHABLE);
    is_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    console_attach(console, pair[0]);
    is_int(console_write(console, "hello", 5, &operation), VIOS_OK);
    is_int(read(pair[1], got, sizeof got), 5);
    is_text(got, "hello");
    close(pair[1]);
    console_free(console);
}

static void bounds_the_viewers(void)
{
    int events[CONSOLE_VIEWERS_MAX];
    uint64_t cursor;
    struct vios_error error;
    struct console *console = console_new();
    for (int i = 0; i < CONSOLE_VIEWERS_MAX; i++) {
        events[i] = console_watch(console, &cursor, &error);
        ok(events[i] >= 0, "viewer %d", i);
    }
    is_int(console_watch(console, &cursor, &error), VIOS_E_NO_SPACE);
    is_text(error.message, "8 viewers are there already");
    for (int i = 0; i < CONSOLE_VIEWERS_MAX; i++) {
        console_unwatch(console, events[i]);
    }
    console_free(console);
}

static void names_a_missing_bridge(void)
{
    struct vios_error error;
    is_int(network_open_tap("nosuchbr", &error), VIOS_E_NOT_FOUND);
    is_text(error.object, "nosuchbr");
    ok(network_open_tap("lo", &error) < 0, "lo taken for a bridge");
}

int main(void)
{
    RUN(makes_a_private_folder);
    if (geteuid() == 0) {
        RUN(gives_each_guest_its_user);
    } else {
        RUN(keeps_the_user_of_a_plain_daemon);
    }
    RUN(keeps_who_the_guest_is);
    RUN(knows_a_living_process);
    RUN(waits_for_the_pid_file);
    RUN(finds_the_last_words);
    RUN(keeps_the_end_of_a_console);
    RUN(types_into_a_console);
    RUN(bounds_the_viewers);
    RUN(names_a_missing_bridge);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
