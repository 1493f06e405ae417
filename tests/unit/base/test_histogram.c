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

int main(void)
{
    RUN(an_empty_one_says_zero);
    RUN(small_values_are_exact);
    RUN(each_value_is_found_again);
    RUN(percentiles_of_a_ramp);
    RUN(a_huge_value_counts_as_the_largest);
    return tap_done();
}
