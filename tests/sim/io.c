/* io.c - see io.h. */
#include "tests/sim/io.h"

#include "storage/gate.h"
#include "tests/sim/database.h"
#include "tests/sim/guest.h"
#include "tests/sim/node.h"
#include "tests/sim/thread.h"
#include "tests/sim/worker.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SOCKET_US 50 /* between processes of one machine */
#define BUSY_LOOK_US (20 * MS)
#define SETTLE_US (20 * MS)
#define KILL_LATENCY_US 200 /* of the kernel's timer */
#define KILL_SLACK_MS 2

struct write {
    struct write *next;
    struct gate_waiter waiter;
    struct io *io;
    struct thread *thread;
    struct copy *copy;
    size_t slot, block;
    int64_t number;
    int64_t entered_ms; /* when it went in, by the node's clock */
    bool inside;        /* between gate_enter and gate_leave */
    bool may_stall;     /* in gate_enter */
    bool of_zombie;     /* see node.h */
};

struct io { /* of a node, for all its processes */
    struct node *node;
    struct gate *gate; /* NULL: none runs */
    struct write *writes;
    size_t in_kernel[SWARM_LPARS_MAX];
    int64_t kill_ms; /* the timer; 0: disarmed */
};

struct landing { /* what the kernel was given */
    struct write *write;
    uint64_t life;
    struct io *io;
    struct copy *copy;
    struct inode *inode;
    size_t block;
    int64_t number, entered_ms;
    bool of_zombie;
};

static struct write *inside; /* whose thread runs now */

/* --- stopping between steps --- */

static void resume(void *context);

static void thaw(void *context)
{
    struct node *node = context;
    node_thaw(&node->io_process);
}

/* Time may pass here: for this thread, or for the whole process. */
static void step(struct write *write)
{
    struct world *world = write->io->node->world;
    struct random *random = &world->io_random;
    int64_t stall_us = random_between(random, 1, 30);
    if (!world->calm && random_chance(random, world->swarm.stall_ppm)) {
        int64_t long_us = random_magnitude(random, 100 * MS, world->swarm.stall_us);
        if (random_chance(random, 500000)) {
            world_note(world, "%s: io is frozen in write %lld for %lld ms", write->io->node->name,
                       (long long)write->number, (long long)(long_us / MS));
            node_freeze(&write->io->node->io_process);
            world_post(world, long_us, thaw, write->io->node);
        } else {
            world_note(world, "%s: write %lld stalls for %lld ms", write->io->node->name,
                       (long long)write->number, (long long)(long_us / MS));
            stall_us = long_us;
        }
    }
    process_post(&write->io->node->io_process, stall_us, resume, write);
    thread_yield();
}

/* --- the gate's clock and timer --- */

/* The stall comes after the clock was read: what was read is then old. */
static int64_t gate_now_ms(void *context)
{
    struct io *io = context;
    int64_t now_ms = node_now_ms(io->node);
    if (inside && inside->may_stall) {
        step(inside);
    }
    return now_ms;
}

/* The daemon's doing; when it is dead too, the next one's. */
static void start_again(void *context)
{
    io_start(context, MS);
}

static void kill_time(void *context)
{
    struct io *io = context;
    if (io->kill_ms > 0 && io->gate && node_now_ms(io->node) >= io->kill_ms) {
        world_note(io->node->world, "%s: io is killed by its timer", io->node->name);
        io_kill(io->node);
        if (io->node->daemon.alive) {
            process_post(&io->node->daemon, 20 * MS, start_again, io->node);
        }
    }
}

static void post_kill(void *context)
{
    struct io *io = context;
    process_post(&io->node->kernel, random_below(&io->node->world->io_random, KILL_LATENCY_US),
                 kill_time, io);
}

static void arm(void *context, int64_t kill_ms)
{
    struct io *io = context;
    io->kill_ms = kill_ms;
    process_post_at(&io->node->kernel, kill_ms, post_kill, io);
}

static void disarm(void *context)
{
    struct io *io = context;
    io->kill_ms = 0;
}

/* --- the guests are stopped, and let go on --- */

static void stop_guests(struct node *node, bool stopped)
{
    for (size_t i = 0; i < node->world->lpar_count; i++) {
        struct copy *copy = copy_find(&node->world->lpars[i], node);
        if (copy) {
            copy->stopped_by_io = stopped;
            copy_kick(copy);
        }
    }
}

static void gate_changed(void *context, bool open)
{
    struct io *io = context;
    world_note(io->node->world, "%s: the gate is %s", io->node->name, open ? "open" : "closed");
    stop_guests(io->node, !open);
}

bool io_is_closed(const struct node *node)
{
    return !node->io->gate || !gate_is_open(node->io->gate);
}

static void add_guest(void *context)
{
    struct copy *copy = context;
    copy->stopped_by_io = io_is_closed(copy->node);
}

void io_add_guest(struct copy *copy)
{
    if (process_runs(&copy->node->io_process)) {
        add_guest(copy);
    } else {
        process_post(&copy->node->io_process, 0, add_guest, copy);
    }
}

