/* test_agent.c - the renewal and the election, on a few agents: who becomes primary, and until when
 * a node serves. */
#include "tests/unit/cluster/cluster.h"

/* --- the renewal --- */

static void a_node_serves_from_the_sending_of_a_renewal(void)
{
    begin(1);
    start(0);
    lab.nodes[0].fault = (struct fault){"/alive/", true, VIOS_OK, 700, 1};
    run_ms(1);
    int64_t sent_ms = lab.nodes[0].renewal_sent_ms;
    run_ms(690);
    is_int(lab.nodes[0].until_stop_ms, 0);
    run_ms(20);
    is_int(lab.nodes[0].until_stop_ms, sent_ms + TTL_MS - MARGIN_MS);
    is_int(lab.nodes[0].until_kill_ms, sent_ms + TTL_MS - MARGIN_MS / 2);
    is_int(agent_until_stop_ms(agent_of(0)), lab.nodes[0].until_stop_ms);
    end();
}

static void a_renewal_is_sent_every_fifth_of_the_ttl(void)
{
    begin(1);
    start(0);
    run_ms(1);
    int64_t sent_ms = lab.nodes[0].renewal_sent_ms;
    for (int i = 1; i <= 5; i++) {
        run_ms(MARGIN_MS + KEEPALIVE_MS / 2);
        int64_t gap_ms = lab.nodes[0].renewal_sent_ms - sent_ms;
        ok(gap_ms >= MARGIN_MS && gap_ms <= MARGIN_MS + KEEPALIVE_MS / 2, "%lld ms",
           (long long)gap_ms);
        sent_ms = lab.nodes[0].renewal_sent_ms;
    }
    is_text(field("/alive/n1", "node"), "n1"); /* what the daemon added */
    end();
}

static void an_unknown_renewal_counts_when_it_is_read(void)
{
    begin_running(1);
    int64_t before_ms = lab.nodes[0].until_stop_ms;
    lab.nodes[0].fault = (struct fault){"/alive/", true, VIOS_E_UNKNOWN, 0, 1};
    int64_t sent_before_ms = lab.nodes[0].renewal_sent_ms;
    while (lab.nodes[0].renewal_sent_ms == sent_before_ms) {
        run_ms(1);
    }
    run_ms(2 * LATENCY_MS);
    is_int(lab.nodes[0].until_stop_ms, before_ms); /* it is being read */
    run_ms(2 * LATENCY_MS + 1);
    is_int(lab.nodes[0].until_stop_ms, lab.nodes[0].renewal_sent_ms + TTL_MS - MARGIN_MS);
    end();
}

static void an_unknown_renewal_that_is_not_there_does_not_count(void)
{
    begin_running(2);
    int64_t before_ms = lab.nodes[0].until_stop_ms;
    lab.nodes[0].fault = (struct fault){"/alive/", false, VIOS_E_UNKNOWN, 0, 1};
    int64_t sent_before_ms = lab.nodes[0].renewal_sent_ms;
    while (lab.nodes[0].renewal_sent_ms == sent_before_ms) {
        run_ms(1);
    }
    run_ms(100);
    is_int(lab.nodes[0].until_stop_ms, before_ms);
    run_ms(MARGIN_MS + KEEPALIVE_MS);
    ok(lab.nodes[0].until_stop_ms > before_ms, "it does not renew again");
    is_int((long long)notices(0, AGENT_FOREIGN, NULL, 0), 0);
    end();
}

static void a_store_that_was_away_for_long_is_renewed_in_again(void)
{
    begin_running(1); /* the first renewal is done, its answer lost; then nothing for a minute */
    lab.nodes[0].fault = (struct fault){"/alive/", true, VIOS_E_UNKNOWN, 0, 1};
    int64_t sent_before_ms = lab.nodes[0].renewal_sent_ms;
    while (lab.nodes[0].renewal_sent_ms == sent_before_ms) {
        run_ms(1);
    }
    lab.nodes[0].store_away = true;
    run_ms(60000);
    lab.nodes[0].store_away = false;
    run_ms(3 * MARGIN_MS);
    is_int((long long)notices(0, AGENT_FOREIGN, NULL, 0), 0);
    ok(lab.nodes[0].until_stop_ms > lab.now_ms, "it does not serve");
    end();
}

