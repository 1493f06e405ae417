/*
 * test_ownership.c - who may run a guest: what each commit compares and changes, and what follows
 * from each of its outcomes.
 */
#include "cluster/ownership.h"
#include "tests/tap.h"

#define MINE "{\"node\":\"n1\",\"incarnation\":3}"
#define OTHER "{\"node\":\"n2\",\"incarnation\":5}"
#define RECORD(generation, owner)                                                                  \
    "{\"v\":1,\"uuid\":\"u\",\"generation\":" #generation ",\"owner\":" owner                      \
    ",\"wanted\":\"running\",\"spec\":{\"cpus\":1}}"
#define RESOLVED(generation, start, owner)                                                         \
    "{\"v\":1,\"uuid\":\"u\",\"generation\":" #generation ",\"owner\":" owner ",\"start\":" #start \
    ",\"wanted\":\"running\",\"spec\":{\"cpus\":1}}"
#define TAKEN(generation, owner)                                                                   \
    "{\"v\":1,\"generation\":" #generation ",\"owner\":" owner ",\"taken\":" OTHER "}"

static struct ownership *ownership;
static struct vios_error error;

static struct store_value value(const char *key, const char *json, int64_t revision)
{
    return (struct store_value){.key = (char *)key, .json = (char *)json, .revision = revision};
}

struct given { /* NULL: absent */
    const char *lpar, *hibernation, *fence, *wanted;
};

static int begin(enum ownership_kind kind, struct given given)
{
    struct store_value lpar = value("/lpar/web", given.lpar, 10);
    struct store_value hibernation = value("/hibernation/web", given.hibernation, 20);
    struct store_value fence = value("/fence/n2/5", given.fence, 30);
    struct ownership_facts facts = {.node = "n1",
                                    .incarnation = 3,
                                    .lpar = &lpar,
                                    .hibernation = given.hibernation ? &hibernation : NULL,
                                    .fence = given.fence ? &fence : NULL,
                                    .wanted = given.wanted,
                                    .target = "n2",
                                    .target_incarnation = 5};
    ownership_free(ownership);
    error = (struct vios_error){0};
    return ownership_begin(&ownership, kind, &facts, &error);
}

static enum ownership_next read_record(const char *json, int64_t revision)
{
    struct store_value lpar = value("/lpar/web", json, revision);
    return ownership_read(ownership, VIOS_OK, &lpar);
}

static bool compares(enum store_compare_kind kind, const char *key, int64_t revision)
{
    const struct ownership_request *request = ownership_request(ownership);
    for (size_t i = 0; i < request->compare_count; i++) {
        const struct store_compare *compare = &request->compares[i];
        if (compare->kind == kind && strcmp(compare->key, key) == 0 &&
            (kind != STORE_REVISION_IS || compare->revision == revision)) {
            return true;
        }
    }
    return false;
}

/* What the commit makes of a key: "" when it does not touch it, "gone" when it deletes it. */
static const char *made(const char *key)
{
    const struct ownership_request *request = ownership_request(ownership);
    for (size_t i = 0; i < request->change_count; i++) {
        if (strcmp(request->changes[i].key, key) == 0) {
            return request->changes[i].json ? request->changes[i].json : "gone";
        }
    }
    return "";
}

static bool makes(const char *key, const char *json)
{
    json_t *left = json_loads(made(key), 0, NULL), *right = json_loads(json, 0, NULL);
    bool same = left && right && json_equal(left, right);
    ok(same, "%s becomes %s", key, made(key));
    json_decref(left);
    json_decref(right);
    return same;
}

/* --- starting --- */

static void a_start_compares_record_and_own_fence(void)
{
    is_int(begin(OWNERSHIP_START, (struct given){RECORD(4, "null"), .wanted = "stopped"}), VIOS_OK);
    is_int(ownership_next(ownership), OWNERSHIP_COMMIT);
    ok(compares(STORE_REVISION_IS, "/lpar/web", 10), "the record is not compared");
    ok(compares(STORE_ABSENT, "/fence/n1/3", 0), "the own fence is not compared");
    makes("/lpar/web", "{\"v\":1,\"uuid\":\"u\",\"generation\":5,\"owner\":" MINE
                       ",\"wanted\":\"stopped\",\"spec\":{\"cpus\":1}}");
    is_int(ownership_committed(ownership, VIOS_OK, 11), OWNERSHIP_RUN);
    is_int(ownership_generation(ownership), 5);
}

