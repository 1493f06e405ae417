/*
 * sqlite_poke.c - tells the watches of a store file, in all processes, that there was a commit.
 *
 * Each watch has a datagram socket in the folder `<file>.watch`; who commits sends one byte to
 * each. It is only a hint that makes watches quick: a watch looks at the file every
 * SQLITE_STORE_POLL_MS anyway, so a poke that is lost, or a socket removed by mistake, costs
 * time and no change. Sockets that nobody holds any more are removed by the next sender.
 */
#include "store/sqlite.h"

#include "base/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct sqlite_poke {
    DIR *folder;
    int socket;                    /* to send from, or the watch's own */
    char own_name[UUID_TEXT_SIZE]; /* of the watch's socket; "": none */
};

int sqlite_poke_open(struct sqlite_poke **poke, const char *path, struct operation *operation)
{
    char folder[PATH_MAX];
    struct sqlite_poke *made = calloc(1, sizeof *made);
    if (!made) {
        return operation_no_memory(operation, path);
    }
    made->socket = -1;
    int length = snprintf(folder, sizeof folder, "%s.watch", path);
    if (length >= (int)sizeof folder) {
        sqlite_poke_close(made);
        return operation_fail(operation, VIOS_E_USAGE, path, NULL, "the path is too long");
    }
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        sqlite_poke_close(made);
        return error_set_errno(&operation->error, path, "folder of its watches");
    }
    made->folder = opendir(folder);
    made->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (!made->folder || made->socket < 0) {
        int status = error_set_errno(&operation->error, path, "sockets of its watches");
        sqlite_poke_close(made);
        return status;
    }
    *poke = made;
    return VIOS_OK;
}

/* Through /proc, since a socket's path has no more than 108 bytes. */
static void socket_address(struct sqlite_poke *poke, const char *name, struct sockaddr_un *address)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%.64s",
             dirfd(poke->folder), name);
}

void sqlite_poke_send(struct sqlite_poke *poke)
{
    rewinddir(poke->folder);
    for (struct dirent *entry; (entry = readdir(poke->folder)) != NULL;) {
        struct sockaddr_un address;
        if (entry->d_name[0] == '.') {
            continue;
        }
        socket_address(poke, entry->d_name, &address);
        if (sendto(poke->socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address,
                   sizeof address) < 0 &&
            errno == ECONNREFUSED) {
            unlinkat(dirfd(poke->folder), entry->d_name, 0);
        }
    }
}

int sqlite_poke_listen(struct sqlite_poke *poke, struct operation *operation)
{
    struct sockaddr_un address;
    uuid_make(poke->own_name);
    socket_address(poke, poke->own_name, &address);
    if (bind(poke->socket, (struct sockaddr *)&address, sizeof address) != 0) {
        poke->own_name[0] = '\0';
        return error_set_errno(&operation->error, "store", "socket of a watch");
    }
    return VIOS_OK;
}

int sqlite_poke_wait(struct sqlite_poke *poke, struct operation *operation)
{
    struct pollfd polled[2] = {
        {.fd = poke->socket, .events = POLLIN},
        {.fd = cancel_descriptor(operation->cancel), .events = POLLIN},
    };
    int left_ms = operation_remaining_ms(operation);
    int wait_ms = left_ms < 0 || left_ms > SQLITE_STORE_POLL_MS ? SQLITE_STORE_POLL_MS : left_ms;
    if (poll(polled, 2, wait_ms) > 0 && polled[0].revents) {
        char byte;
        while (recv(poke->socket, &byte, 1, MSG_DONTWAIT) >= 0) {
        }
    }
    return operation_check(operation);
}

void sqlite_poke_close(struct sqlite_poke *poke)
{
    if (!poke) {
        return;
    }
    if (poke->own_name[0]) {
        unlinkat(dirfd(poke->folder), poke->own_name, 0);
    }
    if (poke->socket >= 0) {
        close(poke->socket);
    }
    if (poke->folder) {
        closedir(poke->folder);
    }
    free(poke);
}
