/* Proves: an operation ends by what it waits for, by its deadline, or by its cancel. */
#include "base/clock.h"
#include "base/operation.h"
#include "tests/tap.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>

static void waits_for_a_descriptor(void)
{
    int pipes[2];
    struct operation operation;
    if (pipe(pipes) != 0) {
        exit(1);
    }
    operation_start(&operation, 10, NULL);
    is_int(operation_wait(&operation, pipes[0], POLLIN), VIOS_E_TIMEOUT);
    is_text(operation.error.message, "timed out");
    operation_start(&operation, 30000, NULL);
    is_int(write(pipes[1], "x", 1), 1);
    is_int(operation_wait(&operation, pipes[0], POLLIN), VIOS_OK);
    close(pipes[0]);
    close(pipes[1]);
}

static void knows_what_is_left(void)
{
    struct operation operation;
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(operation_remaining_ms(&operation), -1);
    is_int(operation_check(&operation), VIOS_OK);
    operation_start(&operation, INT64_C(1) << 40, NULL);
    is_int(operation_remaining_ms(&operation), INT_MAX);
    operation_start(&operation, 0, NULL);
    is_int(operation_remaining_ms(&operation), 0);
    is_int(operation_check(&operation), VIOS_E_TIMEOUT);
}

static void *trigger(void *cancel)
{
    cancel_trigger(cancel);
    return NULL;
}

static void is_cancelled_from_another_thread(void)
{
    struct cancel *cancel = cancel_new();
    struct operation operation;
    pthread_t thread;
    operation_start(&operation, 30000, cancel);
    is_int(operation_check(&operation), VIOS_OK);
    pthread_create(&thread, NULL, trigger, cancel);
    is_int(operation_wait(&operation, -1, 0), VIOS_E_CANCELLED);
    pthread_join(thread, NULL);
    is_text(operation.error.message, "cancelled");
    is_int(operation_sleep(&operation, 30000), VIOS_E_CANCELLED);
    is_int(operation_check(&operation), VIOS_E_CANCELLED);
    cancel_free(cancel);
    cancel_free(NULL);
    cancel_trigger(NULL);
    ok(!cancel_triggered(NULL), "nothing to trigger");
    is_int(cancel_descriptor(NULL), -1);
}

static void sleeps(void)
{
    struct operation operation;
    int64_t before_ms = clock_now_ms();
    operation_start(&operation, 30000, NULL);
    is_int(operation_sleep(&operation, 20), VIOS_OK);
    ok(clock_now_ms() - before_ms >= 20, "it slept");
    operation_start(&operation, 10, NULL);
    is_int(operation_sleep(&operation, 30000), VIOS_E_TIMEOUT);
}

static void formats_times(void)
{
    char text[CLOCK_TEXT_SIZE];
    is_text(clock_format(0, text), "1970-01-01T00:00:00.000Z");
    is_text(clock_format(INT64_C(1795435200123), text), "2026-11-23T12:00:00.123Z");
    ok(clock_now_ns() > 0 && clock_wall_ms() > 0, "the clocks go");
}

int main(void)
{
    RUN(waits_for_a_descriptor);
    RUN(knows_what_is_left);
    RUN(is_cancelled_from_another_thread);
    RUN(sleeps);
    RUN(formats_times);
    return tap_done();
}
