/* Proves: the store on three members of etcd does what every store does with one of them killed,
 * stopped or back again; while that happens no acknowledged commit is lost, none that was made is
 * called a conflict, and a watch sees every revision once, in order. A member that is silent or
 * foreign is left by the call after the one that it failed.
 * needs: heavy
 * limit: 150 */
#include "tests/unit/store/etcd_store.h"

#include "store/etcd.h"

#include <stdatomic.h>

enum { MEMBERS = 3, WRITERS = 2, ROUNDS = 5 };

/* --- members that are away before the suite begins --- */

static void a_check_names_the_member_that_is_away(void)
{
    char endpoint[64];
    struct operation operation = suite_operation();
    struct store *store = open_one();
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", servers.members[1].client_port);
    is_int(store_check(store, &operation), VIOS_E_UNREACHABLE);
    is_text(operation.error.object, endpoint);
    store_close(store);
}

/* Too short for a second attempt: the call after it must begin elsewhere. */
static int short_call(struct store *store)
{
    struct store_value value;
    struct operation operation;
    operation_start(&operation, ETCD_ATTEMPT_LEAST_MS - 10, NULL);
    int status = store_get(store, "/short", &value, &operation);
    store_value_clear(&value);
    return status;
}

static void a_silent_member_does_not_hold_short_calls(void)
{
    struct store *store = NULL;
    int64_t end_ms = clock_now_ms() + SUITE_PATIENCE_MS;
    int first, status, tries = 0;
    do { /* on a slow machine a store, and those of its address, may have left the member before */
        char parameters[32];
        snprintf(parameters, sizeof parameters, "?prefix=/short/%d", tries++);
        address_from(2, parameters);
        store_close(store);
        etcd_signal(&servers, 2, SIGCONT);
        etcd_await(&servers, 2);
        store = open_one();
        suite_put(store, "/short", "{\"v\":1}");
        etcd_signal(&servers, 2, SIGSTOP);
        first = short_call(store);
    } while (first == VIOS_OK && clock_now_ms() < end_ms);
    is_int(first, VIOS_E_TIMEOUT);
    do {
        status = short_call(store);
    } while (status != VIOS_OK && clock_now_ms() < end_ms);
    is_int(status, VIOS_OK);
    etcd_signal(&servers, 2, SIGCONT);
    etcd_await(&servers, 2);
    store_close(store);
}

/* Another etcd at one of the endpoints fails the call that meets it, not all that follow. */
static void a_foreign_member_fails_one_call(void)
{
    static struct etcd_servers foreign;
    char where[ADDRESS_SIZE + 64];
    struct store_value value;
    struct operation operation;
    etcd_start(&foreign, 1, "foreign");
    snprintf(where, sizeof where, "etcd:http://127.0.0.1:%d,http://127.0.0.1:%d",
             servers.members[0].client_port, foreign.members[0].client_port);
    struct store *store = open_or_exit(where);
    suite_put(store, "/foreign", "{\"v\":1}");
    etcd_signal(&servers, 0, SIGSTOP);
    operation = suite_operation();
    is_int(store_get(store, "/foreign", &value, &operation), VIOS_E_CORRUPT);
    etcd_signal(&servers, 0, SIGCONT);
    etcd_await(&servers, 0);
    int64_t end_ms = clock_now_ms() + SUITE_PATIENCE_MS;
    int status;
    do { /* one that is slow, as it was stopped, is left for the foreign one once more */
        operation = suite_operation();
        status = store_get(store, "/foreign", &value, &operation);
        store_value_clear(&value);
    } while (status == VIOS_E_CORRUPT && clock_now_ms() < end_ms);
    is_int(status, VIOS_OK);
    store_close(store);
    etcd_stop(&foreign);
}

/* The first endpoint of the address is the one that is killed. */
static void run_with_one_killed(void)
{
    etcd_kill(&servers, 1);
    address_from(1, "?prefix=/vios/killed");
    suite_run_degraded(open_one);
    RUN(a_check_names_the_member_that_is_away);
    etcd_start_member(&servers, 1);
    etcd_await(&servers, 1);
}