static void alone_it_needs_no_promise_while_the_store_is_away(void)
{
    begin_running(1);
    lab.nodes[0].store_away = true;
    run_ms(20000);
    ok(lab.nodes[0].until_stop_ms > lab.now_ms, "it does not serve, and nobody could fence it");
    end();
}

static void another_daemon_under_the_name_is_told_and_nothing_renewed(void)
{
    begin_running(1);
    for (int n = 900; n < 910; n++) { /* it goes on: no late renewal of the daemon before */
        char text[96];
        snprintf(text, sizeof text, "{\"v\":1,\"incarnation\":1,\"start\":3,\"n\":%d}", n);
        put("/alive/n1", text);
        run_ms(MARGIN_MS + KEEPALIVE_MS);
    }
    is_int((long long)notices(0, AGENT_FOREIGN, NULL, 0), 1);
    int64_t revision = revision_of("/alive/n1");
    run_ms(10000);
    is_int(revision_of("/alive/n1"), revision);
    ok(lab.nodes[0].until_stop_ms < lab.now_ms, "it serves");
    is_int((long long)primary_now(), NODES_MAX);
    end();
}

/* --- the election --- */

static void the_first_one_is_elected(void)
{
    int64_t epoch;
    begin(1);
    start(0);
    is_int((long long)await_primary(1000), 0);
    is_text(agent_primary(agent_of(0), &epoch), "n1");
    is_int(epoch, 1);
    is_text(field("/primary", "node"), "n1");
    is_text(field("/primary", "state"), "committed");
    is_int((long long)notices(0, AGENT_NEW_PRIMARY, "n1", 0), 1);
    int64_t revision = revision_of("/primary");
    run_ms(20000);
    is_int(revision_of("/primary"), revision);
    end();
}

static void all_at_once_elect_one(void)
{
    int64_t epoch;
    begin(5);
    for (size_t i = 0; i < 5; i++) {
        start(i);
    }
    size_t primary = await_primary(3000);
    ok(primary < 5, "nobody is elected");
    run_ms(2000);
    for (size_t i = 0; i < 5; i++) {
        is_text(agent_primary(agent_of(i), &epoch), lab.nodes[primary].name);
        is_int(epoch, 1);
        is_int((long long)notices(i, AGENT_NEW_PRIMARY, NULL, 0), 1);
    }
    end();
}

static void a_killed_primary_is_followed_by_one_other(void)
{
    int64_t epoch;
    begin_running(3);
    is_int((long long)primary_now(), 0);
    kill_node(0);
    size_t next = await_primary(3000);
    ok(next == 1 || next == 2, "nobody follows");
    run_ms(1000);
    for (size_t i = 1; i < 3; i++) {
        is_text(agent_primary(agent_of(i), &epoch), lab.nodes[next].name);
        is_int(epoch, 2);
    }
    start(0); /* the old one, back on the same boot, is a follower */
    run_ms(10000);
    is_int((long long)primary_now(), (long long)next);
    is_text(agent_primary(agent_of(0), &epoch), lab.nodes[next].name);
    end();
}

static void a_daemon_that_was_killed_was_not_given_up_too_early(void)
{
    begin_running(3);
    kill_node(0);
    ok(await_primary(3000) < 3, "nobody follows");
    start(0);
    run_ms(3000);
    is_int(matrix_suspicion_ms(agent_matrix(agent_of(1)), lab.now_ms),
           MATRIX_SUSPICION_KEEPALIVES * KEEPALIVE_MS);
    end();
}

static void one_given_up_that_was_there_makes_suspicion_slower(void)
{
    begin_running(3);
    cut_off(1, true);
    size_t next = await_primary(1);
    for (int i = 0; i < 3000 && (next == 0 || next == NODES_MAX); i++) {
        run_ms(1);
        next = primary_now();
    }
    ok(next == 1 || next == 2, "nobody follows");
    cut_off(1, false);
    run_ms(500);
    ok(matrix_suspicion_ms(agent_matrix(agent_of(next)), lab.now_ms) >
           MATRIX_SUSPICION_KEEPALIVES * KEEPALIVE_MS,
       "it suspects as fast as before");
    end();
}

