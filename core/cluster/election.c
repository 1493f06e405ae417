/*
 * election.c - the autonomous election of the primary (MISSION §7), on the agent.
 *
 * REQUIRED waits for a listing asked for after the need was seen. CHECKING looks at the
 * requirements: not met, the next node of the elector list (the names in order, from this one on)
 * is told, and this one is ELECTOR; met, the lock. LOCKING compares and sets /primary to {me,
 * epoch + 1, locking}; while another's lock is younger than the timer the node is WAITING.
 * COMMITTING sets it to committed. After an unknown outcome the record itself tells: a lock with
 * our name and start is ours. Nobody waits for the old primary: each of its writes compares the
 * revision of /primary, which has changed.
 */
#include "cluster/agent_private.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ELECTION_TIMER_KEEPALIVES 5 /* a lock older than so many keep-alives may be taken */
#define ELECTOR_KEEPALIVES 2        /* then an elector looks again at its own requirements */
#define STORE_BAD_KEEPALIVES 10     /* a primary that cannot renew for so long is not one */
#define UNJUST_MS 10000 /* a primary given up as lost and heard again within it was there */

static const char LOST[] = "is heard by nobody";

static const struct state_row STATES[] = {
    [ELECTION_FOLLOWER] = {"FOLLOWER", STATE_BIT(ELECTION_REQUIRED)},
    [ELECTION_REQUIRED] = {"REQUIRED", STATE_BIT(ELECTION_FOLLOWER) | STATE_BIT(ELECTION_CHECKING) |
                                           STATE_BIT(ELECTION_WAITING)},
    [ELECTION_CHECKING] = {"CHECKING", STATE_BIT(ELECTION_ELECTOR) | STATE_BIT(ELECTION_WAITING) |
                                           STATE_BIT(ELECTION_LOCKING) |
                                           STATE_BIT(ELECTION_COMMITTING)},
    [ELECTION_ELECTOR] = {"ELECTOR", STATE_BIT(ELECTION_FOLLOWER) | STATE_BIT(ELECTION_REQUIRED)},
    [ELECTION_LOCKING] = {"LOCKING", STATE_BIT(ELECTION_COMMITTING) | STATE_BIT(ELECTION_WAITING) |
                                         STATE_BIT(ELECTION_REQUIRED)},
    [ELECTION_WAITING] = {"WAITING", STATE_BIT(ELECTION_FOLLOWER) | STATE_BIT(ELECTION_REQUIRED)},
    [ELECTION_COMMITTING] = {"COMMITTING", STATE_BIT(ELECTION_PRIMARY) |
                                               STATE_BIT(ELECTION_WAITING) |
                                               STATE_BIT(ELECTION_REQUIRED)},
    [ELECTION_PRIMARY] = {"PRIMARY", STATE_BIT(ELECTION_FOLLOWER) | STATE_BIT(ELECTION_RESIGNING)},
    [ELECTION_RESIGNING] = {"RESIGNING",
                            STATE_BIT(ELECTION_FOLLOWER) | STATE_BIT(ELECTION_PRIMARY)},
};

void election_start(struct agent *agent)
{
    snprintf(agent->election_name, sizeof agent->election_name, "election %s", agent->name);
    state_machine_start(&agent->election, agent->election_name, STATES,
                        sizeof STATES / sizeof STATES[0], ELECTION_FOLLOWER, agent->recorder);
}

static void move(struct agent *agent, enum election_state state, const char *reason)
{
    state_machine_move(&agent->election, (int)state, reason);
}

static void look_again(struct agent *agent, const char *why, int64_t now_ms)
{
    agent->fresh_after_ms = now_ms;
    agent->list_soon = true;
    move(agent, ELECTION_REQUIRED, why);
}

static int64_t timer_of(const struct agent *agent)
{
    return ELECTION_TIMER_KEEPALIVES * agent->keepalive_ms;
}

/* --- who is primary --- */

/* The election in which they passed on is over. */
static void forget_declined(struct agent *agent)
{
    for (size_t i = 0; i < agent->peer_count; i++) {
        agent->peers[i].declined[0] = '\0';
    }
}

