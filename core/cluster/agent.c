/*
 * agent.c - see agent.h: the agent's life, its messages, and the control lane, whose one request at
 * a time goes back to the part that made it.
 */
#include "cluster/agent_private.h"

#include "base/json.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_RETRY_MS 250 /* between two listings while a fresh one is needed */

/* --- life --- */

static bool agent_start(struct agent *agent, const struct agent_settings *settings, int64_t now_ms)
{
    agent->roster = roster_new(settings->name);
    agent->matrix = agent->roster ? matrix_new(agent->roster, settings->keepalive_ms) : NULL;
    agent->own_side = calloc(1, sizeof *agent->own_side);
    if (!agent->matrix || !agent->own_side) {
        return false;
    }
    agent->own = agent->deposed = agent->fencing = ROSTER_NOBODY;
    agent->due_ms = now_ms;
    agent->list_soon = true;
    agent->next_keepalive_ms = now_ms;
    agent->next_list_ms = now_ms;
    agent->promise_noted = settings->promised;
    agent->banned_until_ms = settings->promised ? now_ms + settings->ttl_ms : 0;
    alive_start(agent, settings, now_ms);
    election_start(agent);
    return true;
}

struct agent *agent_new(const struct agent_settings *settings, int64_t now_ms, int64_t wall_ms)
{
    struct agent *agent = calloc(1, sizeof *agent);
    if (!agent) {
        return NULL;
    }
    snprintf(agent->name, sizeof agent->name, "%s", settings->name);
    agent->level = settings->level;
    agent->ttl_ms = settings->ttl_ms;
    agent->keepalive_ms = settings->keepalive_ms;
    agent->recorder = settings->recorder;
    agent->outlet = settings->outlet;
    agent->wall_ms = wall_ms;
    agent->ticked_ms = now_ms;
    if (!agent_start(agent, settings, now_ms)) {
        agent_free(agent);
        return NULL;
    }
    return agent;
}

void agent_free(struct agent *agent)
{
    if (agent) {
        matrix_free(agent->matrix);
        roster_free(agent->roster);
        free(agent->peers);
        free(agent->own_side);
        free(agent->renewal_text);
        free(agent->rejoin_text);
        free(agent->text);
        free(agent);
    }
}

void agent_note(struct agent *agent, const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    recorder_note(agent->recorder, "cluster", "%s", text);
}

struct peer *agent_peer(struct agent *agent, uint16_t node)
{
    assert(node < agent->peer_count);
    return &agent->peers[node];
}

bool agent_lost_split(const struct agent *agent)
{
    return agent->own != ROSTER_NOBODY &&
           roster_member(agent->roster, agent->own)->incarnation == agent->renewal.incarnation &&
           roster_lost_split(agent->roster, agent->own);
}

char *agent_json_text(json_t *record)
{
    return json_into_text(record);
}

/* --- messages out --- */

void agent_fill_message(struct agent *agent, struct keepalive *message, int64_t now_ms)
{
    struct roster_row row;
    matrix_row(agent->matrix, &row, now_ms);
    *message = (struct keepalive){
        .kind = KEEPALIVE_ROW,
        .flags = (matrix_own_slow(agent->matrix, now_ms) ? KEEPALIVE_SLOW : 0u) |
                 (alive_store_ok(agent, now_ms) ? KEEPALIVE_STORE_OK : 0u),
        .incarnation = (uint64_t)agent->renewal.incarnation,
        .start = (uint64_t)agent->renewal.start,
        .epoch = (uint64_t)agent->epoch,
        .wall_ms = agent->wall_ms > 0 ? agent->wall_ms : 0,
        .members = roster_members_hash(agent->roster),
        .row_count = row.count,
    };
    snprintf(message->primary, sizeof message->primary, "%s", agent->primary);
    for (size_t i = 0; i < row.count; i++) {
        const struct roster_member *member = roster_member(agent->roster, row.hears[i]);
        snprintf(message->row[i], sizeof message->row[i], "%s", member->name);
    }
}

void agent_send(struct agent *agent, uint16_t node, const struct keepalive *message)
{
    uint8_t data[KEEPALIVE_SIZE_MAX];
    size_t size = keepalive_write(message, data);
    agent->outlet.send(agent->outlet.context, roster_member(agent->roster, node)->name, data, size);
}

void agent_broadcast(struct agent *agent, const struct keepalive *message)
{
    size_t count;
    const uint16_t *present = roster_present(agent->roster, &count);
    for (size_t i = 0; i < count; i++) {
        if (present[i] != agent->own) {
            agent_send(agent, present[i], message);
        }
    }
}

