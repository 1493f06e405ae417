/* backtrace.c - see backtrace.h. */
#include "base/backtrace.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static const struct {
    int number;
    const char *name;
} SIGNALS[] = {{SIGSEGV, "SIGSEGV"},
               {SIGBUS, "SIGBUS"},
               {SIGILL, "SIGILL"},
               {SIGFPE, "SIGFPE"},
               {SIGABRT, "SIGABRT"}};
#define SIGNAL_COUNT (sizeof SIGNALS / sizeof SIGNALS[0])

void backtrace_let_through(sigset_t *set)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        sigdelset(set, SIGNALS[i].number);
    }
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED

int backtrace_install(const struct backtrace_settings *settings, struct vios_error *error)
{
    (void)settings, (void)error;
    return VIOS_OK;
}

void backtrace_use_stack(void *stack)
{
    (void)stack;
}

#else

/* All that the handler needs, made before. */
static struct {
    const char *program;
    char path[PATH_MAX]; /* of the program */
    int fd, core_fd;
    atomic_flag taken; /* one thread tells; others that crash meanwhile wait for the end */
} prepared = {.fd = -1, .core_fd = -1, .taken = ATOMIC_FLAG_INIT};

/* --- writing, without the C library's --- */

struct line {
    char text[512];
    size_t used;
};

static void put(struct line *line, const char *text)
{
    while (*text && line->used < sizeof line->text) {
        line->text[line->used++] = *text++;
    }
}

static void put_number(struct line *line, uint64_t number, unsigned base)
{
    char digits[32];
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    put(line, base == 16 ? "0x" : "");
    put(line, digits + at);
}

static void flush(struct line *line)
{
    size_t done = 0;
    while (done < line->used) {
        ssize_t wrote = write(prepared.fd, line->text + done, line->used - done);
        if (wrote <= 0) {
            break;
        }
        done += (size_t)wrote;
    }
    line->used = 0;
}

/* --- what is told --- */

static const char *name_of(int number)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        if (SIGNALS[i].number == number) {
            return SIGNALS[i].name;
        }
    }
    return "?";
}

static void tell_signal(int number, const siginfo_t *info)
{
    struct line line = {.used = 0};
    put(&line, name_of(number));
    if (info->si_code <= 0) { /* somebody sent it; abort() does too */
        put(&line, ", sent by process ");
        put_number(&line, (uint64_t)info->si_pid, 10);
    } else {
        put(&line, " at address ");
        put_number(&line, (uint64_t)(uintptr_t)info->si_addr, 16);
        put(&line, ", code ");
        put_number(&line, (uint64_t)info->si_code, 10);
    }
    put(&line, "\n");
    flush(&line);
}

static void tell_process(void)
{
    struct line line = {.used = 0};
    char name[17] = "";
    struct timespec now = {0};
    prctl(PR_GET_NAME, name);
    clock_gettime(CLOCK_REALTIME, &now);
    put(&line, prepared.program);
    put(&line, " " VIOS_VERSION ", process ");
    put_number(&line, (uint64_t)getpid(), 10);
    put(&line, ", thread ");
    put_number(&line, (uint64_t)gettid(), 10);
    put(&line, " \"");
    put(&line, name);
    put(&line, "\", ");
    put_number(&line, (uint64_t)now.tv_sec, 10);
    put(&line, " s after 1970\n");
    flush(&line);
}

/* Where the thread was when the signal came. */
static uintptr_t interrupted(const void *context)
{
    const ucontext_t *machine = context;
#if defined(__x86_64__)
    return (uintptr_t)machine->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)machine->uc_mcontext.pc;
#else
    (void)machine;
    return 0;
#endif
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Its offset in the program; 0 when it is in a library. A frame above another is where that will
 * return to: the call is before it. */
static uintptr_t tell_frame(size_t number, uintptr_t address, bool returns)
{
    struct line line = {.used = 0};
    struct link_map *map = NULL;
    Dl_info info;
    bool known = dladdr1((void *)(address - returns), &info, (void **)&map, RTLD_DL_LINKMAP) != 0;
    uintptr_t offset = known && map ? address - map->l_addr - returns : 0;
    put(&line, "#");
    put_number(&line, number, 10);
    put(&line, " ");
    put_number(&line, address, 16);
    if (known) {
        put(&line, " ");
        put(&line, info.dli_fname ? base_name(info.dli_fname) : "?");
        put(&line, "+");
        put_number(&line, offset, 16);
    }
    if (known && info.dli_sname) {
        put(&line, " ");
        put(&line, info.dli_sname);
        put(&line, "+");
        put_number(&line, address - (uintptr_t)info.dli_saddr, 16);
    }
    put(&line, "\n");
    flush(&line);
    return known && map && map->l_name && !map->l_name[0] ? offset : 0;
}