static void a_start_is_refused_to_others(void)
{
    is_int(begin(OWNERSHIP_START, (struct given){RECORD(4, OTHER)}), VIOS_E_CONFLICT);
    is_text(error.message, "it belongs to node n2");
    is_int(begin(OWNERSHIP_START, (struct given){TAKEN(4, MINE)}), VIOS_E_LOCKED);
    is_text(error.message, "its takeover is not finished");
    is_int(begin(OWNERSHIP_START, (struct given){"{\"v\":1,\"owner\":7}"}), VIOS_E_INVALID);
    is_text(error.message, "its record is damaged");
    ok(!ownership, "something was made");
}

static void the_last_generation_is_reached_and_not_passed(void)
{
    is_int(begin(OWNERSHIP_START, (struct given){RECORD(9223372036854775805, "null")}), VIOS_OK);
    is_int(ownership_committed(ownership, VIOS_OK, 11), OWNERSHIP_RUN);
    is_int(ownership_generation(ownership), INT64_MAX - 1);
    is_int(begin(OWNERSHIP_START, (struct given){RECORD(9223372036854775806, "null")}),
           VIOS_E_INVALID);
    is_text(error.message, "its record is damaged");
}

static void own_guests_of_before_are_started_again(void)
{
    const char *mine = RECORD(4, MINE), *older = RECORD(4, "{\"node\":\"n1\",\"incarnation\":2}");
    is_int(begin(OWNERSHIP_START, (struct given){mine}), VIOS_OK);
    is_int(begin(OWNERSHIP_START, (struct given){older}), VIOS_OK);
    is_int(begin(OWNERSHIP_START, (struct given){RECORD(4, "{\"node\":\"n1\",\"incarnation\":4}")}),
           VIOS_E_CONFLICT);
}

static void an_unknown_start_is_read_and_done_again(void)
{
    begin(OWNERSHIP_START, (struct given){RECORD(4, "null")});
    is_int(ownership_committed(ownership, VIOS_E_UNKNOWN, 0), OWNERSHIP_READ);
    is_int(ownership_read(ownership, VIOS_E_UNREACHABLE, NULL), OWNERSHIP_READ);
    is_int(read_record(RECORD(4, "null"), 10), OWNERSHIP_COMMIT);
    ok(compares(STORE_REVISION_IS, "/lpar/web", 10), "another record is compared");
    is_int(ownership_committed(ownership, VIOS_E_CONFLICT, 0), OWNERSHIP_READ);
    is_int(read_record(RECORD(5, MINE), 11), OWNERSHIP_RUN); /* the first had landed */
}

static void what_looks_done_after_a_conflict_alone_is_not_ours(void)
{
    begin(OWNERSHIP_RESTORE, (struct given){RECORD(4, "null"), "{\"v\":1,\"generation\":4}"});
    is_int(ownership_committed(ownership, VIOS_E_CONFLICT, 0), OWNERSHIP_READ);
    is_int(read_record(RECORD(5, MINE), 11), OWNERSHIP_END);
}

static void an_edited_record_is_taken_as_it_is(void)
{
    begin(OWNERSHIP_START, (struct given){RECORD(4, "null")});
    ownership_committed(ownership, VIOS_E_CONFLICT, 0);
    is_int(read_record("{\"v\":1,\"generation\":4,\"owner\":null,\"new\":1}", 15),
           OWNERSHIP_COMMIT);
    ok(compares(STORE_REVISION_IS, "/lpar/web", 15), "the old record is compared");
    makes("/lpar/web", "{\"v\":1,\"generation\":5,\"owner\":" MINE ",\"new\":1}");
}

static void a_guest_that_another_has_ends_here(void)
{
    begin(OWNERSHIP_START, (struct given){RECORD(4, "null")});
    ownership_committed(ownership, VIOS_E_UNKNOWN, 0);
    is_int(read_record(RECORD(5, OTHER), 12), OWNERSHIP_END);
    is_text(ownership_why(ownership), "it is another's");
    begin(OWNERSHIP_START, (struct given){RECORD(4, "null")});
    ownership_committed(ownership, VIOS_E_UNKNOWN, 0);
    is_int(ownership_read(ownership, VIOS_E_NOT_FOUND, NULL), OWNERSHIP_END);
    begin(OWNERSHIP_START, (struct given){RECORD(4, "null")});
    is_int(ownership_committed(ownership, VIOS_E_TIMEOUT, 0), OWNERSHIP_END);
}

