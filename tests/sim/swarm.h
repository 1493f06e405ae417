/*
 * swarm.h - what one seed does to its cluster. Each seed switches features on or off and picks
 * their rates ("swarm testing"), so that rare combinations are covered deeply instead of all of
 * them shallowly. What happens when is a list, made before the run: a failing run is shrunk by
 * leaving out features and entries of that list.
 */
#ifndef SIM_SWARM_H
#define SIM_SWARM_H

#include "tests/sim/random.h"

#include <stddef.h>
#include <stdio.h>

#define SWARM_FAULTS_MAX 96
#define SWARM_LPARS_MAX 4

enum swarm_feature {
    FEATURE_LOSS,          /* datagrams are lost, delayed, doubled */
    FEATURE_CUTS,          /* one-way cuts of links */
    FEATURE_PARTITIONS,    /* the nodes fall apart */
    FEATURE_STORE_SLOW,    /* answers take their time */
    FEATURE_STORE_UNKNOWN, /* answers, or requests, are lost, or land late */
    FEATURE_STORE_AWAY,    /* for all, or for one node */
    FEATURE_DRIFT,         /* clocks drift, wall clocks jump */
    FEATURE_PAUSES,        /* machines stand still, and their clocks with them */
    FEATURE_FREEZES,       /* SIGSTOP of daemon or io */
    FEATURE_KILLS,         /* kill -9 of daemon or io */
    FEATURE_CRASHES,       /* whole machines */
    FEATURE_STALLS,        /* between two steps of a guest's write */
    FEATURE_SLOW_DISKS,
    FEATURE_ADMIN, /* guests are started, stopped, hibernated, moved */
    FEATURES
};

enum fault_kind {
    FAULT_CUT, /* node does not hear other */
    FAULT_PARTITION,
    FAULT_STORE_AWAY,
    FAULT_STORE_AWAY_NODE,
    FAULT_STORE_SLOW,
    FAULT_PAUSE,
    FAULT_FREEZE_DAEMON,
    FAULT_FREEZE_IO,
    FAULT_KILL_DAEMON,
    FAULT_KILL_IO,
    FAULT_CRASH,
    FAULT_JUMP,
    FAULT_RESIGN,
    FAULT_STOP_GUEST,
    FAULT_HIBERNATE_GUEST,
    FAULT_START_GUEST,
    FAULT_RESTART_GUEST, /* its QEMU is killed */
    FAULT_KINDS
};

struct fault {
    enum fault_kind kind;
    enum swarm_feature feature;
    int64_t at_us, for_us;
    size_t node, other; /* numbers; of a partition the bits of one side */
    size_t lpar;
};

struct swarm {
    bool on[FEATURES];
    size_t nodes, lpars;
    bool witness; /* the last node is one */
    int64_t ttl_ms, keepalive_ms;
    int64_t faults_end_us;
    int64_t loss_ppm, duplicate_ppm, latency_us, jitter_us;
    int64_t store_latency_us, store_deadline_us, slow_us;
    int64_t lost_request_ppm, lost_answer_ppm, late_ppm, late_us;
    int64_t drift_ppm;
    int64_t stall_ppm, stall_us;
    int64_t disk_us;
    bool clone[SWARM_LPARS_MAX]; /* the pool makes new inodes at takeover, else waits */
    struct fault faults[SWARM_FAULTS_MAX];
    size_t fault_count;
};

/* What is left out of a seed; all zero: nothing. */
struct swarm_cut {
    bool off[FEATURES];
    bool dropped[SWARM_FAULTS_MAX];
};

void swarm_draw(struct swarm *swarm, uint64_t seed, const struct swarm_cut *cut);
const char *swarm_feature_name(enum swarm_feature feature);
int swarm_feature_find(const char *name); /* -1: there is none */
const char *fault_name(enum fault_kind kind);
void swarm_print(FILE *file, const struct swarm *swarm, const struct swarm_cut *cut);

#endif
