/*
 * main.c - the data plane's process: NBD exports on worker threads, told what to do over a control
 * socket (PROTOCOL.md). Started by the daemon; outlives it.
 *
 * The main thread accepts control connections and waits for signals. One io for each run folder:
 * a lock on RUN_DIR/io.lock says so, and a successor waits there for its dying predecessor.
 */
#include "base/backtrace.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "io/control.h"
#include "io/io.h"
#include "net/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_MS 5000 /* for a predecessor that is just ending */
#define LOCK_NAP_MS 10

static const char USAGE[] =
    "usage: io --run-dir DIR [--page-memory SIZE] [--workers N] [--log LEVEL]\n";

struct settings {
    const char *run_dir;
    uint64_t page_memory_bytes;
    int64_t workers; /* 0: one for each processor */
    enum log_level level;
};

static int parse_level(const char *text, enum log_level *level, struct vios_error *error)
{
    static const char *const names[] = {"error", "warning", "notice", "debug"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            *level = (enum log_level)i;
            return VIOS_OK;
        }
    }
    return error_set(error, VIOS_E_USAGE, text, "write error, warning, notice or debug",
                     "no such log level");
}

static int parse_option(int option, struct settings *settings, struct vios_error *error)
{
    switch (option) {
    case 'd':
        settings->run_dir = optarg;
        return VIOS_OK;
    case 'm':
        return parse_size(optarg, &settings->page_memory_bytes, error);
    case 'w':
        return parse_integer(optarg, 1, IO_WORKERS_MAX, &settings->workers, error);
    case 'l':
        return parse_level(optarg, &settings->level, error);
    default:
        return error_set(error, VIOS_E_USAGE, "io", NULL, "an unknown option");
    }
}

/* 0: go on; else the exit status + 1. */
static int parse_options(int count, char **words, struct settings *settings)
{
    static const struct option OPTIONS[] = {
        {"run-dir", required_argument, NULL, 'd'},
        {"page-memory", required_argument, NULL, 'm'},
        {"workers", required_argument, NULL, 'w'},
        {"log", required_argument, NULL, 'l'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct vios_error error;
    int option;
    opterr = 0;
    while ((option = getopt_long(count, words, "", OPTIONS, NULL)) >= 0) {
        if (option == 'v' || option == 'h') {
            dprintf(1, "%s", option == 'v' ? "vios-io " VIOS_VERSION "\n" : USAGE);
            return 1;
        }
        if (parse_option(option, settings, &error) != VIOS_OK) {
            dprintf(2, "io: %s: %s\n%s", error.object, error.message, USAGE);
            return 3;
        }
    }
    if (!settings->run_dir || optind != count) {
        dprintf(2, "%s", USAGE);
        return 3;
    }
    return 0;
}

/* --- setting up --- */

static int use_run_dir(struct io *io, const char *run_dir, struct vios_error *error)
{
    int status = file_make_folders(run_dir, 0700, error);
    if (status != VIOS_OK) {
        return status;
    }
    io->run_dir = realpath(run_dir, NULL);
    return io->run_dir ? VIOS_OK : error_set_errno(error, run_dir, "realpath");
}

/* The lock is held until the process ends. */
static int lock_run_dir(const struct io *io, struct vios_error *error)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/io.lock", io->run_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_set_errno(error, path, "cannot open");
    }
    int64_t deadline_ms = clock_now_ms() + LOCK_WAIT_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        char address[4300];
        snprintf(address, sizeof address, "unix:%s/io.sock", io->run_dir);
        int probe = transport_connect_start(address, NULL);
        if (probe >= 0) {
            close(probe);
        }
        if (probe >= 0 || clock_now_ms() > deadline_ms) {
            close(fd);
            return error_set(error, VIOS_E_LOCKED, io->run_dir, "use another run_dir",
                             "another io serves this folder");
        }
        struct timespec nap = {.tv_nsec = LOCK_NAP_MS * 1000000};
        nanosleep(&nap, NULL);
    }
    return VIOS_OK;
}

