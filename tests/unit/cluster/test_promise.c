/* test_promise.c - guests go on while the store is away from everybody: only when all promise, only
 * as long as they are bound, and nobody promises who may have fenced. */
#include "tests/unit/cluster/cluster.h"

static void store_away(bool is_away)
{
    for (size_t i = 0; i < lab.count; i++) {
        lab.nodes[i].store_away = is_away;
    }
}

/* Every millisecond: each of the nodes that run serves. */
static bool all_serve_for_ms(int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        run_ms(1);
        for (size_t k = 0; k < lab.count; k++) {
            if (lab.nodes[k].agent && lab.nodes[k].until_stop_ms <= lab.now_ms) {
                return ok(false, "%s stops", lab.nodes[k].name);
            }
        }
    }
    return true;
}

/* Nobody serves for longer than all others are bound, and in no case. */
static void nobody_outlives_the_promises(void)
{
    for (size_t a = 0; a < lab.count; a++) {
        for (size_t b = 0; b < lab.count; b++) {
            bool bound = a == b || lab.nodes[a].until_stop_ms <= lab.now_ms || !agent_of(b) ||
                         !agent_may_commit(agent_of(b), lab.nodes[a].until_stop_ms);
            ok(bound, "%s serves longer than %s is bound", lab.nodes[a].name, lab.nodes[b].name);
        }
    }
}

static void with_all_promises_guests_go_on(void)
{
    begin_running(4);
    int64_t from_ms = lab.now_ms;
    store_away(true);
    all_serve_for_ms(2 * TTL_MS);
    nobody_outlives_the_promises();
    for (size_t i = 0; i < 4; i++) {
        ok(lab.nodes[i].was_promised, "%s noted no promise", lab.nodes[i].name);
        ok(!agent_may_commit(agent_of(i), lab.now_ms), "%s may commit", lab.nodes[i].name);
        is_int((long long)notices(i, AGENT_PROMISES, "on", from_ms), 1);
    }
    all_serve_for_ms(6 * TTL_MS);
    store_away(false);
    all_serve_for_ms(3 * TTL_MS);
    for (size_t i = 0; i < 4; i++) {
        ok(!lab.nodes[i].was_promised, "%s notes a promise still", lab.nodes[i].name);
        ok(agent_may_commit(agent_of(i), lab.now_ms), "%s may not commit", lab.nodes[i].name);
        is_int((long long)notices(i, AGENT_PROMISES, NULL, from_ms), 2);
    }
    is_int((long long)primary_now(), 0);
    end();
}

static void with_one_member_missing_nobody_goes_on(void)
{
    for (size_t missing = 0; missing < 4; missing++) {
        begin_running(4);
        int64_t revision = records.revision;
        kill_node(missing);
        store_away(true);
        run_ms(4 * TTL_MS);
        for (size_t i = 0; i < 4; i++) {
            ok(lab.nodes[i].until_stop_ms < lab.now_ms, "%s serves", lab.nodes[i].name);
            is_int((long long)notices(i, AGENT_PROMISES, NULL, 0), 0);
        }
        is_int(records.revision, revision);
        store_away(false);
        run_ms(6 * TTL_MS); /* and then all is as ever */
        for (size_t i = 0; i < 4; i++) {
            char key[STORE_KEY_MAX];
            snprintf(key, sizeof key, "/fence/%s/1", lab.nodes[i].name);
            is_text(field(key, "state"), i == missing ? "free" : "(none)");
            ok(lab.nodes[i].until_stop_ms > lab.now_ms || i == missing, "it does not serve");
        }
        end();
    }
}

static void a_primary_fences_nobody_while_it_is_bound(void)
{
    begin_running(3);
    kill_node(2);
    run_ms(3000);
    store_away(true);
    run_ms(2000);
    ok(lab.nodes[0].was_promised, "it promised nothing");
    store_away(false);
    while (!agent_may_commit(agent_of(0), lab.now_ms)) {
        ok(!text_at("/fence/n3/1"), "it fences");
        run_ms(1);
    }
    ok(roster_age_ms(agent_roster(agent_of(0)), 2) >= TTL_MS, "it had no reason to");
    run_ms(MARGIN_MS + KEEPALIVE_MS);
    ok(text_at("/fence/n3/1") != NULL, "it does not fence after it");
    end();
}

