/* Proves: a commit to etcd is made once and its outcome known when answers are lost and requests
 * come late; without that possibility it is unknown; a request that was never sent says so.
 * needs: heavy
 * limit: 120 */
#include "tests/unit/store/etcd_store.h"
#include "tests/unit/store/proxy.h"

#include "store/etcd.h"

static struct proxy proxy;

static struct store *open_through_proxy(void)
{
    char where[128];
    snprintf(where, sizeof where, "etcd:http://127.0.0.1:%d", proxy.port);
    return open_or_exit(where);
}

static int put_if(struct store *store, enum store_compare_kind kind, const char *key,
                  const char *json, int64_t *revision, struct operation *operation)
{
    struct store_compare compare = {kind, key, 0};
    struct store_change change = {key, json};
    *operation = suite_operation();
    return store_commit(store, &compare, 1, &change, 1, revision, operation);
}

static void a_lost_answer_is_found_out(void)
{
    struct operation operation;
    int64_t revision = 0;
    struct store *store = open_through_proxy();
    struct store *direct = open_one();
    suite_put(store, "/lost/first", "{\"v\":1}"); /* the mark is there from now on */
    for (int round = 0; round < 5; round++) {
        char key[32];
        snprintf(key, sizeof key, "/lost/%d", round);
        int64_t before = suite_now(direct);
        int eaten = atomic_load(&proxy.eaten);
        atomic_store(&proxy.mode, PROXY_EAT_ANSWER);
        /* were it sent twice without the mark, "absent" would make it a conflict */
        is_int(put_if(store, STORE_ABSENT, key, "{\"v\":1}", &revision, &operation), VIOS_OK);
        is_int(revision, before + 1);
        is_int(suite_now(direct), before + 1);
        is_int(suite_revision(direct, key), revision);
        is_int(atomic_load(&proxy.eaten), eaten + 1);
    }
    store_close(store);
    store_close(direct);
}

static void a_lost_conflict_is_found_out(void)
{
    struct operation operation;
    struct store *store = open_through_proxy();
    suite_put(store, "/taken", "{\"v\":1}");
    atomic_store(&proxy.mode, PROXY_EAT_ANSWER);
    is_int(put_if(store, STORE_ABSENT, "/taken", "{\"v\":2}", NULL, &operation), VIOS_E_CONFLICT);
    is_text(operation.error.object, "/taken");
    is_text(operation.error.message, "it exists already");
    is_text(suite_json(store, "/taken"), "{\"v\":1}");
    is_int(suite_put(store, "/taken", "{\"v\":3}"), VIOS_OK);
    store_close(store);
}

/* The first copy is held, the second one made: the first must not be made again. */
static void a_late_copy_does_nothing(void)
{
    struct store *store = open_through_proxy();
    struct store *direct = open_one();
    suite_put(store, "/late", "{\"v\":1,\"n\":0}");
    atomic_store(&proxy.mode, PROXY_HOLD);
    is_int(suite_put(store, "/late", "{\"v\":1,\"n\":1}"), VIOS_OK);
    is_int(suite_put(direct, "/late", "{\"v\":1,\"n\":2}"), VIOS_OK);
    int64_t before = suite_now(direct);
    const char *answer = proxy_release(&proxy);
    ok(strstr(answer, "200 OK") != NULL, "the late copy was answered: %s", answer);
    ok(strstr(answer, "\"succeeded\"") == NULL, "and not made: %s", answer);
    is_int(suite_now(direct), before);
    is_text(suite_json(direct, "/late"), "{\"v\":1,\"n\":2}");
    store_close(store);
    store_close(direct);
}

/* The first copy is held, the second one fails; later the first one's compare would hold. */
static void a_late_copy_does_nothing_after_a_conflict(void)
{
    struct operation operation;
    struct store *store = open_through_proxy();
    struct store *direct = open_one();
    suite_put(store, "/occupied", "{\"v\":1}");
    atomic_store(&proxy.mode, PROXY_HOLD);
    is_int(put_if(store, STORE_ABSENT, "/occupied", "{\"v\":2}", NULL, &operation),
           VIOS_E_CONFLICT);
    is_int(suite_put(direct, "/occupied", NULL), VIOS_OK);
    ok(strstr(proxy_release(&proxy), "200 OK") != NULL, "the late copy was answered");
    is_text(suite_json(direct, "/occupied"), "");
    store_close(store);
    store_close(direct);
}

