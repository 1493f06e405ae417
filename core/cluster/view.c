/* view.c - the agent explained: objects for the commands `primary` and `cluster`. */
#include "cluster/agent_private.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *primary_record(const struct agent *agent)
{
    const char *text = roster_primary_json(agent->roster);
    return text ? json_loads(text, 0, NULL) : NULL;
}

static const char *primary_state(const struct agent *agent, int64_t now_ms)
{
    uint16_t number = roster_find(agent->roster, agent->primary);
    if (agent->primary[0] == '\0' || number == ROSTER_NOBODY) {
        return "none";
    }
    switch (agent_member_state(agent, agent->primary, now_ms)) {
    case MEMBER_UP:
    case MEMBER_DRAINED:
        return "committed";
    case MEMBER_SUSPECT:
        return "suspect";
    case MEMBER_DOWN:
        break;
    }
    return "lost";
}

json_t *agent_show_primary(const struct agent *agent, int64_t now_ms)
{
    json_t *record = primary_record(agent);
    bool listed = json_get_integer(record, "epoch") == agent->epoch;
    json_t *shown =
        json_pack("{s:s, s:I, s:s, s:s, s:s}", "node", agent->primary, "epoch",
                  (json_int_t)agent->epoch, "state", primary_state(agent, now_ms), "since",
                  listed ? json_get_word(record, "since") : "", "seen_by", agent->name);
    json_decref(record);
    return shown;
}

json_t *agent_show_history(const struct agent *agent)
{
    json_t *record = primary_record(agent);
    const json_t *kept = json_object_get(record, "history");
    json_t *history = json_is_array(kept) ? json_deep_copy(kept) : json_array();
    json_decref(record);
    return history;
}

static json_t *requirements(const struct agent *agent, int64_t now_ms)
{
    struct agent_fact facts[REQUIREMENTS_MAX];
    size_t count = requirement_list(agent, now_ms, facts);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b}", "name", facts[i].name,
                                              "value", facts[i].value, "limit", facts[i].limit,
                                              "passes", (int)facts[i].passes));
    }
    return list;
}

/* Who cannot be primary, by its own record, or passed the election on that goes on now. */
static json_t *declined(const struct agent *agent)
{
    json_t *list = json_array();
    size_t count;
    bool goes_on =
        agent->election.state != ELECTION_FOLLOWER && agent->election.state != ELECTION_PRIMARY;
    const uint16_t *present = roster_present(agent->roster, &count);
    for (size_t i = 0; i < count; i++) {
        const struct roster_member *member = roster_member(agent->roster, present[i]);
        const char *passed_on = agent->peers[present[i]].declined;
        const char *why = goes_on && passed_on[0] ? passed_on : member->unfit;
        if (why[0]) {
            json_array_append_new(list,
                                  json_pack("{s:s, s:s}", "node", member->name, "reason", why));
        }
    }
    return list;
}

static json_t *lock_view(const struct agent *agent, int64_t now_ms)
{
    const struct roster_primary *primary = roster_primary(agent->roster);
    if (primary->state != PRIMARY_LOCKING) {
        return json_null();
    }
    return json_pack("{s:s, s:I, s:I}", "node", primary->name, "epoch", (json_int_t)primary->epoch,
                     "age_ms", (json_int_t)(now_ms - primary->first_seen_ms));
}

static json_t *timer_view(const struct agent *agent, int64_t now_ms)
{
    int64_t due_ms = election_due_ms(agent);
    return due_ms == INT64_MAX ? json_null() : json_integer(due_ms > now_ms ? due_ms - now_ms : 0);
}

json_t *agent_explain_primary(const struct agent *agent, int64_t now_ms)
{
    char why[AGENT_REASON_SIZE];
    bool able = requirement_met(agent, now_ms, why);
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "node", agent->name,
                     "primary", agent->primary, "epoch", (json_int_t)agent->epoch, "election",
                     state_machine_name(&agent->election), "reason", agent->reason, "able",
                     (int)able, "requirements", requirements(agent, now_ms), "declined",
                     declined(agent), "lock", lock_view(agent, now_ms), "timer_ms",
                     timer_view(agent, now_ms), "history", agent_show_history(agent));
}

