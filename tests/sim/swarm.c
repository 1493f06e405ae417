/* swarm.c - see swarm.h. */
#include "tests/sim/swarm.h"

#include <string.h>

#define SECOND INT64_C(1000000)

static const char *const FEATURE_NAMES[FEATURES] = {
    "loss",   "cuts",    "partitions", "store-slow", "store-unknown", "store-away", "drift",
    "pauses", "freezes", "kills",      "crashes",    "stalls",        "slow-disks", "admin"};

static const char *const FAULT_NAMES[FAULT_KINDS] = {
    "cut",           "partition",  "store-away",      "store-away-node", "store-slow",   "pause",
    "freeze-daemon", "freeze-io",  "kill-daemon",     "kill-io",         "crash",        "jump",
    "resign",        "stop-guest", "hibernate-guest", "start-guest",     "restart-guest"};

static const enum swarm_feature FEATURE_OF[FAULT_KINDS] = {
    [FAULT_CUT] = FEATURE_CUTS,
    [FAULT_PARTITION] = FEATURE_PARTITIONS,
    [FAULT_STORE_AWAY] = FEATURE_STORE_AWAY,
    [FAULT_STORE_AWAY_NODE] = FEATURE_STORE_AWAY,
    [FAULT_STORE_SLOW] = FEATURE_STORE_SLOW,
    [FAULT_PAUSE] = FEATURE_PAUSES,
    [FAULT_FREEZE_DAEMON] = FEATURE_FREEZES,
    [FAULT_FREEZE_IO] = FEATURE_FREEZES,
    [FAULT_KILL_DAEMON] = FEATURE_KILLS,
    [FAULT_KILL_IO] = FEATURE_KILLS,
    [FAULT_CRASH] = FEATURE_CRASHES,
    [FAULT_JUMP] = FEATURE_DRIFT,
    [FAULT_RESIGN] = FEATURE_ADMIN,
    [FAULT_STOP_GUEST] = FEATURE_ADMIN,
    [FAULT_HIBERNATE_GUEST] = FEATURE_ADMIN,
    [FAULT_START_GUEST] = FEATURE_ADMIN,
    [FAULT_RESTART_GUEST] = FEATURE_ADMIN,
};

const char *swarm_feature_name(enum swarm_feature feature)
{
    return FEATURE_NAMES[feature];
}

