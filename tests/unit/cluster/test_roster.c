/* test_roster.c - what a node knows from its listings: ages, numbers, fences, the primary, splits;
 * and records that are not what they should be. */
#include "tests/unit/cluster/roster.h"

static struct roster *roster;

static void begin(void)
{
    roster = roster_new("n1");
}

static const struct roster_member *member(const char *name)
{
    return roster_member(roster, roster_find(roster, name));
}

static int64_t age_of(const char *name)
{
    return roster_age_ms(roster, roster_find(roster, name));
}

static void end(void)
{
    roster_free(roster);
}

/* A listing of n2 alone, with its /alive. */
static void list_n2(int64_t revision, int64_t incarnation, int64_t start, int64_t asked_ms,
                    int64_t now_ms)
{
    put_node("n2");
    put_alive("n2", revision, incarnation, start);
    take(roster, asked_ms, now_ms);
}

static void ages_are_never_too_high(void)
{
    begin();
    put_node("n1");
    list_n2(10, 1, 5, 1000, 1400); /* seen at 1400 at the latest ... */
    is_int(age_of("n2"), 0);
    is_int(age_of("n1"), INT64_MAX);
    is_int(member("n2")->first_seen_ms, 1400);
    list_n2(10, 1, 5, 2000, 2900); /* ... and there still at 2000 at the earliest */
    is_int(age_of("n2"), 600);
    is_int(roster_asked_ms(roster), 2000);
    list_n2(11, 1, 5, 3000, 3100);
    is_int(age_of("n2"), 0);
    is_int(member("n2")->first_seen_ms, 3100);
    end();
}

static void time_unseen_does_not_age(void)
{
    begin();
    list_n2(10, 1, 5, 1000, 1000);
    roster_unseen(roster, 8000);
    list_n2(10, 1, 5, 11000, 11000);
    is_int(age_of("n2"), 2000);
    is_int(member("n2")->first_seen_ms, 9000); /* and so its fence is freed later, never sooner */
    roster_unseen(roster, 8000);
    list_n2(11, 1, 5, 20000, 20100);
    is_int(member("n2")->first_seen_ms, 20100);
    end();
}

static void change_is_seen_only_since_we_look(void)
{
    begin();
    ok(!roster_listed(roster), "listed before the first listing");
    put_node("n1");
    put_node("n2");
    put_alive("n1", 9, 1, 5);
    put_alive("n2", 10, 1, 5);
    take(roster, 1000, 1000);
    ok(roster_listed(roster), "not listed");
    ok(member("n1")->changed, "our own record is no change");
    ok(!member("n2")->changed, "the first sight is a change");
    put_node("n2");
    put_node("n3");
    put_alive("n2", 12, 1, 5);
    put_alive("n3", 13, 1, 5);
    take(roster, 2000, 2000);
    ok(member("n2")->changed, "a renewal is no change");
    ok(member("n3")->changed, "a record that is new is no change");
    end();
}

static void a_new_daemon_is_noticed(void)
{
    begin();
    list_n2(10, 1, 5, 1000, 1000);
    list_n2(11, 1, 5, 2000, 2000);
    is_int(member("n2")->start_seen_ms, 1000);
    list_n2(12, 1, 6, 3000, 3000);
    is_int(member("n2")->start_seen_ms, 3000);
    end();
}

static void numbers_stay_when_names_come_and_go(void)
{
    size_t count;
    begin();
    put_node("n2");
    put_node("n5");
    take(roster, 1000, 1000);
    uint16_t n2 = roster_find(roster, "n2"), n5 = roster_find(roster, "n5");
    put_node("n1");
    put_node("n5");
    take(roster, 2000, 2000);
    is_int(roster_find(roster, "n2"), n2);
    is_int(roster_find(roster, "n5"), n5);
    ok(!member("n2")->present && member("n5")->present, "n2 is there, or n5 is not");
    const uint16_t *present = roster_present(roster, &count);
    is_int((long long)count, 2);
    is_text(roster_member(roster, present[0])->name, "n1");
    is_text(roster_member(roster, present[1])->name, "n5");
    list_n2(20, 4, 4, 3000, 3000);
    is_int(roster_find(roster, "n2"), n2);
    ok(member("n2")->present && !member("n5")->present, "n2 is not there, or n5 is");
    is_int(member("n2")->incarnation, 4);
    is_int((long long)roster_count(roster), 3);
    is_int(roster_find(roster, "n9"), ROSTER_NOBODY);
    end();
}

