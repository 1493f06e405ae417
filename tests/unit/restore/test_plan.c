/* Proves: what a restored VIOS DB holds: every number above all that is seen anywhere, nobody owns
 * or holds anything, every incarnation is fenced; what is lost is told; a bad backup is refused. */
#include "restore/loss.h"
#include "restore/plan.h"
#include "tests/tap.h"

#include <assert.h>

#define RECORDS_MAX 32
#define STEP 1000000

struct record {
    const char *key, *json;
};

/* A list of the records up to the one without a key, at revision 7; the caller's texts. */
static struct store_list list_of(const struct record *records, struct store_value *values)
{
    struct store_list list = {.values = values};
    for (size_t i = 0; records[i].key; i++) {
        assert(i < RECORDS_MAX);
        values[i] = (struct store_value){(char *)records[i].key, (char *)records[i].json, 7, 5};
        list.count++;
    }
    return list;
}

static const struct record CLUSTER = {"/cluster", "{\"v\":1,\"name\":\"lab\",\"restores\":2}"};

static struct restore_plan plan;
static struct restore_act act = {0, "uid:7", "/b.db"};

/* Plans from the backup, and what is seen elsewhere (may be NULL). */
static void make_plan(const struct record *backup, const struct record *elsewhere, int64_t revision)
{
    struct store_value values[2][RECORDS_MAX];
    static const struct record nothing[] = {{NULL, NULL}};
    struct store_list lists[] = {list_of(backup, values[0]),
                                 list_of(elsewhere ? elsewhere : nothing, values[1])};
    struct restore_content contents[] = {{&lists[0], 7}, {&lists[1], revision}};
    struct vios_error error = {0};
    int status = restore_check(&lists[0], &error);
    ok(status == VIOS_OK, "the backup is good: %s: %s", error.object, error.message);
    status = restore_plan_make(&plan, contents, 2, &act, &error);
    ok(status == VIOS_OK, "the plan: %s", error.message);
}

static const char *planned(const char *key)
{
    for (size_t i = 0; i < plan.list.count; i++) {
        if (strcmp(plan.list.values[i].key, key) == 0) {
            return plan.list.values[i].json;
        }
    }
    return NULL;
}

/* A member of a planned record, as JSON; "" when there is none. */
static const char *member(const char *key, const char *name)
{
    static char text[512];
    json_t *record = json_loads(planned(key) ? planned(key) : "{}", 0, NULL);
    char *dumped = json_dumps(json_object_get(record, name), JSON_ENCODE_ANY | JSON_COMPACT);
    snprintf(text, sizeof text, "%s", dumped ? dumped : "");
    free(dumped);
    json_decref(record);
    return text;
}

static int64_t number(const char *key, const char *name)
{
    return strtoll(member(key, name), NULL, 10);
}

static const char *text_of(const json_t *value)
{
    static char text[512];
    char *dumped = json_dumps(value, JSON_COMPACT);
    snprintf(text, sizeof text, "%s", dumped ? dumped : "");
    free(dumped);
    return text;
}

