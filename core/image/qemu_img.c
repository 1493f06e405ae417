/* qemu_img.c - see qemu_img.h. */
#include "image/qemu_img.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ABOVE_ALL 16 /* descriptors are first moved out of each other's way */
#define LAST_WORDS 1024
#define NOT_STARTED 127

/* --- the child: only what is safe after fork() in a process with threads --- */

static void set_limit(__rlimit_resource_t which, unsigned long value)
{
    struct rlimit limit = {value, value};
    setrlimit(which, &limit);
}

static int moved_up(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD, ABOVE_ALL);
}

static void place(int fd, int at)
{
    if (fd >= 0) {
        dup2(fd, at);
    }
}

__attribute__((noreturn)) static void become(const struct qemu_img *run, pid_t parent, int out,
                                             int err)
{
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};
    sigset_t none;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(NOT_STARTED);
    }
    int null = moved_up(open("/dev/null", O_RDONLY));
    int from = moved_up(run->from), to = moved_up(run->to);
    out = moved_up(out);
    err = moved_up(err);
    place(null, 0);
    place(out, 1);
    place(err, 2);
    place(from, 3);
    place(to, 4);
    close_range(from < 0 ? 3 : to < 0 ? 4 : 5, ~0U, 0);
    set_limit(RLIMIT_AS, run->memory_bytes);
    set_limit(RLIMIT_CORE, 0);
    if (run->cpu_s) {
        set_limit(RLIMIT_CPU, run->cpu_s);
    }
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(QEMU_IMG_PROGRAM, (char *const *)run->arguments, (char *const *)environment);
    _exit(NOT_STARTED);
}

/* --- the parent --- */

static int follow_output(const struct qemu_img *run, int fd, struct operation *operation)
{
    char text[4096];
    for (;;) {
        int status = operation_wait(operation, fd, POLLIN);
        if (status < 0) {
            return status;
        }
        ssize_t got = read(fd, text, sizeof text);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0 ? VIOS_OK : error_set_errno(&operation->error, NULL, "read of a pipe");
        }
        if (run->output) {
            run->output(run->context, text, (size_t)got);
        }
    }
}

/* The last line of what it wrote, without its own name and those of our descriptors; control bytes
 * become blanks. */
static const char *last_line(int fd, char text[LAST_WORDS])
{
    off_t size = lseek(fd, 0, SEEK_END);
    off_t at = size > LAST_WORDS - 1 ? size - (LAST_WORDS - 1) : 0;
    ssize_t got = pread(fd, text, LAST_WORDS - 1, at);
    size_t length = got > 0 ? (size_t)got : 0;
    while (length && text[length - 1] == '\n') {
        length--;
    }
    text[length] = 0;
    char *line = memrchr(text, '\n', length);
    line = line ? line + 1 : text;
    for (char *c = line; *c; c++) {
        *c = (unsigned char)*c < ' ' ? ' ' : *c;
    }
    static const char prefix[] = "qemu-img: ", source_end[] = "}}': ";
    const char *reason = strstr(line, source_end);
    if (reason) {
        return reason + strlen(source_end);
    }
    return strncmp(line, prefix, strlen(prefix)) == 0 ? line + strlen(prefix) : line;
}

static int judge(const struct qemu_img *run, int ended, int err, struct vios_error *error)
{
    char text[LAST_WORDS];
    if (WIFEXITED(ended) && (WEXITSTATUS(ended) == 0 || WEXITSTATUS(ended) == run->passes)) {
        return VIOS_OK;
    }
    const char *line = last_line(err, text);
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == NOT_STARTED && !line[0]) {
        return error_set(error, VIOS_E_NOT_FOUND, QEMU_IMG_PROGRAM, "install qemu-utils",
                         "cannot be run");
    }
    if (WIFSIGNALED(ended) && (WTERMSIG(ended) == SIGXCPU || WTERMSIG(ended) == SIGKILL)) {
        return error_set(error, VIOS_E_INVALID, run->name, NULL,
                         "qemu-img was ended: the image takes too long to read");
    }
    if (WIFSIGNALED(ended)) {
        return error_set(error, VIOS_E_INVALID, run->name, NULL,
                         "qemu-img died of signal %d while it read the image", WTERMSIG(ended));
    }
    int code = strstr(line, strerror(ENOSPC)) ? VIOS_E_NO_SPACE : VIOS_E_INVALID;
    return error_set(error, code, run->name, NULL, "qemu-img: %s",
                     line[0] ? line : "it failed without a word");
}

static int end_of(pid_t child)
{
    int ended = 0;
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR) {
    }
    return ended;
}

int qemu_img_run(const struct qemu_img *run, struct operation *operation)
{
    int out[2] = {-1, -1}, ended = 0;
    int err = memfd_create("qemu-img", MFD_CLOEXEC);
    int status = operation_check(operation);
    if (status == VIOS_OK && (err < 0 || pipe2(out, O_CLOEXEC) != 0)) {
        status = error_set_errno(&operation->error, NULL, "no pipe for qemu-img");
    }
    if (status == VIOS_OK) {
        pid_t parent = getpid(), child = fork();
        if (child == 0) {
            become(run, parent, out[1], err);
        }
        close(out[1]);
        out[1] = -1;
        if (child < 0) {
            status = error_set_errno(&operation->error, NULL, "fork");
        } else {
            setpgid(child, child); /* whoever of us comes first */
            status = follow_output(run, out[0], operation);
            if (status < 0) {
                kill(-child, SIGKILL);
            }
            ended = end_of(child);
        }
    }
    if (status == VIOS_OK) {
        status = judge(run, ended, err, &operation->error);
    }
    for (int i = 0; i < 2; i++) {
        if (out[i] >= 0) {
            close(out[i]);
        }
    }
    if (err >= 0) {
        close(err);
    }
    return status;
}
