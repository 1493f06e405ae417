/* operation.c - deadlines and cancellation over poll(2) and an eventfd. */
#include "base/operation.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct cancel {
    atomic_bool triggered;
    int event; /* eventfd, written once */
};

struct cancel *cancel_new(void)
{
    struct cancel *cancel = calloc(1, sizeof *cancel);
    if (!cancel) {
        return NULL;
    }
    cancel->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (cancel->event < 0) {
        free(cancel);
        return NULL;
    }
    return cancel;
}

void cancel_free(struct cancel *cancel)
{
    if (cancel) {
        close(cancel->event);
        free(cancel);
    }
}

void cancel_trigger(struct cancel *cancel)
{
    if (!cancel) {
        return;
    }
    int saved = errno;
    atomic_store(&cancel->triggered, true);
    eventfd_write(cancel->event, 1); /* fails only when it is full: readable all the same */
    errno = saved;
}

bool cancel_triggered(const struct cancel *cancel)
{
    return cancel && atomic_load(&cancel->triggered);
}

int cancel_descriptor(const struct cancel *cancel)
{
    return cancel ? cancel->event : -1;
}

void operation_start(struct operation *operation, int64_t timeout_ms, struct cancel *cancel)
{
    memset(operation, 0, sizeof *operation);
    operation->deadline_ms =
        timeout_ms == OPERATION_NO_DEADLINE ? OPERATION_NO_DEADLINE : clock_now_ms() + timeout_ms;
    operation->cancel = cancel;
}

int operation_check(struct operation *operation)
{
    if (cancel_triggered(operation->cancel)) {
        return operation_fail(operation, VIOS_E_CANCELLED, NULL, NULL, "cancelled");
    }
    if (operation_remaining_ms(operation) == 0) {
        return operation_fail(operation, VIOS_E_TIMEOUT, NULL, "give a longer --timeout",
                              "timed out");
    }
    return VIOS_OK;
}

int operation_remaining_ms(const struct operation *operation)
{
    if (operation->deadline_ms == OPERATION_NO_DEADLINE) {
        return -1;
    }
    int64_t left = operation->deadline_ms - clock_now_ms();
    if (left < 0) {
        return 0;
    }
    return left > INT_MAX ? INT_MAX : (int)left;
}

int operation_wait(struct operation *operation, int descriptor, short events)
{
    struct pollfd polled[2] = {
        {.fd = descriptor, .events = events},
        {.fd = cancel_descriptor(operation->cancel), .events = POLLIN},
    };
    for (;;) {
        int status = operation_check(operation);
        if (status != VIOS_OK) {
            return status;
        }
        int ready = poll(polled, 2, operation_remaining_ms(operation));
        if (ready < 0 && errno != EINTR) {
            return error_set_errno(&operation->error, NULL, "poll");
        }
        if (ready > 0 && polled[0].revents && !polled[1].revents) {
            return VIOS_OK;
        }
    }
}

int operation_sleep(struct operation *operation, int64_t duration_ms)
{
    int64_t end_ms = clock_now_ms() + duration_ms;
    struct operation nap = *operation;
    if (end_ms < operation->deadline_ms) {
        nap.deadline_ms = end_ms;
    }
    int status = operation_wait(&nap, -1, 0);
    if (status == VIOS_E_TIMEOUT && clock_now_ms() >= end_ms) {
        return VIOS_OK;
    }
    operation->error = nap.error;
    return status;
}