static void a_primary_alone_goes_on_when_it_is_started_again(void)
{
    int64_t epoch;
    begin_running(1);
    kill_node(0);
    start(0);
    is_int((long long)await_primary(1000), 0);
    agent_primary(agent_of(0), &epoch);
    is_int(epoch, 2);
    end();
}

static void it_resigns_to_the_one_named(void)
{
    struct vios_error error;
    int64_t epoch;
    for (int64_t phase_ms = 0; phase_ms < MARGIN_MS; phase_ms += 130) { /* of ticks and listings */
        begin_running(4);
        run_ms(phase_ms);
        is_int(agent_resign(agent_of(0), "n3", &error), VIOS_OK);
        agent_tick(agent_of(0), lab.now_ms, WALL_MS + lab.now_ms);
        /* nobody waits for a tick of its own: four requests to the store, and one message */
        is_int((long long)await_primary(4 * 2 * LATENCY_MS + 1), 2);
        run_ms(2000);
        is_int((long long)primary_now(), 2);
        is_text(agent_primary(agent_of(0), &epoch), "n3");
        is_int(epoch, 2);
        end();
    }
}

static void one_named_that_is_away_is_not_waited_for_long(void)
{
    struct vios_error error;
    begin_running(4);
    is_int(agent_resign(agent_of(0), "n3", &error), VIOS_OK);
    lab.nodes[2].stopped = true;
    run_ms(3000);
    size_t next = primary_now();
    ok(next == 0 || next == 1 || next == 3, "nobody follows");
    end();
}

static void it_resigns_to_another_when_none_is_named(void)
{
    struct vios_error error;
    for (int64_t phase_ms = 0; phase_ms < MARGIN_MS; phase_ms += 130) {
        begin_running(3);
        run_ms(phase_ms);
        is_int(agent_resign(agent_of(0), NULL, &error), VIOS_OK);
        run_ms(2000);
        size_t next = primary_now();
        ok(next == 1 || next == 2, "after %lld ms it is node %zu", (long long)phase_ms, next);
        end();
    }
}

static void alone_it_takes_the_role_again(void)
{
    struct vios_error error;
    begin_running(1);
    is_int(agent_resign(agent_of(0), NULL, &error), VIOS_OK);
    run_ms(3000);
    is_int((long long)primary_now(), 0);
    end();
}

static void to_whom_it_cannot_resign(void)
{
    struct vios_error error;
    begin_running(3);
    put("/node/n3", "{\"v\":1,\"role\":\"witness\"}");
    run_ms(2000);
    is_int(agent_resign(agent_of(1), NULL, &error), VIOS_E_CONFLICT);
    is_text(error.message, "it is not the primary, n1 is");
    is_int(agent_resign(agent_of(0), "n9", &error), VIOS_E_NOT_FOUND);
    is_text(error.object, "node \"n9\"");
    is_int(agent_resign(agent_of(0), "n1", &error), VIOS_E_INVALID);
    is_text(error.message, "it is the primary already");
    is_int(agent_resign(agent_of(0), "n3", &error), VIOS_E_INVALID);
    is_text(error.message, "it cannot be primary: it is a witness");
    put("/node/n3", "{\"v\":1,\"state\":\"drained\"}");
    run_ms(2000);
    is_int(agent_resign(agent_of(0), "n3", &error), VIOS_E_INVALID);
    is_text(error.message, "it cannot be primary: it is drained");
    is_int((long long)primary_now(), 0);
    end();
}

static void a_drained_primary_resigns(void)
{
    begin_running(3);
    put("/node/n1", "{\"v\":1,\"role\":\"member\",\"state\":\"drained\"}");
    run_ms(3000);
    size_t next = primary_now();
    ok(next == 1 || next == 2, "it is node %zu", next);
    is_text(state_of(1, "n1"), "drained");
    end();
}

static void a_foreign_lock_is_waited_for_and_then_taken(void)
{
    int64_t epoch;
    begin(1);
    put("/primary", "{\"v\":1,\"node\":\"n7\",\"incarnation\":1,\"start\":7,\"epoch\":4,"
                    "\"state\":\"locking\",\"history\":[]}");
    start(0);
    run_ms(5 * KEEPALIVE_MS - 10);
    is_int((long long)primary_now(), NODES_MAX);
    json_t *shown = agent_explain_primary(agent_of(0), lab.now_ms);
    is_text(json_string_value(json_object_get(shown, "election")), "WAITING");
    is_text(json_string_value(json_object_get(json_object_get(shown, "lock"), "node")), "n7");
    is_int(json_integer_value(json_object_get(json_object_get(shown, "lock"), "epoch")), 4);
    ok(json_is_integer(json_object_get(shown, "timer_ms")), "no timer is shown");
    json_decref(shown);
    is_int((long long)await_primary(1000), 0);
    agent_primary(agent_of(0), &epoch);
    is_int(epoch, 5);
    end();
}

