/* await.h - turning the test's own worker until something has happened. `worker` is the test's. */
#ifndef TESTS_NBD_AWAIT_H
#define TESTS_NBD_AWAIT_H

#include "base/clock.h"
#include "net/worker.h"
#include "tests/tap.h"

#define WAIT_MS 20000

/* Turns the worker until the condition holds, or long enough to say that it will not. */
#define AWAIT(condition)                                                                           \
    do {                                                                                           \
        int64_t until_ms = clock_now_ms() + WAIT_MS;                                               \
        while (!(condition) && clock_now_ms() < until_ms) {                                        \
            worker_turn(worker, 1);                                                                \
        }                                                                                          \
        ok((condition), "%s", #condition);                                                         \
    } while (0)

#endif
