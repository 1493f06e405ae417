/* test_requirement.c - what a node must meet to be primary, and what it does when it does not; and
 * the agent explained: the matrix, the history, and splits foretold. */
#include "tests/unit/cluster/cluster.h"

/* The requirement `name` as node number `seen_by` explains it. */
static void requires(size_t seen_by, const char *name, const char *value, const char *limit,
                     bool passes)
{
    size_t i;
    bool found = false;
    json_t *row, *shown = agent_explain_primary(agent_of(seen_by), lab.now_ms);
    json_array_foreach(json_object_get(shown, "requirements"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0) {
            found = true;
            is_text(json_string_value(json_object_get(row, "value")), value);
            is_text(json_string_value(json_object_get(row, "limit")), limit);
            ok(json_is_true(json_object_get(row, "passes")) == passes, "%s: verdict", name);
        }
    }
    ok(found, "%s is no requirement", name);
    ok(passes || json_is_false(json_object_get(shown, "able")), "it is able all the same");
    json_decref(shown);
}

static void all_are_met(void)
{
    begin_running(3);
    requires(1, "role", "member", "member, not drained", true);
    requires(1, "vios-db", "writable", "writable", true);
    requires(1, "sub-cluster", "3 of 3 live nodes, rule whole", "the winning one", true);
    requires(1, "level", "1", "at least 1", true);
    requires(1, "clock", "1 ms off the others", "at most 10000 ms", true);
    json_t *shown = agent_explain_primary(agent_of(1), lab.now_ms);
    ok(json_is_true(json_object_get(shown, "able")), "it is not able");
    is_text(json_string_value(json_object_get(shown, "node")), "n2");
    is_text(json_string_value(json_object_get(shown, "primary")), "n1");
    is_text(json_string_value(json_object_get(shown, "election")), "FOLLOWER");
    ok(json_is_null(json_object_get(shown, "lock")), "a lock");
    ok(json_is_null(json_object_get(shown, "timer_ms")), "a timer");
    is_int((long long)json_array_size(json_object_get(shown, "declined")), 0);
    is_int((long long)json_array_size(json_object_get(shown, "history")), 1);
    json_decref(shown);
    end();
}

static void the_role(void)
{
    begin_running(3);
    put("/node/n2", "{\"v\":1,\"state\":\"drained\"}");
    put("/node/n3", "{\"v\":1,\"role\":\"witness\"}");
    run_ms(2000);
    requires(1, "role", "drained", "member, not drained", false);
    requires(2, "role", "witness", "member, not drained", false);
    put("/node/n2", NULL);
    run_ms(2000);
    requires(1, "role", "no member", "member, not drained", false);
    end();
    begin_running(2);
    put("/fence/n2/1", "{\"v\":1,\"state\":\"closing\"}");
    run_ms(2000);
    requires(1, "role", "fenced", "member, not drained", false);
    end();
}

static void the_store(void)
{
    begin_running(3);
    lab.nodes[1].store_away = true;
    run_ms(3000);
    requires(1, "vios-db", "the renewal fails", "writable", false);
    lab.nodes[0].store_away = lab.nodes[2].store_away = true;
    run_ms(3000);
    json_t *shown = agent_explain_primary(agent_of(1), lab.now_ms);
    json_t *row = json_array_get(json_object_get(shown, "requirements"), 1);
    const char *value = json_string_value(json_object_get(row, "value"));
    ok(strncmp(value, "bound by promises for ", 22) == 0, "it is \"%s\"", value);
    json_decref(shown);
    end();
    begin(1);
    start(0);
    requires(0, "vios-db", "the renewal fails", "writable", false); /* none succeeded yet */
    end();
}

static void the_sub_cluster(void)
{
    begin_running(5);
    cut_off(3, true);
    run_ms(2000);
    requires(0, "sub-cluster", "2 of 5 live nodes, rule majority", "the winning one", false);
    requires(4, "sub-cluster", "3 of 5 live nodes, rule majority", "the winning one", true);
    cut_off(3, false);
    run_ms(1000);
    cut_off(3, true);
    run_ms(6000);
    cut_off(3, false);
    run_ms(3000);
    requires(0, "sub-cluster", "5 of 5 live nodes, rule whole, lost a split", "the winning one",
             false);
    end();
}

static void the_level(void)
{
    begin_running(2);
    put("/cluster", "{\"v\":1,\"level\":2}");
    run_ms(2000);
    requires(1, "level", "1", "at least 2", false);
    put("/cluster", "{\"v\":1,\"level\":\"x\"}");
    run_ms(2000);
    requires(1, "level", "1", "at least 0", true);
    end();
}

/* n3's clock is wrong by so much: the others pass whatever it says, and it passes by itself only
 * when it is not far off. */
