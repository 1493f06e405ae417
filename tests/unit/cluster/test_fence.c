/* test_fence.c - what a primary does to silent members, and what becomes of them: never too soon,
 * never over a renewal, and free only when their time is certainly over. */
#include "tests/unit/cluster/cluster.h"

#define FENCE "/fence/n3/1"

/* Runs until the key is there; false: not within `most_ms`. */
static bool await(const char *key, const char *state, int64_t most_ms)
{
    for (int64_t i = 0; i < most_ms; i++) {
        if (text_at(key) && strcmp(field(key, "state"), state) == 0) {
            return true;
        }
        run_ms(1);
    }
    return false;
}

static int64_t fence_alive(void)
{
    json_t *record = json_loads(text_at(FENCE), 0, NULL);
    int64_t alive = json_integer_value(json_object_get(record, "alive"));
    json_decref(record);
    return alive;
}

/* A node that is going on renews; this one is killed now, and what it had sent is lost. */
static int64_t kill_n3(void)
{
    int64_t sent_ms = lab.nodes[2].renewal_sent_ms;
    kill_node(2);
    return sent_ms;
}

static void a_dead_node_is_fenced_when_its_time_is_over(void)
{
    begin_running(3);
    int64_t sent_ms = kill_n3();
    ok(await(FENCE, "closing", 10000), "it is not fenced");
    ok(lab.now_ms >= sent_ms + TTL_MS, "it is fenced too early");
    ok(lab.now_ms < sent_ms + TTL_MS + 2 * MARGIN_MS, "it is fenced late");
    is_int(fence_alive(), revision_of("/alive/n3"));
    is_text(field(FENCE, "by"), "n1");
    is_text(field(FENCE, "why"), "it did not renew for the TTL");
    ok(await(FENCE, "free", 1000), "its fence is not freed, though its time is over");
    is_int(fence_alive(), revision_of("/alive/n3"));
    int64_t revision = revision_of(FENCE);
    run_ms(20000);
    is_int(revision_of(FENCE), revision);
    is_text(state_of(0, "n3"), "down");
    end();
}

/* Runs until the primary has sent a fence that is not carried out yet. */
static void await_sent_fence(void)
{
    struct pending *pending = &lab.nodes[0].pending[AGENT_CONTROL];
    for (int i = 0; i < 10000; i++) {
        if (pending->used && !pending->executed && pending->request.kind == AGENT_COMMIT &&
            strcmp(pending->request.changes[0].key, FENCE) == 0) {
            return;
        }
        run_ms(1);
    }
    ok(false, "no fence is sent");
}

static void a_renewal_that_comes_between_wins(void)
{
    begin_running(3);
    kill_n3();
    await_sent_fence();
    put("/alive/n3", "{\"v\":1,\"incarnation\":1,\"start\":1,\"n\":99,\"row\":[]}");
    run_ms(TTL_MS - 100);
    ok(!text_at(FENCE), "it is fenced over its renewal");
    ok(await(FENCE, "closing", 2 * MARGIN_MS), "it is not fenced later");
    end();
}

static void one_that_is_not_primary_any_more_fences_nobody(void)
{
    begin_running(3);
    kill_n3();
    await_sent_fence();
    put("/primary", "{\"v\":1,\"node\":\"n2\",\"incarnation\":1,\"start\":2,\"epoch\":9,"
                    "\"state\":\"locking\"}");
    run_ms(500);
    ok(!text_at(FENCE), "it fenced");
    end();
}

static void a_fence_of_unknown_outcome_is_looked_up(void)
{
    for (int done = 0; done < 2; done++) {
        begin_running(3);
        kill_n3();
        lab.nodes[0].fault = (struct fault){"/fence/", done != 0, VIOS_E_UNKNOWN, 0, 1};
        ok(await(FENCE, "free", 10000), "it does not go on");
        is_int(lab.nodes[0].fault.times, 0);
        end();
    }
}

static void a_fence_that_cannot_be_sent_is_not_sent_without_a_pause(void)
{
    begin_running(3);
    kill_n3();
    lab.nodes[0].fault = (struct fault){"/fence/", false, VIOS_E_UNREACHABLE, 0, 1000000};
    run_ms(TTL_MS + MARGIN_MS);
    int before = lab.nodes[0].requests;
    run_ms(10 * MARGIN_MS);
    ok(lab.nodes[0].requests - before <= 30, "%d requests", lab.nodes[0].requests - before);
    end();
}