static void send_keepalives(struct agent *agent, int64_t now_ms)
{
    struct keepalive message;
    size_t count;
    const uint16_t *neighbours = matrix_neighbours(agent->matrix, &count);
    agent_fill_message(agent, &message, now_ms);
    for (size_t i = 0; i < count; i++) {
        agent_send(agent, neighbours[i], &message);
    }
    matrix_row(agent->matrix, &agent->row, now_ms);
    agent->next_keepalive_ms = now_ms + agent->keepalive_ms;
}

/* Contact with a neighbour was lost: whoever is in contact is told at once (MISSION §4.2). */
static bool lost_contact(struct agent *agent, int64_t now_ms)
{
    for (size_t i = 0; i < agent->row.count; i++) {
        uint16_t node = agent->row.hears[i];
        if (!matrix_hears(agent->matrix, node, now_ms)) {
            agent_note(agent, "contact with %s is lost", roster_member(agent->roster, node)->name);
            return true;
        }
    }
    return false;
}

/* --- the control lane --- */

bool control_idle(const struct agent *agent, int64_t now_ms)
{
    return agent->purpose == CONTROL_NONE && agent_may_commit(agent, now_ms) && !agent->fenced;
}

bool agent_request(struct agent *agent, struct agent_request *request, enum control_purpose purpose,
                   int64_t now_ms)
{
    assert(agent->purpose == CONTROL_NONE);
    for (size_t i = 0; i < request->change_count; i++) {
        if (!request->changes[i].json) {
            return false; /* no memory: tried again by whoever wants it */
        }
    }
    agent->purpose = purpose;
    agent->asked_ms = now_ms;
    request->lane = AGENT_CONTROL;
    agent->outlet.request(agent->outlet.context, request);
    return true;
}

bool agent_was_sent(int status)
{
    return status == VIOS_OK || status == VIOS_E_CONFLICT || status == VIOS_E_UNKNOWN;
}

static void list(struct agent *agent, int64_t now_ms)
{
    struct agent_request request = {.kind = AGENT_LIST};
    agent->list_soon = false;
    agent->next_list_ms = now_ms + agent->ttl_ms / AGENT_RENEWALS_PER_TTL;
    agent_request(agent, &request, CONTROL_LIST, now_ms);
}

static void list_if_soon(struct agent *agent, int64_t now_ms)
{
    if (agent->list_soon && agent->purpose == CONTROL_NONE) {
        list(agent, now_ms);
    }
}

static bool grow_peers(struct agent *agent)
{
    size_t count = roster_count(agent->roster);
    if (count <= agent->peer_count) {
        return true;
    }
    struct peer *peers = realloc(agent->peers, count * sizeof *peers);
    if (!peers) {
        return false;
    }
    memset(peers + agent->peer_count, 0, (count - agent->peer_count) * sizeof *peers);
    agent->peers = peers;
    agent->peer_count = count;
    return true;
}

static void tell_states(struct agent *agent, int64_t now_ms)
{
    for (size_t i = 0; i < agent->peer_count; i++) {
        const struct roster_member *member = roster_member(agent->roster, (uint16_t)i);
        struct peer *peer = &agent->peers[i];
        enum member_state state = agent_member_state(agent, member->name, now_ms);
        if (!member->present || (peer->state_told && peer->state == state)) {
            continue;
        }
        peer->state = state;
        peer->state_told = true;
        agent_note(agent, "node %s is %s", member->name, member_state_name(state));
        agent->outlet.notice(
            agent->outlet.context,
            &(struct agent_notice){.kind = AGENT_NODE_STATE, .node = member->name, .state = state});
    }
}

/* The store was away, or this node stood still: nobody is judged by that time. */
static void pass_over_gap(struct agent *agent, int64_t now_ms)
{
    int64_t usual_ms = agent->ttl_ms / AGENT_RENEWALS_PER_TTL;
    int64_t gap_ms = agent->asked_ms - agent->listed_ms;
    if (roster_listed(agent->roster) && gap_ms > 2 * usual_ms) {
        agent_note(agent, "nothing was listed for %lld ms", (long long)gap_ms);
        roster_unseen(agent->roster, gap_ms - usual_ms);
    }
    agent->listed_ms = now_ms;
}

static void listed(struct agent *agent, const struct roster_listing *listing, int64_t now_ms)
{
    bool first = !roster_listed(agent->roster);
    pass_over_gap(agent, now_ms);
    agent->own_side->known = false;
    if (!roster_update(agent->roster, listing, agent->asked_ms, now_ms) || !grow_peers(agent)) {
        return;
    }
    agent->own = roster_find(agent->roster, agent->name);
    matrix_arrange(agent->matrix, agent->own, now_ms);
    if (first) {
        promise_recall(agent);
    }
    alive_listed(agent);
    partition_listed(agent, now_ms);
    election_listed(agent, now_ms);
    tell_states(agent, now_ms);
}