static void a_record_that_goes_is_no_age(void)
{
    begin();
    list_n2(10, 1, 5, 1000, 1000);
    put_node("n2");
    take(roster, 2000, 2000);
    is_int(age_of("n2"), INT64_MAX);
    ok(!member("n2")->recorded, "recorded");
    is_int(member("n2")->revision, 0);
    end();
}

static void list_many(size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%04zu", i);
        put_node(name);
    }
}

static void the_largest_cluster_is_listed_again_and_again(void)
{
    size_t count;
    begin();
    for (int i = 0; i < 3; i++) {
        list_many(0, ROSTER_MEMBERS_MAX);
        ok(take(roster, 1000 + i, 1000 + i), "listing %d is refused", i);
        is_int(roster_asked_ms(roster), 1000 + i);
    }
    list_many(1, ROSTER_MEMBERS_MAX); /* one name too many, ever */
    ok(!take(roster, 2000, 2000), "it is taken");
    is_int(roster_asked_ms(roster), 1002);
    roster_present(roster, &count);
    is_int((long long)count, ROSTER_MEMBERS_MAX);
    is_int(roster_find(roster, "n1024"), ROSTER_NOBODY);
    end();
}

static void roles_and_states(void)
{
    begin();
    put("/node/n2", 1, "{\"v\":1,\"role\":\"witness\",\"level\":3}");
    put("/node/n3", 1, "{\"v\":1,\"state\":\"drained\"}");
    put("/node/n4", 1, "{\"v\":1,\"role\":7,\"state\":[],\"level\":\"x\"}");
    put("/cluster", 1, "{\"v\":1,\"level\":2,\"split_time\":700}");
    put("/clusters", 1, "{\"v\":1}");
    take(roster, 1000, 1000);
    ok(member("n2")->witness && !member("n2")->drained, "n2");
    is_int(member("n2")->level, 3);
    ok(!member("n3")->witness && member("n3")->drained, "n3");
    ok(member("n4")->present && !member("n4")->witness && !member("n4")->drained, "n4");
    is_int(roster_cluster(roster)->level, 2);
    is_int(roster_cluster(roster)->split_time_ms, 700);
    put("/cluster", 2, "nonsense");
    take(roster, 2000, 2000);
    is_int(roster_cluster(roster)->level, 0);
    is_int(roster_cluster(roster)->split_time_ms, ROSTER_SPLIT_TIME_MS);
    take(roster, 3000, 3000);
    is_int(roster_cluster(roster)->split_time_ms, ROSTER_SPLIT_TIME_MS);
    is_text(member_state_name(MEMBER_UP), "up");
    is_text(member_state_name(MEMBER_DRAINED), "drained");
    end();
}

static void rows_name_those_who_are_known(void)
{
    begin();
    put_node("n1");
    put_node("n2");
    put("/alive/n2", 5, "{\"v\":1,\"incarnation\":1,\"row\":[\"n1\",7,\"n9\",null,\"n2\"]}");
    take(roster, 1000, 1000);
    is_int((long long)member("n2")->row.count, 2);
    is_int(member("n2")->row.hears[0], roster_find(roster, "n1"));
    char long_row[1024] = "{\"v\":1,\"incarnation\":1,\"row\":[\"n1\"";
    for (int i = 0; i < 40; i++) {
        strcat(long_row, ",\"n1\"");
    }
    strcat(long_row, "]}");
    put_node("n2");
    put("/alive/n2", 6, long_row);
    take(roster, 1000, 1000);
    is_int((long long)member("n2")->row.count, ROSTER_ROW_MAX);
    end();
}

