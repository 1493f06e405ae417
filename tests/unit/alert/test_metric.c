/* test_metric.c - the table of metrics, and values as people write them. */
#include "alert/metric.h"
#include "base/parse.h"
#include "tests/tap.h"

static void each_is_found_by_its_name(void)
{
    size_t count;
    const struct metric *all = metric_all(&count);
    is_int((long long)count, 7);
    for (size_t i = 0; i < count; i++) {
        ok(metric_find(all[i].name) == &all[i], "%s is not found", all[i].name);
        is_int(parse_name(all[i].name, "alert", NULL), VIOS_OK); /* an alert is called so */
        ok(all[i].samples >= 1 && all[i].sample && all[i].words, "%s", all[i].name);
    }
    ok(!metric_find(NULL) && !metric_find(""), "no name is found");
}

static void an_unknown_one_names_the_others(void)
{
    struct vios_error error = {0};
    ok(!metric_need("pool-fre", &error), "it is there");
    is_int(error.code, VIOS_E_USAGE);
    is_text(error.message, "\"pool-fre\" is not measured");
    is_text(error.hint, "did you mean \"pool-free\"?");
    ok(!metric_need("zzzzzzzzzz", &error), "it is there");
    is_text(error.hint, "there are pool-free, page-memory-free, paging-errors, paging-p99, "
                        "keepalive-misses, commit-time, election-time");
}

static const struct {
    const char *metric, *text;
    double want; /* negative: it is refused */
} VALUES[] = {
    {"pool-free", "10", 10},
    {"pool-free", "10%", 10},
    {"pool-free", "0%", 0},
    {"pool-free", "100%", 100},
    {"pool-free", "12.5%", 12.5},
    {"pool-free", "0.125", 0.125},
    {"pool-free", "100.001%", -1},
    {"pool-free", "101", -1},
    {"pool-free", "10ms", -1},
    {"pool-free", "10 %", -1},
    {"pool-free", "10%%", -1},
    {"pool-free", "-1%", -1},
    {"pool-free", "+1%", -1},
    {"pool-free", "%", -1},
    {"pool-free", "", -1},
    {"pool-free", ".5", -1},
    {"pool-free", "5.", -1},
    {"pool-free", "5.1234", -1},
    {"pool-free", "nan", -1},
    {"pool-free", "inf", -1},
    {"pool-free", "0x10", -1},
    {"pool-free", "1e1", -1},
    {"paging-errors", "5", 5},
    {"paging-errors", "2.5/s", 2.5},
    {"paging-errors", "5s", -1},
    {"paging-errors", "5%", -1},
    {"paging-p99", "20ms", 20},
    {"paging-p99", "20", 20},
    {"paging-p99", "1.5s", 1500},
    {"paging-p99", "20/s", -1},
    {"paging-p99", "1m", -1},
    {"paging-p99", "1000000000ms", 1e9},
    {"paging-p99", "1000000001ms", -1},
    {"paging-p99", "1000001s", -1},
    {"paging-p99", "999999999999999999999", -1},
    {"keepalive-misses", "3", 3},
    {"keepalive-misses", "3/s", -1},
};

static void values_have_the_unit_of_their_metric(void)
{
    for (size_t i = 0; i < sizeof VALUES / sizeof VALUES[0]; i++) {
        double value = -1;
        struct vios_error error = {0};
        int status =
            metric_parse(metric_find(VALUES[i].metric), VALUES[i].text, "limit", &value, &error);
        ok(value == VALUES[i].want, "%s \"%s\" is %f", VALUES[i].metric, VALUES[i].text, value);
        is_int(status, VALUES[i].want < 0 ? VIOS_E_USAGE : VIOS_OK);
        is_text(error.object, VALUES[i].want < 0 ? "limit" : "");
        ok((error.hint[0] != '\0') == (VALUES[i].want < 0), "hint \"%s\"", error.hint);
    }
}

static void they_are_shown_with_it(void)
{
    char text[METRIC_TEXT_SIZE];
    is_text(metric_format(metric_find("pool-free"), 10, text), "10%");
    is_text(metric_format(metric_find("pool-free"), 0, text), "0%");
    is_text(metric_format(metric_find("pool-free"), 12.5, text), "12.5%");
    is_text(metric_format(metric_find("commit-time"), 1234.5678, text), "1234.568ms");
    is_text(metric_format(metric_find("paging-errors"), 0.001, text), "0.001/s");
    is_text(metric_format(metric_find("keepalive-misses"), 30, text), "30");
}

static bool is_about(double got, double want)
{
    return got > want - 1e-9 && got < want + 1e-9;
}

static void it_is_cleared_a_tenth_away(void)
{
    const struct metric *less = metric_find("pool-free"), *more = metric_find("paging-p99");
    ok(is_about(metric_clear_of(less, 10), 11), "less");
    ok(is_about(metric_clear_of(less, 95), 100), "no more than all");
    ok(is_about(metric_clear_of(more, 20), 18), "more");
    ok(is_about(metric_clear_of(more, 0), 0), "nothing");
    for (int half = 0; half <= 200; half++) {
        double limit = half / 2.0;
        ok(metric_clear_fits(less, limit, metric_clear_of(less, limit)), "less %f", limit);
        ok(metric_clear_fits(more, limit, metric_clear_of(more, limit)), "more %f", limit);
    }
    ok(!metric_clear_fits(less, 10, 9) && metric_clear_fits(less, 10, 10), "less is worse");
    ok(!metric_clear_fits(more, 10, 11) && metric_clear_fits(more, 10, 10), "more is worse");
}

int main(void)
{
    RUN(each_is_found_by_its_name);
    RUN(an_unknown_one_names_the_others);
    RUN(values_have_the_unit_of_their_metric);
    RUN(they_are_shown_with_it);
    RUN(it_is_cleared_a_tenth_away);
    return tap_done();
}