/* What a primary does next, when the lane is free: one commit at a time, then it looks again. */
static void act_as_primary(struct agent *agent, int64_t now_ms)
{
    if (agent->election.state == ELECTION_PRIMARY && control_idle(agent, now_ms) &&
        agent_is_primary(agent, now_ms) && !partition_step(agent, now_ms)) {
        fence_step(agent, now_ms);
    }
}

void agent_list_soon(struct agent *agent)
{
    agent->list_soon = true;
}

void agent_answered(struct agent *agent, const struct agent_answer *answer, int64_t now_ms)
{
    if (answer->lane == AGENT_RENEWAL) {
        alive_answered(agent, answer, now_ms);
        return;
    }
    enum control_purpose purpose = agent->purpose;
    agent->purpose = CONTROL_NONE;
    free(agent->text);
    agent->text = NULL;
    switch (purpose) {
    case CONTROL_NONE:
        assert(false);
        break;
    case CONTROL_LIST:
        if (answer->status == VIOS_OK) {
            listed(agent, answer->listing, now_ms);
            act_as_primary(agent, now_ms);
        } else if (agent->fresh_after_ms > 0) {
            agent->next_list_ms = now_ms + LIST_RETRY_MS;
        }
        break;
    case CONTROL_FENCE:
        fence_answered(agent, answer);
        break;
    case CONTROL_SPLIT:
        partition_answered(agent, answer);
        break;
    case CONTROL_LOCK:
    case CONTROL_COMMIT:
    case CONTROL_RESIGN:
        election_answered(agent, purpose, answer, now_ms);
        break;
    }
    election_step(agent, now_ms);
    list_if_soon(agent, now_ms);
}

/* --- messages in --- */

/* The member of that name: most often the one that was in its place in the row before, `likely`. */
static uint16_t find_member(const struct agent *agent, const char *name, uint16_t likely)
{
    if (likely != ROSTER_NOBODY && strcmp(roster_member(agent->roster, likely)->name, name) == 0) {
        return likely;
    }
    return roster_find(agent->roster, name);
}

static void read_row(const struct agent *agent, uint16_t from, const struct keepalive *message,
                     int64_t now_ms, struct roster_row *row)
{
    const struct roster_row *last =
        matrix_hears(agent->matrix, from, now_ms) ? matrix_peer_row(agent->matrix, from) : NULL;
    row->count = 0;
    for (size_t i = 0; i < message->row_count; i++) {
        uint16_t likely = last && i < last->count ? last->hears[i] : ROSTER_NOBODY;
        uint16_t number = find_member(agent, message->row[i], likely);
        if (number != ROSTER_NOBODY) {
            row->hears[row->count++] = number;
        }
    }
}

static void hear(struct agent *agent, uint16_t from, const struct keepalive *message,
                 int64_t now_ms)
{
    struct peer *peer = agent_peer(agent, from);
    struct roster_row row;
    read_row(agent, from, message, now_ms, &row);
    if (!roster_row_names(&agent->row, from) && matrix_is_neighbour(agent->matrix, from) &&
        agent->row.count < ROSTER_ROW_MAX) {
        agent_note(agent, "contact with %s", roster_member(agent->roster, from)->name);
        agent->row.hears[agent->row.count++] = from; /* told with the next keep-alive */
    }
    matrix_heard(agent->matrix, from, &row, message->flags & KEEPALIVE_SLOW, now_ms);
    peer->heard_ms = now_ms;
    peer->clock_offset_ms = message->wall_ms - (agent->wall_ms + now_ms - agent->ticked_ms);
    if (message->flags & KEEPALIVE_STORE_OK) {
        peer->store_bad_since_ms = 0;
    } else if (peer->store_bad_since_ms == 0) {
        peer->store_bad_since_ms = now_ms;
    }
}

static void dispatch(struct agent *agent, uint16_t number, const struct keepalive *message,
                     int64_t now_ms)
{
    switch (message->kind) {
    case KEEPALIVE_ROW:
        break;
    case KEEPALIVE_ELECT:
        election_asked(agent, number, message);
        break;
    case KEEPALIVE_RESIGNED:
        election_resigned(agent, message);
        break;
    case KEEPALIVE_PROMISE_ASK:
        promise_asked(agent, number, message, now_ms);
        break;
    case KEEPALIVE_PROMISE:
        promise_given(agent, number, message);
        break;
    }
}

