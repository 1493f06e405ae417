/* test_histogram.c - percentiles are right to the width of a bucket, over the whole range. */
#include "base/histogram.h"
#include "tests/tap.h"

static void is_near(uint64_t got, uint64_t want)
{
    uint64_t off = got > want ? got - want : want - got;
    ok(off * 8 <= want, "got %llu, want about %llu", (unsigned long long)got,
       (unsigned long long)want);
}

static void an_empty_one_says_zero(void)
{
    static struct histogram histogram;
    is_int(histogram_count(&histogram), 0);
    is_int(histogram_percentile(&histogram, 990), 0);
}

static void small_values_are_exact(void)
{
    static struct histogram histogram;
    for (uint64_t value = 0; value < 8; value++) {
        histogram_add(&histogram, value);
    }
    is_int(histogram_count(&histogram), 8);
    is_int(histogram_percentile(&histogram, 0), 0);
    is_int(histogram_percentile(&histogram, 500), 3);
    is_int(histogram_percentile(&histogram, 1000), 7);
}

static void each_value_is_found_again(void)
{
    for (unsigned power = 3; power < HISTOGRAM_BITS; power++) {
        for (uint64_t step = 0; step < 8; step++) {
            struct histogram histogram = {0};
            uint64_t value = (UINT64_C(1) << power) + (step << (power - 3));
            histogram_add(&histogram, value);
            is_near(histogram_percentile(&histogram, 500), value);
        }
    }
}

static void percentiles_of_a_ramp(void)
{
    static struct histogram histogram;
    for (uint64_t value = 1; value <= 100000; value++) {
        histogram_add(&histogram, value);
    }
    is_near(histogram_percentile(&histogram, 500), 50000);
    is_near(histogram_percentile(&histogram, 990), 99000);
    is_near(histogram_percentile(&histogram, 999), 99900);
}

static void a_huge_value_counts_as_the_largest(void)
{
    static struct histogram histogram;
    histogram_add(&histogram, UINT64_MAX);
    is_near(histogram_percentile(&histogram, 500), UINT64_C(1) << HISTOGRAM_BITS);
}

/* What another process read twice, of the time between. */
static void what_was_added_since_is_told_apart(void)
{
    static struct histogram histogram, earlier, later;
    for (int i = 0; i < 1000; i++) {
        histogram_add(&histogram, 5);
    }
    json_t *json = histogram_to_json(&histogram);
    ok(histogram_from_json(json, &earlier), "it is read");
    is_int(json_array_size(json), 1);
    is_int(histogram_count(&earlier), 1000);
    json_decref(json);
    histogram_add(&histogram, 70000);
    json = histogram_to_json(&histogram);
    ok(histogram_from_json(json, &later), "it is read again");
    json_decref(json);
    ok(histogram_subtract(&later, &earlier), "one follows the other");
    is_int(histogram_count(&later), 1);
    is_near(histogram_percentile(&later, 990), 70000);
    ok(!histogram_subtract(&later, &earlier), "it never was as that");
}

static void other_json_is_no_histogram(void)
{
    static const char *const TEXTS[] = {"{}",          "[5]",         "[[0]]",    "[[0,1,2]]",
                                        "[[-1,1]]",    "[[304,1]]",   "[[0,-1]]", "[[0,1.5]]",
                                        "[[\"0\",1]]", "[[0,1],null]"};
    static struct histogram histogram;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        json_t *json = json_loads(TEXTS[i], 0, NULL);
        ok(json && !histogram_from_json(json, &histogram), "%s is taken", TEXTS[i]);
        json_decref(json);
    }
    ok(!histogram_from_json(NULL, &histogram), "nothing is taken");
    json_t *empty = json_array();
    ok(histogram_from_json(empty, &histogram), "an empty one is none");
    is_int(histogram_count(&histogram), 0);
    json_decref(empty);
}

int main(void)
{
    RUN(an_empty_one_says_zero);
    RUN(small_values_are_exact);
    RUN(each_value_is_found_again);
    RUN(percentiles_of_a_ramp);
    RUN(a_huge_value_counts_as_the_largest);
    RUN(what_was_added_since_is_told_apart);
    RUN(other_json_is_no_histogram);
    return tap_done();
}
