/* test_partition.c - a cluster in parts: when it is decided, by whom, and what the losers are
 * told. */
#include "tests/unit/cluster/cluster.h"

#define STABLE_MS 2000
#define PAUSE_MS 30000
#define ALLOWED_MS 10000

static bool await_key(const char *key, int64_t most_ms)
{
    for (int64_t i = 0; i < most_ms && !text_at(key); i++) {
        run_ms(1);
    }
    return text_at(key) != NULL;
}

/* The names at `key` of the split, in order, with commas. */
static const char *losers(void)
{
    static char text[128];
    size_t i;
    json_t *record = json_loads(text_at("/split/1"), 0, NULL), *loser;
    text[0] = '\0';
    json_array_foreach(json_object_get(record, "losers"), i, loser)
    {
        strcat(text, i > 0 ? "," : "");
        strcat(text, json_string_value(json_object_get(loser, "node")));
    }
    json_decref(record);
    return text;
}

static void the_majority_decides_and_the_minority_is_told(void)
{
    begin_running(5);
    int64_t cut_ms = lab.now_ms;
    cut_off(3, true); /* n1, the primary, and n2 against n3, n4 and n5; all reach the store */
    ok(await_key("/split/1", 10000), "nothing is decided");
    int64_t decided_ms = lab.now_ms;
    ok(decided_ms >= cut_ms + STABLE_MS, "after %lld ms", (long long)(decided_ms - cut_ms));
    is_text(field("/split/1", "rule"), "majority");
    is_text(losers(), "n1,n2");
    size_t next = primary_now();
    ok(next >= 2 && next < 5, "the primary is node %zu", next);
    is_text(field("/split/1", "by"), lab.nodes[next].name);
    run_ms(2 * MARGIN_MS);
    for (size_t i = 0; i < 5; i++) {
        is_int((long long)notices(i, AGENT_LOSES, NULL, 0), i < 2 ? 1 : 0);
    }
    run_ms(ALLOWED_MS - 3 * MARGIN_MS); /* they renew until their time is over */
    ok(!text_at("/fence/n1/1") && !text_at("/fence/n2/1"), "fenced before the time allowed");
    ok(lab.nodes[0].until_stop_ms > lab.now_ms, "n1 does not serve");
    ok(await_key("/fence/n1/1", 3 * MARGIN_MS) && await_key("/fence/n2/1", 3 * MARGIN_MS),
       "they are not fenced");
    is_text(field("/fence/n1/1", "why"), "it lost a split");
    run_ms(2 * TTL_MS);
    is_text(field("/fence/n1/1", "state"), "free");
    is_int((long long)notices(1, AGENT_FENCED, NULL, 0), 1);
    end();
}

static void the_time_allowed_is_told(void)
{
    begin_running(3);
    put("/split/1",
        "{\"v\":1,\"allowed_ms\":7000,\"losers\":[{\"node\":\"n2\",\"incarnation\":1}]}");
    run_ms(2 * MARGIN_MS);
    for (size_t i = 0; i < lab.notice_count; i++) {
        if (lab.notices[i].notice.kind == AGENT_LOSES) {
            is_int((long long)lab.notices[i].node, 1);
            is_int(lab.notices[i].notice.time_ms, 7000);
            is_int(lab.notices[i].notice.epoch, 1);
        }
    }
    is_int((long long)notices(1, AGENT_LOSES, NULL, 0), 1);
    end();
}

static void a_tie_is_the_primarys(void)
{
    begin_running(4);
    cut_off(9, true); /* n1 and n4 */
    ok(await_key("/split/1", 10000), "nothing is decided");
    is_text(field("/split/1", "rule"), "primary");
    is_text(field("/split/1", "by"), "n1");
    is_text(losers(), "n2,n3");
    is_int((long long)primary_now(), 0);
    end();
}

/* One of a side gives up the others a keep-alive later than the other: what it still hears of them
 * is no reason to take the cluster for whole. */
static void a_tie_is_the_primarys_however_the_cut_is_seen(void)
{
    for (int64_t phase_ms = 0; phase_ms < MARGIN_MS; phase_ms += 90) {
        for (int64_t skew_ms = 50; skew_ms <= 2 * KEEPALIVE_MS; skew_ms += 50) {
            begin_running(4);
            run_ms(phase_ms);
            cut_off(9, true);
            lab.cut[3][1] = phase_ms % 180 == 0; /* n4 is heard by n3 a little longer, or n2 */
            lab.cut[3][2] = !lab.cut[3][1];
            run_ms(skew_ms);
            cut_off(9, true);
            ok(await_key("/split/1", 10000), "nothing is decided");
            is_text(losers(), "n2,n3");
            is_text(field("/primary", "node"), "n1");
            end();
        }
    }
}

static void a_short_cut_decides_nothing(void)
{
    for (int64_t phase_ms = 0; phase_ms < MARGIN_MS; phase_ms += 90) {
        begin_running(4);
        run_ms(phase_ms);
        cut_off(9, true);
        run_ms(STABLE_MS - KEEPALIVE_MS);
        cut_off(9, false);
        run_ms(3 * TTL_MS);
        ok(!text_at("/split/1"), "it is decided");
        ok(primary_now() < 4, "nobody is primary");
        end();
    }
}

static void the_dead_are_no_side(void)
{
    for (int64_t phase_ms = 0; phase_ms < MARGIN_MS; phase_ms += 90) {
        begin_running(3);
        run_ms(phase_ms);
        kill_node(2);
        run_ms(4 * TTL_MS);
        ok(!text_at("/split/1"), "it is decided");
        is_int((long long)primary_now(), 0);
        is_text(field("/fence/n3/1", "state"), "free");
        end();
    }
}

