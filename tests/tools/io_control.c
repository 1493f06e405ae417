/*
 * io_control.c - a daemon's place at io's control socket, for tests.
 *
 *   io_control SOCKET JSON [pid:N | PATH]...   one request; a pidfd or an opened file goes with it
 *   io_control SOCKET JSON follow              and prints what comes behind the answer
 *   io_control                                 lines from stdin, one answer each:
 *     SOCKET JSON       one request; what `give` answers is kept under its name
 *     SOCKET take WHAT  hands over what was kept
 */
#include "base/error.h"
#include "net/transport.h"
#include "node/io_wire.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TIMEOUT_MS 30000

struct kept {
    const char *what;
    json_t *description;
    struct io_descriptors descriptors;
};

static struct kept kept[] = {{.what = "arena"}, {.what = "pager"}, {.what = "listeners"}};

static struct kept *find_kept(const char *what)
{
    for (size_t i = 0; what && i < sizeof kept / sizeof kept[0]; i++) {
        if (strcmp(kept[i].what, what) == 0) {
            return &kept[i];
        }
    }
    return NULL;
}

static void keep(json_t *answer, struct io_descriptors *received)
{
    struct kept *place = find_kept(json_string_value(json_object_get(answer, "what")));
    if (place) {
        io_descriptors_close(&place->descriptors);
        json_decref(place->description);
        place->descriptors = *received;
        place->description = json_incref(json_object_get(answer, "description"));
    } else {
        io_descriptors_close(received);
    }
}

static void print(const json_t *json)
{
    char *line = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    printf("%s\n", line ? line : "null");
    fflush(stdout);
    free(line);
}

static bool follow;

static void print_the_rest(int fd)
{
    char data[4096];
    struct operation operation;
    ssize_t got;
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    while (operation_wait(&operation, fd, POLLIN) == VIOS_OK &&
           (got = read(fd, data, sizeof data)) > 0) {
        fwrite(data, 1, (size_t)got, stdout);
        fflush(stdout);
    }
}

static int exchange(const char *socket, const json_t *request, const struct io_descriptors *sent)
{
    struct operation operation;
    char address[4300];
    snprintf(address, sizeof address, "unix:%s", socket);
    operation_start(&operation, TIMEOUT_MS, NULL);
    struct io_descriptors received = {.count = 0};
    json_t *answer = NULL;
    bool answered = false;
    int fd = transport_connect(address, &operation);
    int status =
        fd < 0 ? fd
               : io_wire_exchange(fd, request, sent, &answer, &received, &answered, &operation);
    if (status == VIOS_OK) {
        keep(answer, &received);
    } else {
        answer = json_pack("{s:s, s:s, s:s}", "error", error_name(status), "object",
                           operation.error.object, "message", operation.error.message);
    }
    print(answer);
    if (fd >= 0 && follow) {
        print_the_rest(fd);
    }
    if (fd >= 0) {
        close(fd);
    }
    json_decref(answer);
    return status == VIOS_OK ? 0 : 1;
}

static int do_line(const char *socket, const char *text)
{
    if (strncmp(text, "take ", 5) == 0) {
        struct kept *place = find_kept(text + 5);
        if (!place || !place->description) {
            printf("{\"error\":\"nothing kept\"}\n");
            return 1;
        }
        json_t *request = json_pack("{s:s, s:s, s:O}", "do", "take", "what", place->what,
                                    "description", place->description);
        int status = exchange(socket, request, &place->descriptors);
        json_decref(request);
        return status;
    }
    json_t *request = json_loads(text, 0, NULL);
    if (!request) {
        fprintf(stderr, "io_control: no JSON: %s\n", text);
        return 2;
    }
    int status = exchange(socket, request, NULL);
    json_decref(request);
    return status;
}

static int do_stdin(void)
{
    static char line[1 << 20];
    int status = 0;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        char *space = strchr(line, ' ');
        if (space) {
            *space = 0;
            status = do_line(line, space + 1);
        }
    }
    return status;
}

static int open_word(const char *word)
{
    if (strncmp(word, "pid:", 4) == 0) {
        return (int)syscall(SYS_pidfd_open, atoi(word + 4), 0);
    }
    return open(word, O_RDWR | O_CLOEXEC);
}

int main(int count, char **words)
{
    if (count < 3) {
        return do_stdin();
    }
    struct io_descriptors sent = {.count = 0};
    for (int i = 3; i < count && sent.count < DESCRIPTORS_MAX; i++) {
        if (strcmp(words[i], "follow") == 0) {
            follow = true;
            continue;
        }
        int fd = open_word(words[i]);
        if (fd < 0) {
            perror(words[i]);
            return 2;
        }
        sent.fds[sent.count++] = fd;
    }
    json_t *request = json_loads(words[2], 0, NULL);
    if (!request) {
        fprintf(stderr, "io_control: no JSON: %s\n", words[2]);
        return 2;
    }
    int status = exchange(words[1], request, &sent);
    json_decref(request);
    io_descriptors_close(&sent);
    return status;
}
