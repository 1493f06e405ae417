/*
 * suite.h - what every back end of the store must do. A test program includes it, gives
 * suite_run() a function that opens one more connection to the store under test, and adds
 * what is particular to its back end.
 */
#ifndef TESTS_STORE_SUITE_H
#define TESTS_STORE_SUITE_H

#include "base/clock.h"
#include "store/store.h"
#include "tests/tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define SUITE_PATIENCE_MS 20000

/* A connection to the store under test, made when absent; exits when it cannot be had. */
static struct store *(*suite_open)(void);
static struct store *suite_store;

__attribute__((unused)) static struct operation suite_operation(void)
{
    struct operation operation;
    operation_start(&operation, SUITE_PATIENCE_MS, NULL);
    return operation;
}

static int suite_put(struct store *store, const char *key, const char *json)
{
    struct operation operation = suite_operation();
    struct store_change change = {key, json};
    return store_commit(store, NULL, 0, &change, 1, NULL, &operation);
}

/* The JSON at `key`, in a buffer that the next call overwrites; "" when absent. */
static const char *suite_json(struct store *store, const char *key)
{
    static char text[STORE_VALUE_MAX + 1];
    struct operation operation = suite_operation();
    struct store_value value;
    text[0] = '\0';
    if (store_get(store, key, &value, &operation) == VIOS_OK) {
        snprintf(text, sizeof text, "%s", value.json);
    }
    store_value_clear(&value);
    return text;
}

static int64_t suite_revision(struct store *store, const char *key)
{
    struct operation operation = suite_operation();
    struct store_value value;
    int64_t revision = -1;
    if (store_get(store, key, &value, &operation) == VIOS_OK) {
        revision = value.revision;
    }
    store_value_clear(&value);
    return revision;
}

static int64_t suite_now(struct store *store)
{
    struct operation operation = suite_operation();
    struct store_list list;
    int64_t revision = -1;
    store_list(store, "/none", &list, &revision, &operation);
    store_list_clear(&list);
    return revision;
}

static void gets_what_was_put(void)
{
    struct operation operation = suite_operation();
    struct store_value value;
    int64_t first = 0;
    int64_t second = 0;
    struct store_change change = {"/suite/a", "{ \"v\": 1, \"text\": \"\\u00e9\" }"};
    is_int(store_commit(suite_store, NULL, 0, &change, 1, &first, &operation), VIOS_OK);
    is_int(store_commit(suite_store, NULL, 0, &change, 1, &second, &operation), VIOS_OK);
    is_int(second, first + 1);
    is_int(store_get(suite_store, "/suite/a", &value, &operation), VIOS_OK);
    is_text(value.key, "/suite/a");
    is_text(value.json, "{\"v\":1,\"text\":\"\u00e9\"}");
    is_int(value.created, first);
    is_int(value.revision, second);
    store_value_clear(&value);
}

static void misses_what_is_not_there(void)
{
    struct operation operation = suite_operation();
    struct store_value value;
    is_int(store_get(suite_store, "/suite/none", &value, &operation), VIOS_E_NOT_FOUND);
    is_text(operation.error.object, "/suite/none");
    store_value_clear(&value);
}

static void lists_by_prefix_in_order(void)
{
    struct operation operation = suite_operation();
    struct store_list list;
    int64_t revision = 0;
    suite_put(suite_store, "/list/b", "{\"v\":1}");
    suite_put(suite_store, "/list/a", "{\"v\":1}");
    suite_put(suite_store, "/list/a/z", "{\"v\":1}");
    suite_put(suite_store, "/list.other", "{\"v\":1}");
    is_int(store_list(suite_store, "/list/", &list, &revision, &operation), VIOS_OK);
    is_int(list.count, 3);
    if (list.count == 3) {
        is_text(list.values[0].key, "/list/a");
        is_text(list.values[1].key, "/list/a/z");
        is_text(list.values[2].key, "/list/b");
    }
    is_int(revision, suite_now(suite_store));
    store_list_clear(&list);
    is_int(store_list(suite_store, "", &list, NULL, &operation), VIOS_OK);
    ok(list.count >= 4, "the empty prefix lists all: %zu", list.count);
    store_list_clear(&list);
}

