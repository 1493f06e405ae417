/* test_watcher.c - what a node that is no primary does with alarms: it clears its own when nothing
 * is set any more that they could be of, leaves all others alone, and nothing once it is fenced. */
#include "alert/watcher.h"
#include "tests/node_world.h"

#define ALARM(metric) "{\"v\":1,\"metric\":\"" metric "\",\"value\":9,\"limit\":10,\"since\":\"\"}"
#define ALERT(metric, object)                                                                      \
    "{\"v\":1,\"metric\":\"" metric "\",\"object\":\"" object "\",\"limit\":10,\"clear\":10}"

static struct watcher *watcher;

static void begin(void)
{
    static int count;
    char path[160];
    snprintf(path, sizeof path, "%s/db%d", tap_folder(), count++);
    make_store(path);
    watcher_free(watcher);
    watcher = watcher_new(&node);
    ok(watcher != NULL, "no memory");
}

static void rounds(int count)
{
    struct operation operation;
    for (int i = 0; i < count; i++) {
        is_int(watcher_round(watcher, &operation), VIOS_OK);
    }
}

static bool is_there(const char *key)
{
    bool there = false;
    struct operation operation;
    struct store *store = open_store(&operation);
    is_int(node_has_record(store, key, &there, &operation), VIOS_OK);
    node_store_return(&node, store);
    return there;
}

static void what_is_not_set_is_over(void)
{
    begin();
    rounds(1);
    put("/alarm/gone/n1", ALARM("commit-time"));
    put("/alarm/gone/n2", ALARM("commit-time"));
    put("/alarm/gone/-/p1", ALARM("pool-free"));
    rounds(1);
    ok(!is_there("/alarm/gone/n1"), "its own is there still");
    ok(is_there("/alarm/gone/n2"), "another node's is gone");
    ok(is_there("/alarm/gone/-/p1"), "one of the primary's is gone");
}

static void what_was_set_anew_is_over(void)
{
    begin();
    put("/alert/a", ALERT("pool-free", ""));
    put("/alarm/a/n1", ALARM("commit-time"));
    put("/alarm/a/n1/web1", "{\"v\":1}");
    put("/alert/b", ALERT("pool-free", "p2"));
    put("/alarm/b/-/p1", ALARM("pool-free"));
    rounds(1);
    ok(!is_there("/alarm/a/n1"), "of another metric");
    ok(!is_there("/alarm/a/n1/web1"), "of no metric");
    ok(is_there("/alarm/b/-/p1"), "that is the primary's");
}

/* Nobody knows what it wants. */
static void a_damaged_alert_keeps_its_alarms(void)
{
    begin();
    put("/alert/a", "{\"v\":1,\"metric\":\"none\"}");
    put("/alarm/a/n1", ALARM("commit-time"));
    rounds(4);
    ok(is_there("/alarm/a/n1"), "it is gone");
}

static void who_is_fenced_commits_nothing(void)
{
    begin();
    put("/alarm/gone/n1", ALARM("commit-time"));
    put("/fence/n1/1", "{\"v\":1,\"state\":\"closing\"}");
    rounds(2);
    ok(is_there("/alarm/gone/n1"), "it is gone");
    put("/fence/n1/1", NULL);
    rounds(1);
    ok(!is_there("/alarm/gone/n1"), "it is there still");
}

int main(void)
{
    RUN(what_is_not_set_is_over);
    RUN(what_was_set_anew_is_over);
    RUN(a_damaged_alert_keeps_its_alarms);
    RUN(who_is_fenced_commits_nothing);
    watcher_free(watcher);
    store_pool_free(node.stores);
    return tap_done();
}