/* --- who hears whom --- */

/* The freshest row there is of `node`: its keep-alive's, else its record's; NULL: none. */
static const struct roster_row *row_of(const struct agent *agent, uint16_t node, int64_t now_ms,
                                       struct roster_row *buffer)
{
    if (node == agent->own) {
        matrix_row(agent->matrix, buffer, now_ms);
        return buffer;
    }
    if (matrix_hears(agent->matrix, node, now_ms)) {
        return matrix_peer_row(agent->matrix, node);
    }
    const struct roster_member *member = roster_member(agent->roster, node);
    bool fresh = member->revision > 0 && roster_age_ms(agent->roster, node) < agent->ttl_ms;
    return fresh ? &member->row : NULL;
}

static json_t *matrix_line(const struct agent *agent, const uint16_t *present, size_t count,
                           size_t place, int64_t now_ms)
{
    struct roster_row buffer;
    const char *name = roster_member(agent->roster, present[place])->name;
    const struct roster_row *row = row_of(agent, present[place], now_ms, &buffer);
    json_t *hears = json_array(), *deaf = json_array();
    for (size_t i = 0; i < count; i++) {
        enum member_state state =
            agent_member_state(agent, roster_member(agent->roster, present[i])->name, now_ms);
        bool named = row && roster_row_names(row, present[i]);
        json_t *list = named ? hears : row && state != MEMBER_DOWN ? deaf : NULL;
        if (list && matrix_are_neighbours(place, i, count)) {
            json_array_append_new(list,
                                  json_string(roster_member(agent->roster, present[i])->name));
        }
    }
    bool slow = present[place] == agent->own ? matrix_own_slow(agent->matrix, now_ms)
                                             : matrix_is_slow(agent->matrix, present[place]);
    return json_pack("{s:s, s:s, s:b, s:b, s:o, s:o}", "node", name, "state",
                     member_state_name(agent_member_state(agent, name, now_ms)), "known",
                     (int)(row != NULL), "slow", (int)slow, "hears", hears, "deaf_to", deaf);
}

json_t *agent_show_matrix(const struct agent *agent, int64_t now_ms)
{
    size_t count;
    const uint16_t *present = roster_present(agent->roster, &count);
    json_t *lines = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(lines, matrix_line(agent, present, count, i, now_ms));
    }
    return lines;
}

int64_t agent_take_missed(struct agent *agent, int64_t now_ms)
{
    size_t count;
    int64_t most = 0;
    const uint16_t *neighbours = matrix_neighbours(agent->matrix, &count);
    for (size_t i = 0; i < count; i++) {
        const char *name = roster_member(agent->roster, neighbours[i])->name;
        int64_t missed = matrix_take_missed(agent->matrix, neighbours[i], now_ms);
        bool down = agent_member_state(agent, name, now_ms) == MEMBER_DOWN;
        most = !down && missed > most ? missed : most;
    }
    return most;
}

/* --- what a split would bring --- */

#define SIDES_MAX 16

struct simulation {
    struct split_node nodes[SPLIT_NODES_MAX];
    uint16_t numbers[SPLIT_NODES_MAX];
    uint16_t hears[SPLIT_NODES_MAX][SPLIT_NODES_MAX];
    size_t side[SPLIT_NODES_MAX];
    size_t count;
    struct split_decision decision;
};

static int put_side(const struct agent *agent, struct simulation *simulation, const json_t *name,
                    size_t side, struct vios_error *error)
{
    const char *text = json_string_value(name);
    uint16_t number = text ? roster_find(agent->roster, text) : ROSTER_NOBODY;
    char object[96];
    snprintf(object, sizeof object, "node \"%.63s\"", text ? text : "");
    for (size_t i = 0; number != ROSTER_NOBODY && i < simulation->count; i++) {
        if (simulation->numbers[i] != number) {
            continue;
        }
        if (simulation->side[i] != SPLIT_NO_SIDE) {
            return error_set(error, VIOS_E_USAGE, object, "name each node once",
                             "it is named twice");
        }
        simulation->side[i] = side;
        return VIOS_OK;
    }
    bool member = number != ROSTER_NOBODY && roster_member(agent->roster, number)->present;
    return member ? error_set(error, VIOS_E_INVALID, object, "leave it out",
                              "it is down, and takes no part in a split")
                  : error_set(error, VIOS_E_NOT_FOUND, object, "see \"vios node list\"",
                              "there is no such node");
}