/* Three prefixes, in another order than their keys, one of them without any. */
static void lists_several_prefixes_at_once(void)
{
    static const char *const prefixes[] = {"/several/z/", "/several/none/", "/several/a/"};
    static const size_t counts[] = {1, 0, 2};
    struct operation operation = suite_operation();
    struct store_list lists[STORE_PREFIXES_MAX + 1];
    const char *many[STORE_PREFIXES_MAX + 1];
    int64_t revision = 0;
    suite_put(suite_store, "/several/a/2", "{\"v\":1}");
    suite_put(suite_store, "/several/a/1", "{\"v\":2}");
    suite_put(suite_store, "/several/z/1", "{\"v\":3}");
    is_int(store_list_many(suite_store, prefixes, 3, lists, &revision, &operation), VIOS_OK);
    is_int(revision, suite_now(suite_store));
    for (size_t i = 0; i < 3; i++) {
        is_int(lists[i].count, counts[i]);
    }
    if (lists[0].count == 1 && lists[2].count == 2) {
        is_text(lists[0].values[0].key, "/several/z/1");
        is_text(lists[0].values[0].json, "{\"v\":3}");
        is_int(lists[0].values[0].revision, revision);
        is_text(lists[2].values[0].key, "/several/a/1");
        is_text(lists[2].values[1].key, "/several/a/2");
    }
    for (size_t i = 0; i < 3; i++) {
        store_list_clear(&lists[i]);
    }
    for (size_t i = 0; i <= STORE_PREFIXES_MAX; i++) {
        many[i] = "/several/";
    }
    is_int(store_list_many(suite_store, many, STORE_PREFIXES_MAX, lists, NULL, &operation),
           VIOS_OK);
    for (size_t i = 0; i < STORE_PREFIXES_MAX; i++) {
        is_int(lists[i].count, 3);
        store_list_clear(&lists[i]);
    }
    is_int(store_list_many(suite_store, many, STORE_PREFIXES_MAX + 1, lists, NULL, &operation),
           VIOS_E_INVALID);
    is_text(operation.error.message, "a list is of 1 to 16 prefixes, this one of 17");
    is_int(store_list_many(suite_store, many, 0, lists, NULL, &operation), VIOS_E_INVALID);
    many[1] = "/a b";
    is_int(store_list_many(suite_store, many, 2, lists, NULL, &operation), VIOS_E_INVALID);
    is_int(lists[0].count, 0);
}

/* More keys below two of the prefixes than a back end may ask for at once. */
static void lists_many_keys_below_several_prefixes(void)
{
    enum { COMMITS = 10, HALF = STORE_CHANGES_MAX / 2 };
    static const char *const prefixes[] = {"/long/a/", "/long/b", "/long/c/", "/long/c/one"};
    static char keys[STORE_CHANGES_MAX][40];
    struct operation operation = suite_operation();
    struct store_change changes[STORE_CHANGES_MAX];
    struct store_list lists[4];
    suite_put(suite_store, "/long/c/one", "{\"v\":1}");
    for (int commit = 0; commit < COMMITS; commit++) {
        for (int i = 0; i < STORE_CHANGES_MAX; i++) {
            snprintf(keys[i], sizeof keys[i], "/long/%c/%03d", i < HALF ? 'a' : 'b',
                     commit * HALF + i % HALF);
            changes[i] = (struct store_change){keys[i], "{\"v\":1}"};
        }
        is_int(store_commit(suite_store, NULL, 0, changes, STORE_CHANGES_MAX, NULL, &operation),
               VIOS_OK);
    }
    is_int(store_list_many(suite_store, prefixes, 4, lists, NULL, &operation), VIOS_OK);
    for (size_t list = 0; list < 2; list++) {
        size_t in_order = 0;
        is_int(lists[list].count, COMMITS * HALF);
        for (size_t i = 0; i < lists[list].count; i++) {
            snprintf(keys[0], sizeof keys[0], "/long/%c/%03zu", (char)('a' + list), i);
            in_order += strcmp(lists[list].values[i].key, keys[0]) == 0;
        }
        is_int(in_order, COMMITS * HALF);
    }
    for (size_t list = 0; list < 4; list++) {
        is_int(lists[list].count, list < 2 ? COMMITS * HALF : 1);
        store_list_clear(&lists[list]);
    }
}

