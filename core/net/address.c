/*
 * address.c - the addresses of transport.h: listening and connecting.
 *
 * sun_path holds 108 bytes. A path that does not fit is reached as /proc/self/fd/N/NAME, with N
 * a descriptor of its folder, which the kernel resolves while it binds or connects.
 */
#include "net/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel takes fewer when it is told so */
#define HOST_SIZE 64
#define BUSY_RETRY_MS 5 /* a unix listener whose backlog is full */

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_un unix_path;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } socket;
    socklen_t size;
    int folder;       /* descriptor in use by a long unix path, or -1 */
    const char *path; /* of a unix address: points into the text parsed; else NULL */
};

static int bad_address(const char *text, struct vios_error *error)
{
    return error_set(error, VIOS_E_USAGE, NULL, "write unix:/PATH, tcp:HOST:PORT or tcp:[V6]:PORT",
                     "\"%s\" is no address", text);
}

static int parse_unix(struct address *address, const char *path, struct vios_error *error)
{
    struct sockaddr_un *unix_path = &address->socket.unix_path;
    size_t length = strlen(path);
    address->path = path;
    unix_path->sun_family = AF_UNIX;
    address->size = sizeof *unix_path;
    if (length < sizeof unix_path->sun_path) {
        memcpy(unix_path->sun_path, path, length + 1);
        return VIOS_OK;
    }
    const char *name = strrchr(path, '/') + 1;
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
    if (length >= sizeof folder) {
        return error_set(error, VIOS_E_USAGE, path, NULL, "the path is too long");
    }
    address->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (address->folder < 0) {
        return error_set_errno(error, path, "cannot open the folder");
    }
    int written = snprintf(unix_path->sun_path, sizeof unix_path->sun_path, "/proc/self/fd/%d/%s",
                           address->folder, name);
    if (written >= (int)sizeof unix_path->sun_path) {
        return error_set(error, VIOS_E_USAGE, path, NULL, "the name of the socket is too long");
    }
    return VIOS_OK;
}

static int parse_port(const char *text)
{
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 5 || text[length] != 0 || atoi(text) > 65535) {
        return -1;
    }
    return atoi(text);
}

static int parse_tcp(struct address *address, const char *text, const char *host_port,
                     struct vios_error *error)
{
    const char *colon = strrchr(host_port, ':');
    const char *host = host_port;
    bool v6 = *host == '[';
    if (!colon || (v6 && (colon == host || colon[-1] != ']'))) {
        return bad_address(text, error);
    }
    size_t length = (size_t)(colon - host) - (v6 ? 2 : 0);
    char name[HOST_SIZE];
    int port = parse_port(colon ? colon + 1 : "");
    if (length == 0 || length >= sizeof name || port < 0) {
        return bad_address(text, error);
    }
    snprintf(name, sizeof name, "%.*s", (int)length, host + (v6 ? 1 : 0));
    int parsed;
    if (v6) {
        address->socket.v6.sin6_family = AF_INET6;
        address->socket.v6.sin6_port = htons((uint16_t)port);
        address->size = sizeof address->socket.v6;
        parsed = inet_pton(AF_INET6, name, &address->socket.v6.sin6_addr);
    } else {
        address->socket.v4.sin_family = AF_INET;
        address->socket.v4.sin_port = htons((uint16_t)port);
        address->size = sizeof address->socket.v4;
        parsed = inet_pton(AF_INET, name, &address->socket.v4.sin_addr);
    }
    return parsed == 1 ? VIOS_OK : bad_address(text, error);
}

static int address_parse(struct address *address, const char *text, struct vios_error *error)
{
    memset(address, 0, sizeof *address);
    address->folder = -1;
    if (strncmp(text, "unix:/", 6) == 0 && text[strlen(text) - 1] != '/') {
        return parse_unix(address, text + 5, error);
    }
    if (strncmp(text, "tcp:", 4) == 0) {
        return parse_tcp(address, text, text + 4, error);
    }
    return bad_address(text, error);
}

static void address_release(struct address *address)
{
    if (address->folder >= 0) {
        close(address->folder);
    }
}

int transport_address_check(const char *text, struct vios_error *error)
{
    struct address address;
    if (strncmp(text, "unix:/", 6) == 0) { /* the rest of a path is the file system's matter */
        return text[strlen(text) - 1] != '/' ? VIOS_OK : bad_address(text, error);
    }
    return address_parse(&address, text, error); /* holds nothing: it is no unix address */
}

static int open_socket(const struct address *address, struct vios_error *error)
{
    int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 ? fd : error_set_errno(error, NULL, "socket");
}

/* Removes the socket of a process that is gone; refuses a live one, and what is no socket. */
static int clear_stale_socket(const struct address *address, struct vios_error *error)
{
    struct stat status;
    if (lstat(address->path, &status) != 0) {
        return errno == ENOENT ? VIOS_OK : error_set_errno(error, address->path, "lstat");
    }
    if (!S_ISSOCK(status.st_mode)) {
        return error_set(error, VIOS_E_EXISTS, address->path, NULL, "is there and is no socket");
    }
    int probe = open_socket(address, error);
    if (probe < 0) {
        return probe;
    }
    int connected = connect(probe, &address->socket.any, address->size);
    bool refused = connected != 0 && errno == ECONNREFUSED;
    close(probe);
    if (!refused) {
        return error_set(error, VIOS_E_EXISTS, address->path, NULL,
                         "another process listens on this socket");
    }
    if (unlink(address->path) != 0 && errno != ENOENT) {
        return error_set_errno(error, address->path, "unlink");
    }
    return VIOS_OK;
}

