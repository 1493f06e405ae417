/* threshold.c - see threshold.h. */
#include "alert/threshold.h"

/* Strictly beyond the limit: a limit of 0 errors is crossed by one. */
static bool is_beyond(const struct threshold *threshold, double value)
{
    return threshold->less_is_worse ? value < threshold->limit : value > threshold->limit;
}

static bool is_back(const struct threshold *threshold, double value)
{
    return threshold->less_is_worse ? value >= threshold->clear : value <= threshold->clear;
}

enum threshold_change threshold_step(const struct threshold *threshold,
                                     struct threshold_state *state, double value)
{
    bool asks = state->raised ? is_back(threshold, value) : is_beyond(threshold, value);
    if (!asks) {
        state->count = 0;
        return THRESHOLD_STAYS;
    }
    state->count += state->count < threshold->samples;
    if (state->count < threshold->samples) {
        return THRESHOLD_STAYS;
    }
    return state->raised ? THRESHOLD_CLEARS : THRESHOLD_RAISES;
}

void threshold_settle(struct threshold_state *state, bool raised)
{
    if (state->raised != raised) {
        state->raised = raised;
        state->count = 0;
    }
}