static _Atomic bool torn_end;

/* Writes the same number to the first and the last key of the pages, and one between. */
static void *write_together(void *context)
{
    struct store *store = context;
    intptr_t failed = 0;
    for (int number = 1; !torn_end; number++) {
        struct operation operation = suite_operation();
        char json[64];
        snprintf(json, sizeof json, "{\"v\":1,\"n\":%d}", number);
        struct store_change changes[] = {
            {"/torn/z", json}, {"/long/a/000", json}, {"/long/b/639", json}};
        failed += store_commit(store, NULL, 0, changes, 3, NULL, &operation) != VIOS_OK;
    }
    return (void *)failed;
}

static void a_list_of_several_prefixes_is_never_torn(void)
{
    enum { TIMES = 40 };
    static const char *const prefixes[] = {"/long/b/", "/torn/", "/long/a/"};
    struct store *other = suite_open();
    struct store_list lists[3];
    int64_t first = suite_now(suite_store), last = 0;
    pthread_t thread;
    void *failed;
    torn_end = false;
    pthread_create(&thread, NULL, write_together, other);
    int seen = 0;
    while (seen < TIMES) {
        struct operation operation = suite_operation();
        int64_t revision = 0;
        if (!is_int(store_list_many(suite_store, prefixes, 3, lists, &revision, &operation),
                    VIOS_OK)) {
            break;
        }
        if (lists[1].count == 1 && lists[0].count == 640 && lists[2].count == 640) {
            int64_t written = lists[1].values[0].revision;
            ok(lists[0].values[639].revision == written && lists[2].values[0].revision == written &&
                   written <= revision,
               "one snapshot");
            seen += written != last;
            last = written;
        }
        for (size_t i = 0; i < 3; i++) {
            store_list_clear(&lists[i]);
        }
    }
    torn_end = true;
    pthread_join(thread, &failed);
    is_int((intptr_t)failed, 0);
    ok(last >= first + TIMES, "it was written meanwhile");
    store_close(other);
}

static void deletes_and_makes_anew(void)
{
    struct operation operation = suite_operation();
    suite_put(suite_store, "/suite/d", "{\"v\":1}");
    int64_t first = suite_revision(suite_store, "/suite/d");
    is_int(suite_put(suite_store, "/suite/d", NULL), VIOS_OK);
    is_int(suite_revision(suite_store, "/suite/d"), -1);
    is_int(suite_put(suite_store, "/suite/d", NULL), VIOS_OK);
    suite_put(suite_store, "/suite/d", "{\"v\":2}");
    struct store_value value;
    is_int(store_get(suite_store, "/suite/d", &value, &operation), VIOS_OK);
    ok(value.created > first && value.created == value.revision, "a new life");
    store_value_clear(&value);
}

static int commit_if(enum store_compare_kind kind, const char *key, int64_t revision)
{
    struct operation operation = suite_operation();
    struct store_compare compare = {kind, key, revision};
    struct store_change change = {"/compare/result", "{\"v\":1}"};
    int status = store_commit(suite_store, &compare, 1, &change, 1, NULL, &operation);
    if (status == VIOS_E_CONFLICT) {
        is_text(operation.error.object, key);
    }
    return status;
}

static void compares_three_ways(void)
{
    suite_put(suite_store, "/compare/there", "{\"v\":1}");
    int64_t revision = suite_revision(suite_store, "/compare/there");
    is_int(commit_if(STORE_ABSENT, "/compare/none", 0), VIOS_OK);
    is_int(commit_if(STORE_ABSENT, "/compare/there", 0), VIOS_E_CONFLICT);
    is_int(commit_if(STORE_EXISTS, "/compare/there", 0), VIOS_OK);
    is_int(commit_if(STORE_EXISTS, "/compare/none", 0), VIOS_E_CONFLICT);
    is_int(commit_if(STORE_REVISION_IS, "/compare/there", revision), VIOS_OK);
    is_int(commit_if(STORE_REVISION_IS, "/compare/there", revision - 1), VIOS_E_CONFLICT);
    is_int(commit_if(STORE_REVISION_IS, "/compare/none", revision), VIOS_E_CONFLICT);
}