/* What becomes of the request for a lock or its commit, and the epoch in the end. */
static void one_unknown(const char *name, int skip, bool done)
{
    int64_t epoch;
    begin(1);
    put("/primary", "{\"v\":1,\"node\":\"\",\"epoch\":4,\"state\":\"resigned\",\"to\":\"\"}");
    start(0);
    while (skip > 0) { /* the lock is a change of /primary, and the commit the next one */
        int64_t before = revision_of("/primary");
        while (revision_of("/primary") == before) {
            run_ms(1);
        }
        skip--;
    }
    lab.nodes[0].fault = (struct fault){"/primary", done, VIOS_E_UNKNOWN, 0, 1};
    is_int((long long)await_primary(3000), 0);
    agent_primary(agent_of(0), &epoch);
    ok(epoch == 5, "%s: epoch %lld", name, (long long)epoch);
    is_text(field("/primary", "state"), "committed");
    is_int(lab.nodes[0].fault.times, 0);
    end();
}

static void unknown_locks_and_commits_are_looked_up(void)
{
    one_unknown("lock done", 0, true);
    one_unknown("lock not done", 0, false);
    one_unknown("commit done", 1, true);
    one_unknown("commit not done", 1, false);
}

static void a_lock_that_cannot_be_sent_is_tried_again_after_a_pause(void)
{
    begin(1);
    start(0);
    lab.nodes[0].fault = (struct fault){"/primary", false, VIOS_E_NO_SPACE, 0, 1000000};
    run_ms(10 * MARGIN_MS);
    ok(lab.nodes[0].requests <= 40, "%d requests", lab.nodes[0].requests);
    lab.nodes[0].fault.times = 0;
    is_int((long long)await_primary(2000), 0);
    end();
}

static void a_resignation_of_unknown_outcome_is_looked_up(void)
{
    struct vios_error error;
    for (int done = 0; done < 2; done++) {
        begin_running(2);
        lab.nodes[0].fault = (struct fault){"/primary", done != 0, VIOS_E_UNKNOWN, 0, 1};
        is_int(agent_resign(agent_of(0), "n2", &error), VIOS_OK);
        run_ms(3000);
        is_int((long long)primary_now(), done ? 1 : 0);
        is_int(lab.nodes[0].fault.times, 0);
        end();
    }
}

static void an_old_primary_whose_record_changed_finds_out(void)
{
    begin_running(3);
    lab.nodes[0].stopped = true; /* frozen, and thawed after another was elected and it fenced */
    run_ms(4000);
    size_t next = primary_now();
    ok(next == 1 || next == 2, "nobody follows");
    lab.nodes[0].stopped = false;
    run_ms(3000);
    is_int((long long)primary_now(), (long long)next);
    ok(!agent_is_primary(agent_of(0), lab.now_ms), "the old one acts on");
    is_int(agent_primary_revision(agent_of(0)), 0);
    end();
}

static void a_removed_node_is_no_member_any_more(void)
{
    begin_running(3);
    put("/node/n1", NULL);
    run_ms(3000);
    size_t next = primary_now();
    ok(next == 1 || next == 2, "it is node %zu", next);
    is_text(state_of(next, "n1"), "down");
    ok(!matrix_is_neighbour(agent_matrix(agent_of(next)), 0), "it is a neighbour still");
    json_t *shown = agent_explain_primary(agent_of(0), lab.now_ms);
    ok(json_is_false(json_object_get(shown, "able")), "it is able to be primary");
    json_decref(shown);
    is_int((long long)notices(0, AGENT_REMOVED, NULL, 0), 1);
    run_ms(TTL_MS);
    ok(lab.nodes[0].until_stop_ms < lab.now_ms, "it serves");
    kill_node(0);
    put("/node/n1", "{\"v\":1}"); /* and back */
    start(0);
    run_ms(3000);
    is_text(state_of(next, "n1"), "up");
    is_int((long long)primary_now(), (long long)next);
    end();
}

