/* Proves: the faulty store does what every store does, and fails exactly as planned. */
#include "store/faulty.h"
#include "tests/unit/store/suite.h"

#include "base/file.h"

static char path[128];

static struct store *open_plain(void)
{
    char address[160];
    struct operation operation = suite_operation();
    struct store *store = NULL;
    snprintf(address, sizeof address, "sqlite:%s", path);
    if (store_open(&store, address, true, &operation) != VIOS_OK) {
        printf("# %s\n", operation.error.message);
        exit(1);
    }
    return store;
}

static struct store *open_wrapped(void)
{
    return faulty_wrap(open_plain(), NULL, 0);
}

static int commit_with(enum faulty_fault fault, const char *key, struct operation *operation)
{
    struct faulty_plan plan = {FAULTY_COMMIT, 2, fault};
    struct store *store = faulty_wrap(open_plain(), &plan, 1);
    struct store_change change = {key, "{\"v\":1}"};
    is_int(suite_put(store, "/fault/first", "{\"v\":1}"), VIOS_OK);
    int status = store_commit(store, NULL, 0, &change, 1, NULL, operation);
    is_int(suite_put(store, "/fault/last", "{\"v\":1}"),
           fault == FAULTY_DISCONNECT ? VIOS_E_UNREACHABLE : VIOS_OK);
    store_close(store);
    return status;
}

static const struct {
    enum faulty_fault fault;
    int status;
    bool done;
} OUTCOMES[] = {
    {FAULTY_CONFLICT, VIOS_E_CONFLICT, false},        {FAULTY_UNKNOWN_DONE, VIOS_E_UNKNOWN, true},
    {FAULTY_UNKNOWN_NOT_DONE, VIOS_E_UNKNOWN, false}, {FAULTY_TIMEOUT, VIOS_E_TIMEOUT, false},
    {FAULTY_UNREACHABLE, VIOS_E_UNREACHABLE, false},  {FAULTY_DELAY, VIOS_OK, true},
    {FAULTY_DISCONNECT, VIOS_E_UNREACHABLE, false},
};

static void a_commit_ends_in_each_way(void)
{
    struct store *plain = open_plain();
    for (size_t i = 0; i < sizeof OUTCOMES / sizeof OUTCOMES[0]; i++) {
        char key[32];
        struct operation operation = suite_operation();
        snprintf(key, sizeof key, "/fault/%zu", i);
        is_int(commit_with(OUTCOMES[i].fault, key, &operation), OUTCOMES[i].status);
        is_text(suite_json(plain, key), OUTCOMES[i].done ? "{\"v\":1}" : "");
    }
    store_close(plain);
}

static void the_planned_call_fails_and_no_other(void)
{
    struct faulty_plan plans[] = {{FAULTY_GET, 2, FAULTY_TIMEOUT}, {FAULTY_LIST, 1, FAULTY_DELAY}};
    struct operation operation = suite_operation();
    struct store *store = faulty_wrap(open_plain(), plans, 2);
    struct store_value value;
    for (int i = 1; i <= 3; i++) {
        is_int(store_get(store, "/fault/first", &value, &operation),
               i == 2 ? VIOS_E_TIMEOUT : VIOS_OK);
        store_value_clear(&value);
    }
    struct store_list list;
    operation_start(&operation, 1, NULL);
    is_int(store_list(store, "/fault/", &list, NULL, &operation), VIOS_E_TIMEOUT);
    store_list_clear(&list);
    store_close(store);
}

static void a_list_of_several_prefixes_is_one_call(void)
{
    static const char *const prefixes[] = {"/fault/", "/none", "/"};
    struct faulty_plan plan = {FAULTY_LIST, 2, FAULTY_UNREACHABLE};
    struct operation operation = suite_operation();
    struct store *store = faulty_wrap(open_plain(), &plan, 1);
    struct store_list lists[3];
    for (int i = 1; i <= 3; i++) {
        is_int(store_list_many(store, prefixes, 3, lists, NULL, &operation),
               i == 2 ? VIOS_E_UNREACHABLE : VIOS_OK);
        ok((lists[0].count > 0) == (i != 2), "values, or none");
        for (size_t list = 0; list < 3; list++) {
            store_list_clear(&lists[list]);
        }
    }
    store_close(store);
}

static void a_plan_is_parsed_or_refused(void)
{
    char text[200];
    struct store *store;
    struct operation operation = suite_operation();
    snprintf(text, sizeof text, "get.1=timeout,commit.1=unknown_done:sqlite:%s", path);
    is_int(faulty_open(&store, text, false, &operation), VIOS_OK);
    is_int(suite_put(store, "/fault/a", "{\"v\":1}"), VIOS_E_UNKNOWN);
    store_close(store);
    const char *bad[] = {"commit.1=timeout", "x:sqlite:/x", "commit.x=timeout:sqlite:/x",
                         "commit.1=sleepy:sqlite:/x"};
    for (size_t i = 0; i < 4; i++) {
        is_int(faulty_open(&store, bad[i], false, &operation), VIOS_E_USAGE);
    }
}

static void a_commit_is_tried_again_while_it_helps(void)
{
    static const int ENDS[] = {VIOS_OK, 1, VIOS_E_LOCKED, VIOS_E_UNREACHABLE};
    for (size_t i = 0; i < 4; i++) {
        struct store_tries tries = {0};
        int status = ENDS[i];
        ok(!store_try_again(&tries, &status) && status == ENDS[i], "%d ends it", ENDS[i]);
    }
    for (int doubt = 0; doubt < 2; doubt++) {
        struct store_tries tries = {0};
        int count = 0, status;
        do {
            count++;
            status = doubt && count == 1 ? VIOS_E_UNKNOWN : VIOS_E_CONFLICT;
        } while (store_try_again(&tries, &status));
        is_int(count, STORE_TRIES);
        is_int(status, doubt ? VIOS_E_UNKNOWN : VIOS_E_CONFLICT);
    }
}

static void a_doubt_stays_until_it_is_known(void)
{
    static const int ENDS[][2] = {{VIOS_OK, VIOS_OK}, {1, 1}, {VIOS_E_TIMEOUT, VIOS_E_UNKNOWN}};
    for (size_t i = 0; i < 3; i++) {
        struct store_tries tries = {0};
        int status = VIOS_E_UNKNOWN;
        ok(store_try_again(&tries, &status), "it is read again");
        status = ENDS[i][0];
        ok(!store_try_again(&tries, &status), "%d ends it", ENDS[i][0]);
        is_int(status, ENDS[i][1]);
    }
}

int main(void)
{
    snprintf(path, sizeof path, "%s/vios.db", tap_folder());
    suite_run(open_wrapped);
    RUN(a_commit_ends_in_each_way);
    RUN(the_planned_call_fails_and_no_other);
    RUN(a_list_of_several_prefixes_is_one_call);
    RUN(a_plan_is_parsed_or_refused);
    RUN(a_commit_is_tried_again_while_it_helps);
    RUN(a_doubt_stays_until_it_is_known);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
