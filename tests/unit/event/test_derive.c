/* test_derive.c - which events the commits of the VIOS DB are: each kind of record as its writer
 * writes it, what says nothing, and what is known from one primary to the next. */
#include "event/derive.h"

#include "base/json.h"
#include "tests/tap.h"

#define WALL_MS 1764158400000

static struct derivation *derivation;
static json_t *events;
static int64_t revision;

static void begin(void)
{
    derivation_free(derivation);
    json_decref(events);
    is_int(derivation_new(&derivation, NULL, NULL), VIOS_OK);
    events = json_array();
    revision = 10;
}

static void end(void)
{
    derivation_free(derivation);
    json_decref(events);
}

/* What a change of `key` to `json` (NULL: deleted) is; `made`: by the commit that made it. */
static void change(const char *key, const char *json, bool made)
{
    char name[128], text[2048];
    json_array_clear(events);
    snprintf(name, sizeof name, "%s", key);
    snprintf(text, sizeof text, "%s", json ? json : "");
    revision++;
    const struct store_value value = {.key = name,
                                      .json = json ? text : NULL,
                                      .revision = revision,
                                      .created = made ? revision : 1};
    derivation_change(derivation, &value, WALL_MS, events);
    size_t i;
    json_t *event;
    json_array_foreach(events, i, event)
    {
        is_int(event_check(event, NULL), VIOS_OK);
        is_text(json_get_text(event, "time"), "2025-11-26T12:00:00.000Z");
    }
}

/* The i-th event of it is "CLASS OBJECT OPERATION OLD NEW", "-" for what is not said. */
static void is_event(size_t i, const char *want)
{
    char got[512] = "";
    const json_t *event = json_array_get(events, i);
    static const char *const MEMBERS[] = {"class", "object", "operation", "old", "new"};
    for (size_t member = 0; event && member < 5; member++) {
        const char *text = json_get_text(event, MEMBERS[member]);
        size_t used = strlen(got);
        snprintf(got + used, sizeof got - used, "%s%s", member ? " " : "", text ? text : "-");
    }
    is_text(got, want);
}

static void gives(const char *key, const char *json, bool made, const char *want)
{
    change(key, json, made);
    ok(json_array_size(events) == 1, "%zu events of %s %s", json_array_size(events), key,
       json ? json : "deleted");
    is_event(0, want);
}

static void gives_nothing(const char *key, const char *json, bool made)
{
    change(key, json, made);
    ok(json_array_size(events) == 0, "an event of %s %s", key, json ? json : "deleted");
}

static const json_t *data(void)
{
    return json_object_get(json_array_get(events, 0), "data");
}

/* As it is while nothing is derived. */
static void show(void (*how)(struct derivation *, const struct store_value *), const char *key,
                 const char *json)
{
    char name[128], text[2048];
    snprintf(name, sizeof name, "%s", key);
    snprintf(text, sizeof text, "%s", json);
    const struct store_value value = {.key = name, .json = text, .revision = 2, .created = 1};
    how(derivation, &value);
}

/* --- nodes --- */

#define ALIVE(incarnation)                                                                         \
    "{\"v\":1,\"incarnation\":" incarnation ",\"start\":5,\"n\":9,\"row\":[],\"state\":\"up\","    \
    "\"unfit\":\"\"}"
#define FENCE(state)                                                                               \
    "{\"v\":1,\"state\":\"" state "\",\"by\":\"n1\",\"epoch\":3,\"alive\":77,\"why\":\"silent\"}"

static void nodes_come_and_go(void)
{
    begin();
    gives("/node/n2", "{\"v\":1,\"address\":\"a\"}", true, "node n2 added - -");
    gives_nothing("/node/n2", "{\"v\":1,\"address\":\"b\"}", false);
    gives("/alive/n2", ALIVE("1"), true, "node n2 up down up");
    is_int(json_get_integer(data(), "incarnation"), 1);
    gives_nothing("/alive/n2", ALIVE("1"), false);
    gives("/fence/n2/1", FENCE("closing"), true, "node n2 down up down");
    is_text(json_get_text(data(), "by"), "n1");
    is_text(json_get_text(data(), "why"), "silent");
    gives_nothing("/fence/n2/1", FENCE("closing"), false);
    gives_nothing("/fence/n2/1", FENCE("free"), false);
    gives_nothing("/fence/n2/1", NULL, false);
    gives_nothing("/alive/n2", ALIVE("1"), false);
    gives("/alive/n2", ALIVE("2"), false, "node n2 up down up");
    gives_nothing("/alive/n2", NULL, false);
    gives("/node/n2", NULL, false, "node n2 removed - -");
    gives("/alive/n2", ALIVE("1"), true, "node n2 up down up"); /* another one of that name */
}