static void those_who_have_the_store_promise_nothing(void)
{
    begin_running(3);
    lab.nodes[1].store_away = true;
    run_ms(2 * TTL_MS);
    ok(lab.nodes[1].until_stop_ms < lab.now_ms, "n2 serves");
    ok(!lab.nodes[0].was_promised && !lab.nodes[2].was_promised, "somebody promised");
    ok(text_at("/fence/n2/1"), "it is not fenced");
    end();
}

static void a_witness_is_asked_too(void)
{
    begin_running(3);
    put("/node/n3", "{\"v\":1,\"role\":\"witness\"}");
    run_ms(2000);
    store_away(true);
    cut_off(4, true);
    run_ms(2 * TTL_MS);
    ok(lab.nodes[1].until_stop_ms < lab.now_ms, "it serves without the witness");
    cut_off(4, false);
    run_ms(500);
    ok(lab.nodes[1].until_stop_ms > lab.now_ms, "it does not serve");
    end();
}

/* --- giving --- */

/* Two nodes of which the second cannot renew, and has promised nothing yet. */
static void begin_asked(void)
{
    begin_running(3);
    lab.nodes[1].store_away = true;
    run_ms(MARGIN_MS + KEEPALIVE_MS + AWAY_MS);
    ok(agent_may_commit(agent_of(1), lab.now_ms), "it promised before it was asked");
}

static struct keepalive question;

/* What n3 would send. */
static void make_question(void)
{
    question = (struct keepalive){.kind = KEEPALIVE_PROMISE_ASK,
                                  .incarnation = 1,
                                  .start = (uint64_t)lab.nodes[2].start,
                                  .epoch = 1,
                                  .wall_ms = WALL_MS + lab.now_ms,
                                  .members = roster_members_hash(agent_roster(agent_of(1))),
                                  .round = 42,
                                  .primary = "n1"};
}

/* It is sent to `to`: whether that promises. */
static bool promises(size_t to)
{
    uint8_t data[KEEPALIVE_SIZE_MAX];
    size_t size = keepalive_write(&question, data);
    agent_receive(agent_of(to), "n3", data, size, lab.now_ms);
    return !agent_may_commit(agent_of(to), lab.now_ms + TTL_MS - 1) && lab.nodes[to].was_promised &&
           agent_may_commit(agent_of(to), lab.now_ms + TTL_MS);
}

static void a_promise_binds_for_the_ttl(void)
{
    begin_asked();
    make_question();
    ok(promises(1), "it does not promise");
    run_ms(1000);
    ok(promises(1), "the next one does not bind longer");
    int64_t revision = revision_of("/alive/n2"); /* its own renewal is not bound */
    lab.nodes[1].store_away = false;
    run_ms(MARGIN_MS + KEEPALIVE_MS);
    ok(revision_of("/alive/n2") > revision, "it does not renew");
    ok(lab.nodes[1].was_promised, "the note is gone while it is bound");
    run_ms(TTL_MS);
    ok(!lab.nodes[1].was_promised, "the note stays");
    end();
}

static void what_is_not_promised(void)
{
    begin_asked();
    make_question();
    question.incarnation = 2;
    ok(!promises(1), "to another incarnation");
    make_question();
    question.incarnation = 0;
    ok(!promises(1), "to no incarnation");
    make_question();
    question.members++;
    ok(!promises(1), "to one that knows other members");
    make_question();
    ok(!promises(0), "with the store at hand");
    lab.nodes[1].promise_fails = true;
    ok(!promises(1), "what cannot be noted");
    ok(agent_may_commit(agent_of(1), lab.now_ms), "it is bound");
    lab.nodes[1].promise_fails = false;
    ok(promises(1), "it does not promise at all");
    end();
}