/* An io that cannot is one all the same. */
static void leave_backtraces(const struct io *io)
{
    struct vios_error error;
    int folder_fd = open(io->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const struct backtrace_settings settings = {
        .program = "io", .folder_fd = folder_fd, .file = BACKTRACE_IO, .core_fd = folder_fd};
    if (backtrace_install(&settings, &error) != VIOS_OK) {
        log_warning("io", "a crash would leave no back-trace: %s", error.message);
    }
    close(folder_fd);
}

static int listen_control(const struct io *io, struct vios_error *error)
{
    char address[4300];
    snprintf(address, sizeof address, "unix:%s/io.sock", io->run_dir);
    return transport_listen(address, error);
}

static void gate_changed(void *context, bool open)
{
    struct io *io = context;
    guests_gate(io->guests, open);
    log_notice("io", "the gate is %s", open ? "open" : "closed");
    events_publish(io->events,
                   json_pack("{s:s, s:s}", "event", "gate", "state", open ? "open" : "closed"));
}

static void peer_refused(void *context, const struct vios_error *why)
{
    struct io *io = context;
    events_publish(io->events, json_pack("{s:s, s:s, s:s}", "event", "refused", "address",
                                         why->object, "why", why->message));
}

static int start_workers(struct io *io, int64_t wanted, struct vios_error *error)
{
    cpu_set_t set;
    if (wanted == 0) {
        wanted = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    }
    for (int64_t i = 0; i < wanted && i < IO_WORKERS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "worker%u", (unsigned)i % 1000);
        int status = worker_start(&io->workers[i], name, error);
        if (status != VIOS_OK) {
            return status;
        }
        io->worker_count++;
    }
    return VIOS_OK;
}

static int make_parts(struct io *io, const struct settings *settings, struct vios_error *error)
{
    struct gate_hooks hooks = {gate_changed, io};
    int status = start_workers(io, settings->workers, error);
    status = status ? status : exports_new(&io->exports, error);
    status = status ? status
                    : nbd_server_new(&io->server, &exports_server_operations, io->exports, error);
    status = status ? status : events_new(&io->events, error);
    status = status ? status : peers_new(&io->peers, peer_refused, io, error);
    status = status ? status
                    : listeners_new(&io->listeners, io->server, io->workers, io->worker_count,
                                    peers_tls(io->peers), io->run_dir, error);
    status = status ? status : guests_new(&io->guests, error);
    if (status == VIOS_OK) {
        nbd_server_set_refused(io->server, peers_refuse, io->peers);
    }
    status = status ? status : gate_new(&io->gate, NULL, &hooks, error);
    return status ? status : file_pool_new(&io->pool, FILE_POOL_THREADS, error);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Blocks the signals that end us, before any thread starts, and gives a descriptor for them. */
static int watch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* --- running --- */

static void serve(struct io *io, int listener, int signals)
{
    struct pollfd polled[] = {
        {.fd = io->stop_event, .events = POLLIN},
        {.fd = signals, .events = POLLIN},
        {.fd = listener, .events = POLLIN},
    };
    for (;;) {
        if (poll(polled, 3, -1) < 0) {
            continue;
        }
        if (polled[0].revents) {
            return; /* `stop` has drained */
        }
        if (polled[1].revents) {
            io_drain(io);
            return;
        }
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            control_serve(io, fd);
        } else if (errno == EMFILE || errno == ENFILE) {
            struct timespec nap = {.tv_nsec = LOCK_NAP_MS * 1000000};
            nanosleep(&nap, NULL);
        }
    }
}

int main(int count, char **words)
{
    struct settings settings = {.level = LOG_NOTICE};
    static struct io io = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct vios_error error = {0};
    int listener = -1;
    int leave = parse_options(count, words, &settings);
    if (leave) {
        return leave - 1;
    }
    log_configure(settings.level, false);
    raise_descriptor_limit();
    int signals = watch_signals();
    io.page_memory_bytes = settings.page_memory_bytes;
    io.stop_event = eventfd(0, EFD_CLOEXEC);
    int status = use_run_dir(&io, settings.run_dir, &error);
    status = status ? status : lock_run_dir(&io, &error);
    if (status == VIOS_OK) {
        leave_backtraces(&io); /* before the threads */
        status = make_parts(&io, &settings, &error);
    }
    if (status == VIOS_OK) {
        listener = listen_control(&io, &error);
        status = listener >= 0 ? VIOS_OK : listener;
    }
    if (status != VIOS_OK) {
        log_error("io", "%s: %s", error.object, error.message);
        return error_exit_status(status);
    }
    log_notice("io", "serving %s with %zu workers", io.run_dir, io.worker_count);
    serve(&io, listener, signals);
    log_notice("io", "stopped");
    _exit(0); /* the other threads end with it; nothing is in flight */
}
