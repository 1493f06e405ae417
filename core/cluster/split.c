/* split.c - see split.h. */
#include "cluster/split.h"

#include <assert.h>
#include <string.h>

static bool hears(const struct split_node *nodes, size_t from, size_t to)
{
    for (size_t i = 0; i < nodes[from].hears_count; i++) {
        if (nodes[from].hears[i] == to) {
            return true;
        }
    }
    return false;
}

/* Everything that links working both ways reach from `first`. */
static void fill_side(const struct split_node *nodes, size_t count, size_t first, size_t side,
                      struct split_decision *decision)
{
    uint16_t queue[SPLIT_NODES_MAX];
    size_t head = 0, tail = 0;
    queue[tail++] = (uint16_t)first;
    decision->side[first] = side;
    while (head < tail) {
        size_t from = queue[head++];
        for (size_t i = 0; i < nodes[from].hears_count; i++) {
            size_t to = nodes[from].hears[i];
            if (to < count && decision->side[to] == SPLIT_NO_SIDE && hears(nodes, to, from)) {
                decision->side[to] = side;
                queue[tail++] = (uint16_t)to;
            }
        }
    }
}

static void find_sides(const struct split_node *nodes, size_t count,
                       struct split_decision *decision)
{
    decision->side_count = 0;
    for (size_t i = 0; i < count; i++) {
        decision->side[i] = SPLIT_NO_SIDE;
    }
    for (size_t i = 0; i < count; i++) {
        if (decision->side[i] == SPLIT_NO_SIDE) {
            fill_side(nodes, count, i, decision->side_count++, decision);
        }
    }
}

static bool side_commits(const struct split_node *nodes, size_t count, size_t side,
                         const struct split_decision *decision)
{
    for (size_t i = 0; i < count; i++) {
        if (decision->side[i] == side && nodes[i].commits) {
            return true;
        }
    }
    return false;
}

static size_t votes_of(size_t count, size_t side, const struct split_decision *decision)
{
    size_t votes = 0;
    for (size_t i = 0; i < count; i++) {
        votes += decision->side[i] == side;
    }
    return votes;
}

/* A side with more than half of all votes. */
static bool by_majority(const bool *able, size_t count, struct split_decision *decision)
{
    for (size_t side = 0; side < decision->side_count; side++) {
        if (able[side] && 2 * votes_of(count, side, decision) > count) {
            decision->winner = side;
            return true;
        }
    }
    return false;
}

static bool by_primary(const struct split_node *nodes, const bool *able, size_t count,
                       struct split_decision *decision)
{
    for (size_t i = 0; i < count; i++) {
        if (nodes[i].primary && able[decision->side[i]]) {
            decision->winner = decision->side[i];
            return true;
        }
    }
    return false;
}

void split_decide(const struct split_node *nodes, size_t count, struct split_decision *decision)
{
    bool able[SPLIT_NODES_MAX];
    size_t able_count = 0, first_able = SPLIT_NO_SIDE;
    assert(count <= SPLIT_NODES_MAX);
    find_sides(nodes, count, decision);
    for (size_t side = decision->side_count; side > 0; side--) {
        able[side - 1] = side_commits(nodes, count, side - 1, decision);
        able_count += able[side - 1];
        first_able = able[side - 1] ? side - 1 : first_able;
    }
    decision->winner = first_able; /* nodes are sorted: also the one with the lowest name */
    if (able_count == 0) {
        decision->rule = SPLIT_NO_STORE;
    } else if (decision->side_count == 1) {
        decision->rule = SPLIT_WHOLE;
    } else if (able_count == 1) {
        decision->rule = SPLIT_STORE;
    } else if (by_majority(able, count, decision)) {
        decision->rule = SPLIT_MAJORITY;
    } else if (by_primary(nodes, able, count, decision)) {
        decision->rule = SPLIT_PRIMARY;
    } else {
        decision->rule = SPLIT_LOWEST_NAME;
    }
}

const char *split_rule_name(enum split_rule rule)
{
    static const char *const names[] = {"whole",    "no-store", "store",
                                        "majority", "primary",  "lowest-name"};
    assert(rule <= SPLIT_LOWEST_NAME);
    return names[rule];
}
