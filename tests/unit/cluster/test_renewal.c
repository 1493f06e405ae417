/* test_renewal.c - every order of outcomes of the renewals: which sending time counts. */
#include "cluster/renewal.h"
#include "tests/tap.h"

static struct renewal renewal;

static void begin(void)
{
    renewal_begin(&renewal, 3, 77, 10, 100);
}

static void a_known_success_counts_from_its_sending(void)
{
    begin();
    is_int(renewal_attempt(&renewal, 1000), 11);
    renewal_succeeded(&renewal, 101);
    is_int(renewal.renewed_ms, 1000);
    is_int(renewal.revision, 101);
}

static void an_unknown_one_that_was_done_counts_from_its_sending_too(void)
{
    begin();
    renewal_attempt(&renewal, 1000);
    is_int(renewal_read(&renewal, 3, 77, 11, 105), RENEWAL_OURS);
    is_int(renewal.renewed_ms, 1000);
    is_int(renewal.revision, 105);
}

static void an_earlier_attempt_that_landed_late_counts_from_its_own_sending(void)
{
    begin();
    renewal_attempt(&renewal, 1000);
    renewal_attempt(&renewal, 2000);
    is_int(renewal_read(&renewal, 3, 77, 11, 105), RENEWAL_OURS);
    is_int(renewal.renewed_ms, 1000);
    renewal_attempt(&renewal, 3000);
    renewal_succeeded(&renewal, 106);
    is_int(renewal.renewed_ms, 3000);
}

static void a_conflict_with_nothing_new_changes_nothing(void)
{
    begin();
    renewal_attempt(&renewal, 1000);
    is_int(renewal_read(&renewal, 2, 55, 10, 100), RENEWAL_BEFORE_US);
    is_int(renewal.renewed_ms, 0);
    is_int(renewal.revision, 100);
}

static void somebody_else_is_seen(void)
{
    begin();
    renewal_attempt(&renewal, 1000);
    renewal_succeeded(&renewal, 101);
    renewal_attempt(&renewal, 2000);
    is_int(renewal_read(&renewal, 4, 77, 12, 102), RENEWAL_FOREIGN);
    is_int(renewal_read(&renewal, 3, 77, 13, 102), RENEWAL_FOREIGN);
    is_int(renewal.renewed_ms, 1000);
}

static void an_attempt_too_old_to_remember_is_ours_and_counts_for_nothing(void)
{
    begin();
    for (int i = 0; i <= 2 * RENEWAL_ATTEMPTS; i++) { /* the store was away for so long */
        renewal_attempt(&renewal, 1000 * (i + 1));
    }
    is_int(renewal_read(&renewal, 3, 77, 11, 105), RENEWAL_OURS);
    is_int(renewal.renewed_ms, 0);
    is_int(renewal.revision, 105);
    renewal_attempt(&renewal, 90000);
    renewal_succeeded(&renewal, 106);
    is_int(renewal.renewed_ms, 90000);
}

static void what_an_earlier_daemon_sent_may_land_late(void)
{
    begin();
    renewal_attempt(&renewal, 1000);
    is_int(renewal_read(&renewal, 3, 99, 10, 102), RENEWAL_PREDECESSOR);
    is_int(renewal.revision, 102);
    is_int(renewal_read(&renewal, 2, 55, 40, 103), RENEWAL_PREDECESSOR);
    is_int(renewal.revision, 103);
    is_int(renewal.renewed_ms, 0);
    renewal_attempt(&renewal, 2000);
    renewal_succeeded(&renewal, 104);
    is_int(renewal_read(&renewal, 3, 99, 11, 105), RENEWAL_FOREIGN);
}

static void time_never_goes_back(void)
{
    begin();
    renewal_attempt(&renewal, 1000);
    renewal_attempt(&renewal, 2000);
    renewal_succeeded(&renewal, 105);
    is_int(renewal_read(&renewal, 3, 77, 11, 105), RENEWAL_OURS);
    is_int(renewal.renewed_ms, 2000);
}

static void a_removed_record_is_made_anew(void)
{
    begin();
    renewal_read_absent(&renewal);
    is_int(renewal.revision, 0);
    renewal_attempt(&renewal, 1000);
    renewal_succeeded(&renewal, 7);
    is_int(renewal.revision, 7);
}

int main(void)
{
    RUN(a_known_success_counts_from_its_sending);
    RUN(an_unknown_one_that_was_done_counts_from_its_sending_too);
    RUN(an_earlier_attempt_that_landed_late_counts_from_its_own_sending);
    RUN(a_conflict_with_nothing_new_changes_nothing);
    RUN(somebody_else_is_seen);
    RUN(an_attempt_too_old_to_remember_is_ours_and_counts_for_nothing);
    RUN(what_an_earlier_daemon_sent_may_land_late);
    RUN(time_never_goes_back);
    RUN(a_removed_record_is_made_anew);
    return tap_done();
}
