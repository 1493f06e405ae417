/* descriptors.h - bytes over a unix socket, with open descriptors along (SCM_RIGHTS). */
#ifndef NET_DESCRIPTORS_H
#define NET_DESCRIPTORS_H

#include <stddef.h>
#include <sys/types.h>

#define DESCRIPTORS_MAX 128 /* with one send; the kernel's own limit is 253 */

/* sendmsg(2) with `count` descriptors, which stay the caller's; never raises SIGPIPE. `flags` as
 * there (MSG_DONTWAIT). What of the bytes is not sent is sent without them. */
ssize_t descriptors_send(int socket, const void *data, size_t size, const int *fds, size_t count,
                         int flags);

/* recvmsg(2). What comes along is added to the `*count` in `fds`, close-on-exec, the caller's;
 * beyond DESCRIPTORS_MAX it is closed. -1 with EMFILE: this process may open no more of them, the
 * bytes that came are lost, and so is the connection. */
ssize_t descriptors_receive(int socket, void *data, size_t size, int fds[DESCRIPTORS_MAX],
                            size_t *count, int flags);

#endif
