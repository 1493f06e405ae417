/*
 * alive.c - the agent's renewal of /alive/N, and what follows from it for T (DESIGN "Alive").
 *
 * T counts from the sending of a renewal that is known to have succeeded, which is noted before
 * the request is handed out. After a conflict or an unknown outcome the record is read again, and
 * renewal.c says which attempt it shows.
 */
#include "cluster/agent_private.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_BITS 24
#define EARLY_RENEWALS 5
#define PREDECESSORS_MAX 3 /* renewals of earlier daemons that land late; more are another's */

void alive_start(struct agent *agent, const struct agent_settings *settings, int64_t now_ms)
{
    long long incarnation = (long long)settings->incarnation;
    renewal_begin(&agent->renewal, settings->incarnation, settings->start, settings->known_n,
                  settings->known_revision);
    agent->rejoins = settings->rejoins;
    agent->store_ok = true;
    /* Rounds of an earlier daemon of this node are never taken for ours. */
    agent->round = (uint64_t)settings->start << ROUND_BITS;
    agent->next_renewal_ms = now_ms;
    snprintf(agent->alive_key, sizeof agent->alive_key, "/alive/%s", agent->name);
    snprintf(agent->node_key, sizeof agent->node_key, "/node/%s", agent->name);
    snprintf(agent->fence_key, sizeof agent->fence_key, "/fence/%s/%lld", agent->name, incarnation);
    snprintf(agent->rejoin_key, sizeof agent->rejoin_key, "/fence/%s/%lld", agent->name,
             (long long)settings->rejoins);
}

static json_t *row_names(const struct agent *agent, int64_t now_ms)
{
    struct roster_row row;
    json_t *names = json_array();
    matrix_row(agent->matrix, &row, now_ms);
    for (size_t i = 0; i < row.count; i++) {
        const struct roster_member *member = roster_member(agent->roster, row.hears[i]);
        json_array_append_new(names, json_string(member->name));
    }
    return names;
}

static char *alive_text(struct agent *agent, int64_t n, int64_t now_ms)
{
    char why[AGENT_REASON_SIZE];
    if (!roster_listed(agent->roster) || requirement_met_on_record(agent, now_ms, why)) {
        why[0] = '\0'; /* or nothing is known yet */
    }
    agent->told_unfit = why[0] != '\0';
    json_t *record =
        json_pack("{s:i, s:I, s:I, s:I, s:o, s:s, s:s}", "v", 1, "incarnation",
                  (json_int_t)agent->renewal.incarnation, "start", (json_int_t)agent->renewal.start,
                  "n", (json_int_t)n, "row", row_names(agent, now_ms), "state", "up", "unfit", why);
    if (record) {
        agent->outlet.extend(agent->outlet.context, record);
    }
    return agent_json_text(record);
}

/* The commit that rejoins also says that the incarnation before is over, fenced or not: a fence
 * that was never made, or is still closing, would keep what it owned from everybody for ever. */
static void add_rejoin(struct agent *agent, struct agent_request *request)
{
    free(agent->rejoin_text);
    agent->rejoin_text =
        agent_json_text(json_pack("{s:i, s:s, s:s}", "v", 1, "state", "free", "by", agent->name));
    request->changes[request->change_count++] =
        (struct store_change){.key = agent->rejoin_key, .json = agent->rejoin_text};
}

static void renew(struct agent *agent, int64_t now_ms)
{
    int64_t n = renewal_attempt(&agent->renewal, now_ms);
    int64_t known = agent->renewal.revision;
    free(agent->renewal_text);
    agent->renewal_text = alive_text(agent, n, now_ms);
    struct agent_request request = {
        .kind = AGENT_COMMIT,
        .lane = AGENT_RENEWAL,
        .compares = {{.kind = known > 0 ? STORE_REVISION_IS : STORE_ABSENT,
                      .key = agent->alive_key,
                      .revision = known},
                     {.kind = STORE_ABSENT, .key = agent->fence_key},
                     {.kind = STORE_EXISTS, .key = agent->node_key}},
        .compare_count = 3,
        .changes = {{.key = agent->alive_key, .json = agent->renewal_text}},
        .change_count = 1,
    };
    if (agent->rejoins > 0) {
        add_rejoin(agent, &request);
    }
    matrix_row(agent->matrix, &agent->renewal_row, now_ms);
    agent->next_renewal_ms = now_ms + agent->ttl_ms / AGENT_RENEWALS_PER_TTL;
    agent->renewal_sent_ms = now_ms;
    if (agent->renewal_text && (agent->rejoins == 0 || agent->rejoin_text)) {
        agent->renewing = true;
        agent->reading_own = false;
        agent->outlet.request(agent->outlet.context, &request);
    }
}

static void read_own(struct agent *agent)
{
    struct agent_request request = {
        .kind = AGENT_READ, .lane = AGENT_RENEWAL, .key = agent->alive_key};
    agent->renewing = true;
    agent->reading_own = true;
    agent->outlet.request(agent->outlet.context, &request);
}