/* Who rejoins frees its own incarnation before, which nobody fenced. */
static void a_free_fence_is_no_end(void)
{
    begin();
    gives_nothing("/fence/n2/1", "{\"v\":1,\"state\":\"free\",\"by\":\"n2\"}", true);
}

/* --- the cluster --- */

#define PRIMARY(node, epoch, state)                                                                \
    "{\"v\":1,\"node\":\"" node "\",\"incarnation\":1,\"start\":1,\"epoch\":" epoch                \
    ",\"state\":\"" state "\",\"since\":\"s\",\"history\":[]}"

static void a_primary_is_elected_and_resigns(void)
{
    begin();
    gives_nothing("/primary", PRIMARY("n1", "1", "locking"), true);
    gives("/primary", PRIMARY("n1", "1", "committed"), false, "primary n1 elected - n1");
    is_int(json_get_integer(data(), "epoch"), 1);
    gives_nothing("/primary", PRIMARY("n1", "1", "committed"), false);
    gives("/primary",
          "{\"v\":1,\"node\":\"\",\"epoch\":1,\"state\":\"resigned\",\"to\":\"n2\","
          "\"history\":[]}",
          false, "primary n1 resigned n1 -");
    gives_nothing("/primary", PRIMARY("", "1", "resigned"), false);
    gives_nothing("/primary", PRIMARY("n2", "2", "locking"), false);
    gives("/primary", PRIMARY("n2", "2", "committed"), false, "primary n2 elected - n2");
    gives("/primary", PRIMARY("n3", "4", "committed"), false, "primary n3 elected n2 n3");
}

#define SPLIT(losers)                                                                              \
    "{\"v\":1,\"sides\":[[\"n1\",\"n2\",\"n3\"],[\"n4\",\"n5\"]],\"winner\":0,\"rule\":\"nodes\"," \
    "\"losers\":[" losers "],\"allowed_ms\":5000,\"by\":\"n1\",\"epoch\":3}"
#define LOSER(name) "{\"node\":\"" name "\",\"incarnation\":1}"

static void split_now(void)
{
    begin();
    change("/alive/n4", ALIVE("1"), true);
    change("/alive/n5", ALIVE("1"), true);
    gives("/split/1", SPLIT(LOSER("n4") "," LOSER("n5")), true,
          "cluster cluster split whole split");
}

static void a_split_ends_with_the_last(void)
{
    split_now();
    is_text(json_get_text(data(), "split"), "1");
    is_int(json_get_integer(data(), "winner"), 0);
    is_text(json_get_text(data(), "rule"), "nodes");
    is_int(json_array_size(json_object_get(data(), "sides")), 2);
    gives_nothing("/split/1", SPLIT(LOSER("n4") "," LOSER("n5")), false);
    gives_nothing("/alive/n4", ALIVE("1"), false);
    gives("/alive/n4", ALIVE("2"), false, "node n4 up down up");
    gives("/alive/n6", ALIVE("1"), true, "node n6 up down up");
    change("/alive/n5", ALIVE("2"), false);
    is_int(json_array_size(events), 2);
    is_event(0, "node n5 up down up");
    is_event(1, "cluster cluster merged split whole");
    gives("/alive/n5", ALIVE("3"), false, "node n5 up down up");
    gives_nothing("/split/1", NULL, false);
}

/* One that is removed will not come back. */
static void a_split_ends_when_the_last_is_removed(void)
{
    split_now();
    gives("/alive/n5", ALIVE("2"), false, "node n5 up down up");
    change("/node/n4", NULL, false);
    is_int(json_array_size(events), 2);
    is_event(0, "node n4 removed - -");
    is_event(1, "cluster cluster merged split whole");
}

/* --- LPARs --- */

#define LPAR(generation, owner, wanted, job, memory)                                               \
    "{\"v\":1,\"uuid\":\"u\",\"name\":\"a\",\"generation\":" generation ",\"owner\":" owner        \
    ",\"wanted\":\"" wanted "\",\"job\":" job ",\"spec\":{\"memory\":" memory "}}"
#define ON(node) "{\"node\":\"" node "\",\"incarnation\":1}"