static void tell_frames(const void *context)
{
    static void *frames[BACKTRACE_FRAMES_MAX];
    static uintptr_t own[BACKTRACE_FRAMES_MAX];
    struct line line = {.used = 0};
    uintptr_t at = interrupted(context);
    int count = backtrace(frames, BACKTRACE_FRAMES_MAX), first = 0;
    size_t told = 0;
    while (first < count && (uintptr_t)frames[first] != at) {
        first++; /* our own */
    }
    if (first == count) { /* it was nowhere that can be unwound from */
        own[told] = tell_frame(0, at, false);
        told++;
        first = 0;
    }
    for (int i = first; i < count; i++, told++) {
        own[told % BACKTRACE_FRAMES_MAX] = tell_frame(told, (uintptr_t)frames[i], told > 0);
    }
    put(&line, "functions and lines: addr2line -pfie ");
    put(&line, prepared.path);
    for (size_t i = 0; i < told && i < BACKTRACE_FRAMES_MAX; i++) {
        if (own[i]) {
            put(&line, " ");
            put_number(&line, own[i], 16);
        }
    }
    put(&line, "\n");
    flush(&line);
}

static void crashed(int number, siginfo_t *info, void *context)
{
    if (atomic_flag_test_and_set(&prepared.taken)) {
        for (;;) {
            pause();
        }
    }
    alarm(BACKTRACE_LIMIT_S);
    tell_signal(number, info);
    tell_process();
    tell_frames(context);
    int moved = fchdir(prepared.core_fd); /* if not, a core dump is where we are */
    (void)moved;
    signal(number, SIG_DFL);
    raise(number); /* it is blocked until we return: then, where the thread was, it ends us */
    alarm(0);
}

/* --- before --- */

static int put_aside(const struct backtrace_settings *settings, struct vios_error *error)
{
    char aside[NAME_MAX];
    struct stat info;
    snprintf(aside, sizeof aside, "%s" BACKTRACE_CRASHED, settings->file);
    if (fstatat(settings->folder_fd, settings->file, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        info.st_size == 0 || faccessat(settings->folder_fd, aside, F_OK, 0) == 0) {
        return VIOS_OK;
    }
    return renameat(settings->folder_fd, settings->file, settings->folder_fd, aside) == 0
               ? VIOS_OK
               : error_set_errno(error, settings->file, "cannot be put aside");
}

void backtrace_use_stack(void *stack)
{
    const stack_t wanted = {.ss_sp = stack,
                            .ss_size = stack ? BACKTRACE_STACK_SIZE : 0,
                            .ss_flags = stack ? 0 : SS_DISABLE};
    sigaltstack(&wanted, NULL); /* without one the handler runs on the thread's */
}

static int catch_signals(struct vios_error *error)
{
    static char stack[BACKTRACE_STACK_SIZE];
    struct sigaction action = {.sa_sigaction = crashed, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    sigdelset(&action.sa_mask, SIGALRM);
    backtrace_let_through(&action.sa_mask);
    backtrace_use_stack(stack);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        if (sigaction(SIGNALS[i].number, &action, NULL) != 0) {
            return error_set_errno(error, SIGNALS[i].name, "cannot be caught");
        }
    }
    return VIOS_OK;
}

int backtrace_install(const struct backtrace_settings *settings, struct vios_error *error)
{
    void *frames[2];
    Dl_info info;
    int status = put_aside(settings, error);
    if (status != VIOS_OK) {
        return status;
    }
    prepared.program = settings->program;
    ssize_t length = readlink("/proc/self/exe", prepared.path, sizeof prepared.path - 1);
    prepared.path[length > 0 ? length : 0] = 0;
    prepared.core_fd = settings->core_fd >= 0 ? fcntl(settings->core_fd, F_DUPFD_CLOEXEC, 3) : -1;
    prepared.fd = openat(settings->folder_fd, settings->file,
                         O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (prepared.fd < 0) {
        return error_set_errno(error, settings->file, "cannot be made");
    }
    if (backtrace(frames, 2) > 0) { /* it loads the unwinder */
        dladdr(frames[0], &info);
    }
    return catch_signals(error);
}

#endif