/* What others decide by is told early, but not more often than so many times in a period. */
static void hasten(struct agent *agent, int64_t now_ms)
{
    struct roster_row row;
    int64_t earliest_ms =
        agent->renewal_sent_ms + agent->ttl_ms / AGENT_RENEWALS_PER_TTL / EARLY_RENEWALS;
    matrix_row(agent->matrix, &row, now_ms);
    char why[AGENT_REASON_SIZE];
    bool changed =
        row.count != agent->renewal_row.count ||
        memcmp(row.hears, agent->renewal_row.hears, row.count * sizeof row.hears[0]) != 0 ||
        (agent->told_unfit && requirement_met_on_record(agent, now_ms, why));
    if (changed && earliest_ms < agent->next_renewal_ms) {
        agent->next_renewal_ms = earliest_ms;
    }
}

void alive_tick(struct agent *agent, int64_t now_ms)
{
    hasten(agent, now_ms);
    if (!agent->renewing && !agent->fenced && !agent->foreign && !agent->removed &&
        now_ms >= agent->next_renewal_ms) {
        renew(agent, now_ms);
    }
}

/* --- what came of it --- */

void alive_serve(struct agent *agent, int64_t sent_ms)
{
    int64_t margin_ms = agent->ttl_ms / AGENT_RENEWALS_PER_TTL;
    int64_t until_stop_ms = sent_ms + agent->ttl_ms - margin_ms;
    if (until_stop_ms > agent->until_stop_ms) {
        agent->until_stop_ms = until_stop_ms;
        agent->outlet.serve(agent->outlet.context, until_stop_ms, until_stop_ms + margin_ms / 2);
    }
}

bool alive_store_ok(const struct agent *agent, int64_t now_ms)
{
    return agent->store_ok && !(agent->renewing && now_ms - agent->renewal_sent_ms >
                                                       agent->ttl_ms / AGENT_RENEWALS_PER_TTL);
}

static void note_store(struct agent *agent, bool good, int status)
{
    if (good != agent->store_ok) {
        agent_note(agent, good ? "the renewal succeeds" : "the renewal fails: %s",
                   error_name(status));
    }
    agent->store_ok = good;
}

static void succeeded(struct agent *agent)
{
    note_store(agent, true, VIOS_OK);
    agent->rejoins = 0;
    alive_serve(agent, agent->renewal.renewed_ms);
}

static void told_once(struct agent *agent, bool *told, enum agent_notice_kind kind)
{
    if (!*told) {
        *told = true;
        agent_note(agent, "%s",
                   kind == AGENT_FENCED    ? "this incarnation is fenced"
                   : kind == AGENT_REMOVED ? "this node was removed"
                                           : "another daemon runs under the name of this node");
        agent->outlet.notice(agent->outlet.context, &(struct agent_notice){.kind = kind});
    }
}

/* What there is tells which attempt succeeded, and at which sending time. */
static void read_again(struct agent *agent, const struct agent_answer *answer)
{
    int64_t before_ms = agent->renewal.renewed_ms;
    if (answer->status == VIOS_E_NOT_FOUND) {
        renewal_read_absent(&agent->renewal);
        note_store(agent, false, VIOS_E_CONFLICT);
        return;
    }
    if (answer->status != VIOS_OK) {
        note_store(agent, false, answer->status);
        return;
    }
    json_t *record = json_loads(answer->value->json, 0, NULL);
    enum renewal_reading reading = renewal_read(
        &agent->renewal, json_get_integer(record, "incarnation"), json_get_integer(record, "start"),
        json_get_integer(record, "n"), answer->value->revision);
    json_decref(record);
    if (reading == RENEWAL_OURS && agent->renewal.renewed_ms > before_ms) {
        succeeded(agent);
    } else if (reading == RENEWAL_FOREIGN ||
               (reading == RENEWAL_PREDECESSOR && ++agent->predecessors > PREDECESSORS_MAX)) {
        told_once(agent, &agent->foreign, AGENT_FOREIGN);
        note_store(agent, false, VIOS_E_CONFLICT);
    } else {
        note_store(agent, false, VIOS_E_CONFLICT); /* fenced perhaps: the listing tells */
        agent->list_soon = true;
    }
}

void alive_answered(struct agent *agent, const struct agent_answer *answer, int64_t now_ms)
{
    agent->renewing = false;
    if (agent->reading_own) {
        read_again(agent, answer);
    } else if (answer->status == VIOS_OK) {
        renewal_succeeded(&agent->renewal, answer->revision);
        succeeded(agent);
    } else if (answer->status == VIOS_E_CONFLICT || answer->status == VIOS_E_UNKNOWN) {
        read_own(agent);
    } else {
        note_store(agent, false, answer->status);
    }
    /* A slow store is asked again at once, for the next renewal is due already. */
    alive_tick(agent, now_ms);
}

void alive_listed(struct agent *agent)
{
    if (agent->own == ROSTER_NOBODY || !roster_member(agent->roster, agent->own)->present) {
        told_once(agent, &agent->removed, AGENT_REMOVED);
        return;
    }
    const struct roster_member *own = roster_member(agent->roster, agent->own);
    if (own->incarnation == agent->renewal.incarnation && own->fence != FENCE_NONE) {
        told_once(agent, &agent->fenced, AGENT_FENCED);
    }
}
