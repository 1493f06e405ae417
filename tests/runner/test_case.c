/* test_case.c - starting a test below its supervisor, waiting for it, and clearing up after it. */
#include "tests/runner/test_case.h"

#include "base/clock.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HEADER_LINES 10
#define GRACE_AFTER_TERM_MS 3000
#define GRACE_FOR_ORPHANS_MS 3000 /* what was told to end may still be ending */
#define EXIT_CANNOT_START 126

/* --- the header lines --- */

/* build/test/tests/unit/x/test_y -> tests/unit/x/test_y.c; a script is its own source. */
static void source_of(const char *path, char source[TEST_PATH_SIZE])
{
    const char *name = strrchr(path, '/');
    const char *inside = strstr(path, "/tests/");
    if (inside && !strchr(name, '.')) {
        snprintf(source, TEST_PATH_SIZE, "%s.c", inside + 1);
    } else {
        snprintf(source, TEST_PATH_SIZE, "%s", path);
    }
}

void test_case_read_header(struct test_case *test, int factor)
{
    char source[TEST_PATH_SIZE], line[256];
    int limit_s = TEST_LIMIT_DEFAULT_S;
    source_of(test->path, source);
    FILE *file = fopen(source, "re");
    for (int i = 0; file && i < HEADER_LINES && fgets(line, sizeof line, file); i++) {
        const char *needs = strstr(line, "needs:"), *limit = strstr(line, "limit:");
        if (needs && strstr(needs, "heavy")) {
            test->heavy = true;
        }
        if (limit && atoi(limit + 6) > 0) {
            limit_s = atoi(limit + 6);
        }
    }
    if (file) {
        fclose(file);
    }
    test->limit_s = limit_s * factor;
}

/* --- the test's own process --- */

/* The person's settings win over ours, except where to write. */
static void set_sanitizer(const char *variable, const char *settings, const struct test_case *test)
{
    char value[2 * TEST_PATH_SIZE];
    const char *given = getenv(variable);
    snprintf(value, sizeof value, "%s:%s:log_path=%s/report", settings, given ? given : "",
             test->reports);
    setenv(variable, value, 1);
}

static void set_environment(const struct test_case *test)
{
    static const char *const homes[] = {
        "TMPDIR", "HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"};
    for (size_t i = 0; i < sizeof homes / sizeof homes[0]; i++) {
        setenv(homes[i], test->folder, 1);
    }
    setenv("LC_ALL", "C.UTF-8", 1);
    setenv("TZ", "UTC", 1);
    set_sanitizer("ASAN_OPTIONS", "detect_stack_use_after_return=1:strict_string_checks=1", test);
    set_sanitizer("UBSAN_OPTIONS", "print_stacktrace=1", test);
    unsetenv("MAKEFLAGS"); /* a test that runs make has its own */
    unsetenv("MAKELEVEL");
    unsetenv("JOURNAL_STREAM");
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static void execute(const char *path)
{
    char vios[TEST_PATH_SIZE];
    const char *build = getenv("BUILD");
    snprintf(vios, sizeof vios, "%s/bin/vios", build ? build : "build");
    const char *interpreter = ends_with(path, ".sh")    ? "bash"
                              : ends_with(path, ".exp") ? "expect"
                              : ends_with(path, ".lua") ? vios
                                                        : NULL;
    if (interpreter) {
        execlp(interpreter, interpreter, path, (char *)NULL);
    } else {
        execl(path, path, (char *)NULL);
    }
    fprintf(stderr, "cannot start %s: %s\n", interpreter ? interpreter : path, strerror(errno));
    _exit(EXIT_CANNOT_START);
}

static void run_test(const struct test_case *test)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    int input = open("/dev/null", O_RDONLY);
    int output = open(test->output, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (input < 0 || output < 0) {
        _exit(EXIT_CANNOT_START);
    }
    dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    if (input > 2) {
        close(input);
    }
    if (output > 2) {
        close(output);
    }
    set_environment(test);
    execute(test->path);
}

/* --- the supervisor --- */

/* Reads a file of the process into `text`, as a string; how long it is, or -1. */
static ssize_t read_of(const char *pid, const char *file, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/%s", pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0) {
        close(fd);
    }
    text[got > 0 ? got : 0] = '\0';
    return got;
}

