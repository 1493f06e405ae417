/* world.c - see world.h: the queue is a binary heap by (time, number). */
#include "tests/sim/world.h"

#include "tests/sim/node.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACE_LAST 80

void *sim_alloc(size_t size)
{
    void *memory = calloc(1, size);
    assert(memory);
    return memory;
}

struct world *world_new(uint64_t seed, const struct swarm *swarm)
{
    struct world *world = sim_alloc(sizeof *world);
    world->seed = seed;
    world->swarm = *swarm;
    world->network_random = random_split(seed, 2);
    world->store_random = random_split(seed, 3);
    world->node_random = random_split(seed, 4);
    world->io_random = random_split(seed, 5);
    world->guest_random = random_split(seed, 6);
    return world;
}

void world_free(struct world *world)
{
    for (size_t i = 0; i < world->event_count; i++) {
        if (world->events[i].owned) {
            free(world->events[i].context);
        }
    }
    free(world->events);
    free(world->trace);
    free(world);
}

/* --- the heap --- */

static bool before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void push(struct world *world, struct event event)
{
    if (world->event_count == world->event_capacity) {
        world->event_capacity = world->event_capacity ? 2 * world->event_capacity : 1024;
        world->events = realloc(world->events, world->event_capacity * sizeof *world->events);
        assert(world->events);
    }
    event.number = world->event_number++;
    size_t i = world->event_count++;
    while (i > 0 && before(&event, &world->events[(i - 1) / 2])) {
        world->events[i] = world->events[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    world->events[i] = event;
}

static struct event pop(struct world *world)
{
    struct event first = world->events[0], last = world->events[--world->event_count];
    size_t i = 0, count = world->event_count;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && before(&world->events[child + 1], &world->events[child])) {
            child++;
        }
        if (!before(&world->events[child], &last)) {
            break;
        }
        world->events[i] = world->events[child];
        i = child;
    }
    if (count > 0) {
        world->events[i] = last;
    }
    return first;
}

/* --- processes --- */

static void drop(struct event *event)
{
    if (event->owned) {
        free(event->context);
    }
}

static void park(struct process *process, const struct event *event)
{
    if (process->parked_count == process->parked_capacity) {
        process->parked_capacity = process->parked_capacity ? 2 * process->parked_capacity : 16;
        process->parked = realloc(process->parked, process->parked_capacity * sizeof *event);
        assert(process->parked);
    }
    process->parked[process->parked_count++] = *event;
}

bool process_runs(const struct process *process)
{
    return process->alive && !process->frozen && node_runs(process->node);
}

void process_start(struct process *process)
{
    process->life++;
    process->alive = true;
    process->frozen = false;
}

void process_end(struct process *process)
{
    process->alive = process->frozen = false;
    process_clear(process);
}

void process_clear(struct process *process)
{
    for (size_t i = 0; i < process->parked_count; i++) {
        drop(&process->parked[i]);
    }
    free(process->parked);
    process->parked = NULL;
    process->parked_count = process->parked_capacity = 0;
}

void process_thaw(struct process *process)
{
    struct event *parked = process->parked;
    size_t count = process->parked_count;
    if (!process_runs(process)) {
        return;
    }
    process->parked = NULL;
    process->parked_count = process->parked_capacity = 0;
    for (size_t i = 0; i < count; i++) {
        parked[i].at_us = process->world->now_us;
        push(process->world, parked[i]);
    }
    free(parked);
}

static void post(struct process *process, int64_t delay_us, void (*run)(void *context),
                 void *context, bool owned)
{
    push(process->world, (struct event){.at_us = process->world->now_us + delay_us,
                                        .run = run,
                                        .context = context,
                                        .owned = owned,
                                        .process = process,
                                        .life = process->life});
}

void process_post(struct process *process, int64_t delay_us, void (*run)(void *context),
                  void *context)
{
    post(process, delay_us, run, context, false);
}

void process_post_owned(struct process *process, int64_t delay_us, void (*run)(void *context),
                        void *context)
{
    post(process, delay_us, run, context, true);
}

void process_post_at(struct process *process, int64_t local_ms, void (*run)(void *context),
                     void *context)
{
    int64_t local_us = local_ms * MS;
    push(process->world,
         (struct event){.at_us = process->world->now_us + node_until_us(process->node, local_us),
                        .run = run,
                        .context = context,
                        .process = process,
                        .life = process->life,
                        .local_us = local_us});
}

void world_post(struct world *world, int64_t delay_us, void (*run)(void *context), void *context)
{
    push(world, (struct event){.at_us = world->now_us + delay_us, .run = run, .context = context});
}

void world_post_owned(struct world *world, int64_t delay_us, void (*run)(void *context),
                      void *context)
{
    push(world,
         (struct event){
             .at_us = world->now_us + delay_us, .run = run, .context = context, .owned = true});
}

/* --- running --- */

static void happen(struct world *world, struct event *event)
{
    struct process *process = event->process;
    if (process && (!process->alive || process->life != event->life)) {
        drop(event);
        return;
    }
    if (process && !process_runs(process)) {
        park(process, event);
        return;
    }
    if (process && event->local_us > node_local_us(process->node)) {
        event->at_us = world->now_us + node_until_us(process->node, event->local_us);
        push(world, *event); /* the clock stood still meanwhile */
        return;
    }
    world->events_run++;
    event->run(event->context);
    drop(event);
}

void world_run(struct world *world, int64_t until_us)
{
    while (!world->failed && world->event_count > 0 && world->events[0].at_us <= until_us) {
        struct event event = pop(world);
        world->now_us = event.at_us;
        happen(world, &event);
    }
    if (!world->failed) {
        world->now_us = until_us;
    }
}

/* --- what is told --- */

void world_fail(struct world *world, int invariant, const char *format, ...)
{
    char text[300];
    va_list arguments;
    if (world->failed) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(world->failure, sizeof world->failure, "invariant %d at %.6f s: %s", invariant,
             (double)world->now_us / 1e6, text);
    world->failed = true;
    world_note(world, "VIOLATION: %s", text);
}

void world_trace(struct world *world, const char *format, ...)
{
    char text[240];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!world->trace) {
        world->trace = sim_alloc(TRACE_LAST * sizeof *world->trace);
    }
    char *line = world->trace[world->trace_count++ % TRACE_LAST];
    snprintf(line, sizeof *world->trace, "%12.6f %.240s", (double)world->now_us / 1e6, text);
    if (world->tracing_all) {
        printf("%s\n", line);
    }
}

void world_print_trace(const struct world *world)
{
    size_t first = world->trace_count > TRACE_LAST ? world->trace_count - TRACE_LAST : 0;
    for (size_t i = first; i < world->trace_count; i++) {
        printf("  %s\n", world->trace[i % TRACE_LAST]);
    }
}
