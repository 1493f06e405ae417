/* Proves: descriptors go over a socket with the bytes, close-on-exec, and no more than fit are
 * kept. */
#include "net/descriptors.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static void go_along(void)
{
    int pair[2], pipes[2], fds[DESCRIPTORS_MAX];
    size_t count = 0;
    char data[8] = "";
    is_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    is_int(pipe2(pipes, O_CLOEXEC), 0);
    is_int(descriptors_send(pair[0], "ab", 2, &pipes[0], 1, 0), 2);
    is_int(descriptors_send(pair[0], "c", 1, NULL, 0, 0), 1);
    is_int(descriptors_receive(pair[1], data, sizeof data, fds, &count, 0), 2);
    is_int(count, 1);
    is_int(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    is_int(write(pipes[1], "x", 1), 1);
    is_int(read(fds[0], data, 1), 1);
    is_int(data[0], 'x');
    close(fds[0]);
    is_int(descriptors_receive(pair[1], data, sizeof data, fds, &count, 0), 1);
    is_int(count, 1);
    is_int(descriptors_receive(pair[1], data, sizeof data, fds, &count, MSG_DONTWAIT), -1);
    close(pair[0]);
    is_int(descriptors_receive(pair[1], data, sizeof data, fds, &count, 0), 0);
    close(pair[1]);
    close(pipes[0]);
    close(pipes[1]);
}

static void close_what_does_not_fit(void)
{
    int pair[2], pipes[2], fds[DESCRIPTORS_MAX];
    size_t count = DESCRIPTORS_MAX - 1;
    char data[2];
    is_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    is_int(pipe2(pipes, O_CLOEXEC), 0);
    const int sent[2] = {pipes[1], pipes[1]};
    is_int(descriptors_send(pair[0], "a", 1, sent, 2, 0), 1);
    is_int(descriptors_receive(pair[1], data, sizeof data, fds, &count, 0), 1);
    is_int(count, DESCRIPTORS_MAX);
    close(fds[DESCRIPTORS_MAX - 1]);
    close(pipes[1]);
    is_int(read(pipes[0], data, 1), 0); /* its end: no copy of the other one is left */
    close(pipes[0]);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    RUN(go_along);
    RUN(close_what_does_not_fit);
    return tap_done();
}