/* The committed primary, as far as this node knows, is now `name` at `epoch`. */
static void set_primary(struct agent *agent, const char *name, int64_t epoch)
{
    if (epoch < agent->epoch || (epoch == agent->epoch && strcmp(name, agent->primary) == 0)) {
        return;
    }
    snprintf(agent->primary, sizeof agent->primary, "%s", name);
    agent->epoch = epoch;
    agent_note(agent, name[0] ? "primary is %s, epoch %lld" : "no primary%s, epoch %lld", name,
               (long long)epoch);
    forget_declined(agent);
    agent->outlet.notice(
        agent->outlet.context,
        &(struct agent_notice){.kind = AGENT_NEW_PRIMARY, .node = agent->primary, .epoch = epoch});
}

static bool is_own(const struct agent *agent, const struct roster_primary *primary)
{
    return strcmp(primary->name, agent->name) == 0 && primary->start == agent->renewal.start &&
           primary->incarnation == agent->renewal.incarnation;
}

const char *agent_primary(const struct agent *agent, int64_t *epoch)
{
    *epoch = agent->epoch;
    return agent->primary;
}

int64_t agent_primary_revision(const struct agent *agent)
{
    return agent->election.state == ELECTION_PRIMARY ? agent->primary_revision : 0;
}

bool agent_is_primary(const struct agent *agent, int64_t now_ms)
{
    return agent->election.state == ELECTION_PRIMARY && now_ms < agent->until_stop_ms;
}

/* --- is one required? --- */

/* A neighbour that others hear and we do not says in its record that it hears `node`: a cut that
 * has been noticed by half, not a death. */
static bool may_be_heard(const struct agent *agent, uint16_t node, int64_t now_ms)
{
    size_t count;
    const uint16_t *neighbours = matrix_neighbours(agent->matrix, &count);
    for (size_t i = 0; i < count; i++) {
        uint16_t other = neighbours[i];
        if (other != node && !matrix_hears(agent->matrix, other, now_ms) &&
            !matrix_lost(agent->matrix, other, now_ms) &&
            roster_row_names(&roster_member(agent->roster, other)->row, node)) {
            return true;
        }
    }
    return false;
}

static const char *holder_fails(struct agent *agent, const struct roster_primary *primary,
                                int64_t now_ms)
{
    const struct roster_member *holder = roster_member(agent->roster, primary->node);
    const struct peer *peer = agent_peer(agent, primary->node);
    if (!holder->present) {
        return "was removed";
    }
    if (holder->fence != FENCE_NONE) {
        return "is fenced";
    }
    if (holder->revision > 0 && holder->incarnation != primary->incarnation) {
        return "came back as another incarnation";
    }
    if (holder->drained) {
        return NULL; /* it resigns by itself */
    }
    if (roster_lost_split(agent->roster, primary->node)) {
        return "lost a split";
    }
    if (roster_age_ms(agent->roster, primary->node) >= agent->ttl_ms) {
        return "does not renew";
    }
    if (matrix_lost(agent->matrix, primary->node, now_ms) &&
        !may_be_heard(agent, primary->node, now_ms)) {
        return LOST;
    }
    /* Who hears nobody has the word of the record alone. */
    if (!matrix_hears(agent->matrix, primary->node, now_ms) &&
        matrix_is_neighbour(agent->matrix, primary->node) &&
        roster_age_ms(agent->roster, primary->node) >= agent->ttl_ms * 3 / 5) {
        return LOST;
    }
    if (agent->primary_loses) {
        return "is on the losing side of a split";
    }
    if (peer->store_bad_since_ms > 0 && alive_store_ok(agent, now_ms) &&
        now_ms - peer->store_bad_since_ms > STORE_BAD_KEEPALIVES * agent->keepalive_ms) {
        return "cannot reach the VIOS DB";
    }
    return NULL;
}

/* NULL: there is a primary. A newer one than the listing has, told by others, counts. */
static const char *why_required(struct agent *agent, int64_t now_ms)
{
    const struct roster_primary *primary = roster_primary(agent->roster);
    if (!roster_listed(agent->roster) || agent->epoch > primary->epoch) {
        return NULL; /* the next listing has it */
    }
    switch (primary->state) {
    case PRIMARY_NONE:
        return "has never been";
    case PRIMARY_RESIGNED:
        return "resigned";
    case PRIMARY_LOCKING:
        return "is being elected";
    case PRIMARY_COMMITTED:
        break;
    }
    if (strcmp(primary->name, agent->name) == 0) {
        return is_own(agent, primary) && agent->election.state == ELECTION_PRIMARY
                   ? NULL
                   : "was this node, before it began anew";
    }
    return primary->node == ROSTER_NOBODY ? "is no member" : holder_fails(agent, primary, now_ms);
}