static void a_conflict_without_a_change_is_our_own_fence(void)
{
    begin(OWNERSHIP_START, (struct given){RECORD(4, MINE)});
    ownership_committed(ownership, VIOS_E_CONFLICT, 0);
    is_int(read_record(RECORD(4, MINE), 10), OWNERSHIP_END);
}

/* --- taking over --- */

static void a_takeover_needs_a_free_fence(void)
{
    struct given given = {RECORD(4, OTHER)};
    is_int(begin(OWNERSHIP_TAKEOVER, given), VIOS_E_LOCKED);
    is_text(error.message, "the time of node n2 is not over");
    given.fence = "{\"v\":1,\"state\":\"closing\"}";
    is_int(begin(OWNERSHIP_TAKEOVER, given), VIOS_E_LOCKED);
    given.fence = "{\"v\":1,\"state\":\"free\"}";
    is_int(begin(OWNERSHIP_TAKEOVER, given), VIOS_OK);
    ok(compares(STORE_REVISION_IS, "/fence/n2/5", 30), "the fence is not compared");
    ok(compares(STORE_ABSENT, "/fence/n1/3", 0), "the own fence is not compared");
    ok(strstr(made("/lpar/web"), "\"taken\":" OTHER), "it becomes %s", made("/lpar/web"));
    is_int(begin(OWNERSHIP_TAKEOVER, (struct given){RECORD(4, "null")}), VIOS_E_CONFLICT);
}

static void a_takeover_frees_it_of_its_job(void)
{
    begin(OWNERSHIP_TAKEOVER,
          (struct given){"{\"v\":1,\"generation\":4,\"owner\":" OTHER ",\"job\":\"j-5\"}",
                         .fence = "{\"state\":\"free\"}"});
    makes("/lpar/web",
          "{\"v\":1,\"generation\":5,\"owner\":" MINE ",\"job\":null,\"taken\":" OTHER "}");
}

static void disks_are_fenced_before_it_runs(void)
{
    struct store_value lu =
        value("/lu/d1", "{\"v\":1,\"file\":\"d1.2\",\"dead\":[\"d1.0\"],\"pool\":\"p\"}", 40);
    begin(OWNERSHIP_TAKEOVER, (struct given){RECORD(4, OTHER), .fence = "{\"state\":\"free\"}"});
    is_int(ownership_committed(ownership, VIOS_OK, 11), OWNERSHIP_DISKS);
    is_int(ownership_disks_fenced(ownership, &lu, 1, &error), VIOS_OK);
    is_int(ownership_next(ownership), OWNERSHIP_COMMIT);
    ok(compares(STORE_REVISION_IS, "/lpar/web", 11), "the record is not compared");
    ok(compares(STORE_REVISION_IS, "/lu/d1", 40), "the disk's record is not compared");
    ok(compares(STORE_ABSENT, "/fence/n1/3", 0), "the own fence is not compared");
    makes("/lu/d1", "{\"v\":1,\"file\":\"d1.5\",\"dead\":[\"d1.0\",\"d1.2\"],\"pool\":\"p\"}");
    ok(!strstr(made("/lpar/web"), "taken"), "it becomes %s", made("/lpar/web"));
    is_int(ownership_committed(ownership, VIOS_OK, 12), OWNERSHIP_RUN);
    is_int(ownership_generation(ownership), 5);
}