/* Each row: records of the backup and of elsewhere, and a number that follows from them. */
static const struct {
    struct record backup, elsewhere;
    const char *key, *name;
    int64_t want;
} NUMBERS[] = {
    {{"/primary", "{\"v\":1,\"epoch\":4,\"state\":\"committed\",\"node\":\"n1\"}"},
     {"/primary", "{\"v\":1,\"epoch\":9}"},
     "/primary",
     "epoch",
     9 + STEP},
    {{"/primary", "{\"v\":1,\"epoch\":12}"},
     {"/primary", "{\"v\":1,\"epoch\":9}"},
     "/primary",
     "epoch",
     12 + STEP},
    {{"/primary", "{\"v\":1,\"epoch\":12}"},
     {"/primary", "damaged"},
     "/primary",
     "epoch",
     12 + STEP},
    {{"/primary", "{\"v\":1,\"epoch\":12}"},
     {"/fence/n1/3", "{\"v\":1,\"epoch\":20}"},
     "/primary",
     "epoch",
     20 + STEP},
    {{"/primary", "{\"v\":1,\"epoch\":12}"},
     {"/primary", "{\"v\":1,\"epoch\":9223372036854775807}"},
     "/primary",
     "epoch",
     12 + STEP},
    {{"/node/n1", "{\"v\":1}"}, {NULL, NULL}, "/alive/n1", "incarnation", STEP},
    {{"/alive/n1", "{\"v\":1,\"incarnation\":3}"},
     {"/alive/n1", "{\"v\":1,\"incarnation\":2}"},
     "/alive/n1",
     "incarnation",
     3 + STEP},
    {{"/alive/n1", "{\"v\":1,\"incarnation\":3}"},
     {"/fence/n1/6", "{\"v\":1}"},
     "/alive/n1",
     "incarnation",
     6 + STEP},
    {{"/alive/n1", "{\"v\":1,\"incarnation\":3}"},
     {"/lpar/a", "{\"v\":1,\"generation\":1,\"owner\":{\"node\":\"n1\",\"incarnation\":8}}"},
     "/alive/n1",
     "incarnation",
     8 + STEP},
    {{"/alive/n1", "{\"v\":1,\"incarnation\":3}"},
     {"/job/j-1", "{\"v\":1,\"node\":\"n1\",\"incarnation\":5}"},
     "/alive/n1",
     "incarnation",
     5 + STEP},
    {{"/alive/n1", "{\"v\":1,\"incarnation\":3}"},
     {"/primary", "{\"v\":1,\"epoch\":1,\"node\":\"n1\",\"incarnation\":4}"},
     "/alive/n1",
     "incarnation",
     4 + STEP},
    {{"/alive/n1", "{\"v\":1,\"incarnation\":3}"},
     {"/split/2", "{\"v\":1,\"losers\":[{\"node\":\"n1\",\"incarnation\":7}]}"},
     "/alive/n1",
     "incarnation",
     7 + STEP},
    {{"/node/n1", "{\"v\":1}"},
     {"/alive/n4", "{\"v\":1,\"incarnation\":2}"},
     "/alive/n4",
     "incarnation",
     2 + STEP},
    {{"/lpar/a", "{\"v\":1,\"generation\":5}"}, {NULL, NULL}, "/lpar/a", "generation", 5 + STEP},
    {{"/lpar/a", "{\"v\":1,\"generation\":5}"},
     {"/lpar/a", "{\"v\":1,\"generation\":6}"},
     "/lpar/a",
     "generation",
     6 + STEP},
    {{"/lpar/a", "{\"v\":1,\"generation\":5}"},
     {"/paging/a", "{\"v\":1,\"generation\":7,\"regions\":[]}"},
     "/lpar/a",
     "generation",
     7 + STEP},
    {{"/lpar/a", "{\"v\":1,\"generation\":5}"},
     {"/hibernation/a", "{\"v\":1,\"generation\":8}"},
     "/lpar/a",
     "generation",
     8 + STEP},
    {{"/paging/a", "{\"v\":1,\"generation\":5,\"regions\":[]}"},
     {"/lpar/a", "{\"v\":1,\"generation\":6}"},
     "/paging/a",
     "generation",
     6 + STEP - 1},
    {{"/job-number", "{\"v\":1,\"last\":3}"}, {NULL, NULL}, "/job-number", "last", 3 + STEP},
    {{"/incident-number", "{\"v\":1,\"last\":3}"},
     {"/incident-number", "{\"v\":1,\"last\":5}"},
     "/incident-number",
     "last",
     5 + STEP},
    {{"/job-number", "{\"v\":1,\"last\":3}"},
     {"/job/j-8", "{\"v\":1}"},
     "/job-number",
     "last",
     8 + STEP},
    {{"/node/n1", "{\"v\":1}"},
     {"/job-number", "{\"v\":1,\"last\":9}"},
     "/job-number",
     "last",
     9 + STEP},
    {{"/node/n1", "{\"v\":1}"}, {NULL, NULL}, "/cluster", "restores", 3},
    {{"/node/n1", "{\"v\":1}"},
     {"/cluster", "{\"v\":1,\"restores\":4}"},
     "/cluster",
     "restores",
     5},
    {{"/split/3", "{\"v\":1}"}, {"/split/5", "{\"v\":1}"}, "/split/1000005", "v", 1},
};

static void numbers_go_above_all_that_is_seen(void)
{
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++) {
        const struct record backup[] = {CLUSTER, NUMBERS[i].backup, {NULL, NULL}};
        const struct record elsewhere[] = {NUMBERS[i].elsewhere, {NULL, NULL}};
        make_plan(backup, elsewhere, 0);
        int64_t got = number(NUMBERS[i].key, NUMBERS[i].name);
        ok(got == NUMBERS[i].want, "row %zu: %s %s is %lld, want %lld", i, NUMBERS[i].key,
           NUMBERS[i].name, (long long)got, (long long)NUMBERS[i].want);
        restore_plan_clear(&plan);
    }
}