/* What waited in its socket may open the gate before the gate's own thread looked: then that never
 * knew that it was closed. */
static void settle(void *context)
{
    struct node *node = context;
    if (io_is_closed(node)) {
        process_post(&node->io_process, SETTLE_US, settle, node);
    } else {
        stop_guests(node, false);
    }
}

void io_look(struct node *node)
{
    if (process_runs(&node->io_process) && node->io->gate && !gate_is_open(node->io->gate)) {
        stop_guests(node, true);
        process_post(&node->io_process, SETTLE_US, settle, node);
    }
}

/* --- a write --- */

static void end_write(struct write *write)
{
    struct write **link = &write->io->writes;
    while (*link != write) {
        link = &(*link)->next;
    }
    *link = write->next;
    free(write);
}

static void resume(void *context)
{
    struct write *write = context;
    inside = write;
    bool ended = thread_resume(write->thread);
    inside = NULL;
    if (ended) {
        end_write(write);
    }
}

static void waiter_runs(struct task *task)
{
    struct write *write = (struct write *)((char *)task - offsetof(struct write, waiter.task));
    gate_waiter_called(write->io->gate, &write->waiter);
    resume(write);
}

static void await_open(struct write *write)
{
    while (!gate_is_open(write->io->gate)) {
        gate_wait(write->io->gate, &write->waiter);
        thread_yield();
    }
}

static void land(void *context)
{
    const struct landing *landing = context;
    struct io *io = landing->io;
    struct process *process = &io->node->io_process;
    bool excused = !landing->inode->lpar->clone &&
                   (landing->of_zombie || io->node->last_pause_ms >= landing->entered_ms);
    io->in_kernel[landing->inode->lpar->number]--;
    disk_land(landing->inode, landing->copy->generation, landing->block, landing->number, excused);
    if (process->alive && process->life == landing->life) {
        process_post(process, 1, resume, landing->write);
    }
}

/* A process that still does this is dead by then. */
static void judge_submit(const struct write *write)
{
    struct node *node = write->io->node;
    struct gate_state state;
    gate_state(write->io->gate, &state);
    if (node_now_ms(node) > state.until_kill_ms + KILL_SLACK_MS) {
        world_fail(node->world, 5, "%s submits write %lld of %s %lld ms after its time to kill",
                   node->name, (long long)write->number, write->copy->lpar->name,
                   (long long)(node_now_ms(node) - state.until_kill_ms));
    }
}

static void submit(struct write *write)
{
    struct io *io = write->io;
    struct world *world = io->node->world;
    struct landing *landing = sim_alloc(sizeof *landing);
    judge_submit(write);
    *landing = (struct landing){.write = write,
                                .life = io->node->io_process.life,
                                .io = io,
                                .copy = write->copy,
                                .inode = write->copy->inode,
                                .block = write->block,
                                .number = write->number,
                                .entered_ms = write->entered_ms,
                                .of_zombie = write->of_zombie};
    io->in_kernel[write->copy->lpar->number]++;
    process_post_owned(&io->node->kernel,
                       random_magnitude(&world->io_random, 100, world->swarm.disk_us), land,
                       landing);
    thread_yield();
}

/* The record says that somebody else may have started already. */
static bool was_taken_over(const struct write *write)
{
    const struct lpar *lpar = write->copy->lpar;
    const struct store_value *value = database_look(lpar->world->database, lpar->key);
    json_t *record = json_loads(value->json, 0, NULL);
    bool taken =
        json_integer_value(json_object_get(record, "generation")) > write->copy->generation;
    json_decref(record);
    return taken;
}

static void arrives_at_guest(void *context);

struct reply {
    struct copy *copy;
    size_t slot;
    int64_t number;
};

static void arrives_at_guest(void *context)
{
    const struct reply *reply = context;
    if (reply->copy->requests[reply->slot].number == reply->number) {
        copy_answered(reply->copy, reply->slot);
    }
}

static void answer(struct write *write)
{
    struct node *node = write->io->node;
    struct lpar *lpar = write->copy->lpar;
    struct gate_state state;
    gate_state(write->io->gate, &state);
    if (!write->copy->alive) {
        return;
    }
    if (node_now_ms(node) >= state.until_stop_ms) {
        world_fail(node->world, 5, "%s answers write %lld of %s after T", node->name,
                   (long long)write->number, lpar->name);
    }
    bool taken = was_taken_over(write);
    if (taken && !node_is_zombie(node)) {
        world_fail(node->world, 5, "%s answers write %lld of %s, which was taken over", node->name,
                   (long long)write->number, lpar->name);
    }
    if (!taken && lpar->disk.acknowledged[write->block] < write->number) {
        lpar->disk.acknowledged[write->block] = write->number;
    }
    struct reply *reply = sim_alloc(sizeof *reply);
    *reply = (struct reply){write->copy, write->slot, write->number};
    process_post_owned(&node->kernel, SOCKET_US, arrives_at_guest, reply);
}

static bool enter(struct write *write)
{
    write->entered_ms = node_now_ms(write->io->node);
    write->of_zombie = node_is_zombie(write->io->node);
    write->may_stall = true;
    write->inside = gate_enter(write->io->gate);
    write->may_stall = false;
    return write->inside;
}

