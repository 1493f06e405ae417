/* test_threshold.c - raised and cleared after so many samples in a row, and by nothing else. */
#include "alert/threshold.h"
#include "tests/tap.h"

static const struct threshold LOW = {.limit = 10, .clear = 15, .less_is_worse = true, .samples = 3};
static const struct threshold HIGH = {.limit = 100, .clear = 90, .samples = 2};

static struct threshold_state state;

/* Takes samples up to the end, 0; what each says, a letter each, is done at once. */
static void says(const struct threshold *threshold, const double *values, const char *want)
{
    char got[64] = "";
    for (size_t i = 0; values[i] != 0; i++) {
        enum threshold_change change = threshold_step(threshold, &state, values[i]);
        got[i] = "-RC"[change];
        if (change != THRESHOLD_STAYS) {
            threshold_settle(&state, change == THRESHOLD_RAISES);
        }
    }
    is_text(got, want);
}
#define SAYS(threshold, want, ...) says(&(threshold), (const double[]){__VA_ARGS__, 0}, want)

static void begin(void)
{
    state = (struct threshold_state){0};
}

static void raised_after_so_many_in_a_row(void)
{
    begin();
    SAYS(LOW, "--R--", 9, 9, 9, 9, 9);
    ok(state.raised, "it is not raised");
    begin();
    SAYS(HIGH, "-R-", 101, 101, 101);
}

static void cleared_after_as_many(void)
{
    begin();
    SAYS(LOW, "--R--C-", 1, 1, 1, 15, 20, 15, 20);
    ok(!state.raised, "it is raised");
    begin();
    SAYS(HIGH, "-R-C", 200, 200, 90, 80);
}

static void a_peak_changes_nothing(void)
{
    begin();
    SAYS(LOW, "---------", 9, 9, 10, 9, 9, 50, 9, 9, 12);
    begin();
    SAYS(LOW, "--R--------", 9, 9, 9, 20, 20, 9, 20, 20, 14, 20, 20);
}

static void between_the_limits_nothing_changes(void)
{
    begin();
    SAYS(LOW, "----", 10, 12, 14, 10);
    SAYS(LOW, "--R", 9, 9, 9);
    SAYS(LOW, "------", 10, 12, 14.9, 10, 14, 11);
    begin();
    SAYS(HIGH, "-R-----", 101, 101, 100, 91, 90.5, 99, 100);
}

/* Neither flaps, however the value swings about the limit. */
static void a_value_that_swings_about_the_limit_is_quiet(void)
{
    begin();
    for (int i = 0; i < 50; i++) {
        SAYS(LOW, "--", 9.9, 10.1);
    }
    SAYS(LOW, "--R", 9, 9, 9);
    for (int i = 0; i < 50; i++) {
        SAYS(LOW, "--", 9.9, 10.1);
    }
}

static void the_limit_itself_is_not_beyond_it(void)
{
    const struct threshold none = {.samples = 1};
    begin();
    is_int(threshold_step(&none, &state, 0), THRESHOLD_STAYS);
    is_int(threshold_step(&none, &state, 0.1), THRESHOLD_RAISES);
    threshold_settle(&state, true);
    is_int(threshold_step(&none, &state, 0.1), THRESHOLD_STAYS);
    is_int(threshold_step(&none, &state, 0), THRESHOLD_CLEARS);
}

/* A commit that failed: what is to be done is said again, until it is. */
static void what_is_not_done_is_said_again(void)
{
    begin();
    is_int(threshold_step(&HIGH, &state, 101), THRESHOLD_STAYS);
    is_int(threshold_step(&HIGH, &state, 101), THRESHOLD_RAISES);
    threshold_settle(&state, false);
    is_int(threshold_step(&HIGH, &state, 101), THRESHOLD_RAISES);
    is_int(threshold_step(&HIGH, &state, 95), THRESHOLD_STAYS);
    is_int(threshold_step(&HIGH, &state, 101), THRESHOLD_STAYS);
}

/* The record is there when a daemon begins: raised already. */
static void what_is_recorded_counts(void)
{
    begin();
    threshold_settle(&state, true);
    SAYS(LOW, "---", 9, 9, 9);
    SAYS(LOW, "--C", 15, 15, 15);
    SAYS(LOW, "--", 9, 9);
    threshold_settle(&state, true); /* somebody else was faster */
    SAYS(LOW, "-", 9);
    is_int(state.count, 0);
}

int main(void)
{
    RUN(raised_after_so_many_in_a_row);
    RUN(cleared_after_as_many);
    RUN(a_peak_changes_nothing);
    RUN(between_the_limits_nothing_changes);
    RUN(a_value_that_swings_about_the_limit_is_quiet);
    RUN(the_limit_itself_is_not_beyond_it);
    RUN(what_is_not_done_is_said_again);
    RUN(what_is_recorded_counts);
    return tap_done();
}
