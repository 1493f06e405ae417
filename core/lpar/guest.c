/* guest.c - one running guest, as others see it. See the header. */
#include "lpar/guest_exports.h"
#include "lpar/guest_private.h"

#include "base/json.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STATE_POLL_MS 10 /* the supervisor asks QEMU in about a millisecond */

const struct lpar *guest_lpar(const struct guest *guest)
{
    return &guest->lpar;
}

struct console *guest_console(struct guest *guest)
{
    return guest->console;
}

void guest_wake(struct guest *guest)
{
    eventfd_write(guest->wake, 1);
}

void guest_status(struct guest *guest, struct guest_status *status)
{
    pthread_mutex_lock(&guest->lock);
    *status = guest->status;
    pthread_mutex_unlock(&guest->lock);
}

bool guest_is_connected(struct guest *guest)
{
    pthread_mutex_lock(&guest->lock);
    bool connected = guest->connected;
    pthread_mutex_unlock(&guest->lock);
    return connected;
}

void guest_expect(struct guest *guest, const char *job)
{
    pthread_mutex_lock(&guest->lock);
    snprintf(guest->incoming, sizeof guest->incoming, "%s", job);
    pthread_mutex_unlock(&guest->lock);
}

bool guest_is_expected(struct guest *guest)
{
    pthread_mutex_lock(&guest->lock);
    bool expected = guest->incoming[0] != 0;
    pthread_mutex_unlock(&guest->lock);
    return expected;
}

void guest_leave_record(struct guest *guest)
{
    pthread_mutex_lock(&guest->lock);
    guest->leave_record = true;
    pthread_mutex_unlock(&guest->lock);
}

void guest_set_state(struct guest *guest, const char *state, const char *why)
{
    pthread_mutex_lock(&guest->lock);
    if (strcmp(guest->status.state, state) != 0 || strcmp(guest->status.why, why) != 0) {
        snprintf(guest->status.state, sizeof guest->status.state, "%s", state);
        snprintf(guest->status.why, sizeof guest->status.why, "%s", why);
        guest->unpublished = true;
    }
    pthread_mutex_unlock(&guest->lock);
}

int guest_open_qmp(struct guest *guest, struct operation *operation)
{
    struct run_folder folder = {.fd = -1};
    struct qmp *qmp = NULL;
    int fd =
        run_folder_open(&folder, guest->lpars->node->run_dir, guest->lpar.uuid, &operation->error);
    if (fd == VIOS_OK) {
        fd = run_folder_connect(&folder, "qmp.sock", operation);
        run_folder_close(&folder);
    }
    int status = fd < 0 ? fd : qmp_open(&qmp, fd, operation);
    if (status == VIOS_OK) {
        pthread_mutex_lock(&guest->qmp_lock);
        qmp_close(guest->qmp);
        guest->qmp = qmp;
        pthread_mutex_unlock(&guest->qmp_lock);
    }
    return status;
}

void guest_open_console(struct guest *guest)
{
    struct run_folder folder = {.fd = -1};
    struct operation operation;
    operation_start(&operation, 2000, guest->lpars->cancel);
    if (guest->lpar.serial_console &&
        run_folder_open(&folder, guest->lpars->node->run_dir, guest->lpar.uuid, &operation.error) ==
            VIOS_OK) {
        int fd = run_folder_connect(&folder, "console.sock", &operation);
        if (fd >= 0) {
            console_attach(guest->console, fd);
        }
        run_folder_close(&folder);
    }
}

/* QEMU's own words say more than "it closed its connection". */
static int explain(const struct run_folder *folder, const struct guest *guest, int status,
                   struct operation *operation)
{
    char words[320], object[96];
    run_folder_last_words(folder, words, sizeof words);
    if (!words[0] || run_folder_is_locked(folder)) {
        return status;
    }
    return operation_fail(operation, VIOS_E_IO, lpar_object(guest->lpar.name, object), NULL,
                          "QEMU ended: %s", words);
}

