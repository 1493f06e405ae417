/* descriptors.c - see descriptors.h. */
#include "net/descriptors.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union room {
    struct cmsghdr header; /* for its alignment */
    char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
};

ssize_t descriptors_send(int socket, const void *data, size_t size, const int *fds, size_t count,
                         int flags)
{
    union room room;
    struct iovec part = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    assert(count <= DESCRIPTORS_MAX);
    if (count > 0) {
        size_t length = sizeof(int) * count;
        memset(&room, 0, sizeof room);
        message.msg_control = &room;
        message.msg_controllen = CMSG_SPACE(length);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(length);
        memcpy(CMSG_DATA(header), fds, length);
    }
    return sendmsg(socket, &message, flags | MSG_NOSIGNAL);
}

static void keep(const struct cmsghdr *header, int fds[DESCRIPTORS_MAX], size_t *count)
{
    size_t came = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < came; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        if (*count < DESCRIPTORS_MAX) {
            fds[(*count)++] = fd;
        } else {
            close(fd);
        }
    }
}

ssize_t descriptors_receive(int socket, void *data, size_t size, int fds[DESCRIPTORS_MAX],
                            size_t *count, int flags)
{
    union room room;
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
    ssize_t got = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    if (got < 0) {
        return got;
    }
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            keep(header, fds, count);
        }
    }
    if (message.msg_flags & MSG_CTRUNC) {
        errno = EMFILE;
        return -1;
    }
    return got;
}