static void nothing_is_promised_to_one_that_is_fenced(void)
{
    for (int is_free = 0; is_free < 2; is_free++) { /* whoever did it may be a member no more */
        begin_running(3);
        lab.nodes[2].stopped = true;
        put("/fence/n3/1", is_free ? "{\"v\":1,\"state\":\"free\",\"alive\":0}"
                                   : "{\"v\":1,\"state\":\"closing\",\"alive\":0}");
        run_ms(MARGIN_MS + KEEPALIVE_MS);
        lab.nodes[1].store_away = true;
        run_ms(MARGIN_MS + KEEPALIVE_MS + AWAY_MS);
        make_question();
        ok(!promises(1), "it promises");
        end();
    }
}

/* n1 sends a fence for n3; then the store is away from n1, and n3 asks. */
static bool promises_after_a_fence(bool done, int status)
{
    begin_running(3);
    lab.nodes[2].stopped = true;
    lab.nodes[0].fault = (struct fault){"/fence/", done, status, 0, 1};
    while (lab.nodes[0].fault.times > 0) {
        run_ms(1);
    }
    lab.nodes[0].store_away = true;
    run_ms(3 * LATENCY_MS);
    make_question();
    for (int i = 0; i < 50; i++) { /* as soon as its renewals fail */
        run_ms(100);
        if (promises(0)) {
            return true;
        }
    }
    return false;
}

static void nothing_is_promised_after_a_fence_that_may_be_there(void)
{
    ok(!promises_after_a_fence(false, VIOS_E_UNKNOWN), "not done, as it seems");
    end();
    ok(!promises_after_a_fence(true, VIOS_E_UNKNOWN), "done, as it seems");
    end();
    ok(!promises_after_a_fence(true, VIOS_OK), "done");
    end();
    ok(promises_after_a_fence(false, VIOS_E_CONFLICT), "not after a conflict");
    end();
    ok(promises_after_a_fence(false, VIOS_E_TIMEOUT), "not after one that was not sent");
    end();
}

static void nothing_is_promised_while_a_fence_is_on_its_way(void)
{
    begin_running(3);
    lab.nodes[2].stopped = true;
    lab.nodes[0].fault = (struct fault){"/fence/", false, VIOS_E_TIMEOUT, 3000, 1};
    while (lab.nodes[0].fault.times > 0) {
        run_ms(1);
    }
    lab.nodes[0].store_away = true;
    run_ms(MARGIN_MS + KEEPALIVE_MS + AWAY_MS);
    make_question();
    ok(!promises(0), "it promises");
    run_ms(3000); /* it was not sent after all */
    ok(promises(0), "it does not promise");
    end();
}

static void a_daemon_that_is_started_again_waits_for_the_end_of_its_promises(void)
{
    begin_asked();
    make_question();
    ok(promises(1), "it does not promise");
    kill_node(1);
    kill_node(0); /* so that it would have to be primary */
    kill_node(2);
    lab.nodes[1].store_away = false;
    start(1);
    int64_t started_ms = lab.now_ms;
    run_ms(TTL_MS - 10);
    ok(lab.nodes[1].until_stop_ms > lab.now_ms, "it does not renew");
    is_text(field("/primary", "node"), "n1");
    ok(lab.nodes[1].was_promised, "the note is gone");
    ok(await_primary(5 * TTL_MS) == 1, "it is never primary");
    ok(lab.now_ms >= started_ms + TTL_MS, "it did not wait");
    ok(!lab.nodes[1].was_promised, "the note stays");
    end();
}

/* --- taking --- */

static struct keepalive sent; /* the newest question of n1 to n2 */

static bool look_for_question(void)
{
    uint64_t before = sent.round;
    for (struct packet *packet = lab.packets; packet; packet = packet->next) {
        struct keepalive message;
        if (packet->from == 0 && packet->to == 1 &&
            keepalive_read(&message, packet->data, packet->size) &&
            message.kind == KEEPALIVE_PROMISE_ASK) {
            sent = message;
        }
    }
    return sent.round != before;
}

