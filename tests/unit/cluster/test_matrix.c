/* test_matrix.c - who hears whom: neighbours, death, one-way loss, and slow nodes told apart. */
#include "cluster/matrix.h"
#include "tests/unit/cluster/roster.h"

#define KEEPALIVE_MS 200
#define SUSPICION_MS (MATRIX_SUSPICION_KEEPALIVES * KEEPALIVE_MS)

static struct roster *roster;
static struct matrix *matrix;
static int64_t now_ms;

/* n000, n001, ... : a name's place is its number. This node is `own`. */
static void list_nodes(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%03zu", i);
        put_node(name);
    }
    ok(take(roster, now_ms, now_ms), "the listing is refused");
}

static void begin(size_t count, uint16_t own)
{
    now_ms = 100000;
    roster = roster_new("n000");
    list_nodes(count);
    matrix = matrix_new(roster, KEEPALIVE_MS);
    matrix_arrange(matrix, own, now_ms);
}

static void end(void)
{
    matrix_free(matrix);
    roster_free(roster);
}

/* `from` says that it hears `a` and `b`; ROSTER_NOBODY: one less. */
static void heard(uint16_t from, uint16_t a, uint16_t b)
{
    struct roster_row row = {0};
    if (a != ROSTER_NOBODY) {
        row.hears[row.count++] = a;
    }
    if (b != ROSTER_NOBODY) {
        row.hears[row.count++] = b;
    }
    matrix_heard(matrix, from, &row, false, now_ms);
}

static size_t neighbour_count(void)
{
    size_t count;
    matrix_neighbours(matrix, &count);
    return count;
}

static void up_to_17_all_are_neighbours(void)
{
    for (size_t members = 1; members <= MATRIX_NEIGHBOURS + 1; members++) {
        begin(members, (uint16_t)(members - 1));
        is_int((long long)neighbour_count(), (long long)members - 1);
        for (size_t i = 0; i < members; i++) {
            ok(matrix_is_neighbour(matrix, (uint16_t)i) == (i + 1 < members), "%zu of %zu", i,
               members);
        }
        end();
    }
}

static void beyond_they_are_those_near_on_the_ring(void)
{
    static const size_t sizes[] = {18, 19, 100, 500};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        size_t members = sizes[s];
        begin(members, 3);
        is_int((long long)neighbour_count(), MATRIX_NEIGHBOURS);
        for (size_t i = 0; i < members; i++) {
            size_t ahead = (i + members - 3) % members;
            bool near = ahead != 0 && (ahead <= 8 || members - ahead <= 8);
            ok(matrix_is_neighbour(matrix, (uint16_t)i) == near, "%zu of %zu", i, members);
        }
        end();
    }
}

static void neighbours_are_so_of_each_other(void)
{
    enum { MEMBERS = 40 };
    static bool of[MEMBERS][MEMBERS];
    for (size_t own = 0; own < MEMBERS; own++) {
        begin(MEMBERS, (uint16_t)own);
        for (size_t i = 0; i < MEMBERS; i++) {
            of[own][i] = matrix_is_neighbour(matrix, (uint16_t)i);
        }
        end();
    }
    for (size_t a = 0; a < MEMBERS; a++) {
        for (size_t b = 0; b < MEMBERS; b++) {
            ok(of[a][b] == of[b][a], "%zu and %zu", a, b);
        }
    }
}

static void one_that_is_no_member_has_no_neighbours(void)
{
    begin(5, ROSTER_NOBODY);
    is_int((long long)neighbour_count(), 0);
    ok(!matrix_hears(matrix, 2, now_ms), "it hears one");
    end();
}

static void silent_too_long_is_not_heard(void)
{
    begin(3, 0);
    ok(matrix_hears(matrix, 0, now_ms), "it does not hear itself");
    now_ms += 1000;
    heard(1, 0, 2);
    now_ms += SUSPICION_MS;
    ok(matrix_hears(matrix, 1, now_ms), "not heard after the time of a suspicion");
    now_ms++;
    ok(!matrix_hears(matrix, 1, now_ms), "heard still");
    ok(matrix_hears(matrix, 0, now_ms), "it does not hear itself");
    end();
}

static void a_new_neighbour_gets_time_to_speak(void)
{
    begin(3, 0);
    ok(matrix_hears(matrix, 1, now_ms), "it is suspected at once");
    now_ms += SUSPICION_MS + 1;
    ok(!matrix_hears(matrix, 1, now_ms), "it is heard without a word");
    heard(2, 0, ROSTER_NOBODY);
    list_nodes(4); /* arranging anew helps only those that are new */
    matrix_arrange(matrix, 0, now_ms);
    ok(!matrix_hears(matrix, 1, now_ms), "the silent one is heard again");
    ok(matrix_hears(matrix, 2, now_ms), "the one heard is not");
    ok(matrix_hears(matrix, 3, now_ms), "the new one is suspected at once");
    end();
}

