/* test_incoming.c - what a QEMU that came from another node does is what the record says, and only
 * what it says. */
#include "lpar/incoming.h"

#include "tests/tap.h"

static enum incoming_next next(const char *owner, int64_t incarnation, int64_t generation,
                               bool works)
{
    struct lpar lpar = {.generation = generation, .owner_incarnation = incarnation};
    snprintf(lpar.owner, sizeof lpar.owner, "%s", owner);
    return incoming_next(&lpar, "n2", 5, 8, works); /* we are n2, the fifth time */
}

static void it_waits_for_the_job_of_its_owner(void)
{
    is_int(next("n1", 3, 7, true), INCOMING_WAIT);
    is_int(next("n1", 3, 7, false), INCOMING_END);
}

static void it_runs_when_it_is_ours(void)
{
    is_int(next("n2", 5, 8, true), INCOMING_RUN);
    is_int(next("n2", 5, 8, false), INCOMING_RUN);
}

static void anything_else_ends_it(void)
{
    is_int(next("n1", 3, 8, true), INCOMING_END); /* it went on there */
    is_int(next("n1", 3, 6, true), INCOMING_END);
    is_int(next("n2", 5, 9, true), INCOMING_END); /* a later start here */
    is_int(next("n2", 5, 7, true), INCOMING_END);
    is_int(next("n2", 4, 8, true), INCOMING_END); /* of us before a fence */
    is_int(next("n3", 5, 8, true), INCOMING_END);
    is_int(next("", 0, 7, true), INCOMING_END); /* it was stopped */
}

int main(void)
{
    RUN(it_waits_for_the_job_of_its_owner);
    RUN(it_runs_when_it_is_ours);
    RUN(anything_else_ends_it);
    return tap_done();
}
