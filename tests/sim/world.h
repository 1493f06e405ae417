/*
 * world.h - the simulated world: true time, a queue of events, the processes that they happen to,
 * and the trace. One seed, one world; nothing in it comes from outside.
 *
 * True time is in microseconds and known to nobody inside. Each node has a boot clock of its own,
 * which drifts, and stands still while its machine is paused. A process that is frozen, or whose
 * machine is paused, gets its events when it goes on; one that has ended never gets them.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "tests/sim/random.h"
#include "tests/sim/swarm.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)

struct node;
struct database;
struct network;
struct oracle;
struct lpar;
struct pages;

struct event {
    int64_t at_us;
    uint64_t number; /* of two at one time the earlier made comes first */
    void (*run)(void *context);
    void *context;
    bool owned;              /* the context is freed once it has run, or never will */
    struct process *process; /* NULL: nobody's, it happens */
    uint64_t life;
    int64_t local_us; /* not before the node's clock shows this; 0: no such bound */
};

struct process {
    struct node *node;
    struct world *world;
    const char *name;
    uint64_t life;        /* +1 with each start */
    bool thawed_in_pause; /* the first thing that it does is still to come */
    bool alive, frozen;
    struct event *parked; /* while frozen */
    size_t parked_count, parked_capacity;
};

struct world {
    uint64_t seed;
    struct swarm swarm;
    int64_t now_us;
    struct event *events; /* a heap */
    size_t event_count, event_capacity;
    uint64_t event_number, events_run;
    struct random network_random, store_random, node_random, io_random, guest_random;

    struct node *nodes;
    size_t node_count;
    struct lpar *lpars;
    size_t lpar_count;
    struct network *network;
    struct database *database;
    struct oracle *oracle;
    struct pages *pages;
    bool calm;  /* the faults are over */
    bool plain; /* agents only: no guests (the runs of 500) */

    bool failed;
    char failure[400];
    bool tracing, tracing_all;
    char (*trace)[256]; /* a ring */
    size_t trace_count;
};

struct world *world_new(uint64_t seed, const struct swarm *swarm);
void world_free(struct world *world);

/* Runs until `until_us` or a violation. */
void world_run(struct world *world, int64_t until_us);

/* `run(context)` happens after `delay_us`, whoever lives then. */
void world_post(struct world *world, int64_t delay_us, void (*run)(void *context), void *context);

/* The context, from malloc, is freed when that has happened, or never will. */
void world_post_owned(struct world *world, int64_t delay_us, void (*run)(void *context),
                      void *context);

/* To a process, see above. Owned contexts come from malloc. */
void process_post(struct process *process, int64_t delay_us, void (*run)(void *context),
                  void *context);
void process_post_owned(struct process *process, int64_t delay_us, void (*run)(void *context),
                        void *context);
/* When the node's boot clock shows `local_ms`. */
void process_post_at(struct process *process, int64_t local_ms, void (*run)(void *context),
                     void *context);

void process_start(struct process *process);
void process_end(struct process *process); /* kill -9 */
bool process_runs(const struct process *process);
/* After it, or its machine, was thawed: what waited happens now. */
void process_thaw(struct process *process);
void process_clear(struct process *process);

/* An invariant is broken: the run ends. */
void world_fail(struct world *world, int invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Formats only when somebody will read it. */
#define world_note(world, ...)                                                                     \
    do {                                                                                           \
        if ((world)->tracing) {                                                                    \
            world_trace((world), __VA_ARGS__);                                                     \
        }                                                                                          \
    } while (0)
void world_trace(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void world_print_trace(const struct world *world);

/* Memory never fails here. */
void *sim_alloc(size_t size);

#endif