/* A fresh listing must show that one is required still. When the record itself says so, the one at
 * hand will do: who has written it since makes our lock fail. */
static void require(struct agent *agent, const char *why, int64_t now_ms)
{
    const struct roster_primary *primary = roster_primary(agent->roster);
    bool vacant = primary->state == PRIMARY_NONE || primary->state == PRIMARY_RESIGNED;
    snprintf(agent->reason, sizeof agent->reason, "%.63s %.90s",
             primary->name[0] ? primary->name : "a primary", why);
    agent->required_ms = now_ms;
    agent->fresh_after_ms = vacant ? roster_asked_ms(agent->roster) : now_ms;
    agent->list_soon = agent->list_soon || !vacant;
    if (strcmp(why, LOST) == 0) {
        agent->deposed = primary->node;
        agent->deposed_start = primary->start;
        agent->deposed_ms = now_ms;
    }
    move(agent, ELECTION_REQUIRED, agent->reason);
}

/* --- the lock --- */

int64_t election_locked_until_ms(const struct agent *agent)
{
    const struct roster_primary *primary = roster_primary(agent->roster);
    if (primary->state == PRIMARY_LOCKING && !is_own(agent, primary)) {
        return primary->first_seen_ms + timer_of(agent);
    }
    bool to_another = primary->to[0] && strcmp(primary->to, agent->name) != 0;
    bool by_us = primary->epoch == agent->locked_epoch;
    if (primary->state == PRIMARY_RESIGNED && (to_another || by_us)) {
        return primary->first_seen_ms + timer_of(agent); /* it is the others' turn */
    }
    return 0;
}

/* The history of the record before, with this election behind it. */
static json_t *history_with(const struct agent *agent, json_t *entry)
{
    json_t *history = agent_show_history(agent);
    if (entry) {
        json_array_append_new(history, entry);
    }
    while (json_array_size(history) > ROSTER_HISTORY_MAX) {
        json_array_remove(history, 0);
    }
    return history;
}

/* How long an election took is told by who won it: since a primary was required there. */
static char *primary_text(const struct agent *agent, const char *state, int64_t epoch,
                          int64_t now_ms)
{
    char since[CLOCK_TEXT_SIZE];
    bool committed = strcmp(state, "committed") == 0;
    clock_format(agent->wall_ms, since);
    json_int_t took_ms = now_ms - agent->required_ms;
    json_t *entry = committed ? json_pack("{s:I, s:s, s:s, s:s, s:I}", "epoch", (json_int_t)epoch,
                                          "node", agent->name, "since", since, "reason",
                                          agent->reason, "took_ms", took_ms)
                              : NULL;
    return agent_json_text(json_pack(
        "{s:i, s:s, s:I, s:I, s:I, s:s, s:s, s:o}", "v", 1, "node", agent->name, "incarnation",
        (json_int_t)agent->renewal.incarnation, "start", (json_int_t)agent->renewal.start, "epoch",
        (json_int_t)epoch, "state", state, "since", since, "history", history_with(agent, entry)));
}

/* Writes /primary if it is still what was listed. */
static bool write_primary(struct agent *agent, char *text, int64_t revision,
                          enum control_purpose purpose, int64_t now_ms)
{
    agent->text = text;
    if (!agent_may_commit(agent, now_ms)) {
        return false;
    }
    struct agent_request request = {
        .kind = AGENT_COMMIT,
        .compares = {{.kind = revision > 0 ? STORE_REVISION_IS : STORE_ABSENT,
                      .key = "/primary",
                      .revision = revision},
                     {.kind = STORE_ABSENT, .key = agent->fence_key}},
        .compare_count = 2,
        .changes = {{.key = "/primary", .json = text}},
        .change_count = 1,
    };
    return agent_request(agent, &request, purpose, now_ms);
}

