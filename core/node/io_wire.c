/* io_wire.c - see io_wire.h. */
#include "node/io_wire.h"

#include "base/json.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (16 * 1024)

struct line {
    char *text;
    size_t size, capacity;
};

void io_descriptors_close(struct io_descriptors *descriptors)
{
    for (size_t i = 0; i < descriptors->count; i++) {
        close(descriptors->fds[i]);
    }
    descriptors->count = 0;
}

static int ended(struct operation *operation)
{
    return operation_fail(operation, VIOS_E_UNREACHABLE, "io", NULL, "the connection ended");
}

static int send_line(int fd, const char *line, size_t size, const struct io_descriptors *sent,
                     struct operation *operation)
{
    size_t done = 0;
    while (done < size) {
        size_t count = sent && done == 0 ? sent->count : 0;
        ssize_t part = descriptors_send(fd, line + done, size - done, sent ? sent->fds : NULL,
                                        count, MSG_DONTWAIT);
        if (part > 0) {
            done += (size_t)part;
        } else if (part < 0 && (errno == EAGAIN || errno == EINTR)) {
            int status = operation_wait(operation, fd, POLLOUT);
            if (status != VIOS_OK) {
                return status;
            }
        } else {
            return ended(operation);
        }
    }
    return VIOS_OK;
}

static int line_reserve(struct line *line, struct operation *operation)
{
    if (line->capacity - line->size >= READ_SIZE) {
        return VIOS_OK;
    }
    size_t capacity = line->capacity > 0 ? line->capacity * 2 : (size_t)READ_SIZE * 2;
    if (capacity > IO_WIRE_ANSWER_MAX) {
        return operation_fail(operation, VIOS_E_CORRUPT, "io", NULL,
                              "an answer of more than %d bytes", IO_WIRE_ANSWER_MAX);
    }
    char *text = realloc(line->text, capacity);
    if (!text) {
        return operation_no_memory(operation, NULL);
    }
    line->text = text;
    line->capacity = capacity;
    return VIOS_OK;
}

static int read_line(int fd, struct line *line, struct io_descriptors *received,
                     struct operation *operation)
{
    while (line->size == 0 || line->text[line->size - 1] != '\n') {
        int status = line_reserve(line, operation);
        if (status == VIOS_OK) {
            status = operation_wait(operation, fd, POLLIN);
        }
        if (status != VIOS_OK) {
            return status;
        }
        ssize_t got = descriptors_receive(fd, line->text + line->size, READ_SIZE, received->fds,
                                          &received->count, MSG_DONTWAIT);
        if (got > 0) {
            line->size += (size_t)got;
        } else if (got < 0 && errno == EMFILE) {
            return operation_fail(operation, VIOS_E_NO_SPACE, "io",
                                  "raise the limit of open files (LimitNOFILE)",
                                  "descriptors it sent could not be received");
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            return ended(operation);
        }
    }
    return VIOS_OK;
}

/* io's {"error":…} as our error. */
static int answer_status(const json_t *answer, struct operation *operation)
{
    const json_t *error = json_object_get(answer, "error");
    if (!error) {
        return json_is_true(json_object_get(answer, "ok"))
                   ? VIOS_OK
                   : operation_fail(operation, VIOS_E_CORRUPT, "io", NULL,
                                    "its answer is neither ok nor an error");
    }
    const char *words[4];
    static const char *const keys[] = {"code", "object", "message", "hint"};
    for (size_t i = 0; i < 4; i++) {
        words[i] = json_get_text(error, keys[i]);
    }
    int code = error_code(words[0] ? words[0] : "");
    return operation_fail(operation, code < 0 ? code : VIOS_E_SYSTEM, words[1], words[3], "%s",
                          words[2] ? words[2] : "io refused");
}

int io_wire_exchange(int fd, const json_t *request, const struct io_descriptors *sent,
                     json_t **answer, struct io_descriptors *received, bool *answered,
                     struct operation *operation)
{
    struct line line = {0};
    struct io_descriptors came = {.count = 0};
    json_t *json = NULL;
    *answered = false;
    size_t size = json_dumpb(request, NULL, 0, JSON_COMPACT);
    char *text = size > 0 && size < IO_WIRE_REQUEST_MAX ? malloc(size + 1) : NULL;
    if (!text) {
        return operation_fail(operation, VIOS_E_INVALID, "io", NULL, "a request of %zu bytes",
                              size);
    }
    json_dumpb(request, text, size, JSON_COMPACT);
    text[size] = '\n';
    int status = send_line(fd, text, size + 1, sent, operation);
    free(text);
    if (status == VIOS_OK) {
        status = read_line(fd, &line, &came, operation);
    }
    if (status == VIOS_OK) {
        json = json_loadb(line.text, line.size, JSON_REJECT_DUPLICATES, NULL);
        *answered = json_is_object(json);
        status = answer_status(json, operation);
    }
    free(line.text);
    if (received && status == VIOS_OK) {
        *received = came;
    } else {
        io_descriptors_close(&came);
    }
    if (answer && status == VIOS_OK) {
        *answer = json;
    } else {
        json_decref(json);
    }
    return status;
}