static int find_process(struct guest *guest, struct run_folder *folder, int *process_fd,
                        struct operation *operation)
{
    struct run_process process;
    int status =
        run_folder_open(folder, guest->lpars->node->run_dir, guest->lpar.uuid, &operation->error);
    if (status < 0) {
        return status;
    }
    int fd = run_folder_process(folder, &process, operation);
    if (fd < 0) {
        return explain(folder, guest, fd, operation);
    }
    pthread_mutex_lock(&guest->lock);
    guest->status.qemu_pid = process.pid;
    pthread_mutex_unlock(&guest->lock);
    *process_fd = fd;
    return VIOS_OK;
}

int guest_connect(struct guest *guest, struct operation *operation)
{
    struct run_folder folder = {.fd = -1};
    int process_fd = -1;
    if (guest_is_connected(guest)) {
        return VIOS_OK;
    }
    int status = find_process(guest, &folder, &process_fd, operation);
    if (status == VIOS_OK) {
        guest_open_console(guest);
        status = guest_open_qmp(guest, operation);
        if (status == VIOS_E_UNREACHABLE || status == VIOS_E_IO) {
            /* The lock goes with the process: wait for its end, it has lost its QMP. */
            struct operation ending;
            operation_start(&ending, 2000, operation->cancel);
            (void)operation_wait(&ending, process_fd, POLLIN);
            status = explain(&folder, guest, status, operation);
        }
    }
    if (status == VIOS_OK) {
        status = guest_exports_watch(guest->lpars->node, &guest->lpar, process_fd, operation);
    }
    if (status == VIOS_OK) {
        pthread_mutex_lock(&guest->lock);
        guest->process_fd = process_fd;
        guest->connected = guest->refresh = guest->unpublished = true;
        pthread_mutex_unlock(&guest->lock);
        process_fd = -1;
        status = supervisor_start(guest, &operation->error);
        if (status < 0) {
            pthread_mutex_lock(&guest->lock);
            guest->connected = false;
            pthread_mutex_unlock(&guest->lock);
        }
    }
    if (process_fd >= 0) {
        close(process_fd);
    }
    run_folder_close(&folder);
    return status;
}

static int unanswered(struct operation *operation)
{
    return operation_fail(operation, VIOS_E_UNREACHABLE, "qmp", NULL,
                          "QEMU does not answer just now");
}

/* The supervisor is to look at what there is now, and whether the connection is whole. */
static void look_again(struct guest *guest)
{
    pthread_mutex_lock(&guest->lock);
    guest->refresh = true;
    pthread_mutex_unlock(&guest->lock);
    guest_wake(guest);
}

static int call_with(void *context, const char *command, json_t *arguments, int descriptor,
                     json_t **result, struct operation *operation)
{
    struct guest *guest = context;
    int status;
    pthread_mutex_lock(&guest->qmp_lock);
    if (!guest->qmp) {
        json_decref(arguments);
        status = unanswered(operation);
    } else {
        status = qmp_call(guest->qmp, command, arguments, descriptor, result, operation);
    }
    pthread_mutex_unlock(&guest->qmp_lock);
    look_again(guest);
    return status;
}

int guest_call(struct guest *guest, const char *command, json_t *arguments, json_t **result,
               struct operation *operation)
{
    return call_with(guest, command, arguments, -1, result, operation);
}

struct migration_port guest_port(struct guest *guest)
{
    return (struct migration_port){.call = call_with, .context = guest};
}

bool guest_is_loaded(struct guest *guest, struct operation *operation)
{
    char state[MIGRATION_STATE_SIZE];
    if (!guest || !guest_is_connected(guest)) {
        return false;
    }
    const struct migration_port port = guest_port(guest);
    return migration_state(&port, state, operation) == VIOS_OK && strcmp(state, "completed") == 0;
}

int guest_qemu_version(struct guest *guest, char version[32], struct operation *operation)
{
    json_t *answer = NULL;
    int status = guest_call(guest, "query-version", NULL, &answer, operation);
    const json_t *qemu = json_object_get(answer, "qemu");
    snprintf(version, 32, "%d.%d.%d", (int)json_get_integer(qemu, "major"),
             (int)json_get_integer(qemu, "minor"), (int)json_get_integer(qemu, "micro"));
    json_decref(answer);
    return status;
}