static void a_record_that_is_none_is_not_fenced(void)
{
    begin_running(3);
    kill_n3();
    put("/alive/n3", "{\"v\":1}");
    run_ms(TTL_MS + 2 * MARGIN_MS);
    int before = lab.nodes[0].requests;
    run_ms(10 * MARGIN_MS);
    ok(lab.nodes[0].requests - before <= 30, "%d requests", lab.nodes[0].requests - before);
    ok(!text_at("/fence/n3/0"), "incarnation 0 is fenced");
    end();
}

static void a_removed_node_is_not_fenced(void)
{
    begin_running(3);
    kill_n3();
    put("/node/n3", NULL);
    run_ms(3 * TTL_MS);
    ok(!text_at(FENCE), "it is fenced");
    end();
}

static void a_fenced_node_is_told_and_rejoins(void)
{
    begin_running(3);
    lab.nodes[2].stopped = true;
    ok(await(FENCE, "free", 10000), "it is not fenced");
    int64_t revision = revision_of("/alive/n3");
    lab.nodes[2].stopped = false;
    run_ms(3000);
    is_int((long long)notices(2, AGENT_FENCED, NULL, 0), 1);
    is_int(revision_of("/alive/n3"), revision);
    ok(lab.nodes[2].until_stop_ms < lab.now_ms, "it serves");
    rejoin(2);
    run_ms(3000);
    is_text(state_of(0, "n3"), "up");
    is_text(state_of(2, "n3"), "up");
    is_text(field(FENCE, "by"), "n3");
    ok(lab.nodes[2].until_stop_ms > lab.now_ms, "it does not serve");
    run_ms(3 * TTL_MS);
    ok(!text_at("/fence/n3/2"), "it is fenced again");
    is_int((long long)notices(2, AGENT_FENCED, NULL, 0), 1);
    end();
}

static void one_that_rejoins_ends_a_fence_that_is_closing(void)
{
    begin_running(3);
    put(FENCE, "{\"v\":1,\"state\":\"closing\",\"alive\":0}");
    run_ms(MARGIN_MS + KEEPALIVE_MS);
    is_int((long long)notices(2, AGENT_FENCED, NULL, 0), 1);
    is_text(field(FENCE, "state"), "closing");
    rejoin(2);
    run_ms(10);
    is_text(field(FENCE, "state"), "free");
    is_text(field(FENCE, "by"), "n3");
    end();
}

static void a_rejoin_of_unknown_outcome_is_looked_up(void)
{
    for (int done = 0; done < 2; done++) {
        begin_running(3);
        put(FENCE, "{\"v\":1,\"state\":\"closing\",\"alive\":0}");
        run_ms(MARGIN_MS + KEEPALIVE_MS);
        rejoin(2);
        lab.nodes[2].fault = (struct fault){"/alive/n3", done != 0, VIOS_E_UNKNOWN, 0, 1};
        run_ms(3000);
        is_text(field(FENCE, "by"), "n3");
        is_text(state_of(0, "n3"), "up");
        is_int((long long)notices(2, AGENT_FOREIGN, NULL, 0), 0);
        is_int(lab.nodes[2].fault.times, 0);
        end();
    }
}

static void when_only_the_fence_is_known_its_own_time_is_waited_for(void)
{
    begin_running(3);
    kill_n3();
    put(FENCE, "{\"v\":1,\"state\":\"closing\",\"alive\":1}"); /* another revision than is there */
    int64_t put_ms = lab.now_ms;
    ok(await(FENCE, "free", 20000), "it is never freed");
    ok(lab.now_ms >= put_ms + TTL_MS, "it is freed after %lld ms", (long long)lab.now_ms - put_ms);
    end();
}

static void when_the_record_is_gone_the_fence_is_waited_for(void)
{
    begin_running(3);
    kill_n3();
    run_ms(2000);
    int64_t alive = revision_of("/alive/n3"), put_ms = lab.now_ms;
    char text[96];
    snprintf(text, sizeof text, "{\"v\":1,\"state\":\"closing\",\"alive\":%lld}", (long long)alive);
    put(FENCE, text);
    run_ms(MARGIN_MS + KEEPALIVE_MS);
    put("/alive/n3", NULL);
    ok(await(FENCE, "free", 20000), "it is never freed");
    ok(lab.now_ms >= put_ms + TTL_MS, "it is freed after %lld ms", (long long)lab.now_ms - put_ms);
    end();
}