static void commits_all_or_nothing(void)
{
    struct operation operation = suite_operation();
    suite_put(suite_store, "/whole/a", "{\"v\":1}");
    int64_t before = suite_now(suite_store);
    struct store_compare compares[] = {{STORE_EXISTS, "/whole/a", 0},
                                       {STORE_EXISTS, "/whole/none", 0}};
    struct store_change changes[] = {{"/whole/a", "{\"v\":2}"}, {"/whole/b", "{\"v\":2}"}};
    is_int(store_commit(suite_store, compares, 2, changes, 2, NULL, &operation), VIOS_E_CONFLICT);
    is_text(suite_json(suite_store, "/whole/a"), "{\"v\":1}");
    is_text(suite_json(suite_store, "/whole/b"), "");
    is_int(suite_now(suite_store), before);
    int64_t revision = 0;
    is_int(store_commit(suite_store, compares, 1, changes, 2, &revision, &operation), VIOS_OK);
    is_int(revision, before + 1);
    is_int(suite_revision(suite_store, "/whole/a"), revision);
    is_int(suite_revision(suite_store, "/whole/b"), revision);
    is_int(store_commit(suite_store, compares, 1, NULL, 0, &revision, &operation), VIOS_OK);
    is_int(suite_now(suite_store), revision);
}

static int put_status(const char *key, const char *json, char message[400])
{
    struct operation operation = suite_operation();
    struct store_change change = {key, json};
    int status = store_commit(suite_store, NULL, 0, &change, 1, NULL, &operation);
    snprintf(message, 400, "%s", operation.error.message);
    return status;
}

static void refuses_what_breaks_a_limit(void)
{
    char message[400];
    char key[STORE_KEY_MAX + 2];
    memset(key, 'k', sizeof key);
    key[STORE_KEY_MAX + 1] = '\0';
    int64_t before = suite_now(suite_store);
    is_int(put_status(key, "{\"v\":1}", message), VIOS_E_INVALID);
    is_text(message, "a key has 1 to 512 bytes, this one 513");
    is_int(put_status("", "{\"v\":1}", message), VIOS_E_INVALID);
    is_int(put_status("/a b", "{\"v\":1}", message), VIOS_E_INVALID);
    is_int(put_status("/a\x7f", "{\"v\":1}", message), VIOS_E_INVALID);
    is_int(put_status("/limit", "[1]", message), VIOS_E_INVALID);
    is_int(put_status("/limit", "{}", message), VIOS_E_INVALID);
    is_text(message, "the value is not an object with its schema number \"v\"");
    is_int(put_status("/limit", "{\"v\":\"1\"}", message), VIOS_E_INVALID);
    is_int(put_status("/limit", "{\"v\":1", message), VIOS_E_INVALID);
    is_int(put_status("/limit", "{\"v\":1,\"v\":2}", message), VIOS_E_INVALID);
    is_int(suite_now(suite_store), before);
    key[STORE_KEY_MAX] = '\0';
    is_int(put_status(key, "{\"v\":1}", message), VIOS_OK);
}

static void refuses_too_large_values_and_commits(void)
{
    char message[400];
    static char json[STORE_VALUE_MAX + 2];
    snprintf(json, sizeof json, "{\"v\":1,\"x\":\"%0*d\"}", STORE_VALUE_MAX - 14, 0);
    is_int(strlen(json), STORE_VALUE_MAX);
    is_int(put_status("/large", json, message), VIOS_OK);
    snprintf(json, sizeof json, "{\"v\":1,\"x\":\"%0*d\"}", STORE_VALUE_MAX - 13, 0);
    is_int(put_status("/large", json, message), VIOS_E_INVALID);
    is_text(message, "a value has at most 65536 bytes, this one 65537");

    struct operation operation = suite_operation();
    static struct store_change changes[STORE_CHANGES_MAX + 1];
    static char keys[STORE_CHANGES_MAX + 1][24];
    for (int i = 0; i <= STORE_CHANGES_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "/many/%d", i);
        changes[i] = (struct store_change){keys[i], "{\"v\":1}"};
    }
    is_int(store_commit(suite_store, NULL, 0, changes, STORE_CHANGES_MAX + 1, NULL, &operation),
           VIOS_E_INVALID);
    is_int(store_commit(suite_store, NULL, 0, changes, STORE_CHANGES_MAX, NULL, &operation),
           VIOS_OK);
    changes[1].key = changes[0].key;
    is_int(store_commit(suite_store, NULL, 0, changes, 2, NULL, &operation), VIOS_E_INVALID);
    is_text(operation.error.message, "a commit changes it twice");
}