static void a_takeover_that_was_begun_goes_on(void)
{
    struct store_value lu = value("/lu/d1", "{\"v\":1,\"file\":\"d1.4\"}", 41);
    struct store_value damaged = value("/lu/d1", "{\"v\":1}", 41);
    is_int(begin(OWNERSHIP_TAKEOVER, (struct given){TAKEN(4, MINE)}), VIOS_OK);
    is_int(ownership_next(ownership), OWNERSHIP_DISKS);
    is_int(ownership_disks_fenced(ownership, &damaged, 1, &error), VIOS_E_INVALID);
    is_int(ownership_next(ownership), OWNERSHIP_DISKS);
    is_int(ownership_disks_fenced(ownership, &lu, 1, &error), VIOS_OK);
    makes("/lu/d1", "{\"v\":1,\"file\":\"d1.4\",\"dead\":[]}"); /* the new name is never dead */
    is_int(ownership_committed(ownership, VIOS_E_UNKNOWN, 0), OWNERSHIP_READ);
    is_int(read_record(TAKEN(4, MINE), 10), OWNERSHIP_COMMIT);
    is_int(ownership_committed(ownership, VIOS_E_CONFLICT, 0), OWNERSHIP_READ);
    is_int(read_record(TAKEN(4, MINE), 10), OWNERSHIP_DISKS); /* the disk's record has changed */
    is_int(ownership_disks_fenced(ownership, NULL, 0, &error), VIOS_OK);
    ownership_committed(ownership, VIOS_E_UNKNOWN, 0);
    is_int(read_record(RECORD(4, MINE), 14), OWNERSHIP_RUN);
}

static void a_takeover_is_lost_to_the_next(void)
{
    begin(OWNERSHIP_TAKEOVER, (struct given){TAKEN(4, MINE)});
    ownership_disks_fenced(ownership, NULL, 0, &error);
    ownership_committed(ownership, VIOS_E_CONFLICT, 0);
    is_int(read_record(TAKEN(5, OTHER), 17), OWNERSHIP_END);
}

/* --- hibernating --- */

static void hibernating_is_one_commit(void)
{
    is_int(begin(OWNERSHIP_HIBERNATE, (struct given){RECORD(4, MINE), .wanted = "hibernated"}),
           VIOS_OK);
    ok(compares(STORE_REVISION_IS, "/lpar/web", 10), "the record is not compared");
    ok(compares(STORE_ABSENT, "/fence/n1/3", 0), "the own fence is not compared");
    makes("/hibernation/web", "{\"v\":1,\"generation\":4}");
    makes("/lpar/web", "{\"v\":1,\"uuid\":\"u\",\"generation\":4,\"owner\":null,"
                       "\"wanted\":\"hibernated\",\"spec\":{\"cpus\":1}}");
    is_int(ownership_committed(ownership, VIOS_OK, 11), OWNERSHIP_END);
    is_int(begin(OWNERSHIP_HIBERNATE, (struct given){RECORD(4, OTHER)}), VIOS_E_CONFLICT);
}

static void one_that_was_never_sent_goes_on(void)
{
    begin(OWNERSHIP_HIBERNATE, (struct given){RECORD(4, MINE)});
    is_int(ownership_committed(ownership, VIOS_E_UNREACHABLE, 0), OWNERSHIP_GO_ON);
    is_int(ownership_generation(ownership), 4);
}

static void an_unknown_save_is_defeated_by_the_next_generation(void)
{
    begin(OWNERSHIP_HIBERNATE, (struct given){RECORD(4, MINE), .wanted = "hibernated"});
    is_int(ownership_committed(ownership, VIOS_E_UNKNOWN, 0), OWNERSHIP_COMMIT);
    makes("/lpar/web", RESOLVED(5, 4, MINE));
    is_text(made("/hibernation/web"), "");
    is_int(ownership_committed(ownership, VIOS_E_UNREACHABLE, 0), OWNERSHIP_COMMIT);
    is_int(ownership_committed(ownership, VIOS_OK, 12), OWNERSHIP_RUN);
    is_int(ownership_generation(ownership), 5);
}

static void an_unknown_save_may_turn_out_done(void)
{
    begin(OWNERSHIP_HIBERNATE, (struct given){RECORD(4, MINE)});
    ownership_committed(ownership, VIOS_E_UNKNOWN, 0);
    is_int(ownership_committed(ownership, VIOS_E_CONFLICT, 0), OWNERSHIP_READ);
    is_int(read_record(RECORD(4, "null"), 12), OWNERSHIP_END);
    is_text(ownership_why(ownership), "it is hibernated");
}

static void an_unknown_resolution_is_read(void)
{
    begin(OWNERSHIP_HIBERNATE, (struct given){RECORD(4, MINE)});
    ownership_committed(ownership, VIOS_E_UNKNOWN, 0);
    is_int(ownership_committed(ownership, VIOS_E_UNKNOWN, 0), OWNERSHIP_READ);
    is_int(read_record(RECORD(4, MINE), 10), OWNERSHIP_COMMIT);
    is_int(ownership_committed(ownership, VIOS_E_UNKNOWN, 0), OWNERSHIP_READ);
    is_int(read_record(RECORD(5, MINE), 13), OWNERSHIP_RUN);
}

