/*
 * host.h - another machine, reached by ssh (libssh): one session, logged in, kept open, which
 * carries RPC to its daemon (channel.h) and plain commands.
 *
 * The user's ~/.ssh/config says user, port, identity, jump hosts and known hosts, as libssh reads
 * it. A host whose key is unknown is asked about where somebody can be asked, and refused where
 * not; one whose key has changed is refused always.
 *
 * Blocking calls, one thread at a time for a host; all of them end with their operation.
 */
#ifndef SSH_HOST_H
#define SSH_HOST_H

#include "base/operation.h"

#include <stdbool.h>
#include <stddef.h>

#define SSH_HOST_NAME_MAX 255

/* Whoever sits at the terminal. The time that they take counts for no deadline. */
struct ssh_questions {
    /* Asks `prompt`; what was typed, without its newline, is put into `text`. `echo`: it may be
     * seen. False: nobody answers. */
    bool (*ask)(void *context, const char *prompt, bool echo, char *text, size_t size);
    void *context;
};

struct ssh_host;

/*
 * Connects and logs in. `name` is [USER@]HOST; `config` is the file to read in place of
 * ~/.ssh/config and /etc/ssh/ssh_config, or NULL; `questions` NULL: nobody can be asked.
 * VIOS_E_NOT_FOUND: no such host; VIOS_E_UNREACHABLE; VIOS_E_DENIED: its key, or our login.
 */
int ssh_host_open(struct ssh_host **host, const char *name, const char *config,
                  const struct ssh_questions *questions, struct operation *operation);

/* NULL does nothing. What runs over it must be closed before. */
void ssh_host_close(struct ssh_host *host);

/* False when the connection has broken: open another. Never blocks. */
bool ssh_host_alive(const struct ssh_host *host);

const char *ssh_host_name(const struct ssh_host *host);

#endif