static void lost_is_whom_nobody_hears(void)
{
    begin(4, 0);
    now_ms += SUSPICION_MS + 1;
    heard(1, 0, 2);
    heard(2, 0, 1);
    ok(matrix_lost(matrix, 3, now_ms), "not lost, though nobody hears it");
    heard(1, 0, 3);
    ok(!matrix_lost(matrix, 3, now_ms), "lost, though one hears it");
    ok(!matrix_lost(matrix, 1, now_ms), "lost, though we hear it");
    ok(!matrix_lost(matrix, 0, now_ms), "we are lost ourselves");
    end();
}

static void one_way_loss_is_not_death(void)
{
    begin(3, 0);
    for (int i = 0; i < 20; i++) { /* n001 reaches n002, and not us; it hears us all the time */
        now_ms += KEEPALIVE_MS;
        heard(2, 0, 1);
    }
    ok(!matrix_hears(matrix, 1, now_ms), "it is heard");
    ok(!matrix_lost(matrix, 1, now_ms), "it is given up");
    ok(matrix_says(matrix, 2, 1, now_ms), "what the other says is not taken");
    end();
}

static void what_the_node_says_of_itself_does_not_count(void)
{
    begin(3, 0);
    heard(1, 0, 1);
    now_ms += SUSPICION_MS + 1;
    heard(2, 0, ROSTER_NOBODY);
    ok(matrix_lost(matrix, 1, now_ms), "it vouches for itself");
    end();
}

static void who_hears_nobody_judges_nobody(void)
{
    begin(3, 0);
    now_ms += SUSPICION_MS + 1;
    ok(!matrix_lost(matrix, 1, now_ms), "it may be us who are cut off");
    heard(2, 0, ROSTER_NOBODY);
    ok(matrix_lost(matrix, 1, now_ms), "another one confirms it");
    end();
}

static void an_old_row_hears_nobody(void)
{
    begin(4, 0);
    heard(2, 0, 1);
    ok(matrix_hears(matrix, 2, now_ms), "the row is not fresh");
    now_ms += SUSPICION_MS + 1;
    ok(!matrix_hears(matrix, 2, now_ms), "the row is fresh");
    ok(!matrix_says(matrix, 2, 1, now_ms), "an old row counts");
    heard(3, 0, ROSTER_NOBODY);
    ok(matrix_lost(matrix, 1, now_ms), "an old row keeps a node alive");
    end();
}

static void those_who_are_no_neighbours_are_not_judged(void)
{
    begin(100, 0);
    now_ms += 100000;
    ok(!matrix_lost(matrix, 50, now_ms), "a stranger is given up");
    heard(50, 0, ROSTER_NOBODY);
    ok(!matrix_hears(matrix, 50, now_ms), "a stranger is heard");
    heard(1000, 0, ROSTER_NOBODY); /* beyond the members: nothing */
    end();
}

static void our_own_row_is_whom_we_hear(void)
{
    struct roster_row row;
    begin(3, 0);
    now_ms += SUSPICION_MS + 1;
    heard(2, 0, 1);
    matrix_row(matrix, &row, now_ms);
    is_int((long long)row.count, 1);
    is_int(row.hears[0], 2);
    ok(matrix_says(matrix, 0, 2, now_ms) && !matrix_says(matrix, 0, 1, now_ms), "not as it says");
    end();
}

static void a_late_tick_of_ours_suspects_nobody(void)
{
    begin(3, 0);
    heard(1, 0, 2);
    heard(2, 0, ROSTER_NOBODY);
    now_ms += 30;
    heard(2, 0, ROSTER_NOBODY);
    now_ms += 5000; /* stopped for so long */
    matrix_late(matrix, 5000, now_ms);
    ok(matrix_hears(matrix, 1, now_ms), "n001 is suspected");
    ok(matrix_own_slow(matrix, now_ms), "we do not know that we are slow");
    now_ms += SUSPICION_MS - 30 + 1;
    ok(!matrix_hears(matrix, 1, now_ms), "n001 got more time than was lost");
    ok(matrix_hears(matrix, 2, now_ms), "n002 got less");
    now_ms += 30;
    ok(!matrix_own_slow(matrix, now_ms), "slow for ever");
    matrix_late(matrix, 100000, now_ms); /* never into the future */
    now_ms += SUSPICION_MS + 1;
    ok(!matrix_hears(matrix, 2, now_ms), "heard in the future");
    end();
}

