/* io_wire.h - one connection to io's control socket: lines of JSON with descriptors. */
#ifndef NODE_IO_WIRE_H
#define NODE_IO_WIRE_H

#include "base/operation.h"
#include "net/descriptors.h"

#include <jansson.h>
#include <stddef.h>

#define IO_WIRE_REQUEST_MAX (1024 * 1024 - 1)
#define IO_WIRE_ANSWER_MAX (4 * 1024 * 1024)

struct io_descriptors {
    int fds[DESCRIPTORS_MAX];
    size_t count;
};

void io_descriptors_close(struct io_descriptors *descriptors);

/*
 * Sends `request` with `sent` (may be NULL) over the socket `fd` and reads the answer, whose
 * descriptors go into `received` (NULL: they are closed). io's own errors come back as ours.
 * VIOS_E_UNREACHABLE: the connection ended. After any failure that is not io's own answer
 * (`*answered` false) the connection is of no more use.
 */
int io_wire_exchange(int fd, const json_t *request, const struct io_descriptors *sent,
                     json_t **answer, struct io_descriptors *received, bool *answered,
                     struct operation *operation);

#endif
