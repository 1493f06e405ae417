/* test_worker.c - tasks keep their order, timers theirs, and an unwatched descriptor is silent. */
#include "base/clock.h"
#include "net/worker.h"
#include "tests/tap.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define POSTERS 4
#define TASKS 2000

/* Runs a function on the worker and waits for it. */
struct errand {
    struct task task;
    void (*run)(void);
    sem_t done;
};

static struct worker *worker;

static void run_errand(struct task *task)
{
    struct errand *errand = (struct errand *)task;
    errand->run();
    sem_post(&errand->done);
}

static void on_worker(void (*run)(void))
{
    struct errand errand = {.task = {.run = run_errand}, .run = run};
    sem_init(&errand.done, 0, 0);
    worker_post(worker, &errand.task);
    while (sem_wait(&errand.done) != 0) {
    }
    sem_destroy(&errand.done);
}

static void nothing(void)
{
}

/* --- the inbox --- */

struct numbered {
    struct task task;
    int poster, number;
};

static struct numbered numbered[POSTERS][TASKS];
static int seen[POSTERS];
static bool in_order = true;

static void see(struct task *task)
{
    struct numbered *one = (struct numbered *)task;
    in_order = in_order && seen[one->poster] == one->number && worker_is_current(worker);
    seen[one->poster] = one->number + 1;
}

static void *post_all(void *argument)
{
    struct numbered *mine = argument;
    for (int i = 0; i < TASKS; i++) {
        worker_post(worker, &mine[i].task);
    }
    return NULL;
}

static void tasks_of_each_poster_run_in_order(void)
{
    pthread_t threads[POSTERS];
    for (int p = 0; p < POSTERS; p++) {
        for (int i = 0; i < TASKS; i++) {
            numbered[p][i] = (struct numbered){.task = {.run = see}, .poster = p, .number = i};
        }
        pthread_create(&threads[p], NULL, post_all, numbered[p]);
    }
    for (int p = 0; p < POSTERS; p++) {
        pthread_join(threads[p], NULL);
    }
    on_worker(nothing);
    ok(in_order, "tasks ran out of order or elsewhere");
    for (int p = 0; p < POSTERS; p++) {
        is_int(seen[p], TASKS);
    }
    ok(!worker_is_current(worker), "the test runs on the worker");
}

/* --- deferred tasks --- */

static char order[16];
static struct task deferred_again, deferred, posted;

static void note(char what)
{
    order[strlen(order)] = what;
}

static void run_again(struct task *task)
{
    (void)task;
    note('b');
}

static void run_deferred_task(struct task *task)
{
    (void)task;
    note('a');
    deferred_again.run = run_again;
    worker_defer(worker, &deferred_again);
}

static void run_posted(struct task *task)
{
    (void)task;
    note('p');
}

static void defer_and_post(void)
{
    deferred.run = run_deferred_task;
    posted.run = run_posted;
    worker_defer(worker, &deferred);
    worker_post(worker, &posted);
    note('r');
}

static void a_deferred_task_runs_before_the_next_sleep(void)
{
    on_worker(defer_and_post);
    on_worker(nothing);
    is_text(order, "rabp");
}

/* --- timers --- */

static struct timer timers[4];
static char expired[8];

static void expire(struct timer *timer)
{
    expired[strlen(expired)] = (char)('0' + (timer - timers));
}

static void arm_timers(void)
{
    int64_t now_ms = clock_now_ms();
    int delays[] = {30, 10, 20, 15};
    for (int i = 0; i < 4; i++) {
        timers[i].expired = expire;
        worker_arm(worker, &timers[i], now_ms + delays[i]);
    }
    worker_disarm(worker, &timers[2]);
    worker_arm(worker, &timers[1], now_ms + 40); /* moved */
}

static bool all_expired;

static void look_at_timers(void)
{
    all_expired = strlen(expired) == 3;
}

static void timers_expire_in_order_of_their_time(void)
{
    on_worker(arm_timers);
    while (!all_expired) {
        on_worker(look_at_timers);
        usleep(1000);
    }
    is_text(expired, "301");
}

/* --- descriptors --- */

static struct watch watches[2];
static int calls[2];

/* Both are readable in one turn; whichever comes first unwatches the other. */
static void ready(struct watch *watch, uint32_t events)
{
    int index = (int)(watch - watches);
    calls[index]++;
    ok(events & EPOLLIN, "events %x", events);
    worker_unwatch(worker, &watches[0]);
    worker_unwatch(worker, &watches[1]);
}

static void watch_both(void)
{
    for (int i = 0; i < 2; i++) {
        watches[i] = (struct watch){.ready = ready, .fd = eventfd(1, EFD_NONBLOCK)};
        is_int(worker_watch(worker, &watches[i], EPOLLIN, NULL), VIOS_OK);
    }
}

static void an_unwatched_descriptor_is_silent(void)
{
    on_worker(watch_both);
    on_worker(nothing);
    on_worker(nothing);
    is_int(calls[0] + calls[1], 1);
    close(watches[0].fd);
    close(watches[1].fd);
}

static void watch_a_file(void)
{
    struct vios_error error = {0};
    struct watch bad = {.ready = ready, .fd = -1};
    is_int(worker_watch(worker, &bad, EPOLLIN, &error), VIOS_E_SYSTEM);
    ok(strstr(error.message, "epoll_ctl") != NULL, "message \"%s\"", error.message);
}

static void a_bad_descriptor_is_an_error(void)
{
    on_worker(watch_a_file);
}

static atomic_int last_words;

static void speak(struct task *task)
{
    (void)task;
    atomic_fetch_add(&last_words, 1);
}

static void stopping_runs_the_inbox(void)
{
    struct task tasks[3] = {{.run = speak}, {.run = speak}, {.run = speak}};
    for (int i = 0; i < 3; i++) {
        worker_post(worker, &tasks[i]);
    }
    worker_stop(worker);
    is_int(atomic_load(&last_words), 3);
    worker_stop(NULL);
}

int main(void)
{
    struct vios_error error;
    if (worker_start(&worker, "test", &error) != VIOS_OK) {
        printf("Bail out! %s\n", error.message);
        return 1;
    }
    RUN(tasks_of_each_poster_run_in_order);
    RUN(a_deferred_task_runs_before_the_next_sleep);
    RUN(timers_expire_in_order_of_their_time);
    RUN(an_unwatched_descriptor_is_silent);
    RUN(a_bad_descriptor_is_an_error);
    RUN(stopping_runs_the_inbox);
    return tap_done();
}