static void regions_and_revisions_go_above_too(void)
{
    const struct record backup[] = {
        CLUSTER,
        {"/paging/a", "{\"v\":1,\"generation\":5,\"regions\":[{\"number\":4},{\"number\":2}]}"},
        {NULL, NULL}};
    const struct record elsewhere[] = {
        {"/paging/a", "{\"v\":1,\"generation\":5,\"regions\":[{\"number\":6}]}"}, {NULL, NULL}};
    make_plan(backup, elsewhere, 30);
    is_text(member("/paging/a", "regions"), "[{\"number\":1000006},{\"number\":1000006}]");
    is_int(plan.revision, 30 + RESTORE_REVISION_STEP);
    is_int(plan.list.values[0].revision, plan.revision);
    restore_plan_clear(&plan);
}

static void all_incarnations_are_fenced(void)
{
    const struct record backup[] = {CLUSTER,
                                    {"/alive/n1", "{\"v\":1,\"incarnation\":3}"},
                                    {"/fence/n1/2", "{\"v\":1,\"state\":\"closing\"}"},
                                    {"/node/n1", "{\"v\":1}"},
                                    {NULL, NULL}};
    const struct record elsewhere[] = {{"/alive/n1", "{\"v\":1,\"incarnation\":5}"}, {NULL, NULL}};
    static const char *const keys[] = {"/fence/n1/2", "/fence/n1/3", "/fence/n1/5",
                                       "/fence/n1/1000005"};
    make_plan(backup, elsewhere, 0);
    for (size_t i = 0; i < 4; i++) {
        ok(strcmp(member(keys[i], "state"), "\"free\"") == 0, "%s is free", keys[i]);
    }
    is_text(member("/alive/n1", "start"), "0");
    is_text(text_of(plan.nodes), "[\"n1\"]");
    restore_plan_clear(&plan);
}

static void nobody_owns_or_holds_anything(void)
{
    const struct record backup[] = {
        CLUSTER,
        {"/alarm/low/-/p1", "{\"v\":1}"},
        {"/alert/low", "{\"v\":1,\"limit\":10}"},
        {"/hibernation/c", "{\"v\":1,\"generation\":2,\"lu\":\"x\"}"},
        {"/image/i", "{\"v\":1,\"state\":\"ready\",\"job\":\"j-2\"}"},
        {"/job/j-1", "{\"v\":1,\"state\":\"done\"}"},
        {"/job/j-2", "{\"v\":1,\"state\":\"running\",\"object\":\"o\"}"},
        {"/lock/a", "{\"v\":1}"},
        {"/lpar-run/a", "{\"v\":1}"},
        {"/lpar/a", "{\"v\":1,\"generation\":1,\"wanted\":\"running\",\"job\":\"j-2\","
                    "\"owner\":{\"node\":\"n1\",\"incarnation\":1},\"extra\":[1]}"},
        {"/lpar/b", "{\"v\":1,\"generation\":1,\"wanted\":\"stopped\",\"owner\":null}"},
        {"/lpar/c", "{\"v\":1,\"generation\":2,\"wanted\":\"hibernated\"}"},
        {"/lpar/d", "{\"v\":1,\"generation\":2,\"owner\":{\"node\":\"n1\",\"incarnation\":1},"
                    "\"taken\":{\"node\":\"n2\",\"incarnation\":1}}"},
        {"/lu/u", "{\"v\":1,\"state\":\"ready\",\"job\":\"j-2\"}"},
        {"/lu/v", "{\"v\":1,\"state\":\"making\",\"job\":\"j-2\"}"},
        {"/other/x", "{\"v\":1,\"kept\":true}"},
        {"/primary", "{\"v\":1,\"epoch\":3,\"node\":\"n1\",\"state\":\"committed\","
                     "\"history\":[{\"epoch\":3}]}"},
        {"/token/t", "{\"v\":1}"},
        {NULL, NULL}};
    make_plan(backup, NULL, 0);
    is_text(member("/primary", "state"), "\"resigned\"");
    is_text(member("/primary", "node"), "\"\"");
    is_text(member("/primary", "history"), "[{\"epoch\":3}]");
    is_text(member("/lpar/a", "owner"), "null");
    is_text(member("/lpar/a", "job"), "null");
    is_text(member("/lpar/a", "wanted"), "\"running\"");
    is_text(member("/lpar/a", "extra"), "[1]");
    is_text(member("/lpar/c", "wanted"), "\"stopped\"");
    is_text(member("/lpar/d", "owner"), "null");
    is_text(member("/lpar/d", "taken"), "");
    is_text(member("/image/i", "job"), "");
    is_text(member("/lu/u", "job"), "");
    is_text(member("/lu/v", "job"), "\"j-2\"");
    is_text(member("/hibernation/c", "state"), "\"Invalid\"");
    ok(number("/hibernation/c", "generation") < number("/lpar/c", "generation"), "and older");
    is_text(member("/job/j-1", "state"), "\"done\"");
    is_text(member("/job/j-2", "state"), "\"failed\"");
    is_text(text_of(plan.start), "[\"a\"]");
    is_text(text_of(plan.hibernations), "[\"c\"]");
    is_text(text_of(plan.jobs), "[\"j-2\"]");
    ok(planned("/other/x"), "what is unknown stays");
    is_text(member("/alert/low", "limit"), "10");
    ok(!planned("/alarm/low/-/p1"), "whether it is crossed is found out anew");
    ok(!planned("/lock/a") && !planned("/lpar-run/a") && !planned("/token/t"), "the rest goes");
    for (size_t i = 1; i < plan.list.count; i++) {
        ok(strcmp(plan.list.values[i - 1].key, plan.list.values[i].key) < 0, "sorted, each once");
    }
    restore_plan_clear(&plan);
}

