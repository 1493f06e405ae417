/*
 * partition.c - watches for splits, and decides them (MISSION §4.3, DESIGN "Split").
 *
 * The facts are the rows in /alive of ONE listing, without those that stood still too long. A
 * decision needs the same sides for SPLIT_STABLE_MS, and of each side a record that changed since
 * they were seen first: a node that died a moment ago is no side. The primary of the winning side
 * commits it; the winning side elects one first when it has none. Decisions are SPLIT_PAUSE_MS
 * apart at least.
 */
#include "cluster/agent_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPLIT_STABLE_MS 2000
#define SPLIT_PAUSE_MS 30000
#define HASH_BASIS UINT64_C(0xcbf29ce484222325) /* FNV-1a, by words */

/* The facts are the members whose records changed lately, sorted by name; `numbers` are theirs in
 * the roster. */
struct partition {
    struct split_node nodes[SPLIT_NODES_MAX];
    uint16_t numbers[SPLIT_NODES_MAX];
    uint16_t hears[SPLIT_NODES_MAX][ROSTER_ROW_MAX];
    size_t count;
    struct split_decision decision;
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
    return (hash ^ word) * UINT64_C(0x100000001b3);
}

/* Of the TTL: a record that stood still for longer is no fact any more. */
static int64_t fresh_ms(const struct agent *agent)
{
    return agent->ttl_ms * 3 / 5;
}

static bool is_fact(const struct agent *agent, uint16_t number)
{
    const struct roster_member *member = roster_member(agent->roster, number);
    return member->revision > 0 && member->fence == FENCE_NONE &&
           roster_age_ms(agent->roster, number) < fresh_ms(agent);
}

/* The places in `numbers` of those in the row. */
static size_t translate_row(const struct partition *partition, const struct roster_row *row,
                            const uint16_t *place_of, uint16_t hears[ROSTER_ROW_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < row->count; i++) {
        uint16_t place = place_of[row->hears[i]];
        if (place < partition->count) {
            hears[count++] = place;
        }
    }
    return count;
}

/* What its keep-alives say; NULL: nothing, or nothing fresh. */
static const struct roster_row *heard_row(const struct agent *agent, uint16_t number,
                                          int64_t live_ms)
{
    return agent->peers[number].heard_ms > 0 && matrix_hears(agent->matrix, number, live_ms)
               ? matrix_peer_row(agent->matrix, number)
               : NULL;
}

/* As its record says or, at `live_ms`, as we know from its keep-alives and our own ears. */
static const struct roster_row *row_of(const struct agent *agent, uint16_t number, int64_t live_ms,
                                       struct roster_row *buffer)
{
    const struct roster_row *heard = NULL;
    if (live_ms > 0 && number == agent->own) {
        matrix_row(agent->matrix, buffer, live_ms);
        return buffer;
    }
    if (live_ms > 0) {
        heard = heard_row(agent, number, live_ms);
    }
    return heard ? heard : &roster_member(agent->roster, number)->row;
}

static void collect(const struct agent *agent, int64_t live_ms, struct partition *partition,
                    uint16_t *place_of)
{
    struct roster_row buffer;
    size_t present_count;
    const uint16_t *present = roster_present(agent->roster, &present_count);
    memset(place_of, 0xff, roster_count(agent->roster) * sizeof *place_of);
    for (size_t i = 0; i < present_count && partition->count < SPLIT_NODES_MAX; i++) {
        if (is_fact(agent, present[i])) {
            place_of[present[i]] = (uint16_t)partition->count;
            partition->numbers[partition->count++] = present[i];
        }
    }
    for (size_t i = 0; i < partition->count; i++) {
        const struct roster_member *member = roster_member(agent->roster, partition->numbers[i]);
        const struct roster_primary *primary = roster_primary(agent->roster);
        partition->nodes[i] = (struct split_node){
            .name = member->name,
            .commits = true,
            .primary =
                primary->state == PRIMARY_COMMITTED && primary->node == partition->numbers[i],
            .hears = partition->hears[i],
            .hears_count =
                translate_row(partition, row_of(agent, partition->numbers[i], live_ms, &buffer),
                              place_of, partition->hears[i])};
    }
}

/* By the records alone, on which all agree, or at `live_ms` > 0 by what this node knows besides: it
 * is the first to know of a split. free() it; NULL: no memory. */