static void a_renewal_that_a_removal_overtakes_fails(void)
{
    begin_running(3);
    const struct pending *renewal = &lab.nodes[2].pending[AGENT_RENEWAL];
    while (!renewal->used || renewal->executed || renewal->request.kind != AGENT_COMMIT) {
        run_ms(1);
    }
    put("/node/n3", NULL);
    int64_t revision = revision_of("/alive/n3");
    run_ms(3000);
    is_int(revision_of("/alive/n3"), revision);
    is_int((long long)notices(2, AGENT_REMOVED, NULL, 0), 1);
    end();
}

/* The newest row of n1 on its way to n2 names `name`. */
static bool n1_says(const char *name)
{
    bool says = false;
    for (struct packet *packet = lab.packets; packet; packet = packet->next) {
        struct keepalive message;
        if (packet->from == 0 && packet->to == 1 &&
            keepalive_read(&message, packet->data, packet->size)) {
            says = false;
            for (size_t i = 0; i < message.row_count; i++) {
                says = says || strcmp(message.row[i], name) == 0;
            }
        }
    }
    return says;
}

static void contact_that_is_lost_is_told_at_once(void)
{
    for (int64_t phase_ms = 0; phase_ms < KEEPALIVE_MS; phase_ms += 30) { /* of their ticks */
        begin(3);
        start(0);
        start(1);
        run_ms(phase_ms);
        start(2);
        run_ms(6000);
        kill_node(2);
        while (matrix_hears(agent_matrix(agent_of(0)), 2, lab.now_ms)) {
            run_ms(1);
        }
        int64_t lost_ms = lab.now_ms;
        bool told = false;
        while (!told) {
            run_ms(1);
            told = n1_says("n2") && !n1_says("n3");
        }
        ok(lab.now_ms - lost_ms <= KEEPALIVE_MS / 2, "after %lld ms",
           (long long)(lab.now_ms - lost_ms));
        end();
    }
}

static void foreign_bytes_are_refused(void)
{
    begin_running(2);
    ok(!agent_receive(agent_of(0), "n2", (const uint8_t *)"x", 1, lab.now_ms), "one byte is taken");
    ok(!agent_receive(agent_of(0), "n2", NULL, 0, lab.now_ms), "nothing is taken");
    end();
}

int main(void)
{
    RUN(a_node_serves_from_the_sending_of_a_renewal);
    RUN(a_renewal_is_sent_every_fifth_of_the_ttl);
    RUN(an_unknown_renewal_counts_when_it_is_read);
    RUN(an_unknown_renewal_that_is_not_there_does_not_count);
    RUN(a_store_that_was_away_for_long_is_renewed_in_again);
    RUN(alone_it_needs_no_promise_while_the_store_is_away);
    RUN(another_daemon_under_the_name_is_told_and_nothing_renewed);
    RUN(the_first_one_is_elected);
    RUN(all_at_once_elect_one);
    RUN(a_killed_primary_is_followed_by_one_other);
    RUN(a_daemon_that_was_killed_was_not_given_up_too_early);
    RUN(one_given_up_that_was_there_makes_suspicion_slower);
    RUN(a_primary_alone_goes_on_when_it_is_started_again);
    RUN(it_resigns_to_the_one_named);
    RUN(one_named_that_is_away_is_not_waited_for_long);
    RUN(it_resigns_to_another_when_none_is_named);
    RUN(alone_it_takes_the_role_again);
    RUN(to_whom_it_cannot_resign);
    RUN(a_drained_primary_resigns);
    RUN(a_foreign_lock_is_waited_for_and_then_taken);
    RUN(unknown_locks_and_commits_are_looked_up);
    RUN(a_lock_that_cannot_be_sent_is_tried_again_after_a_pause);
    RUN(a_resignation_of_unknown_outcome_is_looked_up);
    RUN(an_old_primary_whose_record_changed_finds_out);
    RUN(a_removed_node_is_no_member_any_more);
    RUN(a_renewal_that_a_removal_overtakes_fails);
    RUN(contact_that_is_lost_is_told_at_once);
    RUN(foreign_bytes_are_refused);
    return tap_done();
}