/* --- handing over --- */

static void handing_over_is_one_commit(void)
{
    is_int(begin(OWNERSHIP_HAND_OVER, (struct given){RESOLVED(4, 3, MINE)}), VIOS_OK);
    ok(compares(STORE_REVISION_IS, "/lpar/web", 10), "the record is not compared");
    ok(compares(STORE_ABSENT, "/fence/n1/3", 0), "the own fence is not compared");
    ok(compares(STORE_ABSENT, "/fence/n2/5", 0), "the target's fence is not compared");
    makes("/lpar/web", RECORD(5, OTHER));
    is_int(ownership_committed(ownership, VIOS_OK, 11), OWNERSHIP_END);
    is_text(ownership_why(ownership), "it is handed over");
    is_int(begin(OWNERSHIP_HAND_OVER, (struct given){RECORD(4, OTHER)}), VIOS_E_CONFLICT);
}

static void handing_over_that_was_never_sent_goes_on(void)
{
    begin(OWNERSHIP_HAND_OVER, (struct given){RECORD(4, MINE)});
    is_int(ownership_committed(ownership, VIOS_E_UNREACHABLE, 0), OWNERSHIP_GO_ON);
    is_int(ownership_generation(ownership), 4);
}

static void handing_over_that_is_refused_goes_on_in_the_next_generation(void)
{
    begin(OWNERSHIP_HAND_OVER, (struct given){RESOLVED(4, 2, MINE)});
    is_int(ownership_committed(ownership, VIOS_E_CONFLICT, 0), OWNERSHIP_COMMIT);
    ok(!compares(STORE_ABSENT, "/fence/n2/5", 0), "the target's fence is still compared");
    makes("/lpar/web", RESOLVED(5, 2, MINE));
    is_int(ownership_committed(ownership, VIOS_OK, 12), OWNERSHIP_RUN);
    is_int(ownership_generation(ownership), 5);
}

static void handing_over_by_a_fenced_node_ends(void)
{
    begin(OWNERSHIP_HAND_OVER, (struct given){RECORD(4, MINE)});
    ownership_committed(ownership, VIOS_E_CONFLICT, 0);
    is_int(ownership_committed(ownership, VIOS_E_CONFLICT, 0), OWNERSHIP_READ);
    is_int(read_record(RECORD(4, MINE), 10), OWNERSHIP_END);
}

static void an_unknown_handing_over_may_turn_out_done(void)
{
    begin(OWNERSHIP_HAND_OVER, (struct given){RECORD(4, MINE)});
    is_int(ownership_committed(ownership, VIOS_E_UNKNOWN, 0), OWNERSHIP_COMMIT);
    makes("/lpar/web", RESOLVED(5, 4, MINE));
    is_int(ownership_committed(ownership, VIOS_E_CONFLICT, 0), OWNERSHIP_READ);
    is_int(read_record(RECORD(5, OTHER), 12), OWNERSHIP_END);
    is_text(ownership_why(ownership), "it is another's");
}

/* --- going on --- */

static void a_paused_guest_of_an_earlier_daemon_gets_a_new_generation(void)
{
    is_int(begin(OWNERSHIP_CONTINUE, (struct given){RECORD(4, MINE)}), VIOS_OK);
    is_int(ownership_committed(ownership, VIOS_E_UNREACHABLE, 0), OWNERSHIP_COMMIT);
    is_int(ownership_committed(ownership, VIOS_E_CONFLICT, 0), OWNERSHIP_READ);
    is_int(read_record(RECORD(4, "null"), 12), OWNERSHIP_END); /* that daemon had saved it */
}

/* --- restoring --- */

static void restoring_is_one_commit(void)
{
    struct given given = {RECORD(4, "null"), "{\"v\":1,\"generation\":4}", .wanted = "running"};
    is_int(begin(OWNERSHIP_RESTORE, given), VIOS_OK);
    ok(compares(STORE_REVISION_IS, "/lpar/web", 10), "the record is not compared");
    ok(compares(STORE_REVISION_IS, "/hibernation/web", 20), "the hibernation is not compared");
    ok(compares(STORE_ABSENT, "/fence/n1/3", 0), "the own fence is not compared");
    makes("/lpar/web", RECORD(5, MINE));
    is_text(made("/hibernation/web"), "gone");
    is_int(ownership_committed(ownership, VIOS_OK, 11), OWNERSHIP_RUN);
}