/* Names, JSON, and numbers that no node writes. */
static void malformed_records_are_as_good_as_absent(void)
{
    static const char *const bad[] = {
        "",
        "[]",
        "7",
        "{",
        "{\"v\":1}",
        "{\"v\":1,\"incarnation\":\"1\"}",
        "null",
        "{\"v\":1,\"incarnation\":0}",
        "{\"v\":1,\"incarnation\":-4,\"start\":1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        begin();
        put_node("n2");
        put("/node/n3", 1, "[]");
        put("/node/-x", 1, "{\"v\":1}");
        put("/node/", 1, "{\"v\":1}");
        put("/alive/n2", 5, bad[i]);
        put("/alive/n9", 5, "{\"v\":1,\"incarnation\":1}");
        put("/alive/", 5, "{\"v\":1,\"incarnation\":1}");
        ok(take(roster, 1000, 1000), "refused whole");
        is_int((long long)roster_count(roster), 2);
        ok(!member("n3")->present, "n3 is present");
        ok(!member("n2")->recorded, "%s is a record", bad[i]);
        is_int(age_of("n2"), INT64_MAX);
        end();
    }
}

static void a_fence_counts_for_its_incarnation_only(void)
{
    begin();
    put_node("n2");
    put_alive("n2", 10, 4, 5);
    put("/fence/n2/3", 8, "{\"v\":1,\"state\":\"free\"}");
    put("/fence/n2/5", 8, "{\"v\":1,\"state\":\"closing\"}");
    put("/fence/n2/x", 8, "{\"v\":1,\"state\":\"closing\"}");
    put("/fence/n2/", 8, "{\"v\":1,\"state\":\"closing\"}");
    put("/fence/n2", 8, "{\"v\":1,\"state\":\"closing\"}");
    put("/fence//4", 8, "{\"v\":1,\"state\":\"closing\"}");
    put("/fence/n9/4", 8, "{\"v\":1,\"state\":\"closing\"}");
    take(roster, 1000, 1000);
    is_int(member("n2")->fence, FENCE_NONE);
    put_node("n2");
    put_alive("n2", 10, 4, 5);
    put("/fence/n2/4", 12, "{\"v\":1,\"state\":\"closing\",\"alive\":10}");
    take(roster, 2000, 2100);
    is_int(member("n2")->fence, FENCE_CLOSING);
    is_int(member("n2")->fence_alive, 10);
    is_int(member("n2")->fence_revision, 12);
    is_int(member("n2")->fence_seen_ms, 2100);
    put_node("n2");
    put_alive("n2", 10, 4, 5);
    put("/fence/n2/4", 15, "{\"v\":1,\"state\":\"free\",\"alive\":10}");
    take(roster, 3000, 3100);
    is_int(member("n2")->fence, FENCE_FREE);
    is_int(member("n2")->fence_seen_ms, 2100);
    put_node("n2");
    put_alive("n2", 20, 5, 6);
    put("/fence/n2/4", 15, "{\"v\":1,\"state\":\"free\",\"alive\":10}");
    take(roster, 4000, 4000);
    is_int(member("n2")->fence, FENCE_NONE);
    is_int(member("n2")->fence_revision, 0);
    end();
}

static void a_fence_that_does_not_parse_is_closing(void)
{
    begin(); /* a renewal compares that the key is absent, whatever is in it */
    put_node("n2");
    put_alive("n2", 10, 4, 5);
    put("/fence/n2/4", 12, "nonsense");
    take(roster, 2000, 2100);
    is_int(member("n2")->fence, FENCE_CLOSING);
    is_int(member("n2")->fence_alive, 0);
    end();
}

