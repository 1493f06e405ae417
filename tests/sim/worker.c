/* worker.c - see worker.h. A `struct worker` is the process itself. */
#include "tests/sim/worker.h"

#include "tests/sim/node.h"

#define POST_US 20

static struct process *starting;

void sim_worker_for(struct process *process)
{
    starting = process;
}

struct worker *sim_worker(struct process *process)
{
    return (struct worker *)process;
}

int worker_start(struct worker **worker, const char *name, struct vios_error *error)
{
    (void)name;
    (void)error;
    *worker = sim_worker(starting);
    return VIOS_OK;
}

void worker_stop(struct worker *worker)
{
    (void)worker; /* its events end with the process */
}

static void run_task(void *context)
{
    struct task *task = context;
    task->run(task);
}

void worker_post(struct worker *worker, struct task *task)
{
    process_post((struct process *)worker, POST_US, run_task, task);
}

struct expiry {
    struct timer *timer;
    struct process *process;
};

/* One that was moved is expired by a later event. */
static void expire(void *context)
{
    const struct expiry *expiry = context;
    struct timer *timer = expiry->timer;
    if (timer->armed && node_now_ms(expiry->process->node) >= timer->due_ms) {
        timer->armed = false;
        timer->expired(timer);
    }
}

void worker_arm(struct worker *worker, struct timer *timer, int64_t due_ms)
{
    struct process *process = (struct process *)worker;
    struct expiry *expiry = sim_alloc(sizeof *expiry);
    *expiry = (struct expiry){timer, process};
    timer->due_ms = due_ms;
    timer->armed = true;
    process_post_owned(process, node_until_us(process->node, due_ms * MS), expire, expiry);
}