static void lock(struct agent *agent, int64_t now_ms)
{
    const struct roster_primary *primary = roster_primary(agent->roster);
    move(agent, ELECTION_LOCKING, "the requirements are met");
    if (!write_primary(agent, primary_text(agent, "locking", primary->epoch + 1, now_ms),
                       primary->revision, CONTROL_LOCK, now_ms)) {
        look_again(agent, "it may not commit now", now_ms);
    }
}

/* `epoch` and `revision` are those of our lock. */
static void commit(struct agent *agent, int64_t epoch, int64_t revision, int64_t now_ms)
{
    agent->locked_epoch = epoch;
    move(agent, ELECTION_COMMITTING, "the lock is ours");
    if (!write_primary(agent, primary_text(agent, "committed", epoch, now_ms), revision,
                       CONTROL_COMMIT, now_ms)) {
        look_again(agent, "it may not commit now", now_ms);
    }
}

static void become_primary(struct agent *agent, int64_t epoch, int64_t revision, int64_t now_ms)
{
    struct keepalive message;
    agent->primary_revision = revision;
    move(agent, ELECTION_PRIMARY, agent->reason);
    set_primary(agent, agent->name, epoch);
    agent_fill_message(agent, &message, now_ms);
    agent_broadcast(agent, &message); /* MISSION §7.7 */
    agent->list_soon = true;
}

static void wait_for(struct agent *agent, int64_t until_ms, const char *why)
{
    agent->timer_ms = until_ms;
    move(agent, ELECTION_WAITING, why);
}

/* --- discovery: somebody else must --- */

/* The next on the elector list that is heard and may be primary. */
static uint16_t next_elector(const struct agent *agent, int64_t now_ms)
{
    size_t count, place = 0;
    const uint16_t *present = roster_present(agent->roster, &count);
    while (place < count && present[place] != agent->own) {
        place++;
    }
    for (size_t i = 1; i < count; i++) {
        uint16_t node = present[(place + i) % count];
        const struct roster_member *member = roster_member(agent->roster, node);
        if (!member->witness && !member->drained && matrix_hears(agent->matrix, node, now_ms)) {
            return node;
        }
    }
    return ROSTER_NOBODY;
}

static void become_elector(struct agent *agent, const char *why, int64_t now_ms)
{
    uint16_t next = next_elector(agent, now_ms);
    if (agent->own != ROSTER_NOBODY) {
        snprintf(agent_peer(agent, agent->own)->declined, AGENT_REASON_SIZE, "%s", why);
    }
    if (next != ROSTER_NOBODY) {
        struct keepalive message;
        agent_fill_message(agent, &message, now_ms);
        message.kind = KEEPALIVE_ELECT;
        snprintf(message.reason, sizeof message.reason, "%s", why);
        agent_send(agent, next, &message);
    }
    agent->timer_ms = now_ms + ELECTOR_KEEPALIVES * agent->keepalive_ms;
    move(agent, ELECTION_ELECTOR, why);
}

void election_asked(struct agent *agent, uint16_t from, const struct keepalive *message)
{
    snprintf(agent_peer(agent, from)->declined, AGENT_REASON_SIZE, "%.150s", message->reason);
    agent_note(agent, "%s declined to be primary: %s", roster_member(agent->roster, from)->name,
               message->reason);
    /* Whether one is required is seen for ourselves; only the looking is hastened. */
    if (agent->election.state == ELECTION_FOLLOWER) {
        agent->list_soon = true;
    }
}

/* --- steps --- */

static void check(struct agent *agent, int64_t now_ms)
{
    char why[AGENT_REASON_SIZE];
    const struct roster_primary *primary = roster_primary(agent->roster);
    int64_t locked_until_ms = election_locked_until_ms(agent);
    move(agent, ELECTION_CHECKING, "the listing is fresh");
    if (primary->state != PRIMARY_NONE && primary->state != PRIMARY_RESIGNED &&
        is_own(agent, primary)) {
        commit(agent, primary->epoch, primary->revision, now_ms);
    } else if (agent->own == ROSTER_NOBODY || !requirement_met(agent, now_ms, why)) {
        become_elector(agent, agent->own == ROSTER_NOBODY ? "no member" : why, now_ms);
    } else if (now_ms < locked_until_ms) {
        wait_for(agent, locked_until_ms, "another holds the lock");
    } else {
        lock(agent, now_ms);
    }
}