static const struct roster_primary *primary_is(int64_t revision, const char *json, int64_t now_ms)
{
    put_node("n1");
    put_node("n2");
    put("/primary", revision, json);
    take(roster, now_ms, now_ms);
    return roster_primary(roster);
}

static void the_primary_in_each_state(void)
{
    begin();
    is_int(roster_primary(roster)->state, PRIMARY_NONE);
    put("/primaryx", 1, "{\"v\":1,\"state\":\"committed\"}");
    take(roster, 1000, 1000);
    is_int(roster_primary(roster)->state, PRIMARY_NONE);
    const char *text = "{\"v\":1,\"node\":\"n2\",\"incarnation\":3,\"start\":8,\"epoch\":5,"
                       "\"state\":\"locking\"}";
    const struct roster_primary *primary = primary_is(20, text, 2000);
    is_int(primary->state, PRIMARY_LOCKING);
    is_text(primary->name, "n2");
    is_int(primary->node, roster_find(roster, "n2"));
    is_int(primary->incarnation, 3);
    is_int(primary->start, 8);
    is_int(primary->epoch, 5);
    is_text(roster_primary_json(roster), text);
    primary_is(20, text, 3000);
    is_int(primary->first_seen_ms, 2000);
    primary_is(21, "{\"v\":1,\"node\":\"n2\",\"epoch\":5,\"state\":\"committed\"}", 4000);
    is_int(primary->state, PRIMARY_COMMITTED);
    is_int(primary->first_seen_ms, 4000);
    primary_is(22, "{\"v\":1,\"node\":\"\",\"epoch\":5,\"state\":\"resigned\",\"to\":\"n1\"}",
               5000);
    is_int(primary->state, PRIMARY_RESIGNED);
    is_int(primary->node, ROSTER_NOBODY);
    is_text(primary->to, "n1");
    primary_is(23, "{\"v\":1,\"node\":\"n9\",\"epoch\":6,\"state\":\"committed\"}", 6000);
    is_int(primary->node, ROSTER_NOBODY);
    put_node("n9"); /* it became a member after it was listed first */
    put("/primary", 23, "{\"v\":1,\"node\":\"n9\",\"epoch\":6,\"state\":\"committed\"}");
    take(roster, 7000, 7000);
    is_int(primary->node, roster_find(roster, "n9"));
    take(roster, 8000, 8000);
    is_int(primary->state, PRIMARY_NONE);
    is_int(primary->revision, 0);
    ok(!roster_primary_json(roster), "its text is there still");
    end();
}

static void a_primary_that_is_none_counts_as_resigned(void)
{
    static const char *const bad[] = {
        "nonsense",
        "{\"v\":1}",
        "{\"v\":1,\"node\":\"n 1\",\"epoch\":5,\"state\":\"committed\"}",
        "{\"v\":1,\"node\":\"\",\"epoch\":5,\"state\":\"committed\"}",
        "{\"v\":1,\"node\":\"n1\",\"epoch\":-5,\"state\":\"committed\"}",
        "{\"v\":1,\"node\":\"n1\",\"epoch\":9223372036854775807,\"state\":\"committed\"}",
        "{\"v\":1,\"node\":\"n1\",\"epoch\":5,\"state\":\"crowned\"}",
        "{\"v\":1,\"node\":\"n1\",\"epoch\":5,\"state\":\"resigned\",\"to\":\"n 1\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        begin();
        const struct roster_primary *primary = primary_is(20, bad[i], 2000);
        is_int(primary->state, PRIMARY_RESIGNED);
        is_int(primary->revision, 20); /* whoever is elected compares it */
        is_text(primary->to, "");
        ok(primary->epoch >= 0 && primary->epoch < INT64_MAX, "%s: its epoch", bad[i]);
        end();
    }
}

