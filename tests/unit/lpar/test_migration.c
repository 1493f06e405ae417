/*
 * test_migration.c - the state of real guests goes out of one QEMU and into another: it goes on
 * where it was, and when something fails on the way the first one does.
 */
/* needs: heavy */
/* limit: 120 */
#include "lpar/migration.h"

#include "base/clock.h"
#include "base/json.h"
#include "lpar/qmp.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define QEMU "/usr/bin/qemu-system-x86_64"
#define LIMIT_MS 30000
#define COUNTER "0x200000"
#define MEMORY_MIB "64"

/* --- guests that count: a flat multiboot kernel --- */

/* incl 0x200000; jmp back */
static const unsigned char COUNT[] = {0xff, 0x05, 0, 0, 0x20, 0, 0xeb, 0xf8};

static char kernel[64];

static void make_kernel(void)
{
    const uint32_t magic = 0x1badb002, flags = 0x10000, at = 0x100000;
    const uint32_t header[8] = {magic, flags, -(magic + flags), at, at, 0, 0, at + 32};
    snprintf(kernel, sizeof kernel, "/tmp/vios-kernel-XXXXXX");
    int fd = mkstemp(kernel);
    ok(write(fd, header, sizeof header) == (ssize_t)sizeof header &&
           write(fd, COUNT, sizeof COUNT) == (ssize_t)sizeof COUNT,
       "it is written");
    close(fd);
}

struct machine {
    pid_t pid;
    struct qmp *qmp;
    struct migration_port port;
};

static int call_qmp(void *context, const char *command, json_t *arguments, int descriptor,
                    json_t **result, struct operation *operation)
{
    return qmp_call(context, command, arguments, descriptor, result, operation);
}

static struct operation *soon(void)
{
    static struct operation operation;
    operation_start(&operation, LIMIT_MS, NULL);
    return &operation;
}

static void start(struct machine *machine, bool incoming)
{
    int pair[2];
    char chardev[64];
    is_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    snprintf(chardev, sizeof chardev, "socket,id=q,fd=%d", pair[1]);
    machine->pid = fork();
    if (machine->pid == 0) {
        fcntl(pair[1], F_SETFD, 0);
        execl(QEMU, QEMU, "-M", "pc-i440fx-7.2,graphics=off", "-accel", "tcg", "-cpu", "qemu64",
              "-m", MEMORY_MIB, "-nodefaults", "-no-user-config", "-display", "none", "-S",
              "-kernel", kernel, "-chardev", chardev, "-mon", "chardev=q,mode=control",
              incoming ? "-incoming" : NULL, "defer", NULL);
        _exit(127);
    }
    close(pair[1]);
    is_int(qmp_open(&machine->qmp, pair[0], soon()), VIOS_OK);
    machine->port = (struct migration_port){.call = call_qmp, .context = machine->qmp};
}

static void end(struct machine *machine)
{
    kill(machine->pid, SIGKILL);
    waitpid(machine->pid, NULL, 0);
    qmp_close(machine->qmp);
}

static void say(const struct machine *machine, const char *command)
{
    is_int(qmp_call(machine->qmp, command, NULL, -1, NULL, soon()), VIOS_OK);
}

static unsigned long counter(const struct machine *machine)
{
    json_t *answer = NULL;
    is_int(qmp_call(machine->qmp, "human-monitor-command",
                    json_pack("{s:s}", "command-line", "xp /1wx " COUNTER), -1, &answer, soon()),
           VIOS_OK);
    const char *text = json_string_value(answer), *at = text ? strstr(text, ": ") : NULL;
    unsigned long value = at ? strtoul(at + 2, NULL, 16) : 0;
    json_decref(answer);
    return value;
}

/* Its counter, once that is above `before`. */
static unsigned long await_more(const struct machine *machine, unsigned long before)
{
    struct operation *operation = soon();
    unsigned long now;
    do {
        now = counter(machine);
    } while (now <= before && operation_sleep(operation, 10) == VIOS_OK);
    ok(now > before, "it counts: %lu, before %lu", now, before);
    return now;
}

/* --- streams --- */

struct stream {
    char *data;
    size_t size, limit;    /* the sink fails behind `limit` */
    struct cancel *cancel; /* triggered then, instead */
};

static int keep(void *context, const void *data, size_t size, struct operation *operation)
{
    struct stream *stream = context;
    if (stream->size + size > stream->limit) {
        cancel_trigger(stream->cancel);
        return stream->cancel
                   ? operation_check(operation)
                   : operation_fail(operation, VIOS_E_NO_SPACE, "file", NULL, "the disk is full");
    }
    stream->data = realloc(stream->data, stream->size + size);
    memcpy(stream->data + stream->size, data, size);
    stream->size += size;
    return VIOS_OK;
}