static void a_false_suspicion_widens_for_a_while(void)
{
    begin(3, 0);
    is_int(matrix_suspicion_ms(matrix, now_ms), SUSPICION_MS);
    for (int64_t times = 2; times <= 16; times *= 2) {
        matrix_widen(matrix, now_ms);
        int64_t want = times < MATRIX_WIDEN_MAX ? times : MATRIX_WIDEN_MAX;
        is_int(matrix_suspicion_ms(matrix, now_ms), SUSPICION_MS * want);
    }
    heard(1, 0, 2);
    now_ms += SUSPICION_MS + 1;
    ok(matrix_hears(matrix, 1, now_ms), "suspected as soon as before");
    now_ms += MATRIX_WIDEN_MS - SUSPICION_MS - 1;
    is_int(matrix_suspicion_ms(matrix, now_ms), SUSPICION_MS);
    matrix_widen(matrix, now_ms); /* begins anew, not where it ended */
    is_int(matrix_suspicion_ms(matrix, now_ms), SUSPICION_MS * 2);
    end();
}

static void a_slow_node_is_known_as_such(void)
{
    struct roster_row row = {0};
    begin(3, 0);
    ok(!matrix_is_slow(matrix, 1) && !matrix_is_slow(matrix, 1000), "slow without a word");
    matrix_heard(matrix, 1, &row, true, now_ms);
    ok(matrix_is_slow(matrix, 1), "its own word is not taken");
    heard(1, 0, 2);
    ok(!matrix_is_slow(matrix, 1), "slow for ever");
    end();
}

static void one_that_was_removed_is_no_neighbour(void)
{
    begin(4, 0);
    heard(3, 0, 1);
    list_nodes(3);
    matrix_arrange(matrix, 0, now_ms);
    is_int((long long)neighbour_count(), 2);
    ok(!matrix_is_neighbour(matrix, 3) && !matrix_hears(matrix, 3, now_ms), "it is there still");
    ok(!matrix_says(matrix, 3, 1, now_ms), "its word counts");
    now_ms += 100000;
    list_nodes(4);
    matrix_arrange(matrix, 0, now_ms);
    ok(matrix_hears(matrix, 3, now_ms), "back, it gets no time to speak");
    ok(!matrix_says(matrix, 3, 1, now_ms), "what it said before counts");
    end();
}

static void missed_keepalives_are_counted_in_a_row(void)
{
    begin(3, 0);
    now_ms += KEEPALIVE_MS + KEEPALIVE_MS / 4;
    heard(1, 0, ROSTER_NOBODY);
    is_int(matrix_take_missed(matrix, 1, now_ms), 0);
    now_ms += 3 * KEEPALIVE_MS;
    heard(1, 0, ROSTER_NOBODY);
    now_ms += 2 * KEEPALIVE_MS;
    heard(1, 0, ROSTER_NOBODY);
    is_int(matrix_take_missed(matrix, 1, now_ms), 2);
    is_int(matrix_take_missed(matrix, 1, now_ms), 0);
    is_int(matrix_take_missed(matrix, 2, now_ms), 5); /* silent still */
    now_ms += KEEPALIVE_MS;
    is_int(matrix_take_missed(matrix, 2, now_ms), 6);
    is_int(matrix_take_missed(matrix, 0, now_ms), 0);
    is_int(matrix_take_missed(matrix, 77, now_ms), 0);
    end();
}

/* While we did not look nobody could be heard. */
static void what_we_missed_ourselves_does_not_count(void)
{
    begin(2, 0);
    now_ms += 10 * KEEPALIVE_MS;
    matrix_late(matrix, 9 * KEEPALIVE_MS, now_ms);
    is_int(matrix_take_missed(matrix, 1, now_ms), 0);
    end();
}

int main(void)
{
    RUN(up_to_17_all_are_neighbours);
    RUN(beyond_they_are_those_near_on_the_ring);
    RUN(neighbours_are_so_of_each_other);
    RUN(one_that_is_no_member_has_no_neighbours);
    RUN(silent_too_long_is_not_heard);
    RUN(a_new_neighbour_gets_time_to_speak);
    RUN(lost_is_whom_nobody_hears);
    RUN(one_way_loss_is_not_death);
    RUN(what_the_node_says_of_itself_does_not_count);
    RUN(who_hears_nobody_judges_nobody);
    RUN(an_old_row_hears_nobody);
    RUN(those_who_are_no_neighbours_are_not_judged);
    RUN(our_own_row_is_whom_we_hear);
    RUN(a_late_tick_of_ours_suspects_nobody);
    RUN(a_false_suspicion_widens_for_a_while);
    RUN(a_slow_node_is_known_as_such);
    RUN(one_that_was_removed_is_no_neighbour);
    RUN(missed_keepalives_are_counted_in_a_row);
    RUN(what_we_missed_ourselves_does_not_count);
    return tap_done();
}