bool agent_receive(struct agent *agent, const char *from, const uint8_t *data, size_t size,
                   int64_t now_ms)
{
    struct keepalive message;
    if (!keepalive_read(&message, data, size)) {
        return false;
    }
    uint16_t number = roster_find(agent->roster, from);
    if (number == ROSTER_NOBODY || number == agent->own || number >= agent->peer_count ||
        !roster_member(agent->roster, number)->present) {
        agent->list_soon = agent->list_soon || number == ROSTER_NOBODY; /* it may have joined */
        return true;
    }
    hear(agent, number, &message, now_ms);
    election_heard(agent, number, &message, now_ms);
    dispatch(agent, number, &message, now_ms);
    election_step(agent, now_ms);
    list_if_soon(agent, now_ms); /* a hand-over waits for no tick */
    return true;
}

/* --- time --- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void agent_tick(struct agent *agent, int64_t now_ms, int64_t wall_ms)
{
    int64_t late_ms = now_ms - agent->due_ms;
    agent->wall_ms = wall_ms;
    agent->ticked_ms = now_ms;
    if (late_ms > agent->keepalive_ms) {
        agent_note(agent, "this node was %lld ms late", (long long)late_ms);
        matrix_late(agent->matrix, late_ms, now_ms);
    }
    if (now_ms >= agent->next_keepalive_ms || lost_contact(agent, now_ms)) {
        send_keepalives(agent, now_ms);
    }
    alive_tick(agent, now_ms);
    promise_tick(agent, now_ms);
    election_step(agent, now_ms);
    if (agent->purpose == CONTROL_NONE && (agent->list_soon || now_ms >= agent->next_list_ms)) {
        list(agent, now_ms);
    }
    /* Contact that is lost is seen half a keep-alive later at most. */
    agent->due_ms = earlier(agent->next_keepalive_ms, now_ms + agent->keepalive_ms / 2);
    agent->due_ms = earlier(agent->due_ms, election_due_ms(agent));
    agent->due_ms = agent->due_ms > now_ms ? agent->due_ms : now_ms + 1;
}

int64_t agent_due_ms(const struct agent *agent)
{
    return agent->due_ms;
}

/* --- looking --- */

static void keep_printable(char *text)
{
    for (; *text; text++) {
        *text = *text >= ' ' && *text <= '~' ? *text : '?';
    }
}

/* They go into records and messages, which a character cut in two would make impossible. */
void agent_set_facts(struct agent *agent, const struct agent_fact *facts, size_t count)
{
    assert(count <= AGENT_FACTS_MAX);
    for (size_t i = 0; i < count; i++) {
        agent->facts[i] = facts[i];
        keep_printable(agent->facts[i].name);
        keep_printable(agent->facts[i].value);
        keep_printable(agent->facts[i].limit);
    }
    agent->fact_count = count;
}

const struct roster *agent_roster(const struct agent *agent)
{
    return agent->roster;
}

const struct matrix *agent_matrix(const struct agent *agent)
{
    return agent->matrix;
}

int64_t agent_until_stop_ms(const struct agent *agent)
{
    return agent->until_stop_ms;
}

bool agent_may_commit(const struct agent *agent, int64_t now_ms)
{
    return now_ms >= agent->banned_until_ms;
}

int64_t agent_clock_offset_ms(const struct agent *agent, const char *name)
{
    uint16_t number = roster_find(agent->roster, name);
    return number < agent->peer_count ? agent->peers[number].clock_offset_ms : 0;
}

/* down: fenced, or its record stood still for the TTL. suspect: it stood still for 3/5 of that, was
 * never seen to change, or neither we nor anybody we hear hears it. */
enum member_state agent_member_state(const struct agent *agent, const char *name, int64_t now_ms)
{
    uint16_t number = roster_find(agent->roster, name);
    if (number == ROSTER_NOBODY || !roster_member(agent->roster, number)->present) {
        return MEMBER_DOWN;
    }
    const struct roster_member *member = roster_member(agent->roster, number);
    int64_t age_ms = roster_age_ms(agent->roster, number);
    if (member->fence != FENCE_NONE || age_ms >= agent->ttl_ms) {
        return MEMBER_DOWN;
    }
    if ((!member->changed && number != agent->own) || age_ms >= agent->ttl_ms * 3 / 5 ||
        matrix_lost(agent->matrix, number, now_ms)) {
        return MEMBER_SUSPECT;
    }
    return member->drained ? MEMBER_DRAINED : MEMBER_UP;
}