static void an_lpar_lives(void)
{
    begin();
    gives("/lpar/a", LPAR("0", "null", "stopped", "null", "1"), true, "lpar a created - stopped");
    gives_nothing("/lpar/a", LPAR("0", "null", "stopped", "\"j-1\"", "1"), false);
    gives("/lpar/a", LPAR("1", ON("n1"), "running", "\"j-1\"", "1"), false,
          "lpar a started stopped running");
    gives_nothing("/lpar/a", LPAR("1", ON("n1"), "running", "null", "1"), false);
    gives("/lpar/a", LPAR("2", ON("n1"), "running", "null", "1"), false,
          "lpar a started running running");
    gives("/lpar/a", LPAR("3", ON("n2"), "running", "null", "1"), false, "lpar a moved n1 n2");
    gives("/lpar/a", LPAR("3", ON("n2"), "running", "null", "2"), false,
          "lpar a changed running running");
    gives("/lpar/a", LPAR("3", ON("n2"), "stopped", "null", "2"), false,
          "lpar a stopped running stopped");
    gives_nothing("/lpar/a", LPAR("3", "null", "stopped", "null", "2"), false);
    gives("/lpar/a", NULL, false, "lpar a removed stopped -");
    gives("/lpar/a", LPAR("0", "null", "stopped", "null", "1"), true, "lpar a created - stopped");
}

#define RUNS(state)                                                                                \
    "{\"v\":1,\"state\":\"" state "\",\"why\":\"\",\"node\":\"n1\",\"incarnation\":1,"             \
    "\"qemu_pid\":7,\"since\":\"s\"}"

static void a_guest_panics(void)
{
    begin();
    gives_nothing("/lpar-run/a", RUNS("running"), true);
    gives("/lpar-run/a", RUNS("panicked"), false, "lpar a panicked running panicked");
    is_text(json_get_text(data(), "node"), "n1");
    gives_nothing("/lpar-run/a", RUNS("panicked"), false);
    gives_nothing("/lpar-run/a", RUNS("running"), false);
    gives("/lpar-run/a", RUNS("panicked"), false, "lpar a panicked running panicked");
    gives_nothing("/lpar-run/a", NULL, false);
}

/* --- LUs, images, pools --- */

#define LU(name, size, state, more)                                                                \
    "{\"v\":1,\"created\":\"c\",\"dead\":[],\"name\":\"" name "\",\"pool\":\"p1\",\"file\":\"f\"," \
    "\"size_bytes\":" size ",\"thick\":false,\"state\":\"" state "\"" more "}"

static void an_lu_is_there_while_it_is_ready(void)
{
    begin();
    gives_nothing("/lu/u1", LU("d", "5", "making", ",\"job\":\"j-1\""), true);
    gives("/lu/u1", LU("d", "5", "ready", ""), false, "lu d created - -");
    gives_nothing("/lu/u1", LU("d", "5", "ready", ",\"job\":\"j-2\""), false);
    gives("/lu/u1", LU("d", "9", "ready", ""), false, "lu d resized - -");
    gives("/lu/u1", LU("e", "9", "ready", ""), false, "lu e renamed d e");
    gives("/lu/u1", LU("e", "9", "ready", ",\"lpar\":\"a\""), false, "lu e mapped - -");
    gives("/lu/u1", LU("e", "9", "ready", ""), false, "lu e mapped - -");
    gives_nothing("/lu/u1", LU("e", "9", "deleting", ",\"job\":\"j-3\""), false);
    gives("/lu/u1", NULL, false, "lu e removed - -");
}

static void what_was_never_made_is_nothing(void)
{
    begin();
    gives_nothing("/lu/u1", LU("d", "5", "making", ""), true);
    gives_nothing("/lu/u1", NULL, false);
    gives_nothing("/image/h1", "{\"v\":1,\"name\":\"i\",\"pool\":\"p1\",\"state\":\"making\"}",
                  true);
    gives_nothing("/image/h1", NULL, false);
}

