/*
 * etcd.h - etcd-servers for a test: one or more members on loopback, each with its own folder and
 * process, which can be killed, stopped and started again.
 *
 * etcd cannot be given port 0, since a member must tell its peers' ports before they run. So free
 * ports are found by binding them, and the whole start is tried anew when somebody else took one
 * in the meantime. The members end with the test, however that ends.
 */
#ifndef TESTS_ETCD_H
#define TESTS_ETCD_H

#include "base/clock.h"
#include "base/file.h"
#include "tests/tap.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ETCD_MEMBERS_MAX 5
#define ETCD_START_TRIES 5
#define ETCD_START_MS 30000
#define ETCD_OPTIONS_MAX 16

struct etcd_member {
    pid_t pid; /* 0: it does not run */
    int client_port;
    int peer_port;
};

struct etcd_servers {
    struct etcd_member members[ETCD_MEMBERS_MAX];
    size_t count;
    char folder[128];                      /* of all their data */
    bool secure;                           /* the options make clients use https */
    const char *options[ETCD_OPTIONS_MAX]; /* more of them, for each member; NULL ends them */
    const char *token;                     /* another token, another cluster id */
};

/* Whether the tests that need etcd can run. */
__attribute__((unused)) static bool etcd_installed(void)
{
    return access("/usr/bin/etcd", X_OK) == 0 || access("/usr/local/bin/etcd", X_OK) == 0;
}

/* Binds `count` ports at once, so that they differ, and lets them go. */
static void etcd_find_ports(int *ports, size_t count)
{
    int sockets[2 * ETCD_MEMBERS_MAX];
    for (size_t i = 0; i < count; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof address;
        sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(sockets[i], (struct sockaddr *)&address, size) != 0 ||
            getsockname(sockets[i], (struct sockaddr *)&address, &size) != 0) {
            perror("bind");
            exit(1);
        }
        ports[i] = ntohs(address.sin_port);
    }
    for (size_t i = 0; i < count; i++) {
        close(sockets[i]);
    }
}

__attribute__((unused)) static void etcd_execute(const struct etcd_servers *servers, size_t index)
{
    const struct etcd_member *member = &servers->members[index];
    char name[16], data[200], client[64], peer[64], all[512] = "";
    const char *arguments[32 + ETCD_OPTIONS_MAX];
    size_t count = 0, length = 0;
    snprintf(name, sizeof name, "m%zu", index);
    snprintf(data, sizeof data, "%s/%s", servers->folder, name);
    snprintf(client, sizeof client, "http%s://127.0.0.1:%d", servers->secure ? "s" : "",
             member->client_port);
    snprintf(peer, sizeof peer, "http://127.0.0.1:%d", member->peer_port);
    for (size_t i = 0; i < servers->count; i++) {
        length += (size_t)snprintf(all + length, sizeof all - length, "%sm%zu=http://127.0.0.1:%d",
                                   i ? "," : "", i, servers->members[i].peer_port);
    }
    const char *fixed[] = {"etcd",
                           "--name",
                           name,
                           "--data-dir",
                           data,
                           "--listen-client-urls",
                           client,
                           "--advertise-client-urls",
                           client,
                           "--listen-peer-urls",
                           peer,
                           "--initial-advertise-peer-urls",
                           peer,
                           "--initial-cluster",
                           all,
                           "--initial-cluster-token",
                           servers->token ? servers->token : "vios",
                           "--log-level",
                           "error",
                           "--unsafe-no-fsync"};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        arguments[count++] = fixed[i];
    }
    for (size_t i = 0; i < ETCD_OPTIONS_MAX && servers->options[i]; i++) {
        arguments[count++] = servers->options[i];
    }
    arguments[count] = NULL;
    execvp("etcd", (char *const *)arguments);
    _exit(127);
}

/* Starts one member on its ports, with what is in its folder. */
__attribute__((unused)) static void etcd_start_member(struct etcd_servers *servers, size_t index)
{
    char log[200];
    snprintf(log, sizeof log, "%s/m%zu.log", servers->folder, index);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (fd < 0 || getppid() != parent || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) {
            _exit(126);
        }
        etcd_execute(servers, index);
    }
    servers->members[index].pid = pid;
}

/* SIGSTOP or SIGCONT. All of its threads have stopped when this returns. */
__attribute__((unused)) static void etcd_signal(struct etcd_servers *servers, size_t index,
                                                int number)
{
    kill(servers->members[index].pid, number);
    if (number == SIGSTOP) {
        waitpid(servers->members[index].pid, NULL, WUNTRACED);
    }
}

__attribute__((unused)) static void etcd_kill(struct etcd_servers *servers, size_t index)
{
    if (servers->members[index].pid > 0) {
        kill(servers->members[index].pid, SIGKILL);
        waitpid(servers->members[index].pid, NULL, 0);
        servers->members[index].pid = 0;
    }
}

