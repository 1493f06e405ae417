/* Proves: a process that crashes, in a thread or on its first one, leaves the signal, the address,
 * the thread and its frames in the file that was made before, and dies of that signal all the same;
 * one that overflows its stack does too; the first crash is kept; who is killed leaves nothing. */
#include "base/backtrace.h"

#include "base/file.h"
#include "base/thread.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define FILE_NAME "backtrace"

static int folder;

/* The calls are real ones, with a frame each. */
__attribute__((noinline)) int write_to_nothing(volatile int *where);
__attribute__((noinline)) int overflow(volatile int depth);

int write_to_nothing(volatile int *where)
{
    *where = 7;
    return *where + 1;
}

int overflow(volatile int depth)
{
    volatile char room[4096];
    room[0] = (char)depth;
    return depth < 0 ? 0 : overflow(depth + 1) + room[0];
}

static void *crash(void *argument)
{
    (void)argument;
    write_to_nothing((volatile int *)16);
    return NULL;
}

static void *fall(void *argument)
{
    (void)argument;
    overflow(1);
    return NULL;
}

static void in_thread(void *(*run)(void *))
{
    pthread_t thread;
    if (thread_start(&thread, "crasher", run, NULL) == 0) {
        pthread_join(thread, NULL);
    }
}

static void null_write(void)
{
    in_thread(crash);
}

static void stack_overflow(void)
{
    in_thread(fall);
}

static void killed(void)
{
    kill(getpid(), SIGKILL);
}

static void sent(void)
{
    kill(getpid(), SIGSEGV);
    pause();
}

/* The signal that a child dies of. */
static int end_of(void (*run)(void))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        const struct backtrace_settings settings = {
            .program = "test", .folder_fd = folder, .file = FILE_NAME, .core_fd = folder};
        setrlimit(RLIMIT_CORE, &none);
        if (backtrace_install(&settings, NULL) == VIOS_OK) {
            run();
        }
        _exit(99);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

/* The caller's. */
static char *left(const char *name)
{
    char *text = NULL;
    size_t size;
    is_int(file_read(folder, name, 1 << 20, &text, &size, NULL), VIOS_OK);
    return text ? text : strdup("");
}

static void has(const char *text, const char *wanted)
{
    ok(strstr(text, wanted) != NULL, "\"%s\" is not in:\n%s", wanted, text);
}

static void forget(void)
{
    unlinkat(folder, FILE_NAME, 0);
    unlinkat(folder, FILE_NAME BACKTRACE_CRASHED, 0);
}

#ifdef __SANITIZE_ADDRESS__
#define UNLESS_SANITIZED SKIP("AddressSanitizer tells of crashes itself")
#else
#define UNLESS_SANITIZED (void)0
#endif

static void a_null_write_in_a_thread_is_told(void)
{
    UNLESS_SANITIZED;
    forget();
    is_int(end_of(null_write), SIGSEGV);
    char *text = left(FILE_NAME);
    ok(strncmp(text, "SIGSEGV at address 0x10, code 1\n", 32) == 0, "%s", text);
    has(text, "test " VIOS_VERSION ", process ");
    has(text, " \"crasher\", ");
    has(text, "\n#0 0x");
    has(text, " test_backtrace+0x");
    has(text, "functions and lines: addr2line -pfie ");
    free(text);
}

/* The last line is a command that gives the function, whatever the program exports. */
static void the_command_in_it_names_the_function(void)
{
    UNLESS_SANITIZED;
    char *text = left(FILE_NAME), *command = strstr(text, "addr2line "), names[4096] = "";
    int pipes[2];
    if (access("/usr/bin/addr2line", X_OK) != 0 || !command || pipe(pipes) != 0) {
        free(text);
        SKIP("there is no addr2line");
    }
    pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], 1);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    for (size_t used = 0; used + 1 < sizeof names;) {
        ssize_t got = read(pipes[0], names + used, sizeof names - 1 - used);
        if (got <= 0) {
            break;
        }
        used += (size_t)got;
    }
    close(pipes[0]);
    waitpid(child, NULL, 0);
    ok(strncmp(names, "write_to_nothing at ", 20) == 0, "%s", names);
    has(names, "\ncrash at ");
    free(text);
}

static void a_stack_that_overflows_is_told(void)
{
    UNLESS_SANITIZED;
    forget();
    is_int(end_of(stack_overflow), SIGSEGV);
    char *text = left(FILE_NAME);
    has(text, "SIGSEGV at address 0x");
    has(text, "\n#50 0x");
    free(text);
}

static void each_way_is_told(void)
{
    UNLESS_SANITIZED;
    forget();
    is_int(end_of(sent), SIGSEGV);
    char *text = left(FILE_NAME);
    has(text, "SIGSEGV, sent by process ");
    free(text);
    is_int(end_of(abort), SIGABRT);
    text = left(FILE_NAME);
    has(text, "SIGABRT, sent by process ");
    free(text);
    text = left(FILE_NAME BACKTRACE_CRASHED); /* the one before was put aside by the next */
    has(text, "SIGSEGV, sent by process ");
    free(text);
}

static void the_first_is_kept(void)
{
    UNLESS_SANITIZED;
    is_int(end_of(killed), SIGKILL);
    char *text = left(FILE_NAME BACKTRACE_CRASHED);
    has(text, "SIGSEGV, sent by process ");
    free(text);
    text = left(FILE_NAME);
    is_text(text, "");
    free(text);
}

int main(void)
{
    folder = open(tap_folder(), O_RDONLY | O_DIRECTORY);
    RUN(a_null_write_in_a_thread_is_told);
    RUN(the_command_in_it_names_the_function);
    RUN(a_stack_that_overflows_is_told);
    RUN(each_way_is_told);
    RUN(the_first_is_kept);
    close(folder);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