static void images_and_pools_too(void)
{
    begin();
    gives_nothing("/image/h1", "{\"v\":1,\"name\":\"i\",\"pool\":\"p1\",\"state\":\"making\"}",
                  true);
    gives("/image/h1", "{\"v\":1,\"name\":\"i\",\"pool\":\"p1\",\"state\":\"ready\"}", false,
          "image i created - -");
    gives("/image/h1", NULL, false, "image i removed - -");
    gives("/pool/p1", "{\"v\":1,\"uuid\":\"u\",\"state\":\"ready\",\"overcommit\":2}", true,
          "pool p1 created - -");
    gives_nothing("/pool/p1", "{\"v\":1,\"uuid\":\"u\",\"state\":\"deleting\",\"overcommit\":2}",
                  false);
    gives("/pool/p1", NULL, false, "pool p1 removed - -");
    gives("/paging/m", "{\"v\":1}", true, "paging m created - -");
    gives_nothing("/paging/m", "{\"v\":1,\"x\":1}", false);
    gives("/paging/m", NULL, false, "paging m removed - -");
    gives_nothing("/incident/7", "{\"v\":1,\"state\":\"capturing\"}", true);
    gives("/incident/7", "{\"v\":1,\"state\":\"done\",\"trigger\":\"x\"}", false,
          "ffdc 7 captured - -");
    is_text(json_get_text(json_array_get(events, 0), "correlator"), "7");
    gives_nothing("/incident/7", "{\"v\":1,\"state\":\"done\",\"count\":2}", false);
    gives_nothing("/incident/7", NULL, false);
}

#define ALARM(value)                                                                               \
    "{\"v\":1,\"metric\":\"pool-free\",\"value\":" value ",\"limit\":10,\"since\":\"s\"}"

static void a_threshold_is_crossed_while_its_alarm_is_there(void)
{
    begin();
    gives("/alarm/low/-/p1", ALARM("9"), true, "threshold low raised ok raised");
    is_text(json_get_text(data(), "object"), "p1");
    is_text(json_get_text(data(), "metric"), "pool-free");
    is_int(json_get_integer(data(), "value"), 9);
    is_int(json_get_integer(data(), "limit"), 10);
    ok(!json_object_get(data(), "node"), "the cluster's has no node");
    gives_nothing("/alarm/low/-/p1", ALARM("8"), false);
    gives("/alarm/low/-/p1", NULL, false, "threshold low cleared raised ok");
    is_text(json_get_text(data(), "object"), "p1");
    is_text(json_get_text(data(), "metric"), "pool-free");
    ok(!json_object_get(data(), "value"), "what it was then says nothing now");
    gives("/alarm/mem/n2", "{\"v\":1}", true, "threshold mem raised ok raised");
    is_text(json_get_text(data(), "node"), "n2");
    ok(!json_object_get(data(), "object"), "a node is no object beside itself");
    gives("/alarm/p99/n2/web1", "{\"v\":1}", true, "threshold p99 raised ok raised");
    is_text(json_get_text(data(), "node"), "n2");
    is_text(json_get_text(data(), "object"), "web1");
    gives("/alarm/election/-", "{\"v\":1}", true, "threshold election raised ok raised");
    is_int((long long)json_object_size(data()), 0);
    gives_nothing("/alarm/low", ALARM("9"), true);
    gives_nothing("/alert/low", "{\"v\":1}", true);
}

/* The next primary, to which its deletion is the first news of it. */
static void the_end_of_an_unknown_alarm_is_told(void)
{
    begin();
    gives("/alarm/low/n1/a", NULL, false, "threshold low cleared raised ok");
    is_text(json_get_text(data(), "node"), "n1");
    begin();
    show(derivation_learn, "/alarm/low/n1/a", ALARM("9"));
    gives("/alarm/low/n1/a", NULL, false, "threshold low cleared raised ok");
    is_text(json_get_text(data(), "metric"), "pool-free");
}

static void other_records_are_nothing(void)
{
    begin();
    gives_nothing("/job/j-1", "{\"v\":1}", true);
    gives_nothing("/lu-name/d", "{\"v\":1}", true);
    gives_nothing("/image-name/d", "{\"v\":1}", true);
    gives_nothing("/cluster", "{\"v\":1}", false);
    gives_nothing("/events", "{\"v\":1}", false);
}

/* --- what is known --- */

static void an_old_value_may_be_unknown(void)
{
    begin();
    gives("/lpar/a", LPAR("3", ON("n2"), "running", "null", "2"), false,
          "lpar a changed - running");
    gives("/lu/u1", LU("d", "5", "ready", ""), false, "lu d changed - -");
    gives("/lu/u2", NULL, false, "lu u2 removed - -");
    begin();
    show(derivation_learn, "/lpar/a", LPAR("3", ON("n1"), "running", "null", "2"));
    show(derivation_learn, "/lu/u1", LU("d", "5", "ready", ""));
    show(derivation_learn, "/alive/n2", ALIVE("1")); /* known from /events, not from here */
    gives("/lpar/a", LPAR("4", ON("n2"), "running", "null", "2"), false, "lpar a moved n1 n2");
    gives("/lu/u1", NULL, false, "lu d removed - -");
    gives("/alive/n2", ALIVE("1"), false, "node n2 up down up");
}

