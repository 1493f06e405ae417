/* test_record.c - the records of thresholds: written and read again, and refused when anything in
 * them is wrong; where the alarm of a threshold is, and whose it is. */
#include "alert/record.h"
#include "tests/tap.h"

#define GOOD                                                                                       \
    "{\"v\":1,\"metric\":\"pool-free\",\"object\":\"p1\",\"limit\":10,\"clear\":12.5,"             \
    "\"by\":\"uid:0\",\"set\":\"2026-11-26T12:00:00.000Z\"}"

static int parse(const char *key, const char *json, struct alert *alert)
{
    char key_text[128], text[1024];
    struct vios_error error = {0};
    snprintf(key_text, sizeof key_text, "%s", key);
    snprintf(text, sizeof text, "%s", json);
    const struct store_value value = {.key = key_text, .json = text, .revision = 7};
    int status = alert_parse(&value, alert, &error);
    ok((status == VIOS_OK) == (error.message[0] == '\0'), "%s: \"%s\"", json, error.message);
    ok(status == VIOS_OK || !alert->metric, "%s: it is not empty", json);
    return status;
}

static void what_is_written_is_read(void)
{
    struct alert alert;
    is_int(parse("/alert/low", GOOD, &alert), VIOS_OK);
    is_text(alert.name, "low");
    is_text(alert.metric->name, "pool-free");
    is_text(alert.object, "p1");
    ok(alert.limit == 10 && alert.clear == 12.5, "its limits");
    is_int(alert.revision, 7);
    char *json = alert_format(&alert);
    is_text(json, GOOD);
    free(json);
}

static void anything_wrong_is_refused(void)
{
    static const char *const WRONG[] = {
        "",
        "[]",
        "{}",
        "{\"v\":2,\"metric\":\"pool-free\",\"limit\":10,\"clear\":12}",
        "{\"v\":1,\"metric\":\"pool\",\"limit\":10,\"clear\":12}",
        "{\"v\":1,\"metric\":7,\"limit\":10,\"clear\":12}",
        "{\"v\":1,\"metric\":\"pool-free\",\"clear\":12}",
        "{\"v\":1,\"metric\":\"pool-free\",\"limit\":10}",
        "{\"v\":1,\"metric\":\"pool-free\",\"limit\":\"10\",\"clear\":12}",
        "{\"v\":1,\"metric\":\"pool-free\",\"limit\":10,\"clear\":9}",
        "{\"v\":1,\"metric\":\"pool-free\",\"limit\":-1,\"clear\":9}",
        "{\"v\":1,\"metric\":\"pool-free\",\"limit\":10,\"clear\":101}",
        "{\"v\":1,\"metric\":\"commit-time\",\"limit\":10,\"clear\":11}",
        "{\"v\":1,\"metric\":\"pool-free\",\"object\":\"a/b\",\"limit\":10,\"clear\":12}",
        "{\"v\":1,\"metric\":\"pool-free\",\"object\":7,\"limit\":10,\"clear\":12}",
        "{\"v\":1,\"metric\":\"election-time\",\"object\":\"n1\",\"limit\":10,\"clear\":9}",
        "{\"v\":1,\"metric\":\"pool-free\",\"limit\":10,\"clear\":12,\"by\":7}",
        "{\"v\":1,\"v\":1,\"metric\":\"pool-free\",\"limit\":10,\"clear\":12}",
    };
    struct alert alert;
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        is_int(parse("/alert/low", WRONG[i], &alert), VIOS_E_CORRUPT);
    }
    is_int(parse("/alert/", GOOD, &alert), VIOS_E_CORRUPT);
    is_int(parse("/alert/a/b", GOOD, &alert), VIOS_E_CORRUPT);
    is_int(parse("/alerts/a", GOOD, &alert), VIOS_E_CORRUPT);
}

static bool reads_key(const char *key, struct alarm *alarm)
{
    char text[256], json[] = "{\"v\":1,\"metric\":\"paging-p99\",\"value\":9.5,\"limit\":5}";
    snprintf(text, sizeof text, "%s", key);
    const struct store_value value = {.key = text, .json = json, .revision = 3};
    return alarm_parse(&value, alarm, NULL) == VIOS_OK;
}