static void clock_off_by(int64_t off_ms, bool passes)
{
    uint8_t data[KEEPALIVE_SIZE_MAX];
    begin_running(3);
    struct keepalive message = {.kind = KEEPALIVE_ROW,
                                .flags = KEEPALIVE_STORE_OK,
                                .incarnation = 1,
                                .epoch = 1,
                                .primary = "n1",
                                .row_count = 3,
                                .row = {"n1", "n2", "n3"}};
    for (size_t from = 0; from < 2; from++) { /* as if n1 and n2 were off the other way */
        message.start = (uint64_t)lab.nodes[from].start;
        message.wall_ms = WALL_MS + lab.now_ms - off_ms;
        agent_receive(agent_of(2), lab.nodes[from].name, data, keepalive_write(&message, data),
                      lab.now_ms);
    }
    message.start = (uint64_t)lab.nodes[2].start;
    message.wall_ms = WALL_MS + lab.now_ms + off_ms;
    agent_receive(agent_of(0), "n3", data, keepalive_write(&message, data), lab.now_ms);
    json_t *shown = agent_explain_primary(agent_of(2), lab.now_ms);
    ok(json_is_true(json_object_get(shown, "able")) == passes, "off by %lld ms", (long long)off_ms);
    json_decref(shown);
    /* the median: n2's message was a millisecond on its way */
    requires(0, "clock", off_ms < 0 ? "1 ms off the others" : "0 ms off the others",
             "at most 10000 ms", true);
    end();
}

static void one_wrong_clock_is_the_only_one_unfit(void)
{
    clock_off_by(9000, true);
    clock_off_by(20000, false);
    clock_off_by(-20000, false);
    clock_off_by(WALL_MS - 2000000, false);
}

static const struct agent_fact REPOSITORY = {
    .name = "repository", .value = "not mounted", .limit = "mounted, writable", .passes = false};

static void what_the_node_measures_itself(void)
{
    struct agent_fact facts[AGENT_FACTS_MAX];
    begin_running(1);
    for (size_t i = 0; i < AGENT_FACTS_MAX; i++) {
        facts[i] = (struct agent_fact){.value = "1", .limit = "at most 2", .passes = true};
        snprintf(facts[i].name, sizeof facts[i].name, "fact-%zu", i);
    }
    agent_set_facts(agent_of(0), facts, AGENT_FACTS_MAX);
    requires(0, "fact-7", "1", "at most 2", true);
    agent_set_facts(agent_of(0), &REPOSITORY, 1);
    requires(0, "repository", "not mounted", "mounted, writable", false);
    end();
}

static void a_value_in_any_script_costs_no_renewal(void)
{
    struct agent_fact fact = REPOSITORY;
    begin_running(2);
    snprintf(fact.value, sizeof fact.value, "/srv/\xc3 is \xff away\n");
    agent_set_facts(agent_of(1), &fact, 1);
    run_ms(2 * TTL_MS);
    requires(1, "repository", "/srv/? is ? away?", "mounted, writable", false);
    ok(lab.nodes[1].until_stop_ms > lab.now_ms, "it does not renew");
    is_text(field("/alive/n2", "unfit"), "repository: /srv/? is ? away? (mounted, writable)");
    end();
}

static void one_that_is_unfit_tells_the_next(void)
{
    begin(3);
    for (size_t i = 0; i < 3; i++) {
        start(i);
        if (i != 1) {
            agent_set_facts(agent_of(i), &REPOSITORY, 1);
        }
    }
    is_int((long long)await_primary(3000), 1);
    end();
    begin(2); /* alone for a while, and unfit */
    start(0);
    agent_set_facts(agent_of(0), &REPOSITORY, 1);
    start(1);
    agent_set_facts(agent_of(1), &REPOSITORY, 1);
    run_ms(3000);
    is_int((long long)primary_now(), NODES_MAX);
    json_t *shown = agent_explain_primary(agent_of(1), lab.now_ms);
    is_text(json_string_value(json_object_get(shown, "reason")), "a primary has never been");
    json_t *declined = json_object_get(shown, "declined");
    is_int((long long)json_array_size(declined), 2);
    json_t *other = json_array_get(declined, 0);
    is_text(json_string_value(json_object_get(other, "node")), "n1");
    is_text(json_string_value(json_object_get(other, "reason")),
            "repository: not mounted (mounted, writable)");
    json_decref(shown);
    agent_set_facts(agent_of(1), NULL, 0); /* and then it is fit */
    is_int((long long)await_primary(1000), 1);
    run_ms(1000);
    shown = agent_explain_primary(agent_of(1), lab.now_ms);
    declined = json_object_get(shown, "declined"); /* by its own record */
    is_int((long long)json_array_size(declined), 1);
    json_decref(shown);
    end();
}

#define DRAINED "{\"v\":1,\"state\":\"drained\"}"

