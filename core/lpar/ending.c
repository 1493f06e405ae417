/* ending.c - see ending.h. */
#include "lpar/ending.h"

#include "lpar/guest.h"
#include "lpar/guest_exports.h"
#include "lpar/run_folder.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define QUIT_TIMEOUT_MS 5000

/* Ends whatever QEMU holds the folder's lock, known to the table or not. */
static int kill_in_folder(struct node *node, const char *uuid, struct operation *operation)
{
    struct run_folder folder = {.fd = -1};
    struct run_process process;
    int status = run_folder_open(&folder, node->run_dir, uuid, &operation->error);
    if (status < 0) {
        return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
    }
    int fd = run_folder_process(&folder, &process, operation);
    if (fd >= 0) {
        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
        status = operation_wait(operation, fd, POLLIN);
        close(fd);
    } else {
        status = fd == VIOS_E_NOT_FOUND ? VIOS_OK : fd;
    }
    run_folder_close(&folder);
    return status;
}

/* The guest, when a supervisor watches it; guest_release() it. */
static struct guest *find_watched(struct node *node, const struct lpar *lpar)
{
    struct guest *guest = lpars_find(node->lpars, lpar->name);
    if (guest && !guest_is_connected(guest)) {
        guest_release(guest);
        guest = NULL;
    }
    return guest;
}

int ending_kill(struct node *node, const struct lpar *lpar, struct operation *operation)
{
    struct guest *guest = find_watched(node, lpar);
    if (!guest) {
        return kill_in_folder(node, lpar->uuid, operation);
    }
    guest_leave_record(guest);
    guest_kill(guest);
    int status = lpars_await_gone(node->lpars, lpar->name, operation);
    guest_release(guest);
    return status;
}

/* Of a guest that no supervisor watches. */
static int end_unknown(struct node *node, const struct lpar *lpar, struct operation *operation)
{
    int status = kill_in_folder(node, lpar->uuid, operation);
    if (status == VIOS_OK) {
        status = guest_exports_drop(node, lpar->uuid, operation);
    }
    if (status == VIOS_OK) {
        status = run_folder_remove(node->run_dir, lpar->uuid, &operation->error);
    }
    if (status == VIOS_OK) {
        lpars_unreserve(node->lpars, lpar->name, NULL);
    }
    return status;
}

int ending_clear(struct node *node, const struct lpar *lpar, struct operation *operation)
{
    struct guest *guest = find_watched(node, lpar);
    bool watched = guest != NULL;
    guest_release(guest);
    return watched ? ending_kill(node, lpar, operation) : end_unknown(node, lpar, operation);
}

static void ask_to_quit(struct guest *guest)
{
    struct operation asking;
    guest_leave_record(guest);
    operation_start(&asking, QUIT_TIMEOUT_MS, NULL);
    if (guest_call(guest, "quit", NULL, NULL, &asking) == VIOS_OK) {
        (void)guest_await_end(guest, &asking); /* else it is killed */
    }
}

int ending_end(struct job *job, const struct lpar *lpar, bool quit)
{
    struct node *node = job_node(job);
    struct operation waiting;
    struct guest *guest = find_watched(node, lpar);
    if (guest && quit) {
        ask_to_quit(guest);
    }
    guest_release(guest);
    operation_start(&waiting, ENDING_TIMEOUT_MS, NULL);
    return job_keep(job, &waiting, ending_clear(node, lpar, &waiting));
}
