/* Proves: a record that cannot be read is left out and told of, so that nobody takes what it
 * names for gone; and when a device begins anew, sleeps, or goes along as its plan says. */
#include "base/log.h"
#include "paging/view.h"
#include "tests/tap.h"

static const char PAGING[] =
    "{\"v\":1,\"lpar\":\"web1\",\"uuid\":\"3f0e1c1e-7c55-4f0e-9a54-0d6a7b8c9d0e\","
    "\"generation\":4,\"host\":\"n1\",\"size_bytes\":8192,\"policy\":\"single\",\"disk\":null,"
    "\"regions\":[{\"index\":0,\"number\":3,\"offset\":0,\"size_bytes\":8192,"
    "\"replicas\":[{\"node\":\"n2\"}]}],\"job\":\"j-1\",\"created\":\"\"}";
static const char LPAR[] = "{\"v\":1,\"uuid\":\"3f0e1c1e-7c55-4f0e-9a54-0d6a7b8c9d0e\","
                           "\"generation\":5,\"owner\":{\"node\":\"n3\",\"incarnation\":1}}";
static const char LATER[] = "{\"v\":2}"; /* a schema of the future */

static struct store *store;

static void put(const char *key, const char *json)
{
    struct operation operation;
    struct store_change change = {key, json};
    operation_start(&operation, 10000, NULL);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_OK);
}

/* How many views there are; the first one's owner in `owner`. */
static size_t views(bool *whole, char owner[NAME_MAX_LENGTH + 1])
{
    struct operation operation;
    struct paging_view *list = NULL;
    size_t count = 0;
    operation_start(&operation, 10000, NULL);
    is_int(paging_views_list(store, &list, &count, whole, &operation), VIOS_OK);
    snprintf(owner, NAME_MAX_LENGTH + 1, "%s", count > 0 ? list[0].owner : "");
    free(list);
    return count;
}

static void tells_of_unreadable_records(void)
{
    bool whole = false;
    char owner[NAME_MAX_LENGTH + 1];
    is_int(views(&whole, owner), 0);
    ok(whole, "nothing is whole");
    put("/paging/web1", PAGING);
    is_int(views(&whole, owner), 1);
    is_text(owner, "n1");
    put("/lpar/web1", LPAR);
    is_int(views(&whole, owner), 1);
    is_text(owner, "n3");
    ok(whole, "both can be read");
    put("/paging/web0", LATER);
    is_int(views(&whole, owner), 1);
    is_text(owner, "n3");
    ok(!whole, "web0 is not told of");
    put("/paging/web0", NULL);
    put("/lpar/web1", LATER);
    is_int(views(&whole, owner), 0);
    ok(!whole, "an LPAR's record is not told of");
}

/* The one view there is, with this LPAR. */
static struct paging_view view_of(const char *lpar, const char *plan, int64_t start)
{
    char paging[1024], text[512];
    struct operation operation;
    struct paging_view view = {0};
    snprintf(paging, sizeof paging,
             "{\"v\":1,\"lpar\":\"web1\",\"uuid\":\"3f0e1c1e-7c55-4f0e-9a54-0d6a7b8c9d0e\","
             "\"generation\":4,\"start\":%lld,\"host\":\"n1\",\"size_bytes\":8192,"
             "\"policy\":\"disk\",\"disk\":\"/d\",%s\"regions\":[{\"index\":0,\"number\":3,"
             "\"offset\":0,\"size_bytes\":8192,\"replicas\":[]}]}",
             (long long)start, plan);
    snprintf(text, sizeof text, "{\"v\":1,\"uuid\":\"3f0e1c1e-7c55-4f0e-9a54-0d6a7b8c9d0e\",%s}",
             lpar);
    put("/paging/web1", paging);
    put("/lpar/web1", text);
    operation_start(&operation, 10000, NULL);
    is_int(paging_view_load(store, "web1", &view, &operation), VIOS_OK);
    return view;
}

static void is_view(struct paging_view view, const char *owner, int64_t generation, bool begins,
                    bool asleep)
{
    is_text(view.owner, owner);
    is_int(view.generation, generation);
    is_int(view.begins, begins);
    is_int(view.asleep, asleep);
}

#define N2 "\"owner\":{\"node\":\"n2\",\"incarnation\":1},\"wanted\":\"running\","
#define N3 "\"owner\":{\"node\":\"n3\",\"incarnation\":1},\"wanted\":\"running\","
#define ASLEEP "\"owner\":null,\"wanted\":\"hibernated\","
#define STOPPED "\"owner\":null,\"wanted\":\"stopped\","
#define RESTART "\"plan\":{\"job\":\"j-7\",\"node\":\"n2\",\"generation\":5,\"start\":5},"
#define CONTINUE "\"plan\":{\"job\":\"j-7\",\"node\":\"n2\",\"generation\":5,\"start\":3},"