static void run_with_one_stopped(void)
{
    etcd_signal(&servers, 2, SIGSTOP);
    address_from(2, "?prefix=/vios/stopped");
    suite_run_degraded(open_one);
    etcd_signal(&servers, 2, SIGCONT);
    etcd_await(&servers, 2);
}

/* --- members that go and come while there are writers and a watch --- */

struct writer {
    pthread_t thread;
    struct store *store;
    char key[24];
    int acknowledged; /* the last number whose commit is known to be done */
    int unknown;
    int trouble; /* statuses that should not be */
    struct vios_error error;
};

static _Atomic bool over;
static struct writer writers[WRITERS];

/* Reads until it is known where the writer stands. */
static bool read_again(struct writer *writer, int *number, int64_t *revision)
{
    while (!atomic_load(&over)) {
        struct operation operation;
        struct store_value value;
        operation_start(&operation, 5000, NULL);
        int status = store_get(writer->store, writer->key, &value, &operation);
        if (status == VIOS_OK) {
            sscanf(value.json, "{\"v\":1,\"n\":%d}", number);
            *revision = value.revision;
            store_value_clear(&value);
            return true;
        }
    }
    return false;
}

/* Counts its own key up, which nobody else touches: a conflict would be a lie, but for one with an
 * own commit of unknown outcome, which a member that stood still may make late. */
static void *write_on(void *argument)
{
    struct writer *writer = argument;
    bool doubt = false;
    int number = 0;
    int64_t revision = suite_revision(writer->store, writer->key);
    while (!atomic_load(&over)) {
        char json[64];
        struct operation operation;
        snprintf(json, sizeof json, "{\"v\":1,\"n\":%d}", number + 1);
        struct store_compare compare = {STORE_REVISION_IS, writer->key, revision};
        struct store_change change = {writer->key, json};
        operation_start(&operation, 3000, NULL);
        int status = store_commit(writer->store, &compare, 1, &change, 1, &revision, &operation);
        if (status == VIOS_OK) {
            writer->acknowledged = ++number;
            doubt = false;
            continue;
        }
        if (status == VIOS_E_UNKNOWN) {
            writer->unknown++;
            doubt = true;
        } else if (!(doubt && status == VIOS_E_CONFLICT) && status != VIOS_E_TIMEOUT &&
                   status != VIOS_E_UNREACHABLE) {
            writer->trouble = status;
            writer->error = operation.error;
            break;
        }
        int before = number;
        if (!read_again(writer, &number, &revision)) {
            break;
        }
        if (number < before || number > before + 1) {
            writer->trouble = 1; /* one was lost, or made twice */
            break;
        }
        writer->acknowledged = number;
    }
    return NULL;
}

/* What the watch saw of each writer. */
static int seen[WRITERS];
static int64_t seen_revision;

static bool check_change(const struct store_value *value)
{
    int writer = -1;
    int number = 0;
    if (sscanf(value->key, "/chaos/%d", &writer) != 1 || writer < 0 || writer >= WRITERS ||
        sscanf(value->json ? value->json : "", "{\"v\":1,\"n\":%d}", &number) != 1) {
        return ok(false, "a strange change of %s", value->key);
    }
    bool good =
        ok(number == seen[writer] + 1, "%s: %d after %d", value->key, number, seen[writer]) &&
        ok(value->revision > seen_revision, "%s: revision %lld after %lld", value->key,
           (long long)value->revision, (long long)seen_revision);
    seen[writer] = number;
    seen_revision = value->revision;
    return good;
}

static bool seen_all(void)
{
    for (int i = 0; i < WRITERS; i++) {
        if (seen[i] < writers[i].acknowledged) {
            return false;
        }
    }
    return true;
}