static bool is_fresh(const struct agent *agent)
{
    return roster_listed(agent->roster) && agent->fresh_after_ms > 0 &&
           roster_asked_ms(agent->roster) >= agent->fresh_after_ms;
}

static void step_required(struct agent *agent, int64_t now_ms)
{
    if (!is_fresh(agent)) {
        return;
    }
    if (!why_required(agent, now_ms)) {
        agent->fresh_after_ms = 0;
        move(agent, ELECTION_FOLLOWER, "there is a primary");
    } else if (control_idle(agent, now_ms) && !agent->foreign) {
        agent->fresh_after_ms = 0;
        check(agent, now_ms);
    }
}

static void step_primary(struct agent *agent, int64_t now_ms)
{
    const struct roster_member *own = roster_member(agent->roster, agent->own);
    bool must = own->drained || own->witness || agent_lost_split(agent);
    if (!(agent->resign_asked || must) || !control_idle(agent, now_ms)) {
        return;
    }
    if (!agent->resign_asked) {
        agent->resign_to[0] = '\0';
    }
    agent->resign_asked = false;
    json_t *record = json_pack("{s:i, s:s, s:I, s:s, s:s, s:o}", "v", 1, "node", "", "epoch",
                               (json_int_t)agent->epoch, "state", "resigned", "to",
                               agent->resign_to, "history", history_with(agent, NULL));
    if (write_primary(agent, agent_json_text(record), agent->primary_revision, CONTROL_RESIGN,
                      now_ms)) {
        move(agent, ELECTION_RESIGNING,
             own->drained ? "it is drained"
             : must       ? "it lost a split"
                          : "it was asked to");
    }
}

void election_step(struct agent *agent, int64_t now_ms)
{
    const char *why;
    switch ((enum election_state)agent->election.state) {
    case ELECTION_FOLLOWER:
        why = why_required(agent, now_ms);
        if (why && agent->own != ROSTER_NOBODY && agent->renewal.renewed_ms > 0 && !agent->fenced) {
            require(agent, why, now_ms);
            step_required(agent, now_ms);
        }
        break;
    case ELECTION_REQUIRED:
        step_required(agent, now_ms);
        break;
    case ELECTION_ELECTOR:
    case ELECTION_WAITING:
        if (!why_required(agent, now_ms)) {
            move(agent, ELECTION_FOLLOWER, "there is a primary");
        } else if (now_ms >= agent->timer_ms) {
            look_again(agent, "the election timer expired", now_ms);
        }
        break;
    case ELECTION_PRIMARY:
        step_primary(agent, now_ms);
        break;
    case ELECTION_CHECKING:
    case ELECTION_LOCKING:
    case ELECTION_COMMITTING:
    case ELECTION_RESIGNING:
        break; /* the store answers */
    }
}

int64_t election_due_ms(const struct agent *agent)
{
    bool timed =
        agent->election.state == ELECTION_ELECTOR || agent->election.state == ELECTION_WAITING;
    return timed ? agent->timer_ms : INT64_MAX;
}

/* The listing says who is primary; a primary that is no more finds out here. */
void election_listed(struct agent *agent, int64_t now_ms)
{
    const struct roster_primary *primary = roster_primary(agent->roster);
    bool mine = primary->state == PRIMARY_COMMITTED && is_own(agent, primary);
    if (primary->state == PRIMARY_COMMITTED) {
        set_primary(agent, primary->name, primary->epoch);
    } else if (primary->state == PRIMARY_RESIGNED && primary->epoch >= agent->epoch) {
        set_primary(agent, "", primary->epoch);
    }
    if (agent->election.state == ELECTION_FOLLOWER && !why_required(agent, now_ms)) {
        forget_declined(agent); /* it was wanted for a moment, and the old primary is there */
    }
    if (agent->election.state == ELECTION_PRIMARY) {
        if (!mine && primary->revision != agent->primary_revision) {
            move(agent, ELECTION_FOLLOWER, "another was elected");
        }
    } else if (mine && agent->election.state == ELECTION_REQUIRED && is_fresh(agent)) {
        /* It was committed, and the answer was lost. */
        agent->fresh_after_ms = 0;
        move(agent, ELECTION_CHECKING, "the record is ours");
        move(agent, ELECTION_COMMITTING, "it was committed");
        become_primary(agent, primary->epoch, primary->revision, now_ms);
    }
}

