/*
 * launch.c - starts a QEMU. See the header.
 *
 * Between fork and exec the child makes only calls that are safe there, since the daemon has
 * threads: everything that allocates was done before. It writes its pid file itself, so that no
 * daemon's death can leave a QEMU that nobody knows; the lock it inherits covers the time before.
 */
#include "lpar/launch.h"

#include "lpar/network.h"
#include "lpar/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTOR_FLOOR 64 /* above the numbers of qemu.h, so that none is overwritten */

struct launch {
    int descriptors[QEMU_FD_END]; /* [number in the child] = ours; -1 none */
    int log;
    const struct run_folder *folder;
    char **arguments;
};

static int lift(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_FLOOR);
    close(fd);
    return high;
}

/* A copy that anybody who holds the descriptor may read, whatever the file's own mode. */
static int copy_to_memory(int from, off_t size)
{
    int to = memfd_create("boot file", MFD_CLOEXEC);
    off_t at = 0;
    char *data = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, from, 0) : MAP_FAILED;
    while (to >= 0 && data != MAP_FAILED && at < size) {
        ssize_t done = write(to, data + at, (size_t)(size - at));
        if (done <= 0 && errno != EINTR) {
            break;
        }
        at += done > 0 ? done : 0;
    }
    if (data != MAP_FAILED) {
        munmap(data, (size_t)size);
    }
    if (to >= 0 && (size == 0 || at < size)) {
        close(to);
        to = -1;
    }
    return to;
}

static int open_boot_file(const char *path, uid_t uid, struct vios_error *error)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0) {
        int result = error_set_errno(error, path, "cannot open it");
        if (fd >= 0) {
            close(fd);
        }
        return result;
    }
    if (uid && !(status.st_mode & S_IROTH)) {
        int copy = copy_to_memory(fd, status.st_size);
        close(fd);
        if (copy < 0) {
            return error_set(error, VIOS_E_NO_SPACE, path, NULL, "cannot copy it for the guest");
        }
        fd = copy;
    }
    return fd;
}

static int take_descriptor(struct launch *launch, int number, int fd, struct vios_error *error)
{
    if (fd < 0) {
        return fd;
    }
    launch->descriptors[number] = lift(fd);
    return launch->descriptors[number] >= 0
               ? VIOS_OK
               : error_set_errno(error, "qemu", "cannot hand on a descriptor");
}

static int open_taps(struct launch *launch, const struct lpar *lpar, struct vios_error *error)
{
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < lpar->nic_count; i++) {
        if (lpar->nics[i].backend == NIC_BRIDGE) {
            status = take_descriptor(launch, QEMU_FD_TAP + (int)i,
                                     network_open_tap(lpar->nics[i].bridge, error), error);
        }
    }
    return status;
}

