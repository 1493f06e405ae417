/*
 * control.h - the control socket: lines of JSON with descriptors (PROTOCOL.md). One thread for each
 * connection, so that a request that waits delays no other.
 */
#ifndef IO_CONTROL_H
#define IO_CONTROL_H

#include "io/io.h"
#include "net/descriptors.h"

#define CONTROL_LINE_MAX (1024 * 1024)
#define CONTROL_CONNECTIONS_MAX 64

struct control_message {
    json_t *json;
    int fds[DESCRIPTORS_MAX];
    size_t fd_count;
};

/* Takes the descriptor out of the message, or -1. */
int control_take_descriptor(struct control_message *message, size_t index);

/* Serves one connection on a thread of its own; takes over `fd`. */
void control_serve(struct io *io, int fd);

#endif