static struct store_watch *watch_from(const char *prefix, int64_t revision)
{
    struct operation operation = suite_operation();
    struct store_watch *watch = NULL;
    int status = store_watch_open(&watch, suite_store, prefix, revision, &operation);
    ok(status == VIOS_OK, "watch: %s", operation.error.message);
    return watch;
}

static void watches_in_commit_order(void)
{
    struct operation operation = suite_operation();
    int64_t start = suite_now(suite_store);
    struct store_change both[] = {{"/watch/z", "{\"v\":1}"}, {"/watch/a", "{\"v\":1}"}};
    store_commit(suite_store, NULL, 0, both, 2, NULL, &operation);
    suite_put(suite_store, "/elsewhere", "{\"v\":1}");
    suite_put(suite_store, "/watch/z", NULL);
    struct store_watch *watch = watch_from("/watch/", start);
    struct store_change_list changes;
    is_int(store_watch_next(watch, &changes, &operation), VIOS_OK);
    is_int(changes.count, 3);
    if (changes.count == 3) {
        is_text(changes.values[0].key, "/watch/z");
        is_text(changes.values[1].key, "/watch/a");
        is_int(changes.values[1].revision, start + 1);
        is_text(changes.values[2].key, "/watch/z");
        ok(changes.values[2].json == NULL, "deleted");
        is_int(changes.values[2].revision, start + 3);
    }
    is_int(changes.revision, start + 3);
    store_change_list_clear(&changes);
    suite_put(suite_store, "/watch/b", "{\"v\":1}");
    is_int(store_watch_next(watch, &changes, &operation), VIOS_OK);
    is_int(changes.count, 1);
    store_change_list_clear(&changes);
    store_watch_close(watch);
}

static void *put_later(void *store)
{
    suite_put(store, "/later/a", "{\"v\":1}");
    return NULL;
}

static void a_watch_waits_for_a_change(void)
{
    struct operation operation = suite_operation();
    struct store *other = suite_open();
    struct store_watch *watch = watch_from("/later/", suite_now(suite_store));
    struct store_change_list changes;
    pthread_t thread;
    pthread_create(&thread, NULL, put_later, other);
    is_int(store_watch_next(watch, &changes, &operation), VIOS_OK);
    is_int(changes.count, 1);
    store_change_list_clear(&changes);
    pthread_join(thread, NULL);
    store_watch_close(watch);
    store_close(other);
}

static void a_watch_ends_at_its_deadline(void)
{
    struct operation operation;
    struct store_change_list changes;
    struct store_watch *watch = watch_from("/never/", suite_now(suite_store));
    operation_start(&operation, 20, NULL);
    is_int(store_watch_next(watch, &changes, &operation), VIOS_E_TIMEOUT);
    is_int(changes.count, 0);
    store_watch_close(watch);
}

static void a_compacted_watch_says_so(void)
{
    struct operation operation = suite_operation();
    int64_t start = suite_now(suite_store);
    suite_put(suite_store, "/compact/a", "{\"v\":1}");
    suite_put(suite_store, "/compact/a", "{\"v\":2}");
    is_int(store_compact(suite_store, start + 1, &operation), VIOS_OK);
    is_int(store_compact(suite_store, start, &operation), VIOS_OK);
    is_int(store_compact(suite_store, start + 1000, &operation), VIOS_E_INVALID);
    struct store_change_list changes;
    struct store_watch *watch = watch_from("/compact/", start);
    is_int(store_watch_next(watch, &changes, &operation), VIOS_E_COMPACTED);
    store_watch_close(watch);
    watch = watch_from("/compact/", start + 1);
    is_int(store_watch_next(watch, &changes, &operation), VIOS_OK);
    is_int(changes.count, 1);
    store_change_list_clear(&changes);
    store_watch_close(watch);
    watch = watch_from("/compact/", start + 1000);
    is_int(store_watch_next(watch, &changes, &operation), VIOS_E_COMPACTED);
    store_watch_close(watch);
    is_text(suite_json(suite_store, "/compact/a"), "{\"v\":2}");
}