/* Takes what comes for `ms`, or until all acknowledged was seen (ms 0). */
static bool follow(struct store_watch *watch, int64_t ms)
{
    int64_t end_ms = clock_now_ms() + (ms ? ms : SUITE_PATIENCE_MS);
    while (clock_now_ms() < end_ms && (ms || !seen_all())) {
        struct operation operation;
        struct store_change_list changes;
        operation_start(&operation, ms ? end_ms - clock_now_ms() : 2000, NULL);
        int status = store_watch_next(watch, &changes, &operation);
        for (size_t i = 0; i < changes.count; i++) {
            if (!check_change(&changes.values[i])) {
                return false;
            }
        }
        store_change_list_clear(&changes);
        if (status != VIOS_OK && status != VIOS_E_TIMEOUT && status != VIOS_E_UNREACHABLE) {
            return ok(false, "the watch: %s: %s", error_name(status), operation.error.message);
        }
    }
    return true;
}

/* Kills or stops one member for a while, then brings it back. */
static bool disturb(struct store_watch *watch, int round)
{
    size_t member = (size_t)round % MEMBERS;
    bool kill_it = round % 2 == 0;
    if (kill_it) {
        etcd_kill(&servers, member);
    } else {
        etcd_signal(&servers, member, SIGSTOP);
    }
    bool good = follow(watch, 2500);
    if (kill_it) {
        etcd_start_member(&servers, member);
    } else {
        etcd_signal(&servers, member, SIGCONT);
    }
    good = good && follow(watch, 500);
    return ok(etcd_await(&servers, member), "member %zu is back", member) && good;
}

static void start_writers(void)
{
    for (int i = 0; i < WRITERS; i++) {
        struct writer *writer = &writers[i];
        address_from((size_t)i, "");
        writer->store = open_one();
        snprintf(writer->key, sizeof writer->key, "/chaos/%d", i);
        suite_put(writer->store, writer->key, "{\"v\":1,\"n\":0}");
    }
}

static void nothing_is_lost_while_members_go_and_come(void)
{
    struct operation operation = suite_operation();
    struct store_watch *watch = NULL;
    start_writers();
    address_from(0, "");
    struct store *store = open_one();
    int64_t start = suite_now(store);
    is_int(store_watch_open(&watch, store, "/chaos/", start, &operation), VIOS_OK);
    for (int i = 0; i < WRITERS; i++) {
        pthread_create(&writers[i].thread, NULL, write_on, &writers[i]);
    }
    bool good = true;
    for (int round = 0; round < ROUNDS && good; round++) {
        good = disturb(watch, round);
    }
    atomic_store(&over, true);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
    }
    ok(good && follow(watch, 0) && seen_all(), "the watch saw all");
    for (int i = 0; i < WRITERS; i++) {
        struct writer *writer = &writers[i];
        int number = -1;
        ok(writer->trouble == 0, "%s: %d %s: %s", writer->key, writer->trouble,
           writer->error.object, writer->error.message);
        sscanf(suite_json(store, writer->key), "{\"v\":1,\"n\":%d}", &number);
        ok(number >= writer->acknowledged, "%s is %d, acknowledged was %d", writer->key, number,
           writer->acknowledged);
        ok(writer->acknowledged > ROUNDS, "%s: only %d commits", writer->key, writer->acknowledged);
        printf("# %s: %d commits, %d unknown\n", writer->key, writer->acknowledged,
               writer->unknown);
        store_close(writer->store);
    }
    store_watch_close(watch);
    store_close(store);
}

int main(void)
{
    if (etcd_missing()) {
        return 0;
    }
    etcd_start(&servers, MEMBERS, "etcd");
    address_from(0, "");
    suite_run(open_one);
    run_with_one_killed();
    run_with_one_stopped();
    RUN(a_silent_member_does_not_hold_short_calls);
    RUN(a_foreign_member_fails_one_call);
    RUN(nothing_is_lost_while_members_go_and_come);
    address_from(0, "");
    suite_store = open_one();
    RUN(checks_clean);
    store_close(suite_store);
    return etcd_done();
}