int swarm_feature_find(const char *name)
{
    for (int i = 0; i < FEATURES; i++) {
        if (strcmp(FEATURE_NAMES[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *fault_name(enum fault_kind kind)
{
    return FAULT_NAMES[kind];
}

static void draw_sizes(struct swarm *swarm, struct random *random)
{
    static const size_t NODES[] = {3, 3, 3, 4, 4, 5, 5, 5, 6, 7, 9, 15};
    swarm->nodes = NODES[random_below(random, sizeof NODES / sizeof NODES[0])];
    swarm->lpars = (size_t)random_between(random, 1, SWARM_LPARS_MAX);
    swarm->witness = random_chance(random, 150000);
    swarm->ttl_ms = 5000;
    swarm->keepalive_ms = 200;
    swarm->faults_end_us = random_between(random, 25, 55) * SECOND;
    for (size_t i = 0; i < SWARM_LPARS_MAX; i++) {
        swarm->clone[i] = random_chance(random, 500000);
    }
}

static void draw_rates(struct swarm *swarm, struct random *random)
{
    static const int64_t DEADLINES_MS[] = {500, 1000, 2000, 4000};
    static const int64_t DRIFTS[] = {50, 1000, 10000, 30000};
    swarm->loss_ppm = random_magnitude(random, 1000, 300000);
    swarm->duplicate_ppm = random_magnitude(random, 1000, 100000);
    swarm->latency_us = random_magnitude(random, 50, 5000);
    swarm->jitter_us = random_magnitude(random, 50, 200000);
    swarm->store_latency_us = random_magnitude(random, 200, 4000);
    swarm->store_deadline_us = DEADLINES_MS[random_below(random, 4)] * 1000;
    swarm->slow_us = random_magnitude(random, 20000, 3 * SECOND);
    swarm->lost_request_ppm = random_magnitude(random, 1000, 200000);
    swarm->lost_answer_ppm = random_magnitude(random, 1000, 200000);
    swarm->late_ppm = random_magnitude(random, 1000, 200000);
    swarm->late_us = random_magnitude(random, SECOND / 2, 20 * SECOND);
    swarm->drift_ppm = DRIFTS[random_below(random, 4)];
    swarm->stall_ppm = random_magnitude(random, 500, 30000);
    swarm->stall_us = random_magnitude(random, SECOND, 40 * SECOND);
    swarm->disk_us = random_magnitude(random, 1000, 2 * SECOND);
}

/* Rates of what is switched off are harmless. */
static void apply_features(struct swarm *swarm)
{
    if (!swarm->on[FEATURE_LOSS]) {
        swarm->loss_ppm = swarm->duplicate_ppm = 0;
        swarm->latency_us = swarm->jitter_us = 200;
    }
    if (!swarm->on[FEATURE_STORE_SLOW]) {
        swarm->slow_us = 0;
    }
    if (!swarm->on[FEATURE_STORE_UNKNOWN]) {
        swarm->lost_request_ppm = swarm->lost_answer_ppm = swarm->late_ppm = 0;
    }
    if (!swarm->on[FEATURE_DRIFT]) {
        swarm->drift_ppm = 0;
    }
    if (!swarm->on[FEATURE_STALLS]) {
        swarm->stall_ppm = 0;
    }
    if (!swarm->on[FEATURE_SLOW_DISKS]) {
        swarm->disk_us = 2000;
    }
}

static void draw_fault(struct swarm *swarm, struct random *random, int64_t weight_all,
                       const int64_t *weights)
{
    struct fault *fault = &swarm->faults[swarm->fault_count++];
    int64_t ticket = random_below(random, weight_all);
    int kind = 0;
    while (ticket >= weights[kind]) {
        ticket -= weights[kind++];
    }
    *fault = (struct fault){
        .kind = (enum fault_kind)kind,
        .feature = FEATURE_OF[kind],
        .at_us = random_between(random, 2 * SECOND, swarm->faults_end_us),
        .for_us = random_magnitude(random, SECOND / 5, 25 * SECOND),
        .node = (size_t)random_below(random, (int64_t)swarm->nodes),
        .other = (size_t)random_below(random, (int64_t)swarm->nodes),
        .lpar = (size_t)random_below(random, (int64_t)swarm->lpars),
    };
    if (fault->kind == FAULT_PARTITION) {
        fault->other = (size_t)random_between(random, 1, (INT64_C(1) << swarm->nodes) - 2);
    }
}

static void draw_faults(struct swarm *swarm, struct random *random)
{
    int64_t weights[FAULT_KINDS], all = 0;
    for (int i = 0; i < FAULT_KINDS; i++) {
        weights[i] = random_magnitude(random, 1, 16);
        weights[i] = swarm->on[FEATURE_OF[i]] ? weights[i] : 0;
        all += weights[i];
    }
    int64_t count = random_magnitude(random, 4, 40);
    for (int64_t i = 0; all > 0 && i < count; i++) {
        draw_fault(swarm, random, all, weights);
    }
}

/* The draws are the same whatever is left out, so that a smaller run stays alike. */
void swarm_draw(struct swarm *swarm, uint64_t seed, const struct swarm_cut *cut)
{
    struct random random = random_split(seed, 1);
    memset(swarm, 0, sizeof *swarm);
    draw_sizes(swarm, &random);
    draw_rates(swarm, &random);
    int64_t share = random_between(&random, 15, 85);
    for (int i = 0; i < FEATURES; i++) {
        swarm->on[i] = random_below(&random, 100) < share;
    }
    draw_faults(swarm, &random);
    for (int i = 0; cut && i < FEATURES; i++) {
        swarm->on[i] = swarm->on[i] && !cut->off[i];
    }
    apply_features(swarm);
    for (size_t i = 0; i < swarm->fault_count; i++) {
        struct fault *fault = &swarm->faults[i];
        bool dropped = !swarm->on[fault->feature] || (cut && cut->dropped[i]);
        fault->kind = dropped ? FAULT_KINDS : fault->kind;
    }
}

void swarm_print(FILE *file, const struct swarm *swarm, const struct swarm_cut *cut)
{
    fprintf(file, "%zu nodes%s, %zu guests, features:", swarm->nodes,
            swarm->witness ? " (the last a witness)" : "", swarm->lpars);
    for (int i = 0; i < FEATURES; i++) {
        if (swarm->on[i]) {
            fprintf(file, " %s", FEATURE_NAMES[i]);
        }
    }
    fprintf(file, "\n");
    for (size_t i = 0; i < swarm->fault_count; i++) {
        const struct fault *fault = &swarm->faults[i];
        if (fault->kind != FAULT_KINDS) {
            fprintf(file, "  fault %2zu at %6.3f s for %6.3f s: %s n%zu %zu l%zu\n", i,
                    (double)fault->at_us / 1e6, (double)fault->for_us / 1e6,
                    FAULT_NAMES[fault->kind], fault->node + 1, fault->other, fault->lpar + 1);
        }
    }
    fprintf(file, "  left out:");
    for (int i = 0; i < FEATURES; i++) {
        if (cut->off[i]) {
            fprintf(file, " --off %s", FEATURE_NAMES[i]);
        }
    }
    for (size_t i = 0; i < swarm->fault_count; i++) {
        if (cut->dropped[i]) {
            fprintf(file, " --drop %zu", i);
        }
    }
    fprintf(file, "\n");
}
