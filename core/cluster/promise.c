/*
 * promise.c - how guests go on while the store is away from everybody (DESIGN "The store is away").
 *
 * A node that cannot renew asks every configured member for a promise: that it commits nothing but
 * its own renewal for a TTL. When all have given one, nobody can fence this node meanwhile, so it
 * may serve for TTL - margin from the sending of the round's first question. A member promises only
 * while its own renewals fail, only for the incarnation that it last read, only to a node that
 * knows the same members, never to one that it knows to be fenced, and never to one for which it
 * sent a fence that was not known to have come to nothing. A fence has a sender, and the sender is
 * among those asked; only one who was removed since is not.
 */
#include "cluster/agent_private.h"

#include <stdio.h>
#include <string.h>

/* --- asking --- */

static void begin_round(struct agent *agent, int64_t now_ms)
{
    agent->round++;
    agent->round_started_ms = now_ms;
    for (size_t i = 0; i < agent->peer_count; i++) {
        agent->peers[i].promised = false;
    }
}

static void end_outage(struct agent *agent, int64_t now_ms)
{
    agent->round_started_ms = 0;
    if (agent->by_promises) {
        agent->by_promises = false;
        agent_note(agent, "the store is back: no promises are needed");
        agent->outlet.notice(agent->outlet.context,
                             &(struct agent_notice){.kind = AGENT_PROMISES, .node = "off"});
    }
    if (agent->promise_noted && now_ms >= agent->banned_until_ms &&
        agent->outlet.promised(agent->outlet.context, false)) {
        agent->promise_noted = false;
    }
}

static bool all_promised(const struct agent *agent)
{
    size_t count;
    const uint16_t *present = roster_present(agent->roster, &count);
    for (size_t i = 0; i < count; i++) {
        if (present[i] != agent->own && !agent->peers[present[i]].promised) {
            return false;
        }
    }
    return count > 0;
}

static void look_at_round(struct agent *agent)
{
    if (agent->round_started_ms == 0 || !all_promised(agent)) {
        return;
    }
    if (!agent->by_promises) {
        agent->by_promises = true;
        agent_note(agent, "the store is away, every member promised: guests go on");
        agent->outlet.notice(agent->outlet.context,
                             &(struct agent_notice){.kind = AGENT_PROMISES, .node = "on"});
    }
    alive_serve(agent, agent->round_started_ms);
}

static void ask(struct agent *agent, int64_t now_ms)
{
    struct keepalive message;
    size_t count;
    const uint16_t *present = roster_present(agent->roster, &count);
    agent_fill_message(agent, &message, now_ms);
    message.kind = KEEPALIVE_PROMISE_ASK;
    message.round = agent->round;
    for (size_t i = 0; i < count; i++) {
        if (present[i] != agent->own && !agent->peers[present[i]].promised) {
            agent_send(agent, present[i], &message);
        }
    }
}

void promise_tick(struct agent *agent, int64_t now_ms)
{
    if (alive_store_ok(agent, now_ms)) {
        end_outage(agent, now_ms);
        return;
    }
    bool may = agent->own != ROSTER_NOBODY && !agent->fenced && !agent->foreign &&
               agent->renewal.renewed_ms > 0;
    if (!may || now_ms < agent->next_ask_ms) {
        return;
    }
    agent->next_ask_ms = now_ms + agent->keepalive_ms;
    if (agent->round_started_ms == 0 ||
        now_ms - agent->round_started_ms >= agent->ttl_ms / AGENT_RENEWALS_PER_TTL) {
        begin_round(agent, now_ms);
    }
    ask(agent, now_ms);
    look_at_round(agent); /* a node that is alone has nobody to ask */
}

void promise_given(struct agent *agent, uint16_t from, const struct keepalive *message)
{
    if (agent->round_started_ms > 0 && message->round == agent->round &&
        message->incarnation_of == (uint64_t)agent->renewal.incarnation &&
        strcmp(message->name, agent->name) == 0 &&
        message->members == roster_members_hash(agent->roster)) {
        agent_peer(agent, from)->promised = true;
        look_at_round(agent);
    }
}

/* --- giving --- */

static bool may_promise(struct agent *agent, uint16_t to, const struct keepalive *message,
                        int64_t now_ms)
{
    const struct roster_member *member = roster_member(agent->roster, to);
    const struct peer *peer = agent_peer(agent, to);
    int64_t incarnation = (int64_t)message->incarnation;
    bool may_be_fenced = member->fence != FENCE_NONE || (peer->fence_sent != FENCE_NOT_SENT &&
                                                         peer->fence_incarnation == incarnation);
    return !alive_store_ok(agent, now_ms) && member->incarnation == incarnation &&
           message->members == roster_members_hash(agent->roster) && !may_be_fenced;
}

void promise_asked(struct agent *agent, uint16_t from, const struct keepalive *message,
                   int64_t now_ms)
{
    if (!may_promise(agent, from, message, now_ms) ||
        (!agent->promise_noted && !agent->outlet.promised(agent->outlet.context, true))) {
        return;
    }
    if (now_ms >= agent->banned_until_ms) {
        agent_note(agent, "promised to commit nothing for %lld ms", (long long)agent->ttl_ms);
    }
    agent->promise_noted = true;
    agent->banned_until_ms = now_ms + agent->ttl_ms;
    struct keepalive answer;
    agent_fill_message(agent, &answer, now_ms);
    answer.kind = KEEPALIVE_PROMISE;
    answer.round = message->round;
    answer.incarnation_of = message->incarnation;
    snprintf(answer.name, sizeof answer.name, "%s", roster_member(agent->roster, from)->name);
    agent_send(agent, from, &answer);
}

/* --- fences sent --- */

void promise_fence_sent(struct agent *agent, uint16_t node, int64_t incarnation)
{
    struct peer *peer = agent_peer(agent, node);
    if (peer->fence_incarnation != incarnation || peer->fence_sent == FENCE_NOT_SENT) {
        peer->fence_incarnation = incarnation;
        peer->fence_sent = FENCE_IN_FLIGHT;
    }
}

void promise_fence_ended(struct agent *agent, uint16_t node, int status)
{
    struct peer *peer = agent_peer(agent, node);
    bool nothing = status != VIOS_OK && status != VIOS_E_UNKNOWN;
    if (peer->fence_sent == FENCE_IN_FLIGHT) {
        peer->fence_sent = nothing ? FENCE_NOT_SENT : FENCE_SENT;
    }
}

void promise_recall(struct agent *agent)
{
    for (size_t i = 0; i < agent->peer_count; i++) {
        const struct roster_member *member = roster_member(agent->roster, (uint16_t)i);
        if (member->fence != FENCE_NONE) {
            agent->peers[i].fence_sent = FENCE_SENT;
            agent->peers[i].fence_incarnation = member->incarnation;
        }
    }
}