static int parent_of(const char *pid)
{
    char text[512];
    if (read_of(pid, "stat", text, sizeof text) <= 0) {
        return -1;
    }
    const char *behind = strrchr(text, ')'); /* the name may hold anything */
    int parent = -1;
    return behind && sscanf(behind, ") %*c %d", &parent) == 1 ? parent : -1;
}

/* Appends `name (pid)` of one process to `text`. */
static void describe(const char *pid, char *text, size_t size)
{
    char words[160];
    ssize_t got = read_of(pid, "cmdline", words, sizeof words);
    if (got <= 0) {
        return; /* a zombie has no words any more */
    }
    for (ssize_t i = 0; i + 1 < got; i++) {
        words[i] = words[i] ? words[i] : ' ';
    }
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s (%.20s)", used ? ", " : "", words, pid);
}

/* Sends `number` to each child; their own children become ours when they end. With `text`, they
 * are described there. */
static void signal_children(int number, char *text, size_t size)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    while (processes && (entry = readdir(processes))) {
        if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name) ||
            parent_of(entry->d_name) != getpid()) {
            continue;
        }
        if (text) {
            describe(entry->d_name, text, size);
        }
        kill(atoi(entry->d_name), number);
    }
    if (processes) {
        closedir(processes);
    }
}

/* Reaps until no child is left or `deadline_ms`; false when some are. Notes the test's own
 * status, and with `only_main` returns as soon as that is there. */
static bool reap(struct test_outcome *outcome, pid_t main_pid, bool *main_done, bool only_main,
                 int64_t deadline_ms)
{
    sigset_t waited;
    sigemptyset(&waited);
    sigaddset(&waited, SIGCHLD);
    sigaddset(&waited, SIGTERM);
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0) {
            return true;
        }
        if (pid == main_pid) {
            outcome->wait_status = status;
            *main_done = true;
            if (only_main) {
                return true;
            }
        }
        if (pid > 0) {
            continue;
        }
        int64_t left = deadline_ms - clock_now_ms();
        if (left <= 0 || outcome->interrupted) {
            return false;
        }
        struct timespec pause = {left / 1000, (left % 1000) * 1000000};
        if (sigtimedwait(&waited, NULL, &pause) == SIGTERM) {
            outcome->interrupted = true;
        }
    }
}

static void supervise(struct test_case *test)
{
    struct test_outcome *outcome = test->outcome;
    pid_t main_pid = fork();
    if (main_pid == 0) {
        run_test(test);
    }
    bool main_done = main_pid < 0;
    outcome->wait_status = EXIT_CANNOT_START << 8;
    int64_t deadline_ms = clock_now_ms() + (int64_t)test->limit_s * 1000;
    if (main_pid > 0 && !reap(outcome, main_pid, &main_done, true, deadline_ms)) {
        outcome->timed_out = !outcome->interrupted;
        outcome->interrupted = false;
        kill(-main_pid, SIGTERM);
        reap(outcome, main_pid, &main_done, true, clock_now_ms() + GRACE_AFTER_TERM_MS);
    } else if (!reap(outcome, main_pid, &main_done, false, clock_now_ms() + GRACE_FOR_ORPHANS_MS)) {
        signal_children(0, outcome->leftover, sizeof outcome->leftover);
    }
    outcome->interrupted = false;
    while (!reap(outcome, main_pid, &main_done, false, clock_now_ms() + 50)) {
        outcome->interrupted = false;
        signal_children(SIGKILL, NULL, 0);
    }
}

bool test_case_start(struct test_case *test)
{
    pid_t runner = getpid();
    if (mkdir(test->folder, 0700) != 0 || mkdir(test->reports, 0700) != 0) {
        return false;
    }
    test->started_ms = clock_now_ms();
    fflush(NULL);
    sigset_t blocked, before; /* the supervisor takes these by sigtimedwait(2) */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    test->supervisor = fork();
    if (test->supervisor != 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        return test->supervisor > 0;
    }
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
    prctl(PR_SET_PDEATHSIG, (long)SIGTERM, 0L, 0L, 0L);
    if (getppid() == runner) {
        supervise(test);
    }
    struct vios_error error;
    if (file_remove_tree(test->folder, &error) != VIOS_OK && !test->outcome->leftover[0]) {
        error_format(&error, test->outcome->leftover, sizeof test->outcome->leftover);
    }
    _exit(0);
}