#define MOVE                                                                                       \
    "\"plan\":{\"job\":\"j-7\",\"node\":\"n2\",\"generation\":5,\"start\":3,\"target\":\"n3\"},"

static void follows_the_owner(void)
{
    is_view(view_of(STOPPED "\"generation\":4", "", 4), "n1", 4, false, false);
    is_view(view_of(N2 "\"generation\":4", "", 4), "n2", 4, false, false);
    is_view(view_of(N2 "\"generation\":4", "", 3), "n2", 3, false, false);
    is_view(view_of(N2 "\"generation\":5", "", 3), "n2", 5, true, false);
    is_view(view_of(ASLEEP "\"generation\":4", "", 4), "", 4, false, true);
}

static void goes_by_a_plan_to_restart(void)
{
    is_view(view_of(ASLEEP "\"generation\":4,\"job\":\"j-7\"", RESTART, 4), "n2", 5, false, false);
    is_view(view_of(N2 "\"generation\":5,\"job\":\"j-7\"", RESTART, 4), "n2", 5, false, false);
    is_view(view_of(N2 "\"generation\":5,\"job\":null", RESTART, 4), "n2", 5, false, false);
    /* void: another job holds it, nobody does, another node has it, it began anew */
    is_view(view_of(ASLEEP "\"generation\":4,\"job\":\"j-8\"", RESTART, 4), "", 4, false, true);
    is_view(view_of(ASLEEP "\"generation\":4,\"job\":null", RESTART, 4), "", 4, false, true);
    is_view(view_of(N3 "\"generation\":5,\"job\":\"j-8\"", RESTART, 4), "n3", 5, true, false);
    is_view(view_of(N2 "\"generation\":6,\"job\":\"j-7\"", RESTART, 4), "n2", 6, true, false);
}

static void goes_by_a_plan_to_continue(void)
{
    is_view(view_of(N2 "\"generation\":4,\"job\":\"j-7\"", CONTINUE, 3), "n2", 3, false, false);
    is_view(view_of(N2 "\"generation\":5,\"job\":\"j-7\"", CONTINUE, 3), "n2", 3, false, false);
    /* it is hibernated, or was taken over */
    is_view(view_of(ASLEEP "\"generation\":4,\"job\":\"j-7\"", CONTINUE, 3), "", 3, false, true);
    is_view(view_of(N3 "\"generation\":5", CONTINUE, 3), "n3", 5, true, false);
}

static void goes_by_a_plan_to_move(void)
{
    is_view(view_of(N2 "\"generation\":4,\"job\":\"j-7\"", MOVE, 3), "n2", 3, false, false);
    is_view(view_of(N3 "\"generation\":5,\"job\":\"j-7\"", MOVE, 3), "n3", 5, false, false);
    is_view(view_of(N3 "\"generation\":5,\"job\":null", MOVE, 3), "n3", 5, false, false);
    /* it was refused */
    is_view(view_of(N2 "\"generation\":5,\"job\":\"j-7\"", MOVE, 3), "n2", 3, false, false);
    ok(view_of(N2 "\"generation\":4,\"job\":\"j-7\"", MOVE, 3).is_planned, "it is not planned");
    ok(!view_of(N2 "\"generation\":4,\"job\":\"j-8\"", MOVE, 3).is_planned, "another's plan is");
    /* it began anew on the target, or is nobody's: no QEMU there has its pages */
    is_view(view_of(N3 "\"generation\":6", MOVE, 3), "n3", 6, true, false);
    is_view(view_of(ASLEEP "\"generation\":4,\"job\":\"j-7\"", MOVE, 3), "", 3, false, true);
}

int main(void)
{
    struct operation operation;
    char address[256];
    log_configure(LOG_ERROR, false);
    snprintf(address, sizeof address, "sqlite:%s/db", tap_folder());
    operation_start(&operation, 10000, NULL);
    if (store_open(&store, address, true, &operation) != VIOS_OK) {
        printf("# %s\n", operation.error.message);
        return 1;
    }
    RUN(tells_of_unreadable_records);
    put("/paging/web0", NULL);
    RUN(follows_the_owner);
    RUN(goes_by_a_plan_to_restart);
    RUN(goes_by_a_plan_to_continue);
    RUN(goes_by_a_plan_to_move);
    store_close(store);
    return tap_done();
}
