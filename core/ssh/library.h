/*
 * library.h - core/ssh as a shared library, libexec/vios/ssh.so: libssh and what it needs take
 * longer to load than all else that `vios` has, and few commands reach another host. Whoever has
 * loaded it calls the functions of host.h and channel.h by this table.
 */
#ifndef SSH_LIBRARY_H
#define SSH_LIBRARY_H

#include "ssh/channel.h"

#define SSH_LIBRARY_SYMBOL "SSH_LIBRARY" /* a struct ssh_library */

struct ssh_library {
    const char *version; /* VIOS_VERSION: the structures are those of the same build */
    int (*host_open)(struct ssh_host **host, const char *name, const char *config,
                     const struct ssh_questions *questions, struct operation *operation);
    void (*host_close)(struct ssh_host *host);
    bool (*host_alive)(const struct ssh_host *host);
    const char *(*host_name)(const struct ssh_host *host);
    int (*channel_transport)(struct transport **transport, struct ssh_host *host,
                             const char *command, struct operation *operation);
    int (*command_run)(struct ssh_host *host, const char *command, struct ssh_output *output,
                       struct operation *operation);
};

#endif