static struct partition *partition_new(const struct agent *agent, int64_t live_ms)
{
    struct partition *partition = calloc(1, sizeof *partition);
    size_t count = roster_count(agent->roster);
    uint16_t *place_of = malloc((count > 0 ? count : 1) * sizeof *place_of);
    if (partition && place_of) {
        collect(agent, live_ms, partition, place_of);
        split_decide(partition->nodes, partition->count, &partition->decision);
    } else {
        free(partition);
        partition = NULL;
    }
    free(place_of);
    return partition;
}

static uint64_t mix_row(uint64_t hash, const struct roster_row *row)
{
    hash = mix(hash, row->count);
    for (size_t i = 0; i < row->count; i++) {
        hash = mix(hash, row->hears[i]);
    }
    return hash;
}

/* Of all that partition_new() goes by beside the listing. */
static uint64_t live_signature(const struct agent *agent, int64_t live_ms)
{
    struct roster_row own;
    size_t count;
    const uint16_t *neighbours = matrix_neighbours(agent->matrix, &count);
    matrix_row(agent->matrix, &own, live_ms);
    uint64_t hash = mix_row(HASH_BASIS, &own);
    for (size_t i = 0; i < count; i++) {
        const struct roster_row *row = heard_row(agent, neighbours[i], live_ms);
        hash = row ? mix_row(mix(hash, neighbours[i]), row) : mix(hash, ROSTER_NOBODY);
    }
    return hash;
}

/* SPLIT_NO_SIDE: it takes no part. */
static size_t side_of(const struct partition *partition, uint16_t number)
{
    for (size_t i = 0; i < partition->count; i++) {
        if (partition->numbers[i] == number) {
            return partition->decision.side[i];
        }
    }
    return SPLIT_NO_SIDE;
}

static bool wins(const struct partition *partition, uint16_t number)
{
    size_t side = side_of(partition, number);
    return side != SPLIT_NO_SIDE && side == partition->decision.winner;
}

static void find_own_side(const struct agent *agent, int64_t live_ms, struct own_side *side)
{
    struct partition *partition = partition_new(agent, live_ms);
    *side = (struct own_side){.rule = SPLIT_NO_STORE};
    if (!partition) {
        return;
    }
    size_t own = side_of(partition, agent->own);
    for (size_t i = 0; i < partition->count; i++) {
        side->members += own != SPLIT_NO_SIDE && partition->decision.side[i] == own;
    }
    side->known = true;
    side->count = partition->count;
    side->rule = partition->decision.rule;
    side->wins = wins(partition, agent->own);
    free(partition);
}

const struct own_side *partition_own_side(const struct agent *agent, int64_t now_ms)
{
    struct own_side *side = agent->own_side;
    uint64_t signature = live_signature(agent, now_ms);
    if (!side->known || side->signature != signature) {
        find_own_side(agent, now_ms, side);
        side->signature = signature;
    }
    return side;
}

/* The same for the same nodes on the same sides; 0: there is one side, or one is too new to judge.
 */
static uint64_t signature(const struct agent *agent, const struct partition *partition,
                          int64_t now_ms)
{
    uint64_t hash = HASH_BASIS;
    if (partition->decision.side_count < 2) {
        return 0;
    }
    for (size_t i = 0; i < partition->count; i++) {
        const struct roster_member *member = roster_member(agent->roster, partition->numbers[i]);
        if (now_ms - member->start_seen_ms < fresh_ms(agent)) {
            return 0;
        }
        hash = mix(mix(hash, partition->numbers[i]), partition->decision.side[i]);
    }
    return hash != 0 ? hash : 1;
}

static void tell_loss(struct agent *agent)
{
    const struct roster_split *split = roster_split(agent->roster);
    if (!agent_lost_split(agent) || agent->loses_split == split->number) {
        return;
    }
    agent->loses_split = split->number;
    agent_note(agent, "this node lost split %lld, and has %lld ms", (long long)split->number,
               (long long)split->allowed_ms);
    agent->outlet.notice(agent->outlet.context,
                         &(struct agent_notice){.kind = AGENT_LOSES,
                                                .epoch = split->number,
                                                .time_ms = split->allowed_ms});
}