/* What is there when events begin is no news. */
static void the_first_look_gives_nothing(void)
{
    begin();
    show(derivation_begin, "/alive/n2", ALIVE("3"));
    show(derivation_begin, "/primary", PRIMARY("n1", "7", "committed"));
    show(derivation_begin, "/lpar/a", LPAR("3", ON("n1"), "running", "null", "2"));
    gives_nothing("/alive/n2", ALIVE("3"), false);
    gives_nothing("/primary", PRIMARY("n1", "7", "committed"), false);
    gives_nothing("/lpar/a", LPAR("3", ON("n1"), "running", "\"j-4\"", "2"), false);
    gives("/alive/n2", ALIVE("4"), false, "node n2 up down up");
    gives("/primary", PRIMARY("n2", "8", "committed"), false, "primary n2 elected n1 n2");
}

static void the_next_primary_knows_it(void)
{
    split_now();
    change("/primary", PRIMARY("n1", "7", "committed"), true);
    json_t *known = derivation_known(derivation);
    derivation_free(derivation);
    is_int(derivation_new(&derivation, known, NULL), VIOS_OK);
    json_t *again = derivation_known(derivation);
    ok(json_equal(known, again), "it knows something else");
    json_decref(again);
    json_decref(known);
    gives_nothing("/alive/n4", ALIVE("1"), false);
    gives_nothing("/primary", PRIMARY("n1", "7", "committed"), false);
    gives("/alive/n4", ALIVE("2"), false, "node n4 up down up");
    change("/alive/n5", ALIVE("2"), false);
    is_event(1, "cluster cluster merged split whole");
}

static void corrupt_knowledge_is_refused(void)
{
    static const char *const WRONG[] = {"{\"up\":[]}", "{\"apart\":{}}", "{\"primary\":1}",
                                        "{\"epoch\":\"7\"}", "{\"up\":null}"};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        struct derivation *made;
        struct vios_error error = {0};
        json_t *known = json_loads(WRONG[i], 0, NULL);
        ok(derivation_new(&made, known, &error) == VIOS_E_CORRUPT && !made, "taken: %s", WRONG[i]);
        is_text(error.object, "/events");
        is_text(error.message, "it does not say who was up, apart, or primary");
        json_decref(known);
    }
}

/* What is no record of its kind ends nothing. */
static void records_may_be_anything(void)
{
    static const char *const KEYS[] = {"/node/n",  "/alive/n",  "/fence/n/1", "/primary",
                                       "/split/1", "/lpar/a",   "/lu/u",      "/image/h",
                                       "/pool/p",  "/paging/m", "/lpar-run/a"};
    static const char *const TEXTS[] = {"{}", "{", "[]",
                                        "{\"state\":7,\"node\":[],\"epoch\":\"x\"}",
                                        "{\"losers\":[1,{},{\"node\":5}],\"owner\":3}"};
    begin();
    for (size_t i = 0; i < 2 * 11 * 5; i++) {
        change(KEYS[i % 11], TEXTS[i / 11 % 5], i < 55);
    }
    gives("/alive/n9", ALIVE("1"), true, "node n9 up down up");
}

static void the_prefixes_are_those_of_the_table(void)
{
    const char *prefixes[STORE_PREFIXES_MAX];
    is_int(derivation_prefixes(prefixes), 13);
    is_text(prefixes[0], "/node/");
    is_text(prefixes[10], "/paging/");
}

int main(void)
{
    RUN(nodes_come_and_go);
    RUN(a_free_fence_is_no_end);
    RUN(a_primary_is_elected_and_resigns);
    RUN(a_split_ends_with_the_last);
    RUN(a_split_ends_when_the_last_is_removed);
    RUN(an_lpar_lives);
    RUN(a_guest_panics);
    RUN(an_lu_is_there_while_it_is_ready);
    RUN(what_was_never_made_is_nothing);
    RUN(images_and_pools_too);
    RUN(a_threshold_is_crossed_while_its_alarm_is_there);
    RUN(the_end_of_an_unknown_alarm_is_told);
    RUN(other_records_are_nothing);
    RUN(an_old_value_may_be_unknown);
    RUN(the_first_look_gives_nothing);
    RUN(the_next_primary_knows_it);
    RUN(corrupt_knowledge_is_refused);
    RUN(records_may_be_anything);
    RUN(the_prefixes_are_those_of_the_table);
    end();
    return tap_done();
}
