/* test_thread.c - threads have a name and take no signals; a condition is waited for with a limit.
 */
#include "base/thread.h"

#include "base/clock.h"
#include "tests/tap.h"

#include <signal.h>

static void *look(void *argument)
{
    sigset_t *blocked = argument;
    pthread_sigmask(SIG_SETMASK, NULL, blocked);
    return NULL;
}

static void a_thread_takes_no_signals(void)
{
    pthread_t thread;
    sigset_t before, blocked, after;
    char name[16] = "";
    sigemptyset(&blocked);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    is_int(thread_start(&thread, "a-name", look, &blocked), 0);
    if (pthread_getname_np(thread, name, sizeof name) == 0) { /* it may have ended */
        is_text(name, "a-name");
    }
    pthread_join(thread, NULL);
    is_int(sigismember(&blocked, SIGTERM), 1);
    is_int(sigismember(&blocked, SIGINT), 1);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    is_int(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}

static void *wait_for_the_end(void *argument)
{
    struct runner *runner = argument;
    struct operation operation;
    operation_start(&operation, OPERATION_NO_DEADLINE, runner->cancel);
    is_int(operation_wait(&operation, -1, 0), VIOS_E_CANCELLED);
    return NULL;
}

static void a_runner_is_told_to_end(void)
{
    struct runner runner = {0};
    struct vios_error error;
    runner_stop(&runner);
    for (int i = 0; i < 2; i++) { /* it can be started again */
        is_int(runner_start(&runner, "a-runner", wait_for_the_end, &runner, "test", &error),
               VIOS_OK);
        runner_stop(&runner);
        ok(!runner.runs && !runner.cancel, "nothing is left of it");
    }
}

static void a_condition_is_waited_for_with_a_limit(void)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition;
    condition_init(&condition);
    pthread_mutex_lock(&lock);
    int64_t began_ms = clock_now_ms();
    while (clock_now_ms() - began_ms < 1100) { /* it may wake early */
        condition_wait(&condition, &lock, 1100);
    }
    ok(clock_now_ms() - began_ms < 20000, "it came back");
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&condition);
}

int main(void)
{
    RUN(a_thread_takes_no_signals);
    RUN(a_runner_is_told_to_end);
    RUN(a_condition_is_waited_for_with_a_limit);
    return tap_done();
}