/* No time to send it again: unknown. What the connection commits next defeats it. */
static void an_unknown_commit_is_defeated_by_the_next(void)
{
    struct operation operation;
    struct store_change change = {"/unknown", "{\"v\":1,\"n\":1}"};
    struct store *store = open_through_proxy();
    struct store *direct = open_one();
    suite_put(store, "/unknown", "{\"v\":1,\"n\":0}");
    atomic_store(&proxy.mode, PROXY_HOLD);
    operation_start(&operation, 200, NULL);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_E_UNKNOWN);
    is_text(operation.error.object, "VIOS DB");
    is_text(operation.error.hint, "read again before you decide");
    is_text(suite_json(direct, "/unknown"), "{\"v\":1,\"n\":0}");
    is_int(suite_put(store, "/unknown", "{\"v\":1,\"n\":2}"), VIOS_OK);
    ok(strstr(proxy_release(&proxy), "200 OK") != NULL, "the late copy was answered");
    is_text(suite_json(direct, "/unknown"), "{\"v\":1,\"n\":2}");
    store_close(store);
    store_close(direct);
}

/* An unknown commit that did land: the next one goes on from its mark. */
static void a_commit_follows_an_unknown_one_that_landed(void)
{
    struct operation operation;
    struct store_change change = {"/landed", "{\"v\":1,\"n\":1}"};
    struct store *store = open_through_proxy();
    suite_put(store, "/landed", "{\"v\":1,\"n\":0}");
    atomic_store(&proxy.mode, PROXY_HOLD);
    operation_start(&operation, 200, NULL);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_E_UNKNOWN);
    ok(strstr(proxy_release(&proxy), "\"succeeded\":true") != NULL, "it lands");
    is_text(suite_json(store, "/landed"), "{\"v\":1,\"n\":1}");
    is_int(suite_put(store, "/landed", "{\"v\":1,\"n\":2}"), VIOS_OK);
    is_text(suite_json(store, "/landed"), "{\"v\":1,\"n\":2}");
    store_close(store);
}

/* More than etcd lets us mark: sent once, and unknown when the answer is lost. */
static void a_commit_too_wide_for_a_mark_stays_unknown(void)
{
    static struct store_change changes[STORE_CHANGES_MAX];
    static char keys[STORE_CHANGES_MAX][24];
    struct operation operation = suite_operation();
    struct store *store = open_through_proxy();
    struct store_compare compare = {STORE_ABSENT, "/wide/0", 0};
    for (int i = 0; i < STORE_CHANGES_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "/wide/%d", i);
        changes[i] = (struct store_change){keys[i], "{\"v\":1}"};
    }
    atomic_store(&proxy.mode, PROXY_EAT_ANSWER);
    is_int(store_commit(store, &compare, 1, changes, STORE_CHANGES_MAX, NULL, &operation),
           VIOS_E_UNKNOWN);
    is_text(suite_json(store, "/wide/127"), "{\"v\":1}"); /* and was made */
    store_close(store);
}

static void a_read_is_repeated(void)
{
    struct operation operation = suite_operation();
    struct store *store = open_through_proxy();
    struct store_compare compare = {STORE_EXISTS, "/taken", 0};
    int64_t revision = 0;
    atomic_store(&proxy.mode, PROXY_EAT_ANSWER);
    is_int(store_commit(store, &compare, 1, NULL, 0, &revision, &operation), VIOS_OK);
    is_int(revision, suite_now(store));
    store_close(store);
}

/* The mark was cleaned away while a copy was under way: nothing is taken for granted. */
static void a_commit_whose_mark_is_gone_is_unknown(void)
{
    struct operation operation = suite_operation();
    struct store_change change = {"/gone", "{\"v\":1}"};
    struct store *store = open_through_proxy();
    suite_put(store, "/gone", "{\"v\":0}");
    /* "/vios/:mark/" to "/vios/:mark0" */
    ok(strstr(etcd_post(&servers, 0, "/v3/kv/deleterange", NULL,
                        "{\"key\":\"L3Zpb3MvOm1hcmsv\",\"range_end\":\"L3Zpb3MvOm1hcmsw\"}"),
              "\"deleted\"") != NULL,
       "the marks are gone");
    atomic_store(&proxy.mode, PROXY_HOLD);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_E_UNKNOWN);
    is_text(operation.error.message, "the commit may or may not be done: its mark is gone");
    is_int(suite_put(store, "/gone", "{\"v\":2}"), VIOS_OK);
    ok(strstr(proxy_release(&proxy), "\"succeeded\"") == NULL, "the late copy does nothing");
    is_text(suite_json(store, "/gone"), "{\"v\":2}");
    store_close(store);
}

/* A connection whose mark was cleaned away in between goes on as if nothing had happened. */
static void an_idle_connection_may_lose_its_mark(void)
{
    struct operation operation;
    struct store *store = open_one();
    suite_put(store, "/idle", "{\"v\":1}");
    etcd_post(&servers, 0, "/v3/kv/deleterange", NULL,
              "{\"key\":\"L3Zpb3MvOm1hcmsv\",\"range_end\":\"L3Zpb3MvOm1hcmsw\"}");
    is_int(put_if(store, STORE_EXISTS, "/idle", "{\"v\":2}", NULL, &operation), VIOS_OK);
    is_int(put_if(store, STORE_ABSENT, "/idle", "{\"v\":3}", NULL, &operation), VIOS_E_CONFLICT);
    store_close(store);
}

