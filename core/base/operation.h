/*
 * operation.h - what every blocking call takes: how long it may last, how it is
 * cancelled, where it leaves its error, and on whose behalf it runs.
 */
#ifndef BASE_OPERATION_H
#define BASE_OPERATION_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define OPERATION_NO_DEADLINE INT64_MAX

/* One cancel may serve many operations on many threads. */
struct cancel;

/* A cancel that is not triggered; NULL when no descriptor can be had. */
struct cancel *cancel_new(void);
void cancel_free(struct cancel *cancel);

/* Safe from a signal handler and from any thread; never undone. NULL does nothing. */
void cancel_trigger(struct cancel *cancel);
bool cancel_triggered(const struct cancel *cancel);

/* Becomes readable when triggered, for poll(); owned by the cancel. -1 for NULL. */
int cancel_descriptor(const struct cancel *cancel);

struct operation {
    int64_t deadline_ms;     /* clock_now_ms() at which it fails; OPERATION_NO_DEADLINE */
    struct cancel *cancel;   /* not owned; NULL: cannot be cancelled */
    struct vios_error error; /* filled by whoever fails */
    const char *actor;       /* who asked, for the audit; not owned; may be NULL */
};

/* An operation that ends `timeout_ms` from now (OPERATION_NO_DEADLINE: never). */
void operation_start(struct operation *operation, int64_t timeout_ms, struct cancel *cancel);

/* VIOS_OK, VIOS_E_CANCELLED or VIOS_E_TIMEOUT (with the error filled). */
int operation_check(struct operation *operation);

/* Milliseconds left, never negative, at most INT_MAX: fit for poll(). -1: no deadline. */
int operation_remaining_ms(const struct operation *operation);

/*
 * Waits until `descriptor` shows one of `events` (poll(2)); -1 waits for the deadline or the
 * cancel alone. VIOS_OK: ready. Otherwise VIOS_E_CANCELLED, VIOS_E_TIMEOUT or VIOS_E_SYSTEM.
 */
int operation_wait(struct operation *operation, int descriptor, short events);

/* Sleeps `duration_ms` or until the deadline or cancel: VIOS_OK when it slept it all. */
int operation_sleep(struct operation *operation, int64_t duration_ms);

/* error_set() on the operation's error. */
#define operation_fail(operation, ...) error_set(&(operation)->error, __VA_ARGS__)

/* error_no_memory() on the operation's error. */
#define operation_no_memory(operation, object) error_no_memory(&(operation)->error, object)

#endif