static void answered_resign(struct agent *agent, int status, int64_t now_ms)
{
    if (status == VIOS_OK) {
        struct keepalive message;
        int64_t epoch = agent->epoch;
        move(agent, ELECTION_FOLLOWER, "it resigned");
        set_primary(agent, "", epoch);
        agent_fill_message(agent, &message, now_ms);
        message.kind = KEEPALIVE_RESIGNED;
        snprintf(message.name, sizeof message.name, "%s", agent->resign_to);
        agent_broadcast(agent, &message);
    } else {
        /* Done or not, the listing tells; a conflict means that another was elected. */
        move(agent, ELECTION_PRIMARY, "the outcome is not known to be done");
    }
    agent->list_soon = true;
}

void election_answered(struct agent *agent, enum control_purpose purpose,
                       const struct agent_answer *answer, int64_t now_ms)
{
    int64_t epoch = roster_primary(agent->roster)->epoch;
    if (purpose == CONTROL_RESIGN) {
        answered_resign(agent, answer->status, now_ms);
    } else if (answer->status == VIOS_E_CONFLICT) {
        wait_for(agent, now_ms + timer_of(agent), "another was faster");
        agent->list_soon = true;
    } else if (!agent_was_sent(answer->status)) {
        wait_for(agent, now_ms + timer_of(agent), "the VIOS DB does not take it");
    } else if (answer->status != VIOS_OK) {
        look_again(agent, "the outcome is unknown", now_ms);
    } else if (purpose == CONTROL_LOCK) {
        commit(agent, epoch + 1, answer->revision, now_ms);
    } else {
        become_primary(agent, agent->locked_epoch, answer->revision, now_ms);
    }
}

/* --- what others say --- */

void election_heard(struct agent *agent, uint16_t from, const struct keepalive *message,
                    int64_t now_ms)
{
    if (agent->deposed == from && agent->deposed_ms > 0 &&
        (int64_t)message->start == agent->deposed_start && now_ms - agent->deposed_ms < UNJUST_MS) {
        agent_note(agent, "%s was given up too early", roster_member(agent->roster, from)->name);
        matrix_widen(agent->matrix, now_ms);
        agent->deposed_ms = 0;
    }
    int64_t epoch = (int64_t)message->epoch;
    if (epoch > agent->epoch && message->primary[0]) {
        set_primary(agent, message->primary, epoch);
        agent->list_soon = true;
    }
}

void election_resigned(struct agent *agent, const struct keepalive *message)
{
    if ((int64_t)message->epoch >= agent->epoch) {
        agent->list_soon = true;
    }
}

int agent_resign(struct agent *agent, const char *to, struct vios_error *error)
{
    char object[96];
    uint16_t number = to ? roster_find(agent->roster, to) : ROSTER_NOBODY;
    const struct roster_member *member =
        number != ROSTER_NOBODY ? roster_member(agent->roster, number) : NULL;
    if (agent->election.state != ELECTION_PRIMARY) {
        snprintf(object, sizeof object, "node \"%.63s\"", agent->name);
        return error_set(error, VIOS_E_CONFLICT, object, "run it on the primary",
                         "it is not the primary, %s is",
                         agent->primary[0] ? agent->primary : "nobody");
    }
    if (to) {
        snprintf(object, sizeof object, "node \"%.63s\"", to);
    }
    if (to && (!member || !member->present)) {
        return error_set(error, VIOS_E_NOT_FOUND, object, "see \"vios node list\"",
                         "there is no such node");
    }
    if (to && (member->witness || member->drained || member->unfit[0])) {
        return error_set(error, VIOS_E_INVALID, object, "see \"vios primary explain\" there",
                         "it cannot be primary: %s",
                         member->witness   ? "it is a witness"
                         : member->drained ? "it is drained"
                                           : member->unfit);
    }
    if (to && number == agent->own) {
        return error_set(error, VIOS_E_INVALID, object, "name another node, or none",
                         "it is the primary already");
    }
    agent->resign_asked = true;
    snprintf(agent->resign_to, sizeof agent->resign_to, "%s", to ? to : "");
    return VIOS_OK;
}
