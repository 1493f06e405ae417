/* qmp.c - the QMP client. See the header. */
#include "lpar/qmp.h"

#include "base/json.h"
#include "lpar/qmp_parser.h"
#include "net/descriptors.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct qmp {
    int fd;
    bool broken;
    bool lost; /* events were dropped since qmp_events_lost() */
    struct qmp_parser *parser;
    json_t *events; /* array, oldest first */
    json_int_t last_id;
};

void qmp_close(struct qmp *qmp)
{
    if (qmp) {
        close(qmp->fd);
        qmp_parser_free(qmp->parser);
        json_decref(qmp->events);
        free(qmp);
    }
}

int qmp_descriptor(const struct qmp *qmp)
{
    return qmp->fd;
}

bool qmp_is_broken(const struct qmp *qmp)
{
    return qmp->broken;
}

bool qmp_events_lost(struct qmp *qmp)
{
    bool lost = qmp->lost;
    qmp->lost = false;
    return lost;
}

json_t *qmp_next_event(struct qmp *qmp)
{
    json_t *event = json_array_get(qmp->events, 0);
    if (event) {
        json_incref(event);
        json_array_remove(qmp->events, 0);
    }
    return event;
}

static void queue_event(struct qmp *qmp, json_t *event)
{
    if (json_array_size(qmp->events) >= QMP_EVENTS_MAX) {
        json_array_remove(qmp->events, 0);
        qmp->lost = true;
    }
    json_array_append_new(qmp->events, event);
}

/* Reads once: 1 something came, 0 nothing now, negative: over. */
static int read_some(struct qmp *qmp, struct vios_error *error)
{
    char data[16384];
    ssize_t got = recv(qmp->fd, data, sizeof data, MSG_DONTWAIT);
    if (got > 0) {
        int status = qmp_parser_push(qmp->parser, data, (size_t)got, error);
        qmp->broken |= status < 0;
        return status < 0 ? status : 1;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    qmp->broken = true;
    return error_set(error, VIOS_E_UNREACHABLE, "qmp", NULL, "QEMU closed its control connection");
}

/* Pops to the next message that is no event; 0: none yet. */
static int pop_answer(struct qmp *qmp, struct qmp_message *message, struct vios_error *error)
{
    int got;
    while ((got = qmp_parser_pop(qmp->parser, message, error)) > 0) {
        if (message->kind != QMP_EVENT) {
            return 1;
        }
        queue_event(qmp, message->json);
    }
    qmp->broken |= got < 0;
    return got;
}

/* Waits for the next message that is no event. */
static int await_answer(struct qmp *qmp, struct qmp_message *message, struct operation *operation)
{
    for (;;) {
        int got = pop_answer(qmp, message, &operation->error);
        if (got != 0) {
            return got;
        }
        int status = operation_wait(operation, qmp->fd, POLLIN);
        if (status < 0) {
            qmp->broken = true;
            return status;
        }
        status = read_some(qmp, &operation->error);
        if (status < 0) {
            return status;
        }
    }
}

/* Queues the events that were read already: poll(2) would not tell of them. */
static int drain(struct qmp *qmp, struct vios_error *error)
{
    struct qmp_message message;
    int got = pop_answer(qmp, &message, error);
    if (got > 0) {
        json_decref(message.json);
        qmp->broken = true;
        return error_set(error, VIOS_E_CORRUPT, "qmp", NULL, "an answer to nothing that was asked");
    }
    return got;
}

int qmp_receive(struct qmp *qmp, struct vios_error *error)
{
    int status = read_some(qmp, error);
    int drained = drain(qmp, error);
    return drained < 0 ? drained : status < 0 ? status : VIOS_OK;
}

static int send_line(struct qmp *qmp, const char *line, int descriptor, struct operation *operation)
{
    size_t size = strlen(line), sent = 0;
    while (sent < size) {
        size_t along = descriptor >= 0 && sent == 0;
        ssize_t done =
            descriptors_send(qmp->fd, line + sent, size - sent, &descriptor, along, MSG_DONTWAIT);
        if (done > 0) {
            sent += (size_t)done;
        } else if (errno != EAGAIN && errno != EINTR) {
            qmp->broken = true;
            return operation_fail(operation, VIOS_E_UNREACHABLE, "qmp", NULL,
                                  "QEMU closed its control connection");
        } else if (operation_wait(operation, qmp->fd, POLLOUT) < 0) {
            qmp->broken = true;
            return operation->error.code;
        }
    }
    return VIOS_OK;
}

static int refusal(const struct qmp_message *message, const char *command,
                   struct operation *operation)
{
    const json_t *error = json_object_get(message->json, "error");
    const char *class = json_get_text(error, "class");
    bool absent = strcmp(class, "DeviceNotFound") == 0 || strcmp(class, "CommandNotFound") == 0;
    return operation_fail(operation, absent ? VIOS_E_NOT_FOUND : VIOS_E_IO, "qmp", NULL,
                          "QEMU refused %s: %s", command, json_get_text(error, "desc"));
}

int qmp_call(struct qmp *qmp, const char *command, json_t *arguments, int descriptor,
             json_t **result, struct operation *operation)
{
    json_int_t id = ++qmp->last_id;
    json_t *request =
        json_pack("{s:s, s:I, s:o*}", "execute", command, "id", id, "arguments", arguments);
    assert(request);
    char *text = json_into_text(request);
    assert(text);
    struct qmp_message message = {.json = NULL};
    int status = qmp->broken ? operation_fail(operation, VIOS_E_UNREACHABLE, "qmp", NULL,
                                              "the control connection is broken")
                             : send_line(qmp, text, descriptor, operation);
    free(text);
    if (status == VIOS_OK) {
        status = await_answer(qmp, &message, operation);
    }
    if (status < 0) {
        return status;
    }
    if (message.kind == QMP_GREETING || json_get_integer(message.json, "id") != id) {
        qmp->broken = true;
        status = operation_fail(operation, VIOS_E_CORRUPT, "qmp", NULL,
                                "an answer to nothing that was asked");
    } else if (message.kind == QMP_ERROR) {
        status = refusal(&message, command, operation);
    } else {
        status = drain(qmp, &operation->error);
        if (status == VIOS_OK && result) {
            *result = json_incref(json_object_get(message.json, "return"));
        }
    }
    json_decref(message.json);
    return status;
}

int qmp_open(struct qmp **out, int fd, struct operation *operation)
{
    struct qmp *qmp = calloc(1, sizeof *qmp);
    assert(qmp);
    qmp->fd = fd;
    qmp->parser = qmp_parser_new();
    qmp->events = json_array();
    struct qmp_message message = {.json = NULL};
    int status = await_answer(qmp, &message, operation);
    if (status > 0) {
        status =
            message.kind == QMP_GREETING
                ? qmp_call(qmp, "qmp_capabilities", NULL, -1, NULL, operation)
                : operation_fail(operation, VIOS_E_CORRUPT, "qmp", NULL, "no greeting came first");
        json_decref(message.json);
    }
    if (status < 0) {
        qmp_close(qmp);
        return status;
    }
    *out = qmp;
    return VIOS_OK;
}