/* n2 answers; whether n1 serves for longer by it. */
static bool counts(uint64_t round, uint64_t incarnation_of, const char *name, uint64_t members)
{
    uint8_t data[KEEPALIVE_SIZE_MAX];
    int64_t before_ms = lab.nodes[0].until_stop_ms;
    struct keepalive answer = {.kind = KEEPALIVE_PROMISE,
                               .incarnation = 1,
                               .start = (uint64_t)lab.nodes[1].start,
                               .wall_ms = WALL_MS + lab.now_ms,
                               .members = members,
                               .round = round,
                               .incarnation_of = incarnation_of};
    snprintf(answer.name, sizeof answer.name, "%s", name);
    agent_receive(agent_of(0), "n2", data, keepalive_write(&answer, data), lab.now_ms);
    return lab.nodes[0].until_stop_ms > before_ms;
}

static void begin_asking(void)
{
    begin_running(2);
    lab.nodes[0].store_away = true;
    lab.nodes[1].stopped = true;
    run_ms(2 * MARGIN_MS);
    sent = (struct keepalive){0};
    for (int rounds = 0; rounds < 2;) { /* the beginning of one is seen */
        run_ms(1);
        rounds += look_for_question();
    }
}

static void a_promise_counts_from_the_first_question_of_its_round(void)
{
    begin_asking();
    int64_t asked_ms = lab.now_ms;
    run_ms(3 * KEEPALIVE_MS + 10); /* it was asked again meanwhile */
    look_for_question();
    ok(counts(sent.round, 1, "n1", sent.members), "it does not count");
    is_int(lab.nodes[0].until_stop_ms, asked_ms + TTL_MS - MARGIN_MS);
    ok(!counts(sent.round, 1, "n1", sent.members), "it counts twice");
    end();
}

static void what_is_no_promise(void)
{
    begin_asking();
    uint64_t round = sent.round, members = sent.members;
    ok(!counts(round - 1, 1, "n1", members), "one of the round before counts");
    ok(!counts(round + 1, 1, "n1", members), "one of the next round counts");
    ok(!counts(round, 2, "n1", members), "one for another incarnation counts");
    ok(!counts(round, 1, "n2", members), "one for another node counts");
    ok(!counts(round, 1, "n1", members + 1), "one with other members counts");
    ok(counts(round, 1, "n1", members), "none counts");
    while (!look_for_question()) {
        run_ms(1);
    }
    ok(!counts(round, 1, "n1", members), "one that comes late counts");
    end();
}

static void after_the_outage_none_counts(void)
{
    begin_asking();
    lab.nodes[0].store_away = false;
    run_ms(2 * MARGIN_MS);
    ok(!counts(sent.round, 1, "n1", sent.members), "it counts");
    end();
}

static void one_that_is_fenced_asks_nobody(void)
{
    begin_running(2);
    put("/fence/n1/1", "{\"v\":1,\"state\":\"closing\",\"alive\":0}");
    run_ms(MARGIN_MS + KEEPALIVE_MS);
    is_int((long long)notices(0, AGENT_FENCED, NULL, 0), 1);
    store_away(true);
    sent = (struct keepalive){0};
    for (int i = 0; i < 2 * TTL_MS; i++) {
        run_ms(1);
        look_for_question();
    }
    is_int((long long)sent.round, 0);
    ok(lab.nodes[0].until_stop_ms < lab.now_ms, "it serves");
    end();
}

int main(void)
{
    RUN(with_all_promises_guests_go_on);
    RUN(with_one_member_missing_nobody_goes_on);
    RUN(a_primary_fences_nobody_while_it_is_bound);
    RUN(those_who_have_the_store_promise_nothing);
    RUN(a_witness_is_asked_too);
    RUN(a_promise_binds_for_the_ttl);
    RUN(what_is_not_promised);
    RUN(nothing_is_promised_to_one_that_is_fenced);
    RUN(nothing_is_promised_after_a_fence_that_may_be_there);
    RUN(nothing_is_promised_while_a_fence_is_on_its_way);
    RUN(a_daemon_that_is_started_again_waits_for_the_end_of_its_promises);
    RUN(a_promise_counts_from_the_first_question_of_its_round);
    RUN(what_is_no_promise);
    RUN(after_the_outage_none_counts);
    RUN(one_that_is_fenced_asks_nobody);
    return tap_done();
}