/* It passed the election on, and says so. */
static bool passed_on(size_t node)
{
    json_t *shown = agent_explain_primary(agent_of(node), lab.now_ms);
    bool elector = strcmp(json_string_value(json_object_get(shown, "election")), "ELECTOR") == 0;
    json_decref(shown);
    return elector;
}

/* Two that hear nothing of the primary for a moment, and cannot take its place, pass it on. */
static void who_declined_is_forgotten_when_the_primary_is_there(void)
{
    begin_running(3);
    size_t primary = primary_now();
    size_t second = (primary + 1) % 3, third = (primary + 2) % 3;
    bool declined = false;
    put(second == 0 ? "/node/n1" : second == 1 ? "/node/n2" : "/node/n3", DRAINED);
    put(third == 0 ? "/node/n1" : third == 1 ? "/node/n2" : "/node/n3", DRAINED);
    run_ms(3000);
    lab.cut[primary][second] = lab.cut[primary][third] = true;
    for (int i = 0; i < 15; i++) {
        run_ms(100);
        declined = declined || passed_on(second);
    }
    ok(declined, "it never passed it on");
    lab.cut[primary][second] = lab.cut[primary][third] = false;
    run_ms(3000);
    is_int((long long)primary_now(), (long long)primary);
    ok(!passed_on(second) && !passed_on(third), "it is shown still");
    end();
}

static void the_history_is_bounded(void)
{
    struct vios_error error;
    begin_running(2);
    for (size_t i = 0; i < 25; i++) {
        size_t from = i % 2;
        is_int(agent_resign(agent_of(from), from ? "n1" : "n2", &error), VIOS_OK);
        run_ms(3000);
        is_int((long long)primary_now(), from ? 0 : 1);
    }
    json_t *history = agent_show_history(agent_of(0));
    is_int((long long)json_array_size(history), ROSTER_HISTORY_MAX);
    json_t *last = json_array_get(history, ROSTER_HISTORY_MAX - 1);
    is_int(json_integer_value(json_object_get(last, "epoch")), 26);
    is_text(json_string_value(json_object_get(last, "node")), "n2");
    is_text(json_string_value(json_object_get(last, "reason")), "a primary resigned");
    int64_t took_ms = json_integer_value(json_object_get(last, "took_ms"));
    ok(took_ms > 0 && took_ms < 3000, "it took %lld ms", (long long)took_ms);
    json_decref(history);
    json_t *shown = agent_show_primary(agent_of(0), lab.now_ms);
    is_text(json_string_value(json_object_get(shown, "node")), "n2");
    is_int(json_integer_value(json_object_get(shown, "epoch")), 26);
    is_text(json_string_value(json_object_get(shown, "state")), "committed");
    is_text(json_string_value(json_object_get(shown, "seen_by")), "n1");
    ok(json_string_length(json_object_get(shown, "since")) > 0, "since when is not shown");
    json_decref(shown);
    end();
}

/* --- the matrix --- */

/* All links that do not work, as "n2<n3": n2 does not hear n3. */
static const char *broken_links(size_t seen_by)
{
    static char text[256];
    size_t i, k;
    json_t *line, *name, *lines = agent_show_matrix(agent_of(seen_by), lab.now_ms);
    text[0] = '\0';
    json_array_foreach(lines, i, line)
    {
        json_array_foreach(json_object_get(line, "deaf_to"), k, name)
        {
            size_t used = strlen(text);
            snprintf(text + used, sizeof text - used, "%s%s<%s", used > 0 ? " " : "",
                     json_string_value(json_object_get(line, "node")), json_string_value(name));
        }
        ok(json_is_true(json_object_get(line, "known")), "line %zu is not known", i);
    }
    json_decref(lines);
    return text;
}

static void a_one_way_cut_shows_exactly_that_link(void)
{
    begin_running(4);
    for (size_t i = 0; i < 4; i++) {
        is_text(broken_links(i), "");
    }
    lab.cut[2][1] = true; /* n2 does not hear n3 */
    run_ms(3000);
    for (size_t i = 0; i < 4; i++) {
        is_text(broken_links(i), "n2<n3");
        is_text(state_of(i, "n3"), "up");
    }
    lab.cut[2][1] = false;
    run_ms(3000);
    is_text(broken_links(0), "");
    end();
}

static void a_dead_node_is_no_broken_link(void)
{
    begin_running(3);
    kill_node(2);
    run_ms(2 * TTL_MS);
    size_t i;
    json_t *line, *lines = agent_show_matrix(agent_of(0), lab.now_ms);
    json_array_foreach(lines, i, line)
    {
        is_int((long long)json_array_size(json_object_get(line, "deaf_to")), 0);
        ok(json_is_true(json_object_get(line, "known")) == (i < 2), "line %zu", i);
        is_int((long long)json_array_size(json_object_get(line, "hears")), i < 2 ? 1 : 0);
    }
    is_text(json_string_value(json_object_get(json_array_get(lines, 2), "state")), "down");
    json_decref(lines);
    end();
}

