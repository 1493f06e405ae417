/* host_internal.h - what the files of core/ssh share of a host; for them alone. */
#ifndef SSH_HOST_INTERNAL_H
#define SSH_HOST_INTERNAL_H

#include "ssh/host.h"

#include <libssh/libssh.h>
#include <signal.h>

struct ssh_host {
    ssh_session session; /* never blocks */
    char name[SSH_HOST_NAME_MAX + 1];
    const struct ssh_questions *questions; /* while it is opened; NULL: nobody can be asked */
    struct operation *operation;           /* while it is opened: its deadline moves */
    struct ssh_callbacks_struct *callbacks;
    bool was_asked; /* and somebody answered */
};

/*
 * libssh writes into sockets and pipes whose other end may be gone; what is to become of SIGPIPE in
 * general is for others to say. From pipe_hold() to pipe_release() none reaches this thread.
 */
struct pipe_hold {
    sigset_t before;
    bool was_pending;
};
void pipe_hold(struct pipe_hold *hold);
void pipe_release(const struct pipe_hold *hold);

/* Waits until libssh, which said SSH_AGAIN, can go on. */
int host_wait(struct ssh_host *host, struct operation *operation);

/* The session's last error, as one of `code`. */
int host_fail(const struct ssh_host *host, int code, const char *what, const char *hint,
              struct vios_error *error);

/* Asks whoever sits there; false when nobody does. */
bool host_ask(struct ssh_host *host, const char *prompt, bool echo, char *text, size_t size);

/* The key that the host has shown: known, or accepted now. */
int host_check_key(struct ssh_host *host, struct vios_error *error);

/* Logs in: agent and keys, then by questions, then with a password. */
int host_log_in(struct ssh_host *host, struct operation *operation);

#endif
