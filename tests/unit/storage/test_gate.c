/*
 * test_gate.c - the gate with a clock of our own, and the kernel's timer for real: a process with a
 * write in flight is killed on time, even a stopped one.
 */
#include "base/clock.h"
#include "storage/gate.h"
#include "tests/tap.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

static _Atomic int64_t time_ms, armed_ms; /* armed_ms 0: disarmed */
static atomic_int opened, closed, called;
static bool jump; /* the clock jumps over T when armed */

static int64_t now(void *context)
{
    (void)context;
    return atomic_load(&time_ms);
}

static void arm(void *context, int64_t kill_ms)
{
    (void)context;
    atomic_store(&armed_ms, kill_ms);
    if (jump) {
        atomic_store(&time_ms, kill_ms);
    }
}

static void disarm(void *context)
{
    (void)context;
    atomic_store(&armed_ms, 0);
}

static void changed(void *context, bool open)
{
    (void)context;
    atomic_fetch_add(open ? &opened : &closed, 1);
}

static const struct gate_operations FAKE = {now, arm, disarm, NULL};
static const struct gate_hooks HOOKS = {changed, NULL};

static void await(atomic_int *number, int wanted)
{
    for (int i = 0; i < 20000 && atomic_load(number) < wanted; i++) {
        usleep(1000);
    }
    is_int(atomic_load(number), wanted);
}

static struct gate *fresh(void)
{
    struct gate *gate = NULL;
    atomic_store(&time_ms, 1000);
    atomic_store(&armed_ms, 0);
    atomic_store(&opened, 0);
    atomic_store(&closed, 0);
    atomic_store(&called, 0);
    jump = false;
    is_int(gate_new(&gate, &FAKE, &HOOKS, NULL), VIOS_OK);
    return gate;
}

static void it_starts_closed(void)
{
    struct gate *gate = fresh();
    ok(!gate_is_open(gate), "open");
    ok(!gate_enter(gate), "a write enters");
    is_int(atomic_load(&armed_ms), 0);
    gate_free(gate);
}

static void a_write_arms_the_timer_until_the_last_leaves(void)
{
    struct gate *gate = fresh();
    struct gate_state state;
    is_int(gate_serve(gate, 2000, 2500, NULL), VIOS_OK);
    is_int(atomic_load(&armed_ms), 0);
    ok(gate_enter(gate) && gate_enter(gate), "two enter");
    is_int(atomic_load(&armed_ms), 2500);
    is_int(gate_serve(gate, 3000, 3500, NULL), VIOS_OK);
    is_int(atomic_load(&armed_ms), 3500); /* moved */
    gate_leave(gate);
    is_int(atomic_load(&armed_ms), 3500);
    gate_state(gate, &state);
    is_int(state.in_flight, 1);
    is_int(state.until_stop_ms, 3000);
    ok(state.open, "open");
    gate_leave(gate);
    is_int(atomic_load(&armed_ms), 0);
    gate_free(gate);
}

static void at_t_it_is_closed(void)
{
    struct gate *gate = fresh();
    is_int(gate_serve(gate, 2000, 2500, NULL), VIOS_OK);
    ok(gate_enter(gate), "a write enters");
    atomic_store(&time_ms, 2000);
    ok(!gate_is_open(gate), "open at T");
    ok(!gate_enter(gate), "another enters at T");
    is_int(atomic_load(&armed_ms), 2500); /* for the first, which drains */
    gate_leave(gate);
    is_int(atomic_load(&armed_ms), 0);
    gate_free(gate);
}

static void the_check_comes_after_the_arming(void)
{
    struct gate *gate = fresh();
    is_int(gate_serve(gate, 2000, 2500, NULL), VIOS_OK);
    jump = true; /* frozen right there */
    ok(!gate_enter(gate), "a write enters after T");
    is_int(atomic_load(&armed_ms), 0); /* it left again */
    gate_free(gate);
}

static void times_out_of_order_are_refused(void)
{
    struct gate *gate = fresh();
    struct vios_error error = {0};
    is_int(gate_serve(gate, 2000, 1999, &error), VIOS_E_INVALID);
    is_text(error.message, "the times are out of order");
    is_int(gate_serve(gate, -1, 5, &error), VIOS_E_INVALID);
    ok(!gate_is_open(gate), "nothing was taken of it");
    gate_free(gate);
}