static int put_sides(const struct agent *agent, struct simulation *simulation, const json_t *sides,
                     struct vios_error *error)
{
    if (!json_is_array(sides) || json_array_size(sides) < 1 || json_array_size(sides) > SIDES_MAX) {
        return error_set(error, VIOS_E_USAGE, NULL, "try: vios cluster simulate split n1,n2/n3",
                         "a split has 1 to %d sides", SIDES_MAX);
    }
    for (size_t side = 0; side < json_array_size(sides); side++) {
        const json_t *names_of = json_array_get(sides, side);
        if (!json_is_array(names_of)) {
            return error_set(error, VIOS_E_USAGE, NULL, "try: vios cluster simulate split n1,n2/n3",
                             "a side is a list of names");
        }
        for (size_t i = 0; i < json_array_size(names_of); i++) {
            int status = put_side(agent, simulation, json_array_get(names_of, i), side, error);
            if (status != VIOS_OK) {
                return status;
            }
        }
    }
    return VIOS_OK;
}

static void collect_live(const struct agent *agent, struct simulation *simulation, int64_t now_ms)
{
    size_t count;
    const uint16_t *present = roster_present(agent->roster, &count);
    for (size_t i = 0; i < count && simulation->count < SPLIT_NODES_MAX; i++) {
        const struct roster_member *member = roster_member(agent->roster, present[i]);
        if (agent_member_state(agent, member->name, now_ms) != MEMBER_DOWN) {
            simulation->side[simulation->count] = SPLIT_NO_SIDE;
            simulation->numbers[simulation->count++] = present[i];
        }
    }
}

/* On its side each node hears all others. */
static void link_sides(const struct agent *agent, struct simulation *simulation)
{
    for (size_t i = 0; i < simulation->count; i++) {
        const struct roster_member *member = roster_member(agent->roster, simulation->numbers[i]);
        size_t hears_count = 0;
        for (size_t k = 0; k < simulation->count; k++) {
            if (k != i && simulation->side[k] == simulation->side[i]) {
                simulation->hears[i][hears_count++] = (uint16_t)k;
            }
        }
        simulation->nodes[i] =
            (struct split_node){.name = member->name,
                                .commits = true,
                                .primary = strcmp(member->name, agent->primary) == 0,
                                .hears = simulation->hears[i],
                                .hears_count = hears_count};
    }
}

static json_t *simulation_view(const struct agent *agent, const struct simulation *simulation)
{
    const struct split_decision *decision = &simulation->decision;
    json_t *sides = json_array(), *winner = json_array();
    for (size_t side = 0; side < decision->side_count; side++) {
        json_array_append_new(sides, json_array());
    }
    for (size_t i = 0; i < simulation->count; i++) {
        const char *name = roster_member(agent->roster, simulation->numbers[i])->name;
        json_array_append_new(json_array_get(sides, decision->side[i]), json_string(name));
        if (decision->side[i] == decision->winner) {
            json_array_append_new(winner, json_string(name));
        }
    }
    return json_pack("{s:s, s:o, s:o}", "rule", split_rule_name(decision->rule), "winner", winner,
                     "sides", sides);
}

int agent_simulate_split(const struct agent *agent, const json_t *sides, int64_t now_ms,
                         json_t **result, struct vios_error *error)
{
    struct simulation *simulation = calloc(1, sizeof *simulation);
    *result = NULL;
    if (!simulation) {
        return error_no_memory(error, NULL);
    }
    collect_live(agent, simulation, now_ms);
    int status = put_sides(agent, simulation, sides, error);
    if (status == VIOS_OK) {
        for (size_t i = 0; i < simulation->count; i++) {
            simulation->side[i] = simulation->side[i] == SPLIT_NO_SIDE ? 0 : simulation->side[i];
        }
        link_sides(agent, simulation);
        split_decide(simulation->nodes, simulation->count, &simulation->decision);
        *result = simulation_view(agent, simulation);
    }
    free(simulation);
    return status;
}