static void run(void *context)
{
    struct write *write = context;
    do {
        await_open(write);
        step(write);
    } while (!enter(write));
    step(write);
    submit(write);
    step(write);
    gate_leave(write->io->gate);
    write->inside = false;
    step(write);
    while (!gate_may_answer(write->io->gate)) {
        await_open(write);
    }
    answer(write);
}

struct arrival {
    struct copy *copy;
    size_t slot;
};

static void arrive(void *context)
{
    const struct arrival *arrival = context;
    struct copy *copy = arrival->copy;
    struct io *io = copy->node->io;
    if (!copy->alive || !io->gate) {
        return; /* sent again when io is there */
    }
    struct write *write = sim_alloc(sizeof *write);
    *write = (struct write){.next = io->writes,
                            .io = io,
                            .copy = copy,
                            .slot = arrival->slot,
                            .block = copy->requests[arrival->slot].block,
                            .number = copy->requests[arrival->slot].number};
    write->waiter.task.run = waiter_runs;
    write->waiter.worker = sim_worker(&copy->node->io_process);
    io->writes = write;
    write->thread = thread_new(run, write);
    resume(write);
}

void io_submit(struct copy *copy, size_t slot)
{
    struct arrival *arrival = sim_alloc(sizeof *arrival);
    *arrival = (struct arrival){copy, slot};
    process_post_owned(&copy->node->io_process, SOCKET_US, arrive, arrival);
}

bool io_is_busy(const struct node *node, const struct lpar *lpar)
{
    for (const struct write *write = node->io->writes; write; write = write->next) {
        if (write->copy->lpar == lpar) {
            return true;
        }
    }
    return node->io->in_kernel[lpar->number] > 0;
}

void io_judge_stopped(struct node *node, int64_t incarnation)
{
    if (node_drains_as_zombie(node)) {
        return;
    }
    for (const struct write *write = node->io->writes; write; write = write->next) {
        if (write->inside && write->copy->incarnation == incarnation) {
            world_fail(node->world, 4,
                       "the fence of %s, incarnation %lld, is free, and write %lld is inside",
                       node->name, (long long)incarnation, (long long)write->number);
        }
    }
}

/* --- the process --- */

static void serve(void *context)
{
    struct node *node = context;
    if (node->io->gate) {
        gate_serve(node->io->gate, node->until_stop_ms, node->until_kill_ms, NULL);
    }
}

void io_serve(struct node *node)
{
    process_post(&node->io_process, SOCKET_US, serve, node);
}

/* The guests' QEMUs connect again, and send what was not answered. */
static void reconnect(struct node *node)
{
    for (size_t i = 0; i < node->world->lpar_count; i++) {
        struct copy *copy = copy_find(&node->world->lpars[i], node);
        for (size_t slot = 0; copy && slot < COPY_REQUESTS; slot++) {
            if (copy->requests[slot].busy) {
                io_submit(copy, slot);
            }
        }
    }
}

static bool kernel_is_busy(const struct io *io)
{
    size_t busy = 0;
    for (size_t i = 0; i < SWARM_LPARS_MAX; i++) {
        busy += io->in_kernel[i];
    }
    return busy > 0;
}

static void begin(void *context)
{
    struct node *node = context;
    struct io *io = node->io;
    if (kernel_is_busy(io)) {
        process_post(&node->io_process, BUSY_LOOK_US, begin, node);
        return;
    }
    const struct gate_operations operations = {gate_now_ms, arm, disarm, io};
    const struct gate_hooks hooks = {gate_changed, io};
    sim_worker_for(&node->io_process);
    int status = gate_new(&io->gate, &operations, &hooks, NULL);
    assert(status == VIOS_OK);
    (void)status;
    if (process_runs(&node->daemon)) { /* it gives this io the guests, and the time */
        stop_guests(node, true);
        if (node->until_stop_ms > 0) {
            io_serve(node);
        }
    }
    reconnect(node);
}

void io_start(struct node *node, int64_t delay_us)
{
    if (!node->io_process.alive) {
        process_start(&node->io_process);
        process_post(&node->io_process, delay_us, begin, node);
    }
}

void io_kill(struct node *node)
{
    struct io *io = node->io;
    if (!node->io_process.alive) {
        return;
    }
    process_end(&node->io_process);
    while (io->writes) {
        struct write *next = io->writes->next;
        thread_abandon(io->writes->thread);
        free(io->writes);
        io->writes = next;
    }
    gate_free(io->gate);
    io->gate = NULL;
    io->kill_ms = 0;
}

void io_crash(struct node *node)
{
    io_kill(node);
    memset(node->io->in_kernel, 0, sizeof node->io->in_kernel);
}

void ios_new(struct world *world)
{
    for (size_t i = 0; i < world->node_count; i++) {
        world->nodes[i].io = sim_alloc(sizeof(struct io));
        world->nodes[i].io->node = &world->nodes[i];
    }
}

void ios_free(struct world *world)
{
    for (size_t i = 0; i < world->node_count; i++) {
        free(world->nodes[i].io);
    }
}