static struct gate *waited_for;

static void call(struct task *task)
{
    gate_waiter_called(waited_for, (struct gate_waiter *)task);
    atomic_fetch_add(&called, 1);
}

static void waiters_are_called_when_it_opens(void)
{
    struct gate *gate = waited_for = fresh();
    struct worker *worker;
    is_int(worker_start(&worker, "waiter", NULL), VIOS_OK);
    struct gate_waiter waiter = {.task.run = call, .worker = worker};
    gate_wait(gate, &waiter);
    gate_wait(gate, &waiter);
    is_int(gate_serve(gate, 2000, 2500, NULL), VIOS_OK);
    await(&called, 1);
    await(&opened, 1);
    gate_wait(gate, &waiter); /* at once, it is open */
    await(&called, 2);
    gate_free(gate);
    worker_stop(worker);
}

static void a_waiter_may_be_taken_off(void)
{
    struct gate *gate = waited_for = fresh();
    struct worker *worker;
    is_int(worker_start(&worker, "waiter", NULL), VIOS_OK);
    struct gate_waiter first = {.task.run = call, .worker = worker};
    struct gate_waiter second = {.task.run = call, .worker = worker};
    ok(gate_unwait(gate, &first), "one that never waited is off");
    gate_wait(gate, &first);
    gate_wait(gate, &second);
    ok(gate_unwait(gate, &first), "one that is listed too");
    is_int(gate_serve(gate, 2000, 2500, NULL), VIOS_OK);
    await(&called, 1); /* the second */
    ok(!first.waiting, "the first waits");
    gate_free(gate);
    worker_stop(worker);
}

static void hooks_hear_of_t(void)
{
    struct gate *gate;
    atomic_store(&opened, 0);
    atomic_store(&closed, 0);
    is_int(gate_new(&gate, NULL, &HOOKS, NULL), VIOS_OK);
    int64_t now_ms = clock_now_ms();
    is_int(gate_serve(gate, now_ms + 50, now_ms + 60000, NULL), VIOS_OK);
    await(&opened, 1);
    await(&closed, 1);
    ok(clock_now_ms() >= now_ms + 50, "too early");
    is_int(gate_serve(gate, clock_now_ms() + 60000, clock_now_ms() + 60000, NULL), VIOS_OK);
    await(&opened, 2);
    gate_free(gate);
}

/* A child that writes past its time. */
static void overstay(bool enter)
{
    struct gate *gate;
    int64_t now_ms = clock_now_ms();
    if (gate_new(&gate, NULL, NULL, NULL) != VIOS_OK ||
        gate_serve(gate, now_ms + 100, now_ms + 150, NULL) != VIOS_OK) {
        _exit(3);
    }
    if (enter && !gate_enter(gate)) {
        _exit(4);
    }
    raise(SIGSTOP);
    _exit(0);
}

static void a_stopped_process_with_a_write_in_flight_is_killed(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        overstay(true);
    }
    is_int(waitpid(child, &status, 0), child); /* nobody lets it go on */
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", status);
}

static void without_a_write_it_lives_on(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        overstay(false);
    }
    is_int(waitpid(child, &status, WUNTRACED), child);
    ok(WIFSTOPPED(status), "status %x", status);
    usleep(300000); /* well past its time to kill */
    kill(child, SIGCONT);
    is_int(waitpid(child, &status, 0), child);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

int main(void)
{
    RUN(it_starts_closed);
    RUN(a_write_arms_the_timer_until_the_last_leaves);
    RUN(at_t_it_is_closed);
    RUN(the_check_comes_after_the_arming);
    RUN(times_out_of_order_are_refused);
    RUN(waiters_are_called_when_it_opens);
    RUN(a_waiter_may_be_taken_off);
    RUN(hooks_hear_of_t);
    RUN(a_stopped_process_with_a_write_in_flight_is_killed);
    RUN(without_a_write_it_lives_on);
    return tap_done();
}