/* Within the operation, which has a deadline. */
static bool lock_qmp(struct guest *guest, const struct operation *operation)
{
    struct timespec until;
    int left_ms = operation_remaining_ms(operation);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += left_ms % 1000 * 1000000L;
    until.tv_sec += left_ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    return pthread_mutex_clocklock(&guest->qmp_lock, CLOCK_MONOTONIC, &until) == 0;
}

/* The lock, once there is a connection: one that was lost is made again by the supervisor. */
static int lock_open_qmp(struct guest *guest, struct operation *operation)
{
    bool told = false;
    for (;;) {
        if (!lock_qmp(guest, operation)) {
            return operation_fail(operation, VIOS_E_TIMEOUT, "qmp", NULL,
                                  "somebody else talked to its QEMU all the time");
        }
        if (guest->qmp && !qmp_is_broken(guest->qmp)) {
            return VIOS_OK;
        }
        pthread_mutex_unlock(&guest->qmp_lock);
        if (!told) {
            look_again(guest);
            told = true;
        }
        if (operation_sleep(operation, STATE_POLL_MS) != VIOS_OK) {
            return unanswered(operation);
        }
    }
}

int guest_ask(struct guest *guest, const char *const *commands, size_t count, json_t *answers,
              struct operation *operation)
{
    int status = lock_open_qmp(guest, operation);
    if (status != VIOS_OK) {
        return status;
    }
    for (size_t i = 0; i < count && status == VIOS_OK; i++) {
        json_t *answer = NULL;
        status = qmp_call(guest->qmp, commands[i], NULL, -1, &answer, operation);
        if (answer) {
            json_object_set_new(answers, commands[i], answer);
        }
    }
    pthread_mutex_unlock(&guest->qmp_lock);
    look_again(guest);
    return status;
}

static bool state_is_known(struct guest *guest)
{
    pthread_mutex_lock(&guest->lock);
    const char *state = guest->status.state;
    bool known = strcmp(state, "stopping") == 0 || /* its end is written by somebody else */
                 (!guest->unpublished && strcmp(state, "starting") != 0);
    pthread_mutex_unlock(&guest->lock);
    return known;
}

int guest_await_state(struct guest *guest, struct operation *operation)
{
    int status = VIOS_OK;
    while (status == VIOS_OK && !state_is_known(guest)) {
        status = operation_sleep(operation, STATE_POLL_MS);
    }
    return status;
}

static bool is_running(struct guest *guest)
{
    pthread_mutex_lock(&guest->lock);
    bool running = !guest->unpublished && strcmp(guest->status.state, "running") == 0;
    pthread_mutex_unlock(&guest->lock);
    return running;
}

int guest_await_running(struct guest *guest, struct operation *operation)
{
    int status = VIOS_OK;
    while (status == VIOS_OK && !is_running(guest)) {
        status = operation_sleep(operation, STATE_POLL_MS);
    }
    return status;
}

uint64_t guest_own_resets(struct guest *guest)
{
    pthread_mutex_lock(&guest->lock);
    uint64_t resets = guest->own_resets;
    pthread_mutex_unlock(&guest->lock);
    return resets;
}

int guest_await_own_reset(struct guest *guest, uint64_t resets, struct operation *operation)
{
    struct pollfd process = {.fd = guest->process_fd, .events = POLLIN};
    int status = VIOS_OK;
    while (status == VIOS_OK && guest_own_resets(guest) <= resets) {
        status = poll(&process, 1, 0) == 0 ? operation_sleep(operation, STATE_POLL_MS)
                                           : operation_fail(operation, VIOS_E_IO, guest->lpar.name,
                                                            NULL, "its QEMU has ended");
    }
    return status;
}

int guest_await_end(struct guest *guest, struct operation *operation)
{
    return guest->process_fd < 0 ? VIOS_OK : operation_wait(operation, guest->process_fd, POLLIN);
}

void guest_kill(struct guest *guest)
{
    if (guest->process_fd >= 0) {
        syscall(SYS_pidfd_send_signal, guest->process_fd, SIGKILL, NULL, 0);
    }
}