/* Each side has renewed since the sides were seen: all of them live. */
static bool all_live(const struct agent *agent, const struct partition *partition)
{
    for (size_t side = 0; side < partition->decision.side_count; side++) {
        bool lives = false;
        for (size_t i = 0; i < partition->count; i++) {
            lives = lives || (partition->decision.side[i] == side &&
                              roster_member(agent->roster, partition->numbers[i])->first_seen_ms >
                                  agent->partition_since_ms);
        }
        if (!lives) {
            return false;
        }
    }
    return true;
}

static char *split_text(const struct agent *agent, const struct partition *partition)
{
    const struct split_decision *decision = &partition->decision;
    json_t *sides = json_array(), *losers = json_array();
    for (size_t side = 0; side < decision->side_count; side++) {
        json_array_append_new(sides, json_array());
    }
    for (size_t i = 0; i < partition->count; i++) {
        const struct roster_member *member = roster_member(agent->roster, partition->numbers[i]);
        json_array_append_new(json_array_get(sides, decision->side[i]), json_string(member->name));
        if (decision->side[i] != decision->winner) {
            json_array_append_new(losers,
                                  json_pack("{s:s, s:I}", "node", member->name, "incarnation",
                                            (json_int_t)member->incarnation));
        }
    }
    return agent_json_text(
        json_pack("{s:i, s:o, s:I, s:s, s:o, s:I, s:s, s:I}", "v", 1, "sides", sides, "winner",
                  (json_int_t)decision->winner, "rule", split_rule_name(decision->rule), "losers",
                  losers, "allowed_ms", (json_int_t)roster_cluster(agent->roster)->split_time_ms,
                  "by", agent->name, "epoch", (json_int_t)agent->epoch));
}

static bool commit_split(struct agent *agent, const struct partition *partition, int64_t now_ms)
{
    snprintf(agent->key, sizeof agent->key, "/split/%lld",
             (long long)roster_split(agent->roster)->number + 1);
    agent->text = split_text(agent, partition);
    struct agent_request request = {
        .kind = AGENT_COMMIT,
        .compares = {{.kind = STORE_ABSENT, .key = agent->key},
                     {.kind = STORE_REVISION_IS,
                      .key = "/primary",
                      .revision = agent->primary_revision}},
        .compare_count = 2,
        .changes = {{.key = agent->key, .json = agent->text}},
        .change_count = 1,
    };
    agent_note(agent, "deciding %s: rule %s", agent->key,
               split_rule_name(partition->decision.rule));
    return agent_request(agent, &request, CONTROL_SPLIT, now_ms);
}

/* The sides are the same for long enough, all of them live, and ours wins. */
static bool is_ours_to_decide(const struct agent *agent, const struct partition *partition,
                              int64_t now_ms)
{
    return agent->partition != 0 && now_ms - agent->partition_since_ms >= SPLIT_STABLE_MS &&
           signature(agent, partition, now_ms) == agent->partition && wins(partition, agent->own) &&
           all_live(agent, partition);
}

static bool primary_loses(const struct partition *partition)
{
    for (size_t i = 0; i < partition->count; i++) {
        if (partition->nodes[i].primary) {
            return partition->decision.side[i] != partition->decision.winner;
        }
    }
    return false;
}

void partition_listed(struct agent *agent, int64_t now_ms)
{
    struct partition *partition = partition_new(agent, 0);
    uint64_t seen = partition ? signature(agent, partition, now_ms) : 0;
    if (seen != agent->partition) {
        agent->partition = seen;
        agent->partition_since_ms = now_ms;
        if (seen != 0) {
            agent_note(agent, "the cluster is in %zu parts: rule %s",
                       partition->decision.side_count, split_rule_name(partition->decision.rule));
        }
    }
    agent->primary_loses =
        partition && is_ours_to_decide(agent, partition, now_ms) && primary_loses(partition);
    free(partition);
    tell_loss(agent);
}

bool partition_step(struct agent *agent, int64_t now_ms)
{
    const struct roster_split *last = roster_split(agent->roster);
    if (agent->partition == 0 ||
        (last->number > 0 && now_ms - last->first_seen_ms < SPLIT_PAUSE_MS)) {
        return false;
    }
    struct partition *partition = partition_new(agent, 0);
    bool sent = partition && is_ours_to_decide(agent, partition, now_ms) &&
                commit_split(agent, partition, now_ms);
    free(partition);
    return sent;
}

void partition_answered(struct agent *agent, const struct agent_answer *answer)
{
    agent->list_soon = agent->list_soon || agent_was_sent(answer->status);
}
