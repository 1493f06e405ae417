/* Proves: which events are signalled, by whom, and under which signature: the table of listener.c,
 * one event after the other. */
#include "ffdc/listener.h"

#include "tests/tap.h"

static struct listener_memory memory;
static struct listener_signal signalled;

/* As n1 sees an event that `publisher` published; `more` is put behind its members. */
static bool sees(const char *publisher, bool derived, const char *time, const char *what,
                 const char *more)
{
    char class[32], object[64], operation[32], text[512];
    struct listener_event event = {.publisher = publisher, .derived = derived, .sequence = 123456};
    memset(&signalled, 0, sizeof signalled);
    is_int(sscanf(what, "%31s %63s %31s", class, object, operation), 3);
    snprintf(text, sizeof text,
             "{\"time\":\"2026-11-26T%s.000Z\",\"class\":\"%s\",\"object\":\"%s\","
             "\"operation\":\"%s\"%s}",
             time, class, object, operation, more);
    json_t *json = json_loads(text, 0, NULL);
    ok(json != NULL, "%s", text);
    event.json = json;
    bool signals = listener_judge(&memory, "n1", &event, &signalled);
    json_decref(json);
    return signals;
}

static bool hears(const char *what)
{
    return sees("n1", true, "12:00:00", what, "");
}

static void signals(const char *what, const char *trigger, const char *component,
                    const char *signature, enum manifest_priority priority)
{
    ok(hears(what), "%s is signalled", what);
    is_text(signalled.trigger, trigger);
    is_text(signalled.component, component);
    is_text(signalled.signature, signature);
    is_int(signalled.priority, priority);
    is_int(manifest_check_component(signalled.component, NULL), VIOS_OK);
}

static void failures_are_signalled(void)
{
    signals("node n3 down", "node down n3, event 123456", "node", "node down n3", PRIORITY_HIGH);
    is_int(signalled.delay_ms, 0);
    signals("node n3 removed", "node removed n3, event 123456", "node", "node removed n3",
            PRIORITY_LOW);
    signals("cluster cluster split", "cluster split cluster, event 123456", "cluster",
            "cluster split cluster", PRIORITY_HIGH);
    signals("lpar web1 panicked", "lpar panicked web1, event 123456", "lpar", "lpar panicked web1",
            PRIORITY_HIGH);
}

static void all_nodes_that_are_added_are_one(void)
{
    signals("node n3 added", "node added n3, event 123456", "node", "node added", PRIORITY_LOW);
    is_int(signalled.delay_ms, LISTENER_SETTLE_MS);
    signals("node n4 added", "node added n4, event 123456", "node", "node added", PRIORITY_LOW);
}

static void what_is_no_failure_is_not(void)
{
    ok(!hears("node n3 up"), "a node that is up");
    ok(!hears("lpar web1 started"), "a guest that is started");
    ok(!hears("cluster cluster merged"), "a split that ends");
    ok(!hears("ffdc 17 captured"), "a capture, which would make another");
    ok(!hears("backup node down"), "another class");
}

static void one_node_signals(void)
{
    ok(!sees("n2", true, "12:00:00", "node n3 down", ""), "what n2 published is n2's");
    ok(!sees("n1", false, "12:00:00", "node n3 down", ""), "what somebody emitted is no node's");
}

static void a_threshold_says_of_what(void)
{
    ok(sees("n1", false, "12:00:00", "threshold pool-full raised",
            ",\"data\":{\"node\":\"n2\",\"object\":\"fast\",\"value\":91}"),
       "it is signalled");
    is_text(signalled.trigger, "threshold raised pool-full of fast on n2, event 123456");
    is_text(signalled.signature, "threshold raised pool-full");
    is_text(signalled.component, "threshold");
    ok(sees("n1", false, "12:00:00", "threshold pool-full raised", ""), "without data too");
    is_text(signalled.trigger, "threshold raised pool-full, event 123456");
}

static bool elected(const char *publisher, const char *node, const char *time)
{
    char what[64];
    snprintf(what, sizeof what, "primary %s elected", node);
    return sees(publisher, true, time, what, "");
}

static void primaries_that_follow_each_other_are_trouble(void)
{
    memory = (struct listener_memory){{0}, 0};
    ok(!elected("n1", "n1", "12:00:00"), "one");
    ok(!elected("n2", "n2", "12:04:00"), "two, whoever published it");
    ok(elected("n1", "n1", "12:10:00"), "three in ten minutes");
    is_text(signalled.trigger, "primary elected too often, now n1, event 123456");
    is_text(signalled.signature, "primary elected");
    ok(!elected("n2", "n2", "12:13:00"), "the fourth is n2's to signal");
    ok(elected("n1", "n1", "12:14:00"), "the fifth again ours");
    ok(!elected("n1", "n1", "12:24:00"), "three in eleven minutes are not");
    ok(!elected("n1", "n1", "12:24:01"), "nor three in ten minutes and a second");
    ok(elected("n1", "n1", "12:24:02"), "but these are");
    ok(!elected("n1", "n1", "nonsense"), "a time that is none counts for nothing");
}

static void long_names_leave_room_for_the_number(void)
{
    char object[256], what[300], more[2] = "";
    memset(object, 'x', sizeof object - 1);
    object[63] = 0; /* sees() takes no more */
    snprintf(what, sizeof what, "threshold %s raised", object);
    ok(sees("n1", false, "12:00:00", what, more), "it is signalled");
    ok(strstr(signalled.trigger, "xxx, event 123456") != NULL, "%s", signalled.trigger);
}

int main(void)
{
    RUN(failures_are_signalled);
    RUN(all_nodes_that_are_added_are_one);
    RUN(what_is_no_failure_is_not);
    RUN(one_node_signals);
    RUN(a_threshold_says_of_what);
    RUN(primaries_that_follow_each_other_are_trouble);
    RUN(long_names_leave_room_for_the_number);
    return tap_done();
}