static void when_the_last_renewal_is_known_it_is_counted_from(void)
{
    begin_running(3);
    int64_t sent_ms = kill_n3();
    run_ms(3000);
    char text[96];
    snprintf(text, sizeof text, "{\"v\":1,\"state\":\"closing\",\"alive\":%lld}",
             (long long)revision_of("/alive/n3"));
    put(FENCE, text);
    ok(await(FENCE, "free", 20000), "it is never freed");
    ok(lab.now_ms >= sent_ms + TTL_MS, "it is freed too early");
    ok(lab.now_ms < sent_ms + TTL_MS + 2 * MARGIN_MS, "the fence is waited for");
    end();
}

static void a_new_primary_counts_from_what_it_saw_itself(void)
{
    begin(3);
    put("/alive/n3", "{\"v\":1,\"incarnation\":1,\"start\":1,\"n\":99,\"row\":[]}");
    start(0);
    int64_t first_ms = lab.now_ms;
    ok(await(FENCE, "closing", 20000), "it is never fenced");
    ok(lab.now_ms >= first_ms + TTL_MS, "it is fenced after %lld ms",
       (long long)(lab.now_ms - first_ms));
    end();
}

/* The store is away from all, and comes back to one after the other. */
static void store_away(int64_t for_ms, int64_t between_ms)
{
    for (size_t i = 0; i < lab.count; i++) {
        lab.nodes[i].store_away = true;
    }
    run_ms(for_ms);
    for (size_t i = 0; i < lab.count; i++) {
        lab.nodes[i].store_away = false;
        run_ms(between_ms);
    }
}

static void nobody_is_judged_by_a_store_that_was_away(void)
{
    for (int64_t phase_ms = 0; phase_ms < MARGIN_MS; phase_ms += 210) {
        begin_running(3);
        int64_t from_ms = lab.now_ms;
        store_away(2 * TTL_MS + phase_ms, phase_ms);
        run_ms(3 * TTL_MS);
        for (size_t i = 0; i < 3; i++) {
            for (size_t k = 0; k < 3; k++) {
                is_int((long long)notices(i, AGENT_NODE_STATE, lab.nodes[k].name, from_ms), 0);
            }
            is_int((long long)notices(i, AGENT_FENCED, NULL, 0), 0);
            is_int((long long)notices(i, AGENT_NEW_PRIMARY, NULL, from_ms), 0);
        }
        is_int((long long)primary_now(), 0);
        end();
    }
}

static void one_that_died_while_the_store_was_away_is_fenced_after(void)
{
    begin_running(3);
    store_away(10000, 0);
    kill_node(2);
    store_away(10000, 0);
    ok(await(FENCE, "free", 30000), "it is never fenced");
    is_int((long long)notices(1, AGENT_FENCED, NULL, 0), 0);
    end();
}

static void states_are_told_as_they_change(void)
{
    begin_running(3);
    is_text(state_of(0, "n3"), "up");
    is_text(state_of(0, "n9"), "down");
    int64_t from_ms = lab.now_ms;
    kill_n3();
    run_ms(2000);
    is_text(state_of(0, "n3"), "suspect");
    is_int((long long)notices(0, AGENT_NODE_STATE, "n3", from_ms), 1);
    run_ms(6000);
    is_text(state_of(0, "n3"), "down");
    is_int((long long)notices(0, AGENT_NODE_STATE, "n3", from_ms), 2);
    is_int((long long)notices(1, AGENT_NODE_STATE, "n3", from_ms), 2);
    is_int((long long)notices(0, AGENT_NODE_STATE, "n2", from_ms), 0);
    end();
}

int main(void)
{
    RUN(a_dead_node_is_fenced_when_its_time_is_over);
    RUN(a_renewal_that_comes_between_wins);
    RUN(one_that_is_not_primary_any_more_fences_nobody);
    RUN(a_fence_of_unknown_outcome_is_looked_up);
    RUN(a_fence_that_cannot_be_sent_is_not_sent_without_a_pause);
    RUN(a_record_that_is_none_is_not_fenced);
    RUN(a_removed_node_is_not_fenced);
    RUN(a_fenced_node_is_told_and_rejoins);
    RUN(one_that_rejoins_ends_a_fence_that_is_closing);
    RUN(a_rejoin_of_unknown_outcome_is_looked_up);
    RUN(when_only_the_fence_is_known_its_own_time_is_waited_for);
    RUN(when_the_record_is_gone_the_fence_is_waited_for);
    RUN(when_the_last_renewal_is_known_it_is_counted_from);
    RUN(a_new_primary_counts_from_what_it_saw_itself);
    RUN(nobody_is_judged_by_a_store_that_was_away);
    RUN(one_that_died_while_the_store_was_away_is_fenced_after);
    RUN(states_are_told_as_they_change);
    return tap_done();
}
