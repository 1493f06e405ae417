/*
 * node.h - one simulated node: a machine with its boot clock and what its disk remembers, the
 * daemon with the real agent, and io with the real gate (io.h).
 *
 * What survives what (DESIGN "Fencing"): the state folder survives everything; guests and io
 * survive the daemon; nothing of the rest survives the machine. A daemon that starts reads its
 * incarnation: one more on a new boot, or after a fence. A fenced node first kills its guests and
 * waits until io has drained.
 */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "cluster/agent.h"
#include "tests/sim/world.h"

struct io;
struct keeper;

struct node {
    struct world *world;
    size_t number;
    char name[16];

    /* the machine */
    bool up, paused;
    int64_t boot;
    int64_t drift_ppm, clock_true_us, clock_local_us; /* what it showed at a true time */
    int64_t wall_offset_ms;
    int64_t last_pause_ms; /* what the clock showed when it was paused last; 0: never */
    struct process kernel; /* runs while the machine does */

    /* the state folder */
    struct {
        int64_t boot, incarnation;
        int64_t rejoins; /* an incarnation whose end is not committed yet; 0: none */
        bool promised;
    } state;

    /* the daemon */
    struct process daemon;
    struct agent *agent;
    int64_t tick_ms; /* the earliest one that is posted */
    int64_t start;
    int64_t until_stop_ms, until_kill_ms; /* as told to io last, this incarnation */
    bool fenced;
    int64_t fenced_ms, loses_until_ms;
    int64_t store_away_until_us;

    bool renewing;                /* a renewal is on its way */
    struct agent_outlet diverted; /* takes the place of sending and asking when not NULL */

    struct process io_process;
    struct io *io;
    struct keeper *keeper; /* of the daemon; NULL in a plain world */
};

void nodes_new(struct world *world);
void nodes_stop(struct world *world);
void nodes_free(struct world *world);
struct node *node_find(struct world *world, const char *name);

/* --- the machine --- */

void node_power_on(struct node *node);
void node_crash(struct node *node);
void node_pause(struct node *node);
void node_resume(struct node *node);
bool node_runs(const struct node *node); /* up, not paused */
int64_t node_local_us(const struct node *node);
int64_t node_now_ms(const struct node *node);
/* True time that passes until the boot clock shows `local_us`, if nothing stops it. */
int64_t node_until_us(const struct node *node, int64_t local_us);

/* Its machine was paused after the renewal was sent by which it serves: its clock does not know
 * that it is late. What it does until it next looks is not covered (DESIGN "Takeover"). */
bool node_is_zombie(const struct node *node);
/* The same of its io, which may drain what is under way for a little longer. */
bool node_drains_as_zombie(const struct node *node);

/* --- the daemon --- */

void node_start_daemon(struct node *node, int64_t delay_us);
void node_kill_daemon(struct node *node);
void node_freeze(struct process *process);
void node_thaw(struct process *process);
void node_receive(struct node *node, const char *from, const uint8_t *data, size_t size);

#endif