static int etcd_connect(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A POST to a member, without any of the code under test; the answer with its head lies in a
 * buffer that the next call overwrites. "" when it cannot be had within two seconds. */
__attribute__((unused)) static const char *etcd_post(const struct etcd_servers *servers,
                                                     size_t index, const char *path,
                                                     const char *token, const char *body)
{
    static char text[64 * 1024];
    size_t filled = 0;
    int fd = etcd_connect(servers->members[index].client_port);
    text[0] = '\0';
    if (fd < 0) {
        return text;
    }
    int length = snprintf(text, sizeof text,
                          "POST %s HTTP/1.0\r\nHost: etcd\r\nContent-Type: application/json\r\n"
                          "%s%s%sContent-Length: %zu\r\n\r\n%s",
                          path, token ? "Authorization: " : "", token ? token : "",
                          token ? "\r\n" : "", strlen(body), body);
    if (write(fd, text, (size_t)length) == length) {
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        ssize_t got;
        while (filled + 1 < sizeof text && poll(&polled, 1, 2000) > 0 &&
               (got = read(fd, text + filled, sizeof text - 1 - filled)) > 0) {
            filled += (size_t)got;
        }
    }
    close(fd);
    text[filled] = '\0';
    return text;
}

/* Whether the member serves: it answers a read, which needs a leader. */
static bool etcd_serves(const struct etcd_servers *servers, size_t index)
{
    if (servers->secure) {
        int fd = etcd_connect(servers->members[index].client_port);
        if (fd >= 0) {
            close(fd);
        }
        return fd >= 0;
    }
    const char *answer = etcd_post(servers, index, "/v3/kv/range", NULL, "{\"key\":\"YQ==\"}");
    return strstr(answer, "cluster_id") || strstr(answer, "user name is empty");
}

/* Waits until the member serves; false when it ended, or in vain. */
__attribute__((unused)) static bool etcd_await(struct etcd_servers *servers, size_t index)
{
    int64_t end_ms = clock_now_ms() + ETCD_START_MS;
    while (!etcd_serves(servers, index)) {
        if (waitpid(servers->members[index].pid, NULL, WNOHANG) != 0) {
            servers->members[index].pid = 0;
            return false;
        }
        if (clock_now_ms() > end_ms) {
            return false;
        }
        poll(NULL, 0, 20);
    }
    return true;
}

/* Kills all, and forgets their data. */
__attribute__((unused)) static void etcd_stop(struct etcd_servers *servers)
{
    for (size_t i = 0; i < servers->count; i++) {
        etcd_kill(servers, i);
    }
    file_remove_tree(servers->folder, NULL);
}

static bool etcd_try_start(struct etcd_servers *servers)
{
    int ports[2 * ETCD_MEMBERS_MAX];
    bool good = true;
    etcd_find_ports(ports, 2 * servers->count);
    mkdir(servers->folder, 0700);
    for (size_t i = 0; i < servers->count; i++) {
        servers->members[i] =
            (struct etcd_member){.client_port = ports[2 * i], .peer_port = ports[2 * i + 1]};
    }
    for (size_t i = 0; i < servers->count; i++) {
        etcd_start_member(servers, i);
    }
    for (size_t i = 0; i < servers->count && good; i++) {
        good = etcd_await(servers, i);
    }
    if (!good) {
        etcd_stop(servers);
    }
    return good;
}

/* Starts `count` members with what the caller has set in `servers`; exits when they cannot. */
__attribute__((unused)) static void etcd_start(struct etcd_servers *servers, size_t count,
                                               const char *name)
{
    servers->count = count;
    snprintf(servers->folder, sizeof servers->folder, "%s/%s", tap_folder(), name);
    for (int tries = 0; tries < ETCD_START_TRIES; tries++) {
        if (etcd_try_start(servers)) {
            return;
        }
    }
    printf("Bail out! etcd cannot be started\n");
    exit(1);
}

/* "etcd:URL,URL,...", the first one being that of member `first`; then `parameters`. */
__attribute__((unused)) static void etcd_servers_address(const struct etcd_servers *servers,
                                                         size_t first, const char *parameters,
                                                         char *text, size_t size)
{
    size_t length = (size_t)snprintf(text, size, "etcd:");
    for (size_t i = 0; i < servers->count; i++) {
        length += (size_t)snprintf(text + length, size - length, "%shttp%s://127.0.0.1:%d",
                                   i ? "," : "", servers->secure ? "s" : "",
                                   servers->members[(first + i) % servers->count].client_port);
    }
    snprintf(text + length, size - length, "%s", parameters);
}

#endif