static void the_split_with_the_highest_number_counts(void)
{
    begin();
    put_node("n1");
    put_node("n2");
    put_alive("n1", 5, 2, 1);
    put_alive("n2", 6, 7, 1);
    put("/split/10", 9,
        "{\"v\":1,\"allowed_ms\":3000,\"losers\":[{\"node\":\"n2\",\"incarnation\":7},"
        "{\"node\":\"n1\",\"incarnation\":1},{\"node\":\"n9\",\"incarnation\":1},4]}");
    put("/split/9", 8,
        "{\"v\":1,\"allowed_ms\":1,\"losers\":[{\"node\":\"n1\",\"incarnation\":2}]}");
    put("/split/x", 8, "{\"v\":1}");
    put("/split/0", 8, "{\"v\":1}");
    put("/split/9223372036854775807", 8, "{\"v\":1}"); /* there must be a next one */
    take(roster, 1000, 1100);
    is_int(roster_split(roster)->number, 10);
    is_int(roster_split(roster)->allowed_ms, 3000);
    is_int(roster_split(roster)->first_seen_ms, 1100);
    is_int((long long)roster_split(roster)->loser_count, 2);
    ok(roster_lost_split(roster, roster_find(roster, "n2")), "n2 did not lose");
    ok(!roster_lost_split(roster, roster_find(roster, "n1")), "n1 lost as another incarnation");
    list_n2(8, 8, 1, 2000, 2000); /* old ones may be removed; they are not undone by it */
    is_int(roster_split(roster)->number, 10);
    is_int(roster_split(roster)->first_seen_ms, 1100);
    ok(!roster_lost_split(roster, roster_find(roster, "n2")), "it lost, having begun anew");
    end();
}

static void the_time_allowed_is_bounded(void)
{
    static const char *const odd[] = {"-5", "9223372036854775807", "\"x\""};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        char text[96];
        begin();
        snprintf(text, sizeof text, "{\"v\":1,\"losers\":[],\"allowed_ms\":%s}", odd[i]);
        put("/split/1", 9, text);
        take(roster, 1000, 1000);
        int64_t allowed_ms = roster_split(roster)->allowed_ms;
        ok(allowed_ms >= 0 && allowed_ms <= 24 * 3600000, "%s is %lld ms", odd[i],
           (long long)allowed_ms);
        end();
    }
}

static void the_same_members_have_the_same_hash(void)
{
    begin();
    struct roster *other = roster_new("n2");
    put_node("n1");
    put_node("n2");
    take(roster, 1000, 1000);
    put_node("n3");
    take(other, 1, 1);
    put_node("n2"); /* in another order, and with one that is gone */
    put_node("n1");
    put_alive("n1", 5, 1, 1);
    take(other, 2, 2);
    ok(roster_members_hash(roster) == roster_members_hash(other), "they differ");
    put_node("n1");
    take(other, 3, 3);
    ok(roster_members_hash(roster) != roster_members_hash(other), "one is missing");
    put_node("n");
    put_node("1n2");
    take(other, 4, 4); /* names do not run into each other */
    put_node("n1n");
    put_node("2");
    take(roster, 4000, 4000);
    ok(roster_members_hash(roster) != roster_members_hash(other), "others are the same");
    roster_free(other);
    end();
}

int main(void)
{
    RUN(ages_are_never_too_high);
    RUN(time_unseen_does_not_age);
    RUN(change_is_seen_only_since_we_look);
    RUN(a_new_daemon_is_noticed);
    RUN(numbers_stay_when_names_come_and_go);
    RUN(a_record_that_goes_is_no_age);
    RUN(the_largest_cluster_is_listed_again_and_again);
    RUN(roles_and_states);
    RUN(rows_name_those_who_are_known);
    RUN(malformed_records_are_as_good_as_absent);
    RUN(a_fence_counts_for_its_incarnation_only);
    RUN(a_fence_that_does_not_parse_is_closing);
    RUN(the_primary_in_each_state);
    RUN(a_primary_that_is_none_counts_as_resigned);
    RUN(the_split_with_the_highest_number_counts);
    RUN(the_time_allowed_is_bounded);
    RUN(the_same_members_have_the_same_hash);
    return tap_done();
}
