/* test_transport.c - addresses, listeners that are live, stale or no sockets, and plain bytes. */
#include "net/transport.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

static char unix_address[4096];

static const char *in_folder(const char *name)
{
    snprintf(unix_address, sizeof unix_address, "unix:%s/%s", tap_folder(), name);
    return unix_address;
}

static void bad_addresses_are_usage_errors(void)
{
    const char *const bad[] = {"",
                               "unix:",
                               "unix:relative",
                               "unix:/folder/",
                               "tcp:",
                               "tcp:127.0.0.1",
                               "tcp:127.0.0.1:",
                               "tcp:127.0.0.1:65536",
                               "tcp:127.0.0.1:1x",
                               "tcp:localhost:80",
                               "tcp:[::1]80",
                               "tcp:[::1:80",
                               "tcp:[]:80",
                               "http://x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct vios_error error = {0};
        is_int(transport_listen(bad[i], &error), VIOS_E_USAGE);
        ok(strstr(error.hint, "tcp:HOST:PORT") != NULL, "%s: hint \"%s\"", bad[i], error.hint);
        is_int(transport_connect_start(bad[i], &error), VIOS_E_USAGE);
    }
}

static void exchange(int listener, const char *address)
{
    struct operation operation;
    operation_start(&operation, 10000, NULL);
    int client = transport_connect(address, &operation);
    ok(client >= 0, "connect: %s", operation.error.message);
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    is_int(poll(&waiting, 1, 10000), 1);
    int server = accept(listener, NULL, NULL);
    struct transport *one, *other;
    is_int(transport_plain(&one, client, NULL), VIOS_OK);
    is_int(transport_plain(&other, server, NULL), VIOS_OK);
    char buffer[16] = "";
    size_t done = 99;
    is_int(other->operations->read(other, buffer, sizeof buffer, &done), VIOS_OK);
    is_int(done, 0);
    char hel[] = "hel", lo[] = "lo";
    struct iovec parts[2] = {{hel, 3}, {lo, 2}};
    is_int(one->operations->write(one, parts, 2, &done), VIOS_OK);
    is_int(done, 5);
    waiting.fd = other->fd;
    is_int(poll(&waiting, 1, 10000), 1);
    is_int(other->operations->read(other, buffer, sizeof buffer, &done), VIOS_OK);
    is_text(buffer, "hello");
    one->operations->close(one);
    is_int(poll(&waiting, 1, 10000), 1);
    is_int(other->operations->read(other, buffer, sizeof buffer, &done), VIOS_E_UNREACHABLE);
    other->operations->close(other);
}

static void tcp_binds_a_free_port(void)
{
    const char *const wanted[] = {"tcp:127.0.0.1:0", "tcp:[::1]:0"};
    for (int i = 0; i < 2; i++) {
        struct vios_error error = {0};
        int listener = transport_listen(wanted[i], &error);
        if (i == 1 && listener < 0) {
            continue; /* a machine without IPv6 */
        }
        ok(listener >= 0, "listen: %s", error.message);
        char address[128];
        is_int(transport_address(listener, address, sizeof address, NULL), VIOS_OK);
        ok(strcmp(address, wanted[i]) != 0, "bound %s", address);
        is_int(transport_listen(address, &error), VIOS_E_EXISTS);
        exchange(listener, address);
        close(listener);
        struct operation operation;
        operation_start(&operation, 10000, NULL);
        is_int(transport_connect(address, &operation), VIOS_E_UNREACHABLE);
    }
}

static void a_unix_listener_replaces_a_dead_one_only(void)
{
    struct vios_error error = {0};
    struct operation operation;
    operation_start(&operation, 10000, NULL);
    const char *address = in_folder("s.sock");
    is_int(transport_connect(address, &operation), VIOS_E_UNREACHABLE);
    int listener = transport_listen(address, &error);
    ok(listener >= 0, "listen: %s", error.message);
    char bound[128];
    is_int(transport_address(listener, bound, sizeof bound, NULL), VIOS_OK);
    is_text(bound, address);
    exchange(listener, address);
    is_int(transport_listen(address, &error), VIOS_E_EXISTS);
    ok(strstr(error.message, "another process listens") != NULL, "message: %s", error.message);
    close(listener);
    is_int(transport_connect(address, &operation), VIOS_E_UNREACHABLE);
    listener = transport_listen(address, &error);
    ok(listener >= 0, "listen again: %s", error.message);
    close(listener);
    unlink(address + 5);
}

static void what_is_no_socket_stays(void)
{
    struct vios_error error = {0};
    const char *address = in_folder("file");
    close(open(address + 5, O_CREAT | O_WRONLY, 0600));
    is_int(transport_listen(address, &error), VIOS_E_EXISTS);
    is_text(error.message, "is there and is no socket");
    is_int(access(address + 5, F_OK), 0);
    unlink(address + 5);
}

static void a_long_path_works(void)
{
    struct vios_error error = {0};
    char folder[512];
    int length = snprintf(folder, sizeof folder, "%s/", tap_folder());
    memset(folder + length, 'd', 200);
    folder[length + 200] = 0;
    is_int(mkdir(folder, 0700), 0);
    char address[600];
    snprintf(address, sizeof address, "unix:%s/s.sock", folder);
    int listener = transport_listen(address, &error);
    ok(listener >= 0, "listen: %s", error.message);
    exchange(listener, address);
    is_int(transport_listen(address, &error), VIOS_E_EXISTS);
    close(listener);
    unlink(address + 5);
    rmdir(folder);
    is_int(transport_listen(address, &error), VIOS_E_NOT_FOUND);
}

static void a_full_backlog_is_waited_for(void)
{
    const char *address = in_folder("full.sock");
    int listener = transport_listen(address, NULL);
    listen(listener, 1);
    int clients[8];
    int count = 0, status = VIOS_OK;
    struct vios_error error = {0};
    while (count < 8 && (status = transport_connect_start(address, &error)) >= 0) {
        clients[count++] = status;
    }
    is_int(status, VIOS_E_LOCKED);
    struct operation operation;
    operation_start(&operation, 30, NULL);
    is_int(transport_connect(address, &operation), VIOS_E_TIMEOUT);
    for (int i = 0; i < count; i++) {
        close(clients[i]);
    }
    close(listener);
    unlink(address + 5);
}

int main(void)
{
    RUN(bad_addresses_are_usage_errors);
    RUN(tcp_binds_a_free_port);
    RUN(a_unix_listener_replaces_a_dead_one_only);
    RUN(what_is_no_socket_stays);
    RUN(a_long_path_works);
    RUN(a_full_backlog_is_waited_for);
    rmdir(tap_folder());
    return tap_done();
}