static int open_all(struct launch *launch, const struct lpar *lpar, struct vios_error *error)
{
    const struct run_folder *folder = launch->folder;
    int status = take_descriptor(launch, QEMU_FD_LOCK, run_folder_lock(folder, error), error);
    if (status == VIOS_OK) {
        unlinkat(folder->fd, "pid", 0);
        status = take_descriptor(launch, QEMU_FD_QMP, run_folder_listen(folder, "qmp.sock", error),
                                 error);
    }
    if (status == VIOS_OK) {
        status = take_descriptor(launch, QEMU_FD_CONSOLE,
                                 run_folder_listen(folder, "console.sock", error), error);
    }
    if (status == VIOS_OK && lpar->kernel[0]) {
        status = take_descriptor(launch, QEMU_FD_KERNEL,
                                 open_boot_file(lpar->kernel, folder->uid, error), error);
    }
    if (status == VIOS_OK && lpar->initrd[0]) {
        status = take_descriptor(launch, QEMU_FD_INITRD,
                                 open_boot_file(lpar->initrd, folder->uid, error), error);
    }
    if (status == VIOS_OK) {
        status = open_taps(launch, lpar, error);
    }
    if (status == VIOS_OK) {
        int log =
            openat(folder->fd, "log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        launch->log = log < 0 ? -1 : lift(log);
        if (launch->log < 0) {
            status = error_set_errno(error, folder->path, "cannot open the log");
        }
    }
    return status;
}

/* --- in the child, between fork and exec --- */

static void complain(const char *what)
{
    const char *why = strerrordesc_np(errno);
    (void)!write(STDERR_FILENO, what, strlen(what));
    (void)!write(STDERR_FILENO, ": ", 2);
    (void)!write(STDERR_FILENO, why ? why : "?", strlen(why ? why : "?"));
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(127);
}

/* Decimal digits of `value` before `end`; no allocation, no locale. */
static char *put_number(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return end;
}

static void write_pid(int folder)
{
    char text[48], *at = text + sizeof text;
    *--at = '\n';
    at = put_number(at, run_process_start_time(0));
    *--at = ' ';
    at = put_number(at, (uint64_t)getpid());
    size_t size = (size_t)(text + sizeof text - at);
    int fd = openat(folder, "pid.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write(fd, at, size) != (ssize_t)size ||
        renameat(folder, "pid.new", folder, "pid") != 0) {
        complain("cannot write the pid file");
    }
}

static void become_guest(uid_t uid)
{
    if (uid && (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 ||
                setresuid(uid, uid, uid) != 0)) {
        complain("cannot become the guest's user");
    }
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int i = 1; i < NSIG; i++) {
        signal(i, SIG_DFL);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void run_child(const struct launch *launch)
{
    reset_signals();
    dup2(launch->log, STDOUT_FILENO);
    dup2(launch->log, STDERR_FILENO);
    write_pid(launch->folder->fd);
    if (fchdir(launch->folder->fd) != 0) {
        complain("cannot enter the run folder");
    }
    for (int i = QEMU_FD_LOCK; i < QEMU_FD_END; i++) {
        if (launch->descriptors[i] < 0) {
            close(i);
        } else if (dup2(launch->descriptors[i], i) < 0) {
            complain("cannot place a descriptor");
        }
    }
    syscall(SYS_close_range, QEMU_FD_END, ~0u, 0);
    umask(077);
    become_guest(launch->folder->uid);
    execv(launch->arguments[0], launch->arguments);
    complain(launch->arguments[0]);
}

/* --- */

static int spawn(const struct launch *launch, struct vios_error *error)
{
    pid_t middle = fork();
    if (middle < 0) {
        return error_set_errno(error, "qemu", "cannot fork");
    }
    if (middle == 0) {
        setsid();
        pid_t child = fork();
        if (child == 0) {
            int null = open("/dev/null", O_RDWR);
            dup2(null, STDIN_FILENO);
            run_child(launch);
        }
        _exit(child < 0 ? 1 : 0);
    }
    int status = 0;
    while (waitpid(middle, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != 0) {
        return error_set(error, VIOS_E_SYSTEM, "qemu", NULL, "cannot fork");
    }
    return VIOS_OK;
}

int launch_folder(const struct node *node, const struct lpar *lpar, const char *job,
                  struct run_folder *folder, struct vios_error *error)
{
    struct run_guest guest = {.generation = lpar->generation};
    int status = run_folder_make(folder, node->run_dir, lpar->uuid,
                                 config_integer(node->config, "guest_uid_base"), error);
    if (status == VIOS_OK) {
        snprintf(guest.name, sizeof guest.name, "%s", lpar->name);
        snprintf(guest.uuid, sizeof guest.uuid, "%s", lpar->uuid);
        snprintf(guest.job, sizeof guest.job, "%s", job);
        status = run_folder_write_guest(folder, &guest, error);
    }
    return status;
}

int launch_qemu(const struct lpar *lpar, const struct run_folder *folder,
                const struct qemu_start *start, struct operation *operation)
{
    struct launch launch = {.log = -1, .folder = folder};
    struct vios_error *error = &operation->error;
    for (int i = 0; i < QEMU_FD_END; i++) {
        launch.descriptors[i] = -1;
    }
    if (access(QEMU_PROGRAM, X_OK) != 0) {
        return error_set(error, VIOS_E_NOT_FOUND, QEMU_PROGRAM, "install qemu-system-x86",
                         "there is no QEMU: %s", strerror(errno));
    }
    launch.arguments = qemu_arguments(lpar, QEMU_PROGRAM, start);
    int status = open_all(&launch, lpar, error);
    if (status == VIOS_OK) {
        status = spawn(&launch, error);
    }
    for (int i = 0; i < QEMU_FD_END; i++) {
        if (launch.descriptors[i] >= 0) {
            close(launch.descriptors[i]);
        }
    }
    if (launch.log >= 0) {
        close(launch.log);
    }
    qemu_arguments_free(launch.arguments);
    return status;
}