static void a_restore_of_a_restore_goes_on_from_it(void)
{
    const struct record backup[] = {
        CLUSTER, {"/alive/n1", "{\"v\":1,\"incarnation\":3}"}, {NULL, NULL}};
    make_plan(backup, NULL, 0);
    struct restore_plan first = plan;
    struct store_value values[RECORDS_MAX];
    struct store_list list = list_of(backup, values);
    struct restore_content contents[] = {{&list, 7}, {&first.list, first.revision}};
    struct vios_error error = {0};
    is_int(restore_plan_make(&plan, contents, 2, &act, &error), VIOS_OK);
    is_int(number("/alive/n1", "incarnation"), 3 + 2 * STEP);
    is_int(plan.epoch, first.epoch + STEP);
    is_int(plan.restores, first.restores + 1);
    is_text(member("/fence/n1/1000003", "state"), "\"free\"");
    restore_plan_clear(&plan);
    restore_plan_clear(&first);
}

/* The same backup, restored twice, and nothing is left that says so. */
static void a_later_restore_is_above_a_lost_one(void)
{
    const struct record backup[] = {
        CLUSTER,
        {"/alive/n1", "{\"v\":1,\"incarnation\":3}"},
        {"/job-number", "{\"v\":1,\"last\":3}"},
        {"/lpar/a", "{\"v\":1,\"generation\":5}"},
        {"/paging/a", "{\"v\":1,\"generation\":5,\"regions\":[{\"number\":4}]}"},
        {NULL, NULL}};
    act.wall_ms = INT64_C(1700000000123);
    make_plan(backup, NULL, 0);
    is_int(plan.epoch, act.wall_ms);
    is_int(plan.restores, 1700000000);
    is_int(plan.revision, act.wall_ms);
    is_int(number("/alive/n1", "incarnation"), act.wall_ms);
    is_int(number("/lpar/a", "generation"), act.wall_ms);
    is_int(number("/paging/a", "generation"), act.wall_ms - 1);
    is_text(member("/paging/a", "regions"), "[{\"number\":1700000000123}]");
    is_int(number("/job-number", "last"), 3 + STEP);
    is_text(member("/audit/1700000000123-restore", "time"), "\"2023-11-14T22:13:20.123Z\"");
    is_text(member("/audit/1700000000123-restore", "object"), "\"/b.db\"");
    restore_plan_clear(&plan);
    act.wall_ms = INT64_MAX; /* a clock that cannot be */
    make_plan(backup, NULL, 0);
    is_int(plan.epoch, STEP);
    restore_plan_clear(&plan);
    act.wall_ms = 0;
}

static const struct {
    struct record record;
    int code;
    const char *why;
} BAD[] = {
    {{"/a", "[]"}, VIOS_E_CORRUPT, "not a JSON object"},
    {{"/a", "{\"v\":1,\"v\":1}"}, VIOS_E_CORRUPT, "not a JSON object"},
    {{"/a", "{}"}, VIOS_E_CORRUPT, "schema number"},
    {{"/a", "{\"v\":\"1\"}"}, VIOS_E_CORRUPT, "schema number"},
    {{"/a", "{\"v\":2}"}, VIOS_E_INVALID, "this vios knows 1"},
    {{"/primary", "{\"v\":1}"}, VIOS_E_CORRUPT, "epoch"},
    {{"/alive/n1", "{\"v\":1,\"incarnation\":-1}"}, VIOS_E_CORRUPT, "incarnation"},
    {{"/lpar/a", "{\"v\":1,\"generation\":9007199254740992}"}, VIOS_E_CORRUPT, "generation"},
    {{"/paging/a", "{\"v\":1,\"generation\":1}"}, VIOS_E_CORRUPT, "regions"},
    {{"/paging/a", "{\"v\":1,\"generation\":1,\"regions\":[1]}"}, VIOS_E_CORRUPT, "region"},
    {{"/job-number", "{\"v\":1,\"last\":\"x\"}"}, VIOS_E_CORRUPT, "last"},
    {{"/hibernation/a", "{\"v\":1}"}, VIOS_E_CORRUPT, "generation"},
};