static int bind_and_listen(const struct address *address, const char *text,
                           struct vios_error *error)
{
    int fd = open_socket(address, error);
    if (fd < 0) {
        return fd;
    }
    int one = 1;
    if (!address->path) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    }
    if (bind(fd, &address->socket.any, address->size) != 0 || listen(fd, BACKLOG) != 0) {
        int status = errno == EADDRINUSE
                         ? error_set(error, VIOS_E_EXISTS, text, NULL, "the address is in use")
                         : error_set_errno(error, text, "cannot listen");
        close(fd);
        return status;
    }
    return fd;
}

int transport_listen(const char *text, struct vios_error *error)
{
    struct address address;
    int status = address_parse(&address, text, error);
    if (status == VIOS_OK && address.path) {
        status = clear_stale_socket(&address, error);
    }
    if (status == VIOS_OK) {
        status = bind_and_listen(&address, text, error);
    }
    address_release(&address);
    return status;
}

static int connect_failed(const char *text, int problem, struct vios_error *error)
{
    switch (problem) {
    case ENOENT:
    case ECONNREFUSED:
    case ECONNRESET:
    case ENETUNREACH:
    case EHOSTUNREACH:
        return error_set(error, VIOS_E_UNREACHABLE, text, NULL, "cannot connect: %s",
                         strerror(problem));
    case EAGAIN:
        return error_set(error, VIOS_E_LOCKED, text, NULL, "too many wait to be accepted");
    default:
        errno = problem;
        return error_set_errno(error, text, "cannot connect");
    }
}

int transport_connect_start(const char *text, struct vios_error *error)
{
    struct address address;
    int status = address_parse(&address, text, error);
    if (status == VIOS_OK) {
        status = open_socket(&address, error);
    }
    if (status >= 0 && connect(status, &address.socket.any, address.size) != 0 &&
        errno != EINPROGRESS) {
        int fd = status;
        status = connect_failed(text, errno, error);
        close(fd);
    }
    address_release(&address);
    return status;
}

static int finish_connect(int fd, const char *text, struct operation *operation)
{
    int status = operation_wait(operation, fd, POLLOUT);
    if (status != VIOS_OK) {
        return status;
    }
    int problem = 0;
    socklen_t size = sizeof problem;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0) {
        return error_set_errno(&operation->error, text, "getsockopt");
    }
    if (problem != 0) {
        return operation_fail(operation, VIOS_E_UNREACHABLE, text, NULL, "cannot connect: %s",
                              strerror(problem));
    }
    return VIOS_OK;
}

int transport_connect(const char *text, struct operation *operation)
{
    int fd;
    while ((fd = transport_connect_start(text, &operation->error)) == VIOS_E_LOCKED) {
        int status = operation_sleep(operation, BUSY_RETRY_MS);
        if (status != VIOS_OK) {
            return status;
        }
    }
    if (fd < 0) {
        return fd;
    }
    int status = finish_connect(fd, text, operation);
    if (status != VIOS_OK) {
        close(fd);
        return status;
    }
    return fd;
}

static int describe(const struct address *address, char *text, size_t size,
                    struct vios_error *error)
{
    char host[HOST_SIZE] = "";
    switch (address->socket.any.sa_family) {
    case AF_UNIX:
        snprintf(text, size, "unix:%s",
                 address->size > sizeof(sa_family_t) ? address->socket.unix_path.sun_path : "");
        return VIOS_OK;
    case AF_INET:
        inet_ntop(AF_INET, &address->socket.v4.sin_addr, host, sizeof host);
        snprintf(text, size, "tcp:%s:%u", host, ntohs(address->socket.v4.sin_port));
        return VIOS_OK;
    case AF_INET6:
        inet_ntop(AF_INET6, &address->socket.v6.sin6_addr, host, sizeof host);
        snprintf(text, size, "tcp:[%s]:%u", host, ntohs(address->socket.v6.sin6_port));
        return VIOS_OK;
    default:
        return error_set(error, VIOS_E_INVALID, NULL, NULL, "no unix or TCP socket");
    }
}

int transport_address(int fd, char *text, size_t size, struct vios_error *error)
{
    struct address address = {.size = sizeof address.socket};
    if (getsockname(fd, &address.socket.any, &address.size) != 0) {
        return error_set_errno(error, NULL, "getsockname");
    }
    return describe(&address, text, size, error);
}

int transport_peer_address(int fd, char *text, size_t size, struct vios_error *error)
{
    struct address address = {.size = sizeof address.socket};
    if (getpeername(fd, &address.socket.any, &address.size) != 0) {
        return error_set_errno(error, NULL, "getpeername");
    }
    return describe(&address, text, size, error);
}