static void a_node_that_was_stopped_shows_as_slow(void)
{
    begin_running(3);
    lab.nodes[2].stopped = true;
    run_ms(1500);
    lab.nodes[2].stopped = false;
    run_ms(KEEPALIVE_MS);
    json_t *lines = agent_show_matrix(agent_of(0), lab.now_ms);
    ok(json_is_true(json_object_get(json_array_get(lines, 2), "slow")), "n3 is not slow");
    ok(json_is_false(json_object_get(json_array_get(lines, 1), "slow")), "n2 is slow");
    json_decref(lines);
    is_int((long long)primary_now(), 0);
    end();
}

/* --- splits foretold --- */

/* The rule and who wins, as "majority: n1,n2"; or the code and message of the error. */
static const char *foretold(const char *sides_text)
{
    static char text[640];
    struct vios_error error = {0};
    size_t i;
    json_t *result, *name, *sides = json_loads(sides_text, JSON_DECODE_ANY, NULL);
    int status = agent_simulate_split(agent_of(0), sides, lab.now_ms, &result, &error);
    json_decref(sides);
    if (status != VIOS_OK) {
        ok(result == NULL, "a result beside an error");
        snprintf(text, sizeof text, "%s: %s: %s", error_name(status), error.object, error.message);
        return text;
    }
    snprintf(text, sizeof text, "%s:", json_string_value(json_object_get(result, "rule")));
    json_array_foreach(json_object_get(result, "winner"), i, name)
    {
        strcat(text, " ");
        strcat(text, json_string_value(name));
    }
    json_decref(result);
    return text;
}

static void what_a_split_would_bring(void)
{
    begin_running(4);
    int64_t revision = revision_of("/primary");
    is_text(foretold("[[\"n1\",\"n2\"],[\"n3\",\"n4\"]]"), "primary: n1 n2");
    is_text(foretold("[[\"n4\",\"n3\"],[\"n2\",\"n1\"]]"), "primary: n1 n2");
    is_text(foretold("[[\"n1\"],[\"n2\",\"n3\",\"n4\"]]"), "majority: n2 n3 n4");
    is_text(foretold("[[\"n2\"],[\"n1\"]]"), "majority: n2 n3 n4"); /* left out: the first side */
    is_text(foretold("[[\"n1\"],[\"n2\"],[\"n3\"],[\"n4\"]]"), "primary: n1");
    is_text(foretold("[[\"n1\",\"n2\",\"n3\",\"n4\"]]"), "whole: n1 n2 n3 n4");
    is_text(foretold("[[]]"), "whole: n1 n2 n3 n4");
    run_ms(1000);
    is_int(revision_of("/primary"), revision);
    ok(!text_at("/split/1"), "it is done");
    end();
}

static void what_cannot_be_foretold(void)
{
    begin_running(3);
    kill_node(2);
    run_ms(2 * TTL_MS);
    is_text(foretold("[[\"n1\"],[\"n9\"]]"), "not_found: node \"n9\": there is no such node");
    is_text(foretold("[[\"n1\"],[\"n2\",\"n1\"]]"), "usage: node \"n1\": it is named twice");
    is_text(foretold("[[\"n3\"],[\"n2\"]]"),
            "invalid: node \"n3\": it is down, and takes no part in a split");
    is_text(foretold("[[7]]"), "not_found: node \"\": there is no such node");
    is_text(foretold("[]"), "usage: : a split has 1 to 16 sides");
    is_text(foretold("{}"), "usage: : a split has 1 to 16 sides");
    is_text(foretold("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]"),
            "usage: : a split has 1 to 16 sides");
    is_text(foretold("[\"n1\",\"n2\"]"), "usage: : a side is a list of names");
    put("/node/n3", NULL);
    run_ms(2000);
    is_text(foretold("[[\"n3\"],[\"n2\"]]"), "not_found: node \"n3\": there is no such node");
    end();
}

int main(void)
{
    RUN(all_are_met);
    RUN(the_role);
    RUN(the_store);
    RUN(the_sub_cluster);
    RUN(the_level);
    RUN(one_wrong_clock_is_the_only_one_unfit);
    RUN(what_the_node_measures_itself);
    RUN(a_value_in_any_script_costs_no_renewal);
    RUN(one_that_is_unfit_tells_the_next);
    RUN(who_declined_is_forgotten_when_the_primary_is_there);
    RUN(the_history_is_bounded);
    RUN(a_one_way_cut_shows_exactly_that_link);
    RUN(a_dead_node_is_no_broken_link);
    RUN(a_node_that_was_stopped_shows_as_slow);
    RUN(what_a_split_would_bring);
    RUN(what_cannot_be_foretold);
    return tap_done();
}
