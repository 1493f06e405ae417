/* qemu_facts.c - see qemu_facts.h. */
#include "lpar/qemu_facts.h"

#include "base/json.h"
#include "lpar/qemu.h"
#include "lpar/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ASK_MS 20000

struct qemu_facts {
    pthread_mutex_t lock; /* all of it; held while QEMU is asked */
    struct stat program;  /* that was asked */
    int version[3];
    json_t *machines, *cpus; /* QEMU's answers; NULL: it was not asked */
};

struct qemu_facts *qemu_facts_new(void)
{
    struct qemu_facts *facts = calloc(1, sizeof *facts);
    if (facts) {
        pthread_mutex_init(&facts->lock, NULL);
    }
    return facts;
}

static void forget(struct qemu_facts *facts)
{
    json_decref(facts->machines);
    json_decref(facts->cpus);
    facts->machines = facts->cpus = NULL;
}

void qemu_facts_free(struct qemu_facts *facts)
{
    if (facts) {
        forget(facts);
        pthread_mutex_destroy(&facts->lock);
        free(facts);
    }
}

/* --- asking --- */

/* `fd` becomes its input and output. */
static int spawn(int fd, pid_t *pid, struct vios_error *error)
{
    const char *const arguments[] = {
        QEMU_PROGRAM, "-nodefaults", "-no-user-config", "-machine", "none", "-display",
        "none",       "-qmp",        "stdio",           NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigfillset(&defaults);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    errno =
        posix_spawn(pid, QEMU_PROGRAM, &actions, &attributes, (char *const *)arguments, environ);
    int status = errno ? error_set_errno(error, QEMU_PROGRAM, "cannot start it") : VIOS_OK;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

static int read_answers(struct qemu_facts *facts, struct qmp *qmp, struct operation *operation)
{
    json_t *version = NULL;
    int status = qmp_call(qmp, "query-version", NULL, -1, &version, operation);
    if (status == VIOS_OK) {
        status = qmp_call(qmp, "query-machines", NULL, -1, &facts->machines, operation);
    }
    if (status == VIOS_OK) {
        status = qmp_call(qmp, "query-cpu-definitions", NULL, -1, &facts->cpus, operation);
    }
    const json_t *qemu = json_object_get(version, "qemu");
    facts->version[0] = (int)json_get_integer(qemu, "major");
    facts->version[1] = (int)json_get_integer(qemu, "minor");
    facts->version[2] = (int)json_get_integer(qemu, "micro");
    json_decref(version);
    return status;
}

static int ask(struct qemu_facts *facts, struct operation *operation)
{
    int pair[2];
    pid_t pid;
    struct qmp *qmp = NULL;
    struct operation asking;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return error_set_errno(&operation->error, "qemu", "cannot make a socket");
    }
    int status = spawn(pair[1], &pid, &operation->error);
    close(pair[1]);
    if (status < 0) {
        close(pair[0]);
        return status;
    }
    operation_start(&asking, ASK_MS, operation->cancel);
    status = qmp_open(&qmp, pair[0], &asking);
    if (status == VIOS_OK) {
        status = read_answers(facts, qmp, &asking);
        qmp_close(qmp);
    }
    operation->error = asking.error;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static bool is_same(const struct stat *left, const struct stat *right)
{
    return left->st_dev == right->st_dev && left->st_ino == right->st_ino &&
           left->st_size == right->st_size && left->st_mtim.tv_sec == right->st_mtim.tv_sec &&
           left->st_mtim.tv_nsec == right->st_mtim.tv_nsec;
}

/* Under the lock. */
static int learn(struct qemu_facts *facts, struct operation *operation)
{
    struct stat program;
    if (stat(QEMU_PROGRAM, &program) != 0) {
        return operation_fail(operation, VIOS_E_NOT_FOUND, QEMU_PROGRAM, "install qemu-system-x86",
                              "there is no QEMU: %s", strerror(errno));
    }
    if (facts->cpus && is_same(&program, &facts->program)) {
        return VIOS_OK;
    }
    forget(facts);
    int status = ask(facts, operation);
    if (status < 0) {
        forget(facts);
    }
    facts->program = program;
    return status;
}

/* --- comparing --- */

/* By their `name`; a machine type has an alias, too. */
static bool has(const json_t *list, const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        if (strcmp(json_get_word(item, "name"), name) == 0 ||
            strcmp(json_get_word(item, "alias"), name) == 0) {
            return true;
        }
    }
    return false;
}

/* Bug fixes, the third number, do not change what is saved. */
static bool is_older(const int version[3], const char *than)
{
    int major = 0, minor = 0;
    (void)sscanf(than, "%d.%d", &major, &minor);
    return version[0] != major ? version[0] < major : version[1] < minor;
}

static int compare(const struct qemu_facts *facts, const struct lpar *lpar, const char *version,
                   struct vios_error *error)
{
    char object[96];
    const int *own = facts->version;
    bool machine = has(facts->machines, lpar->machine);
    if (!machine || !has(facts->cpus, lpar->cpu)) {
        return error_set(error, VIOS_E_INVALID, lpar_object(lpar->name, object),
                         "upgrade QEMU on this node", "QEMU %d.%d.%d on this node has no %s \"%s\"",
                         own[0], own[1], own[2], machine ? "CPU model" : "machine type",
                         machine ? lpar->cpu : lpar->machine);
    }
    if (is_older(own, version)) {
        return error_set(error, VIOS_E_INVALID, lpar_object(lpar->name, object),
                         "upgrade QEMU on this node",
                         "its state is of QEMU %s, and this node has an older one, %d.%d.%d",
                         version, own[0], own[1], own[2]);
    }
    return VIOS_OK;
}

int qemu_facts_check(struct qemu_facts *facts, const struct lpar *lpar, const char *version,
                     struct operation *operation)
{
    pthread_mutex_lock(&facts->lock);
    int status = learn(facts, operation);
    if (status == VIOS_OK) {
        status = compare(facts, lpar, version, &operation->error);
    }
    pthread_mutex_unlock(&facts->lock);
    return status;
}