static void a_triggered_cancel_sends_nothing(void)
{
    struct operation operation;
    struct cancel *cancel = cancel_new();
    struct store_change change = {"/cancel/a", "{\"v\":1}"};
    struct store_value value;
    cancel_trigger(cancel);
    operation_start(&operation, SUITE_PATIENCE_MS, cancel);
    is_int(store_commit(suite_store, NULL, 0, &change, 1, NULL, &operation), VIOS_E_CANCELLED);
    is_int(store_get(suite_store, "/cancel/a", &value, &operation), VIOS_E_CANCELLED);
    operation_start(&operation, 0, NULL);
    is_int(store_commit(suite_store, NULL, 0, &change, 1, NULL, &operation), VIOS_E_TIMEOUT);
    is_int(suite_revision(suite_store, "/cancel/a"), -1);
    cancel_free(cancel);
}

/* Adds one to /count `times` times by compare-and-set; 0 when all went well. */
static int count_up(struct store *store, int times)
{
    for (int done = 0; done < times;) {
        struct operation operation = suite_operation();
        struct store_value value;
        char json[64];
        int number = 0;
        if (store_get(store, "/count", &value, &operation) != VIOS_OK ||
            sscanf(value.json, "{\"v\":1,\"n\":%d}", &number) != 1) {
            return 1;
        }
        snprintf(json, sizeof json, "{\"v\":1,\"n\":%d}", number + 1);
        struct store_compare compare = {STORE_REVISION_IS, "/count", value.revision};
        struct store_change change = {"/count", json};
        int status = store_commit(store, &compare, 1, &change, 1, NULL, &operation);
        store_value_clear(&value);
        if (status == VIOS_OK) {
            done++;
        } else if (status != VIOS_E_CONFLICT) {
            return 2;
        }
    }
    return 0;
}

static void processes_count_together_exactly(void)
{
    enum { PROCESSES = 3, TIMES = 60 };
    pid_t children[PROCESSES];
    suite_put(suite_store, "/count", "{\"v\":1,\"n\":0}");
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            _exit(count_up(suite_open(), TIMES));
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        waitpid(children[i], &status, 0);
        is_int(status, 0);
    }
    char want[64];
    snprintf(want, sizeof want, "{\"v\":1,\"n\":%d}", PROCESSES * TIMES);
    is_text(suite_json(suite_store, "/count"), want);
}

static void checks_clean(void)
{
    struct operation operation = suite_operation();
    is_int(store_check(suite_store, &operation), VIOS_OK);
}

/* All but the check, which tells of members that are away. */
__attribute__((unused)) static void suite_run_degraded(struct store *(*open_one)(void))
{
    suite_open = open_one;
    suite_store = suite_open();
    RUN(gets_what_was_put);
    RUN(misses_what_is_not_there);
    RUN(lists_by_prefix_in_order);
    RUN(lists_several_prefixes_at_once);
    RUN(lists_many_keys_below_several_prefixes);
    RUN(a_list_of_several_prefixes_is_never_torn);
    RUN(deletes_and_makes_anew);
    RUN(compares_three_ways);
    RUN(commits_all_or_nothing);
    RUN(refuses_what_breaks_a_limit);
    RUN(refuses_too_large_values_and_commits);
    RUN(watches_in_commit_order);
    RUN(a_watch_waits_for_a_change);
    RUN(a_watch_ends_at_its_deadline);
    RUN(a_compacted_watch_says_so);
    RUN(a_triggered_cancel_sends_nothing);
    RUN(processes_count_together_exactly);
    store_close(suite_store);
}

__attribute__((unused)) static void suite_run(struct store *(*open_one)(void))
{
    suite_run_degraded(open_one);
    suite_store = suite_open();
    RUN(checks_clean);
    store_close(suite_store);
}

#endif
