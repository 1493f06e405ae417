/*
 * channel.h - programs on another machine, over a host's session: one that speaks RPC, as a
 * transport (`vios rpc`), and plain commands of its shell.
 */
#ifndef SSH_CHANNEL_H
#define SSH_CHANNEL_H

#include "net/transport.h"
#include "ssh/host.h"

#include <stdlib.h>

#define SSH_OUTPUT_MAX (1024 * 1024) /* of a command that is kept, of each kind */

/*
 * Starts `command` there, and is a transport of its standard input and output; closing it closes
 * the channel, and not the host, which must outlive it. When the program ends before its time the
 * transport says why: its status, and the end of what it said on standard error.
 */
int ssh_channel_transport(struct transport **transport, struct ssh_host *host, const char *command,
                          struct operation *operation);

/* What a command said, and how it ended. */
struct ssh_output {
    char *out, *err; /* text with a NUL behind it; owned, see ssh_output_free() */
    size_t out_size, err_size;
    bool cut;   /* more came than is kept */
    int status; /* of its exit; 128 + N: by a signal */
};

/*
 * Runs `command` by the user's shell there, without input and without a terminal, to its end. When
 * the operation is cancelled or late, or the connection breaks, it is interrupted there, with all
 * that it started, and killed a second later.
 */
int ssh_command_run(struct ssh_host *host, const char *command, struct ssh_output *output,
                    struct operation *operation);

/* Here, and not in a file: who has the library loaded (library.h) frees without it. */
static inline void ssh_output_free(struct ssh_output *output)
{
    free(output->out);
    free(output->err);
    *output = (struct ssh_output){0};
}

#endif