static void two_that_die_together_are_no_side(void)
{
    for (unsigned i = 0; i < 2; i++) { /* among them the primary, or not */
        begin_running(5);
        kill_node(i);
        kill_node(3);
        run_ms(4 * TTL_MS);
        ok(!text_at("/split/1"), "it is decided");
        ok(primary_now() < 5, "nobody is primary");
        is_text(field("/fence/n4/1", "state"), "free");
        end();
    }
}

static void one_way_loss_among_three_is_no_split(void)
{
    begin_running(3);
    lab.cut[1][2] = true; /* n1 hears both, and both hear it */
    run_ms(4 * TTL_MS);
    ok(!text_at("/split/1"), "it is decided");
    is_text(state_of(2, "n2"), "up");
    is_int((long long)primary_now(), 0);
    end();
}

static void decisions_are_far_apart(void)
{
    begin_running(5);
    cut_off(1, true); /* n1, the primary, is alone */
    ok(await_key("/split/1", 10000), "nothing is decided");
    int64_t first_ms = lab.now_ms;
    cut_off(1, false);
    run_ms(1000);
    cut_off(16, true); /* n5 is alone */
    ok(await_key("/split/2", PAUSE_MS + 10000), "nothing more is decided");
    ok(lab.now_ms >= first_ms + PAUSE_MS, "after %lld ms", (long long)(lab.now_ms - first_ms));
    end();
}

static void a_merge_does_not_undo_a_decision(void)
{
    begin_running(5);
    cut_off(3, true);
    ok(await_key("/split/1", 10000), "nothing is decided");
    cut_off(3, false);
    run_ms(ALLOWED_MS + 3 * TTL_MS);
    is_text(field("/fence/n1/1", "state"), "free");
    is_text(field("/fence/n2/1", "state"), "free");
    rejoin(0);
    rejoin(1);
    run_ms(4 * TTL_MS);
    is_text(state_of(2, "n1"), "up");
    ok(!text_at("/fence/n1/2") && !text_at("/split/2"), "it lost again");
    end();
}

static void a_primary_that_lost_resigns(void)
{
    begin_running(3);
    int64_t from_ms = lab.now_ms;
    put("/split/1",
        "{\"v\":1,\"allowed_ms\":9000,\"losers\":[{\"node\":\"n1\",\"incarnation\":1}]}");
    run_ms(3000);
    size_t next = primary_now();
    ok(next == 1 || next == 2, "it is node %zu", next);
    is_int((long long)notices(0, AGENT_NEW_PRIMARY, lab.nodes[next].name, from_ms), 1);
    end();
}

static void a_primary_of_another_incarnation_lost_nothing(void)
{
    begin_running(3);
    put("/split/1", "{\"v\":1,\"allowed_ms\":10,\"losers\":[{\"node\":\"n1\",\"incarnation\":7}]}");
    run_ms(5000);
    is_int((long long)primary_now(), 0);
    is_int((long long)notices(0, AGENT_LOSES, NULL, 0), 0);
    end();
}

static void a_decision_of_unknown_outcome_is_looked_up(void)
{
    for (int done = 0; done < 2; done++) {
        begin_running(4);
        lab.nodes[0].fault = (struct fault){"/split/", done != 0, VIOS_E_UNKNOWN, 0, 1};
        cut_off(3, true);
        ok(await_key("/split/1", 10000), "nothing is decided");
        run_ms(5000);
        is_int(lab.nodes[0].fault.times, 0);
        ok(!text_at("/split/2"), "it is decided twice");
        is_int((long long)notices(2, AGENT_LOSES, NULL, 0), 1);
        end();
    }
}

static void a_side_without_the_store_is_dead(void)
{
    begin_running(5);
    cut_off(3, true);
    for (size_t i = 2; i < 5; i++) {
        lab.nodes[i].store_away = true;
    }
    run_ms(3 * TTL_MS);
    ok(!text_at("/split/1"), "it is decided");
    is_int((long long)primary_now(), 0);
    for (size_t i = 2; i < 5; i++) {
        ok(lab.nodes[i].until_stop_ms < lab.now_ms, "%s serves", lab.nodes[i].name);
    }
    is_text(field("/fence/n5/1", "state"), "free");
    ok(!text_at("/fence/n2/1"), "n2 is fenced");
    end();
}

/* All hear n1, so it is not lost; but it hears nobody, and the others are the majority. */
static void a_deaf_primary_is_replaced(void)
{
    begin_running(3);
    lab.cut[1][0] = lab.cut[2][0] = true;
    ok(await_key("/split/1", 10000), "nothing is decided");
    is_text(losers(), "n1");
    ok(primary_now() == 1 || primary_now() == 2, "the primary is node %zu", primary_now());
    is_text(field("/split/1", "rule"), "majority");
    end();
}

int main(void)
{
    RUN(the_majority_decides_and_the_minority_is_told);
    RUN(the_time_allowed_is_told);
    RUN(a_tie_is_the_primarys);
    RUN(a_tie_is_the_primarys_however_the_cut_is_seen);
    RUN(a_short_cut_decides_nothing);
    RUN(the_dead_are_no_side);
    RUN(two_that_die_together_are_no_side);
    RUN(one_way_loss_among_three_is_no_split);
    RUN(decisions_are_far_apart);
    RUN(a_merge_does_not_undo_a_decision);
    RUN(a_deaf_primary_is_replaced);
    RUN(a_primary_that_lost_resigns);
    RUN(a_primary_of_another_incarnation_lost_nothing);
    RUN(a_decision_of_unknown_outcome_is_looked_up);
    RUN(a_side_without_the_store_is_dead);
    return tap_done();
}
