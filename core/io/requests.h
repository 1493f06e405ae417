/* requests.h - the words of the control protocol, one row each in requests.c. */
#ifndef IO_REQUESTS_H
#define IO_REQUESTS_H

#include "io/control.h"

enum request_after {
    AFTER_NOTHING,
    AFTER_WATCH, /* the connection becomes a stream of events */
    AFTER_STOP   /* the process ends when the answer has left */
};

/* Carries out `request` and fills `answer` ({"ok":true, ...} or {"error": ...}; with
 * descriptors of its own). Validates it completely first. */
enum request_after request_run(struct io *io, struct control_message *request,
                               struct control_message *answer);

#endif