static int give(void *context, int descriptor, struct operation *operation)
{
    const struct stream *stream = context;
    for (size_t at = 0; at < stream->size;) {
        ssize_t done = write(descriptor, stream->data + at, stream->size - at);
        if (done < 0) {
            return error_set_errno(&operation->error, "guest", "write");
        }
        at += (size_t)done;
    }
    return VIOS_OK;
}

static void a_guest_goes_on_in_another_qemu(void)
{
    struct machine one, other;
    struct stream stream = {.limit = SIZE_MAX};
    start(&one, false);
    say(&one, "cont");
    await_more(&one, 0);
    say(&one, "stop");
    unsigned long at = counter(&one);
    struct operation *operation = soon();
    ok(migration_save(&one.port, keep, &stream, operation) == VIOS_OK, "%s",
       operation->error.message);
    is_int(counter(&one), at);
    start(&other, true);
    operation = soon();
    ok(migration_load(&other.port, give, &stream, operation) == VIOS_OK, "%s",
       operation->error.message);
    is_int(counter(&other), at);
    say(&other, "cont");
    await_more(&other, at);
    end(&other);
    say(&one, "cont"); /* which nobody must do when the other one runs */
    await_more(&one, at);
    end(&one);
    free(stream.data);
}

static void one_that_cannot_be_kept_leaves_the_guest(void)
{
    struct machine one;
    struct stream full = {.limit = 300000}, whole = {.limit = SIZE_MAX};
    start(&one, false);
    say(&one, "cont");
    unsigned long at = await_more(&one, 0);
    say(&one, "stop");
    struct operation *operation = soon();
    is_int(migration_save(&one.port, keep, &full, operation), VIOS_E_NO_SPACE);
    is_text(operation->error.message, "the disk is full");
    say(&one, "cont");
    await_more(&one, at);
    say(&one, "stop");
    is_int(migration_save(&one.port, keep, &whole, soon()), VIOS_OK);
    ok(whole.size > 300000, "the next one is whole: %zu bytes", whole.size);
    end(&one);
    free(full.data);
    free(whole.data);
}

static void it_is_cancelled(void)
{
    struct machine one;
    struct operation operation;
    struct stream stream = {.limit = 300000, .cancel = cancel_new()};
    start(&one, false);
    say(&one, "cont");
    unsigned long at = await_more(&one, 0);
    say(&one, "stop");
    operation_start(&operation, LIMIT_MS, stream.cancel);
    is_int(migration_save(&one.port, keep, &stream, &operation), VIOS_E_CANCELLED);
    say(&one, "cont");
    await_more(&one, at);
    end(&one);
    free(stream.data);
    cancel_free(stream.cancel);
}

static void a_stream_that_is_none_is_refused(void)
{
    struct machine one;
    char nonsense[4096];
    struct stream stream = {.data = nonsense, .size = sizeof nonsense};
    memset(nonsense, 'x', sizeof nonsense);
    start(&one, true);
    ok(migration_load(&one.port, give, &stream, soon()) != VIOS_OK, "it is loaded");
    end(&one);
}

static int refuse(void *context, int descriptor, struct operation *operation)
{
    (void)context;
    (void)descriptor;
    return operation_fail(operation, VIOS_E_CORRUPT, "file", NULL, "block 7 is damaged");
}

static void a_source_that_fails_is_heard(void)
{
    struct machine one;
    start(&one, true);
    struct operation *operation = soon();
    is_int(migration_load(&one.port, refuse, NULL, operation), VIOS_E_CORRUPT);
    is_text(operation->error.message, "block 7 is damaged");
    end(&one);
}

static void a_qemu_that_died_is_told(void)
{
    struct machine one;
    struct stream stream = {.limit = SIZE_MAX};
    start(&one, false);
    kill(one.pid, SIGKILL);
    ok(migration_save(&one.port, keep, &stream, soon()) != VIOS_OK, "it is saved");
    end(&one);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* in the daemon, threads do not get it */
    if (access(QEMU, X_OK) != 0) {
        printf("1..0 # SKIP no QEMU\n");
        return 0;
    }
    make_kernel();
    RUN(a_guest_goes_on_in_another_qemu);
    RUN(one_that_cannot_be_kept_leaves_the_guest);
    RUN(it_is_cancelled);
    RUN(a_stream_that_is_none_is_refused);
    RUN(a_source_that_fails_is_heard);
    RUN(a_qemu_that_died_is_told);
    unlink(kernel);
    return tap_done();
}
