/*
 * requirement.c - what a node must meet to be primary (MISSION §7.2, §7.8): its own configuration
 * and measurements, each with value, limit and verdict. The cluster's limit on software is `level`
 * in /cluster.
 */
#include "cluster/agent_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_REQUIREMENT "vios-db"
#define CLOCK_OFFSET_MAX_MS 10000
#define CLOCK_HEARD_MS 5000 /* older offsets do not count */

static void require_store(const struct agent *agent, int64_t now_ms, struct agent_fact *fact)
{
    fact->passes = agent->renewal.renewed_ms > 0 && alive_store_ok(agent, now_ms) &&
                   agent_may_commit(agent, now_ms);
    snprintf(fact->name, sizeof fact->name, STORE_REQUIREMENT);
    snprintf(fact->limit, sizeof fact->limit, "writable");
    if (!agent_may_commit(agent, now_ms)) {
        snprintf(fact->value, sizeof fact->value, "bound by promises for %" PRId64 " ms",
                 agent->banned_until_ms - now_ms);
    } else {
        snprintf(fact->value, sizeof fact->value, "%s",
                 fact->passes ? "writable" : "the renewal fails");
    }
}

static void require_sub_cluster(const struct agent *agent, int64_t now_ms, struct agent_fact *fact)
{
    const struct own_side *side = partition_own_side(agent, now_ms);
    bool lost = agent_lost_split(agent);
    snprintf(fact->name, sizeof fact->name, "sub-cluster");
    snprintf(fact->limit, sizeof fact->limit, "the winning one");
    fact->passes = side->wins && !lost;
    snprintf(fact->value, sizeof fact->value, "%zu of %zu live nodes, rule %s%s", side->members,
             side->count, split_rule_name(side->rule), lost ? ", lost a split" : "");
}

static void require_level(const struct agent *agent, struct agent_fact *fact)
{
    int64_t level = roster_cluster(agent->roster)->level;
    fact->passes = agent->level >= level;
    snprintf(fact->name, sizeof fact->name, "level");
    snprintf(fact->value, sizeof fact->value, "%" PRId64, agent->level);
    snprintf(fact->limit, sizeof fact->limit, "at least %" PRId64, level);
}

static int compare_offsets(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Against the middle one of those heard: one wrong clock does not make the others unfit. */
static void require_clock(const struct agent *agent, int64_t now_ms, struct agent_fact *fact)
{
    int64_t offsets[MATRIX_NEIGHBOURS + 1] = {0}; /* our own */
    size_t heard = 1, count;
    const uint16_t *neighbours = matrix_neighbours(agent->matrix, &count);
    for (size_t i = 0; i < count; i++) {
        const struct peer *peer = &agent->peers[neighbours[i]];
        if (peer->heard_ms > 0 && now_ms - peer->heard_ms < CLOCK_HEARD_MS) {
            offsets[heard++] = peer->clock_offset_ms;
        }
    }
    qsort(offsets, heard, sizeof *offsets, compare_offsets);
    int64_t offset_ms = -offsets[heard / 2];
    fact->passes = offset_ms <= CLOCK_OFFSET_MAX_MS && offset_ms >= -CLOCK_OFFSET_MAX_MS;
    snprintf(fact->name, sizeof fact->name, "clock");
    snprintf(fact->value, sizeof fact->value, "%" PRId64 " ms off the others", offset_ms);
    snprintf(fact->limit, sizeof fact->limit, "at most %d ms", CLOCK_OFFSET_MAX_MS);
}

static void require_role(const struct agent *agent, struct agent_fact *fact)
{
    const struct roster_member *own =
        agent->own != ROSTER_NOBODY ? roster_member(agent->roster, agent->own) : NULL;
    const char *value = !own || !own->present ? "no member"
                        : own->witness        ? "witness"
                        : own->drained        ? "drained"
                        : agent->fenced       ? "fenced"
                                              : "member";
    fact->passes = strcmp(value, "member") == 0;
    snprintf(fact->name, sizeof fact->name, "role");
    snprintf(fact->value, sizeof fact->value, "%s", value);
    snprintf(fact->limit, sizeof fact->limit, "member, not drained");
}

size_t requirement_list(const struct agent *agent, int64_t now_ms,
                        struct agent_fact facts[REQUIREMENTS_MAX])
{
    size_t count = 0;
    require_role(agent, &facts[count++]);
    require_store(agent, now_ms, &facts[count++]);
    require_sub_cluster(agent, now_ms, &facts[count++]);
    require_level(agent, &facts[count++]);
    require_clock(agent, now_ms, &facts[count++]);
    for (size_t i = 0; i < agent->fact_count; i++) {
        facts[count++] = agent->facts[i];
    }
    return count;
}

static void write_reason(const struct agent_fact *fact, char why[AGENT_REASON_SIZE])
{
    snprintf(why, AGENT_REASON_SIZE, "%s: %.90s (%.50s)", fact->name, fact->value, fact->limit);
}

/* The first that does not pass, but for those called `except`. */
static bool all_pass(const struct agent *agent, int64_t now_ms, const char *except,
                     char why[AGENT_REASON_SIZE])
{
    struct agent_fact facts[REQUIREMENTS_MAX];
    size_t count = requirement_list(agent, now_ms, facts);
    for (size_t i = 0; i < count; i++) {
        if (!facts[i].passes && strcmp(facts[i].name, except) != 0) {
            write_reason(&facts[i], why);
            return false;
        }
    }
    return true;
}

bool requirement_met(const struct agent *agent, int64_t now_ms, char why[AGENT_REASON_SIZE])
{
    return all_pass(agent, now_ms, "", why);
}

bool requirement_met_on_record(const struct agent *agent, int64_t now_ms,
                               char why[AGENT_REASON_SIZE])
{
    return all_pass(agent, now_ms, STORE_REQUIREMENT, why);
}