static void an_alarm_is_where_its_key_says(void)
{
    struct alarm alarm;
    char key[STORE_KEY_MAX];
    static const char *const KEYS[] = {"/alarm/a/n1", "/alarm/a/n1/web1", "/alarm/a/-/p1",
                                       "/alarm/a/-"};
    for (size_t i = 0; i < 4; i++) {
        ok(reads_key(KEYS[i], &alarm), "%s", KEYS[i]);
        alarm_key(&alarm, key);
        is_text(key, KEYS[i]);
    }
    ok(reads_key("/alarm/a/n1/web1", &alarm), "it is read");
    is_text(alarm.scope, "n1");
    is_text(alarm.object, "web1");
    is_text(alarm.metric, "paging-p99");
    ok(alarm.value == 9.5 && alarm.limit == 5, "its values");
    static const char *const WRONG[] = {"/alarm/",     "/alarm/a",         "/alarm/a/",
                                        "/alarm//n1",  "/alarm/a/n1/",     "/alarm/a/n1/b/c",
                                        "/alarm/-/n1", "/alarm/a/n1/-",    "/alarm/a/.n/b",
                                        "/alert/a/n1", "/alarm/a/n1//web1"};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        ok(!reads_key(WRONG[i], &alarm), "%s is taken", WRONG[i]);
        is_text(alarm.name, "");
    }
}

/* That it is there says that it is raised. */
static void a_damaged_alarm_is_one(void)
{
    struct alarm alarm;
    char key[] = "/alarm/a/n1", json[] = "{\"metric\":\"none\",\"value\":\"x\"";
    const struct store_value value = {.key = key, .json = json, .revision = 3};
    is_int(alarm_parse(&value, &alarm, NULL), VIOS_OK);
    is_text(alarm.metric, "");
    is_int(alarm.revision, 3);
}

static void place(const char *metric, const char *object, const char *want)
{
    struct alert alert = {.name = "a", .metric = metric_find(metric)};
    struct alarm alarm;
    char key[STORE_KEY_MAX];
    alarm_place(&alert, "n2", object, &alarm);
    alarm_key(&alarm, key);
    is_text(key, want);
    ok(alert_has(&alert, &alarm), "%s has it", metric);
    snprintf(alarm.metric, sizeof alarm.metric, "other");
    ok(!alert_has(&alert, &alarm), "%s has that of another metric", metric);
}

static void each_metric_has_its_place(void)
{
    place("pool-free", "p1", "/alarm/a/-/p1");
    place("page-memory-free", "n2", "/alarm/a/n2");
    place("paging-p99", "web1", "/alarm/a/n2/web1");
    place("election-time", "", "/alarm/a/-");
}

static void an_alert_covers_its_object_only(void)
{
    struct alert alert = {.name = "a", .metric = metric_find("page-memory-free")};
    struct alarm alarm;
    alarm_place(&alert, "n2", "n2", &alarm);
    ok(alert_covers(&alert, "n2") && alert_covers(&alert, ""), "all");
    snprintf(alert.object, sizeof alert.object, "n1");
    ok(!alert_covers(&alert, "n2") && alert_covers(&alert, "n1"), "one");
    ok(!alert_has(&alert, &alarm), "it was another node's");
    snprintf(alert.object, sizeof alert.object, "n2");
    ok(alert_has(&alert, &alarm), "it is this node's");
}

static void numbers_are_whole_when_they_can_be(void)
{
    json_t *whole = alert_number(10), *part = alert_number(12.5), *large = alert_number(1e300);
    ok(json_is_integer(whole) && json_is_real(part) && json_is_real(large), "they are not");
    is_int(json_integer_value(whole), 10);
    json_t *long_one = alert_number(90.372397955878498), *near = alert_number(1.9996);
    ok(json_real_value(long_one) == 90.372, "it has more digits");
    is_int(json_integer_value(near), 2);
    json_decref(long_one);
    json_decref(near);
    json_decref(whole);
    json_decref(part);
    json_decref(large);
}

int main(void)
{
    RUN(what_is_written_is_read);
    RUN(anything_wrong_is_refused);
    RUN(an_alarm_is_where_its_key_says);
    RUN(a_damaged_alarm_is_one);
    RUN(each_metric_has_its_place);
    RUN(an_alert_covers_its_object_only);
    RUN(numbers_are_whole_when_they_can_be);
    return tap_done();
}