static void a_bad_backup_is_refused(void)
{
    struct store_value values[RECORDS_MAX];
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        const struct record records[] = {CLUSTER, BAD[i].record, {NULL, NULL}};
        struct store_list list = list_of(records, values);
        struct vios_error error = {0};
        int status = restore_check(&list, &error);
        ok(status == BAD[i].code && strstr(error.message, BAD[i].why), "row %zu: %s: %s", i,
           error_name(status), error.message);
        is_text(error.object, BAD[i].record.key);
    }
    const struct record odd[] = {{"/lpar/\xff", "{\"v\":1}"}, {NULL, NULL}};
    struct store_list strange = list_of(odd, values);
    struct vios_error bad_key = {0};
    is_int(restore_check(&strange, &bad_key), VIOS_E_CORRUPT);
    ok(strstr(bad_key.message, "bad key"), "%s", bad_key.message);
    const struct record none[] = {{"/node/n1", "{\"v\":1}"}, {NULL, NULL}};
    struct store_list list = list_of(none, values);
    struct vios_error error = {0};
    is_int(restore_check(&list, &error), VIOS_E_INVALID);
    ok(strstr(error.message, "no cluster"), "%s", error.message);
}

static void a_number_that_cannot_be_raised_is_refused(void)
{
    const struct record records[] = {
        CLUSTER, {"/lpar/a", "{\"v\":1,\"generation\":4503599627370496}"}, {NULL, NULL}};
    struct store_value values[RECORDS_MAX];
    struct store_list list = list_of(records, values);
    struct restore_content content = {&list, 7};
    struct vios_error error = {0};
    is_int(restore_plan_make(&plan, &content, 1, &act, &error), VIOS_E_INVALID);
    ok(strstr(error.message, "too high"), "%s", error.message);
    restore_plan_clear(&plan);
}

static void what_is_lost_is_told(void)
{
    const struct record backup[] = {{"/alive/n1", "{\"v\":1}"},
                                    {"/cluster", "{\"v\":1,\"name\":\"lab\"}"},
                                    {"/lpar/a", "{\"v\":1,\"generation\":1}"},
                                    {"/lpar/b", "{\"v\":1,\"x\":[1, 2]}"},
                                    {"/node/n4", "{\"v\":1}"},
                                    {NULL, NULL}};
    const struct record now[] = {{"/alive/n1", "{\"v\":1,\"n\":5}"},
                                 {"/cluster", "{\"name\":\"lab\",\"v\":1}"},
                                 {"/lpar-run/a", "{\"v\":1}"},
                                 {"/lpar/a", "{\"v\":1,\"generation\":2}"},
                                 {"/lpar/b", "{\"v\":1,\"x\":[1,2]}"},
                                 {"/lpar/c", "{\"v\":1}"},
                                 {"/lpar/d", "{\"v\":1}"},
                                 {NULL, NULL}};
    struct store_value values[2][RECORDS_MAX];
    struct store_list a = list_of(backup, values[0]), b = list_of(now, values[1]);
    json_t *losses = restore_loss(&a, &b);
    is_text(text_of(losses),
            "[{\"kind\":\"lpar\",\"what\":\"older\",\"count\":1,\"names\":[\"a\"]},"
            "{\"kind\":\"lpar\",\"what\":\"lost\",\"count\":2,\"names\":[\"c\",\"d\"]},"
            "{\"kind\":\"node\",\"what\":\"returns\",\"count\":1,\"names\":[\"n4\"]}]");
    json_decref(losses);
}

int main(void)
{
    RUN(numbers_go_above_all_that_is_seen);
    RUN(regions_and_revisions_go_above_too);
    RUN(all_incarnations_are_fenced);
    RUN(nobody_owns_or_holds_anything);
    RUN(a_restore_of_a_restore_goes_on_from_it);
    RUN(a_later_restore_is_above_a_lost_one);
    RUN(a_bad_backup_is_refused);
    RUN(a_number_that_cannot_be_raised_is_refused);
    RUN(what_is_lost_is_told);
    return tap_done();
}