static void an_old_memory_is_refused(void)
{
    struct given given = {RECORD(5, "null"), "{\"v\":1,\"generation\":4}"};
    is_int(begin(OWNERSHIP_RESTORE, given), VIOS_E_STALE);
    is_text(error.message, "it was saved in generation 4, and is in 5 now: that memory is too old");
    is_text(error.hint, "start it from its disks");
    given.hibernation = "{\"v\":1}";
    is_int(begin(OWNERSHIP_RESTORE, given), VIOS_E_STALE);
    given.hibernation = NULL;
    is_int(begin(OWNERSHIP_RESTORE, given), VIOS_E_NOT_FOUND);
    is_int(begin(OWNERSHIP_RESTORE, (struct given){RECORD(4, MINE)}), VIOS_E_CONFLICT);
}

static void an_unknown_restore_stays_paused_until_known(void)
{
    struct given given = {RECORD(4, "null"), "{\"v\":1,\"generation\":4}"};
    begin(OWNERSHIP_RESTORE, given);
    is_int(ownership_committed(ownership, VIOS_E_UNKNOWN, 0), OWNERSHIP_READ);
    is_int(read_record(RECORD(4, "null"), 10), OWNERSHIP_COMMIT);
    is_int(ownership_committed(ownership, VIOS_E_TIMEOUT, 0), OWNERSHIP_COMMIT);
    is_int(ownership_committed(ownership, VIOS_E_UNKNOWN, 0), OWNERSHIP_READ);
    is_int(read_record(RECORD(5, MINE), 11), OWNERSHIP_RUN);
}

/* --- releasing --- */

static void a_release_is_repeated_until_it_is_known(void)
{
    is_int(begin(OWNERSHIP_RELEASE, (struct given){RECORD(4, MINE), .wanted = "stopped"}), VIOS_OK);
    is_int(ownership_committed(ownership, VIOS_E_UNREACHABLE, 0), OWNERSHIP_COMMIT);
    is_int(ownership_committed(ownership, VIOS_E_UNKNOWN, 0), OWNERSHIP_READ);
    is_int(read_record(RECORD(4, "null"), 12), OWNERSHIP_END);
    ownership_free(ownership);
    ownership = NULL;
}

int main(void)
{
    RUN(a_start_compares_record_and_own_fence);
    RUN(a_start_is_refused_to_others);
    RUN(the_last_generation_is_reached_and_not_passed);
    RUN(own_guests_of_before_are_started_again);
    RUN(an_unknown_start_is_read_and_done_again);
    RUN(what_looks_done_after_a_conflict_alone_is_not_ours);
    RUN(an_edited_record_is_taken_as_it_is);
    RUN(a_guest_that_another_has_ends_here);
    RUN(a_conflict_without_a_change_is_our_own_fence);
    RUN(a_takeover_needs_a_free_fence);
    RUN(a_takeover_frees_it_of_its_job);
    RUN(disks_are_fenced_before_it_runs);
    RUN(a_takeover_that_was_begun_goes_on);
    RUN(a_takeover_is_lost_to_the_next);
    RUN(hibernating_is_one_commit);
    RUN(one_that_was_never_sent_goes_on);
    RUN(an_unknown_save_is_defeated_by_the_next_generation);
    RUN(an_unknown_save_may_turn_out_done);
    RUN(an_unknown_resolution_is_read);
    RUN(handing_over_is_one_commit);
    RUN(handing_over_that_was_never_sent_goes_on);
    RUN(handing_over_that_is_refused_goes_on_in_the_next_generation);
    RUN(handing_over_by_a_fenced_node_ends);
    RUN(an_unknown_handing_over_may_turn_out_done);
    RUN(a_paused_guest_of_an_earlier_daemon_gets_a_new_generation);
    RUN(restoring_is_one_commit);
    RUN(an_old_memory_is_refused);
    RUN(an_unknown_restore_stays_paused_until_known);
    RUN(a_release_is_repeated_until_it_is_known);
    return tap_done();
}
