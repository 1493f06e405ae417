/*
 * qmp.h - a blocking client of one QEMU's machine protocol.
 *
 * A `struct qmp` serves one thread at a time (its owner locks). Events that arrive while a
 * call waits for its answer are queued, at most QMP_EVENTS_MAX; when more come the oldest are
 * lost and qmp_events_lost() says so once: then ask query-status instead of trusting events.
 * Any protocol error, time-out or cancel in the middle of a call leaves the stream at an
 * unknown place: qmp_is_broken() is then true and the connection must be closed.
 */
#ifndef LPAR_QMP_H
#define LPAR_QMP_H

#include "base/operation.h"

#include <jansson.h>
#include <stdbool.h>

#define QMP_EVENTS_MAX 256

struct qmp;

/* Takes over `fd`, a connected stream socket; waits for the greeting and negotiates. Fails with
 * VIOS_E_UNREACHABLE when QEMU closes first. */
int qmp_open(struct qmp **qmp, int fd, struct operation *operation);
void qmp_close(struct qmp *qmp);

/*
 * One command. Takes over `arguments` (NULL: none). `descriptor` (-1: none) goes with it by
 * SCM_RIGHTS and stays the caller's. `*result` (may be NULL) is the caller's. QEMU's own refusal
 * is VIOS_E_IO with its text, VIOS_E_NOT_FOUND for its DeviceNotFound and CommandNotFound.
 */
int qmp_call(struct qmp *qmp, const char *command, json_t *arguments, int descriptor,
             json_t **result, struct operation *operation);

/* Reads what has come, without waiting, and queues its events. VIOS_E_UNREACHABLE: QEMU closed. */
int qmp_receive(struct qmp *qmp, struct vios_error *error);

/* The oldest queued event, the caller's; NULL when there is none. */
json_t *qmp_next_event(struct qmp *qmp);

/* True once after events were dropped. */
bool qmp_events_lost(struct qmp *qmp);

bool qmp_is_broken(const struct qmp *qmp);

/* For poll(2); stays the client's. */
int qmp_descriptor(const struct qmp *qmp);

#endif