/* Whether any mark is left. */
static bool marks_left(void)
{
    return strstr(etcd_post(&servers, 0, "/v3/kv/range", NULL,
                            "{\"key\":\"L3Zpb3MvOm1hcmsv\",\"range_end\":\"L3Zpb3MvOm1hcmsw\"}"),
                  "\"count\"") != NULL;
}

static void a_mark_is_not_seen_and_goes_with_its_connection(void)
{
    struct operation operation = suite_operation();
    struct store_list list;
    struct store *store = open_one();
    suite_put(store, "/marked", "{\"v\":1}");
    ok(marks_left(), "there is a mark");
    is_int(store_list(store, "", &list, NULL, &operation), VIOS_OK);
    for (size_t i = 0; i < list.count; i++) {
        ok(!strstr(list.values[i].key, "mark/") && !strstr(list.values[i].key, ":store"),
           "not to be seen: %s", list.values[i].key);
    }
    store_list_clear(&list);
    store_close(store);
    ok(!marks_left(), "none is left");
}

/* --- against a server that does not answer, or is not there --- */

static void a_stopped_server_ends_calls_at_their_deadline(void)
{
    struct operation operation;
    struct store_value value;
    struct store_change change = {"/stopped", "{\"v\":1,\"n\":1}"};
    struct store *store = open_one();
    suite_put(store, "/stopped", "{\"v\":1,\"n\":0}");
    etcd_signal(&servers, 0, SIGSTOP);
    operation_start(&operation, 150, NULL);
    is_int(store_get(store, "/stopped", &value, &operation), VIOS_E_TIMEOUT);
    is_text(operation.error.object, "VIOS DB");
    operation_start(&operation, 150, NULL);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_E_UNKNOWN);
    etcd_signal(&servers, 0, SIGCONT);
    is_int(suite_put(store, "/stopped", "{\"v\":1,\"n\":2}"), VIOS_OK);
    is_text(suite_json(store, "/stopped"), "{\"v\":1,\"n\":2}");
    store_close(store);
}

static void *cancel_soon(void *cancel)
{
    poll(NULL, 0, 100);
    cancel_trigger(cancel);
    return NULL;
}

static void a_cancel_ends_a_call(void)
{
    struct operation operation;
    struct store_value value;
    pthread_t thread;
    struct cancel *cancel = cancel_new();
    struct store *store = open_one();
    etcd_signal(&servers, 0, SIGSTOP);
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    pthread_create(&thread, NULL, cancel_soon, cancel);
    is_int(store_get(store, "/stopped", &value, &operation), VIOS_E_CANCELLED);
    pthread_join(thread, NULL);
    etcd_signal(&servers, 0, SIGCONT);
    store_close(store);
    cancel_free(cancel);
}

static void an_absent_server_is_unreachable(void)
{
    struct operation operation = suite_operation();
    struct store_change change = {"/absent", "{\"v\":1}"};
    struct store *store = open_one();
    etcd_kill(&servers, 0);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_E_UNREACHABLE);
    ok(strstr(operation.error.message, "http://127.0.0.1:") != NULL, "names it: %s",
       operation.error.message);
    operation_start(&operation, 50, NULL);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_E_TIMEOUT);
    etcd_start_member(&servers, 0);
    ok(etcd_await(&servers, 0), "it is back");
    is_int(suite_revision(store, "/absent"), -1);
    is_int(suite_put(store, "/absent", "{\"v\":1}"), VIOS_OK);
    store_close(store);
}

int main(void)
{
    if (etcd_missing()) {
        return 0;
    }
    etcd_start(&servers, 1, "etcd");
    address_from(0, "");
    proxy_start(&proxy, servers.members[0].client_port);
    RUN(a_lost_answer_is_found_out);
    RUN(a_lost_conflict_is_found_out);
    RUN(a_late_copy_does_nothing);
    RUN(a_late_copy_does_nothing_after_a_conflict);
    RUN(an_unknown_commit_is_defeated_by_the_next);
    RUN(a_commit_follows_an_unknown_one_that_landed);
    RUN(a_commit_too_wide_for_a_mark_stays_unknown);
    RUN(a_read_is_repeated);
    RUN(a_commit_whose_mark_is_gone_is_unknown);
    RUN(an_idle_connection_may_lose_its_mark);
    RUN(a_mark_is_not_seen_and_goes_with_its_connection);
    RUN(a_stopped_server_ends_calls_at_their_deadline);
    RUN(a_cancel_ends_a_call);
    RUN(an_absent_server_is_unreachable);
    proxy_stop(&proxy);
    return etcd_done();
}
