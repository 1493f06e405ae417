/*
 * fence.c - what a primary does to members that are silent or lost a split (DESIGN "Fencing N"): it
 * commits `closing` for that incarnation, and `free` once its time is certainly over.
 *
 * `closing` compares the revision of /alive/N by which it was judged, so a renewal that came
 * between wins; each renewal compares that there is no fence, so none comes after. The fence notes
 * that revision, so that whoever frees it knows from when to count.
 */
#include "cluster/agent_private.h"

#include <stdio.h>

static bool lost_split_is_over(const struct agent *agent, uint16_t node, int64_t now_ms)
{
    const struct roster_split *split = roster_split(agent->roster);
    return roster_lost_split(agent->roster, node) &&
           now_ms >= split->first_seen_ms + split->allowed_ms;
}

/* Why this member must be fenced now; NULL: it need not. */
static const char *why_close(const struct agent *agent, uint16_t node, int64_t now_ms)
{
    const struct roster_member *member = roster_member(agent->roster, node);
    if (!member->present || node == agent->own || member->revision == 0 ||
        member->fence != FENCE_NONE) {
        return NULL;
    }
    if (roster_age_ms(agent->roster, node) >= agent->ttl_ms) {
        return "it did not renew for the TTL";
    }
    return lost_split_is_over(agent, node, now_ms) ? "it lost a split" : NULL;
}

static bool may_free(const struct agent *agent, uint16_t node, int64_t now_ms)
{
    const struct roster_member *member = roster_member(agent->roster, node);
    bool same = member->revision == member->fence_alive && member->recorded;
    int64_t from_ms = same ? member->first_seen_ms : member->fence_seen_ms;
    return member->present && node != agent->own && member->fence == FENCE_CLOSING &&
           now_ms >= from_ms + agent->ttl_ms;
}

static char *fence_text(const struct agent *agent, const char *state, int64_t alive,
                        const char *why)
{
    return agent_json_text(json_pack("{s:i, s:s, s:s, s:I, s:I, s:s}", "v", 1, "state", state, "by",
                                     agent->name, "epoch", (json_int_t)agent->epoch, "alive",
                                     (json_int_t)alive, "why", why));
}

static void send_fence(struct agent *agent, uint16_t node, struct agent_request *request,
                       char *text, int64_t now_ms)
{
    const struct roster_member *member = roster_member(agent->roster, node);
    agent->text = text;
    request->kind = AGENT_COMMIT;
    request->compares[request->compare_count++] = (struct store_compare){
        .kind = STORE_REVISION_IS, .key = "/primary", .revision = agent->primary_revision};
    request->changes[request->change_count++] =
        (struct store_change){.key = agent->key, .json = text};
    if (agent_request(agent, request, CONTROL_FENCE, now_ms)) {
        agent->fencing = node;
        promise_fence_sent(agent, node, member->incarnation);
    }
}

static void name_keys(struct agent *agent, uint16_t node)
{
    const struct roster_member *member = roster_member(agent->roster, node);
    snprintf(agent->key, sizeof agent->key, "/fence/%s/%lld", member->name,
             (long long)member->incarnation);
    snprintf(agent->compare_key, sizeof agent->compare_key, "/alive/%s", member->name);
}

static void close_gate(struct agent *agent, uint16_t node, const char *why, int64_t now_ms)
{
    const struct roster_member *member = roster_member(agent->roster, node);
    name_keys(agent, node);
    agent_note(agent, "fencing %s, incarnation %lld: %s", member->name,
               (long long)member->incarnation, why);
    struct agent_request request = {
        .compares = {{.kind = STORE_ABSENT, .key = agent->key},
                     {.kind = STORE_REVISION_IS,
                      .key = agent->compare_key,
                      .revision = member->revision}},
        .compare_count = 2,
    };
    send_fence(agent, node, &request, fence_text(agent, "closing", member->revision, why), now_ms);
}

static void open_to_others(struct agent *agent, uint16_t node, int64_t now_ms)
{
    const struct roster_member *member = roster_member(agent->roster, node);
    name_keys(agent, node);
    agent_note(agent, "the time of %s, incarnation %lld, is over: its fence is free", member->name,
               (long long)member->incarnation);
    struct agent_request request = {
        .compares = {{.kind = STORE_REVISION_IS,
                      .key = agent->key,
                      .revision = member->fence_revision}},
        .compare_count = 1,
    };
    send_fence(agent, node, &request,
               fence_text(agent, "free", member->fence_alive, "its time is over"), now_ms);
}

void fence_step(struct agent *agent, int64_t now_ms)
{
    for (size_t i = 0; i < roster_count(agent->roster); i++) {
        uint16_t node = (uint16_t)i;
        const char *why = why_close(agent, node, now_ms);
        if (why) {
            close_gate(agent, node, why, now_ms);
            return;
        }
        if (may_free(agent, node, now_ms)) {
            open_to_others(agent, node, now_ms);
            return;
        }
    }
}

void fence_answered(struct agent *agent, const struct agent_answer *answer)
{
    promise_fence_ended(agent, agent->fencing, answer->status);
    agent->list_soon = agent->list_soon || agent_was_sent(answer->status);
}
