/* Proves: the store on one etcd does what every store does; addresses are checked; another etcd, or
 * an older one, at the same address is found out; its alarms are told; history and lists are
 * bounded; a backup is a store.
 * needs: heavy
 * limit: 120 */
#include "tests/unit/store/etcd_store.h"
#include "tests/unit/store/proxy.h"

#include "store/etcd.h"
#include "store/etcd_address.h"

/* --- addresses --- */

static void is_refused(const char *text, const char *why)
{
    struct etcd_address parsed;
    struct vios_error error = {0};
    int status = etcd_address_parse(&parsed, text, &error);
    ok(status == VIOS_E_USAGE && strstr(error.message, why), "%s: %s: %s", text, error_name(status),
       error.message);
    ok(error.object[0] && !parsed.text, "%s: names the store, and leaves nothing", text);
}

static void a_bad_address_is_refused(void)
{
    char many[2048] = "http://h";
    is_refused("", "an etcd is missing");
    is_refused("?prefix=/a", "an etcd is missing");
    is_refused("h:1", "begins with http:// or https://");
    is_refused("http://h:1,", "begins with http:// or https://");
    is_refused("http://", "not the host and port");
    is_refused("http://h:0", "not the host and port");
    is_refused("http://h:65536", "not the host and port");
    is_refused("http://h:1:2", "not the host and port");
    is_refused("http://h/path", "not the host and port");
    is_refused("http://u@h:1", "not the host and port");
    is_refused("http://[::1", "not the host and port");
    is_refused("http://[]:1", "not the host and port");
    is_refused("http://h:1,https://h:1", "either all");
    for (int i = 0; i < ETCD_ENDPOINTS_MAX; i++) {
        strncat(many, ",http://h", sizeof many - strlen(many) - 1);
    }
    is_refused(many, "at most 16 etcds");
    memset(many + 8, 'h', 400);
    many[408] = '\0';
    memcpy(many, "http://h", 8);
    is_refused(many, "not the host and port");
}

static void a_bad_parameter_is_refused(void)
{
    is_refused("http://h?prefix", "NAME=VALUE");
    is_refused("http://h?", "NAME=VALUE");
    is_refused("http://h?prefix=/a&", "NAME=VALUE");
    is_refused("http://h?prefix=a", "not a value");
    is_refused("http://h?prefix=/", "not a value");
    is_refused("http://h?prefix=/a/", "not a value");
    is_refused("http://h?prefix=/a//b", "not a value");
    is_refused("http://h?prefix=/a:b", "not a value");
    is_refused("http://h?prefix=/a&prefix=/b", "given twice");
    is_refused("http://h?prefx=/a", "has no parameter \"prefx\"");
    is_refused("http://h?user=a", "belong together");
    is_refused("http://h?password_file=/a", "belong together");
    is_refused("http://h?user=a/b&password_file=/a", "not a value");
    is_refused("http://h?user=a&password_file=a", "not a value");
    is_refused("http://h?ca=/a", "for https:// only");
    is_refused("https://h?cert=/a", "belong together");
}

static void a_good_address_is_taken(void)
{
    struct etcd_address parsed;
    struct vios_error error;
    is_int(etcd_address_parse(&parsed, "http://h", &error), VIOS_OK);
    is_text(parsed.endpoints[0], "http://h:2379");
    is_text(parsed.prefix, "/vios");
    ok(!parsed.user && !parsed.ca && !parsed.cert && !parsed.secure, "nothing else");
    etcd_address_clear(&parsed);
    is_int(etcd_address_parse(&parsed,
                              "https://[::1]:1,https://a.b-c:65535?prefix=/a/b&user=n1&"
                              "password_file=/p&ca=/ca&cert=/c&key=/k=1",
                              &error),
           VIOS_OK);
    is_int(parsed.endpoint_count, 2);
    is_text(parsed.endpoints[0], "https://[::1]:1");
    is_text(parsed.endpoints[1], "https://a.b-c:65535");
    is_text(parsed.prefix, "/a/b");
    is_text(parsed.user, "n1");
    is_text(parsed.password_file, "/p");
    is_text(parsed.ca, "/ca");
    is_text(parsed.cert, "/c");
    is_text(parsed.key, "/k=1");
    etcd_address_clear(&parsed);
}

/* --- one etcd --- */

static void an_absent_store_is_made_only_with_create(void)
{
    struct operation operation;
    struct store *store;
    char where[ADDRESS_SIZE];
    etcd_servers_address(&servers, 0, "?prefix=/absent", where, sizeof where);
    is_int(open_at(where, false, &store, &operation), VIOS_E_NOT_FOUND);
    is_text(operation.error.object, "/absent/:store");
    ok(store == NULL, "nothing was opened");
    is_int(open_at(where, true, &store, &operation), VIOS_OK);
    is_text(store_address(store), where);
    store_close(store);
    is_int(open_at(where, false, &store, &operation), VIOS_OK);
    store_close(store);
}

static void prefixes_keep_stores_apart(void)
{
    char where[ADDRESS_SIZE];
    struct operation operation = suite_operation();
    struct store_list list;
    etcd_servers_address(&servers, 0, "?prefix=/apart", where, sizeof where);
    struct store *outer = open_or_exit(where);
    etcd_servers_address(&servers, 0, "?prefix=/apart/more", where, sizeof where);
    struct store *inner = open_or_exit(where);
    suite_put(outer, "/a", "{\"v\":1}");
    suite_put(inner, "/more/b", "{\"v\":1}");
    is_int(store_list(outer, "", &list, NULL, &operation), VIOS_OK);
    is_int(list.count, 1);
    store_list_clear(&list);
    is_int(store_list(inner, "", &list, NULL, &operation), VIOS_OK);
    is_int(list.count, 1);
    store_list_clear(&list);
    store_close(outer);
    store_close(inner);
}

static void put_many(struct store *store, const char *under, int commits)
{
    static struct store_change changes[STORE_CHANGES_MAX];
    static char keys[STORE_CHANGES_MAX][32];
    for (int commit = 0; commit < commits; commit++) {
        struct operation operation = suite_operation();
        for (int i = 0; i < STORE_CHANGES_MAX; i++) {
            snprintf(keys[i], sizeof keys[i], "%.12s%03d/%03d", under, commit, i);
            changes[i] = (struct store_change){keys[i], "{\"v\":1}"};
        }
        is_int(store_commit(store, NULL, 0, changes, STORE_CHANGES_MAX, NULL, &operation), VIOS_OK);
    }
}

static void a_long_list_is_of_one_revision(void)
{
    enum { COMMITS = 12 };
    struct operation operation = suite_operation();
    struct store_list list;
    int64_t revision = 0;
    struct store *store = open_one();
    put_many(store, "/pages/", COMMITS);
    ok(COMMITS * STORE_CHANGES_MAX > 2 * ETCD_PAGE_KEYS, "several pages");
    is_int(store_list(store, "/pages/", &list, &revision, &operation), VIOS_OK);
    is_int(list.count, COMMITS * STORE_CHANGES_MAX);
    for (size_t i = 0; i < list.count; i++) {
        char key[32];
        snprintf(key, sizeof key, "/pages/%03zu/%03zu", i / STORE_CHANGES_MAX,
                 i % STORE_CHANGES_MAX);
        is_text(list.values[i].key, key);
        ok(list.values[i].revision <= revision, "not from the future");
    }
    store_list_clear(&list);
    store_close(store);
}

/* A member that takes its time for each request would otherwise delay a list by many times that. */
static void a_list_of_several_prefixes_is_one_request(void)
{
    static const char *const prefixes[] = {"/one/a/", "/one/b/", "/one/c/",
                                           "/one/d",  "/one/e",  "/one/f"};
    char where[64];
    struct proxy proxy;
    struct operation operation = suite_operation();
    struct store_list lists[6];
    proxy_start(&proxy, servers.members[0].client_port);
    snprintf(where, sizeof where, "etcd:http://127.0.0.1:%d", proxy.port);
    struct store *store = open_or_exit(where);
    suite_put(store, "/one/a/1", "{\"v\":1}");
    suite_put(store, "/one/f", "{\"v\":1}");
    int before = atomic_load(&proxy.requests);
    is_int(store_list_many(store, prefixes, 6, lists, NULL, &operation), VIOS_OK);
    is_int(atomic_load(&proxy.requests), before + 1);
    is_int(lists[0].count, 1);
    is_int(lists[5].count, 1);
    for (size_t i = 0; i < 6; i++) {
        store_list_clear(&lists[i]);
    }
    store_close(store);
    proxy_stop(&proxy);
}

static void a_large_commit_is_refused_before_it_is_sent(void)
{
    enum { CHANGES = 30 };
    static char json[STORE_VALUE_MAX + 1];
    static char keys[CHANGES][24];
    struct store_change changes[CHANGES];
    struct operation operation = suite_operation();
    struct store *store = open_one();
    snprintf(json, sizeof json, "{\"v\":1,\"x\":\"%0*d\"}", STORE_VALUE_MAX - 14, 0);
    for (int i = 0; i < CHANGES; i++) {
        snprintf(keys[i], sizeof keys[i], "/large/%d", i);
        changes[i] = (struct store_change){keys[i], json};
    }
    is_int(store_commit(store, NULL, 0, changes, CHANGES, NULL, &operation), VIOS_E_INVALID);
    ok(strstr(operation.error.message, "a commit to an etcd has at most 1556480 bytes") != NULL,
       "names the limit: %s", operation.error.message);
    is_int(suite_revision(store, "/large/0"), -1);
    /* what is just below the limit is taken by an etcd as it comes */
    is_int(store_commit(store, NULL, 0, changes, 23, NULL, &operation), VIOS_OK);
    store_close(store);
}

static void a_backup_is_a_store(void)
{
    char path[160];
    char where[200];
    struct operation operation = suite_operation();
    struct store_list list = {0};
    struct store_list copy = {0};
    int64_t revision = 0;
    struct store *store = open_one();
    snprintf(path, sizeof path, "%s/backup.db", tap_folder());
    is_int(store_list(store, "", &list, &revision, &operation), VIOS_OK);
    is_int(store_backup(store, path, &operation), VIOS_OK);
    is_int(store_backup(store, path, &operation), VIOS_E_EXISTS);
    store_close(store);
    snprintf(where, sizeof where, "sqlite:%s", path);
    is_int(open_at(where, false, &store, &operation), VIOS_OK);
    int64_t copied = 0;
    is_int(store_list(store, "", &copy, &copied, &operation), VIOS_OK);
    is_int(copied, revision);
    is_int(copy.count, list.count);
    for (size_t i = 0; i < list.count && i < copy.count; i++) {
        is_text(copy.values[i].key, list.values[i].key);
        is_text(copy.values[i].json, list.values[i].json);
        is_int(copy.values[i].revision, list.values[i].revision);
        is_int(copy.values[i].created, list.values[i].created);
    }
    is_int(store_check(store, &operation), VIOS_OK);
    is_int(suite_put(store, "/after", "{\"v\":1}"), VIOS_OK);
    is_int(suite_revision(store, "/after"), revision + 1);
    store_list_clear(&list);
    store_list_clear(&copy);
    store_close(store);
}

static void a_failed_backup_leaves_nothing(void)
{
    char path[160];
    struct operation operation = suite_operation();
    struct store *store = open_one();
    snprintf(path, sizeof path, "%s/none/backup.db", tap_folder());
    is_int(store_backup(store, path, &operation), VIOS_E_NOT_FOUND);
    store_close(store);
}

static void raise_alarm(const char *action, const char *alarm)
{
    char body[200];
    unsigned long long member = 0;
    const char *answer = etcd_post(&servers, 0, "/v3/maintenance/status", NULL, "{}");
    const char *at = strstr(answer, "\"member_id\":\"");
    sscanf(at ? at : "", "\"member_id\":\"%llu\"", &member);
    snprintf(body, sizeof body, "{\"action\":\"%s\",\"alarm\":\"%s\",\"memberID\":\"%llu\"}",
             action, alarm, member);
    ok(strstr(etcd_post(&servers, 0, "/v3/maintenance/alarm", NULL, body), "200 OK") != NULL,
       "%s %s", action, alarm);
}

static void an_alarm_is_told(void)
{
    struct operation operation = suite_operation();
    struct store_change change = {"/alarm", "{\"v\":1}"};
    struct store *store = open_one();
    raise_alarm("ACTIVATE", "NOSPACE");
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_E_NO_SPACE);
    ok(strstr(operation.error.hint, "alarm disarm") != NULL, "the hint: %s", operation.error.hint);
    is_int(store_check(store, &operation), VIOS_E_NO_SPACE);
    raise_alarm("DEACTIVATE", "NOSPACE");
    is_int(store_check(store, &operation), VIOS_OK);
    raise_alarm("ACTIVATE", "CORRUPT");
    is_int(store_check(store, &operation), VIOS_E_CORRUPT);
    ok(strncmp(operation.error.object, "http://127.0.0.1:", 17) == 0, "names the member: %s",
       operation.error.object);
    raise_alarm("DEACTIVATE", "CORRUPT");
    is_int(suite_put(store, "/alarm", "{\"v\":2}"), VIOS_OK);
    store_close(store);
}

static void a_check_finds_bad_values(void)
{
    struct operation operation = suite_operation();
    struct store *store = open_one();
    /* "/vios/:data/bad" = "no" */
    etcd_post(&servers, 0, "/v3/kv/put", NULL,
              "{\"key\":\"L3Zpb3MvOmRhdGEvYmFk\",\"value\":\"bm8=\"}");
    is_int(store_check(store, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.object, "/bad");
    is_int(suite_put(store, "/bad", NULL), VIOS_OK);
    is_int(store_check(store, &operation), VIOS_OK);
    store_close(store);
}

/* Whether any mark is left. */
static bool marks_left(void)
{
    return strstr(etcd_post(&servers, 0, "/v3/kv/range", NULL,
                            "{\"key\":\"L3Zpb3MvOm1hcmsv\",\"range_end\":\"L3Zpb3MvOm1hcmsw\"}"),
                  "\"count\"") != NULL;
}

/* Nobody compacts, and a connection is never closed: its mark goes with the history. */
static void the_history_bounds_itself(void)
{
    struct operation operation = suite_operation();
    struct store_watch *watch;
    struct store_change_list changes;
    pid_t child = fork();
    if (child == 0) {
        _exit(suite_put(open_one(), "/bound", "{\"v\":1}") == VIOS_OK ? 0 : 1);
    }
    waitpid(child, NULL, 0);
    ok(marks_left(), "a mark is left");
    struct store *store = open_one();
    int64_t start = suite_now(store);
    while (suite_now(store) < start + ETCD_LOG_REVISIONS + 2 * ETCD_COMPACT_EVERY) {
        for (int i = 0; i < ETCD_COMPACT_EVERY; i++) {
            if (!is_int(suite_put(store, "/bound", "{\"v\":1}"), VIOS_OK)) {
                return;
            }
        }
    }
    operation = suite_operation(); /* all those commits may have taken long */
    is_int(store_watch_open(&watch, store, "/bound", start, &operation), VIOS_OK);
    is_int(store_watch_next(watch, &changes, &operation), VIOS_E_COMPACTED);
    store_watch_close(watch);
    is_int(store_watch_open(&watch, store, "/bound", suite_now(store) - ETCD_LOG_REVISIONS + 1,
                            &operation),
           VIOS_OK);
    is_int(store_watch_next(watch, &changes, &operation), VIOS_OK);
    store_change_list_clear(&changes);
    store_watch_close(watch);
    store_close(store);
    ok(!marks_left(), "no mark is left");
}

/* --- another etcd behind the same address --- */

static void is_another_one(struct store *store)
{
    struct operation operation = suite_operation();
    struct store_value value;
    struct store *again;
    is_int(store_get(store, "/old", &value, &operation), VIOS_E_CORRUPT);
    ok(strstr(operation.error.message,
              "the VIOS DB behind this address is another one than before") != NULL,
       "says so: %s", operation.error.message);
    is_text(operation.error.hint, "restart the daemon, if that was meant");
    is_int(open_at(address, true, &again, &operation), VIOS_E_CORRUPT);
    ok(suite_put(store, "/old", "{\"v\":2}") != VIOS_OK, "nothing is written to it");
}

static void start_anew(const char *token)
{
    char data[200];
    etcd_kill(&servers, 0);
    snprintf(data, sizeof data, "%s/m0", servers.folder);
    file_remove_tree(data, NULL);
    servers.token = token;
    etcd_start_member(&servers, 0);
    ok(etcd_await(&servers, 0), "etcd runs again");
}

static void another_etcd_is_found_out(void)
{
    struct store *store = open_one();
    suite_put(store, "/old", "{\"v\":1}");
    start_anew("another");
    is_another_one(store);
    store_close(store);
}

/* The same name and members give the same cluster id; the revisions tell. */
static void a_wiped_etcd_is_found_out(void)
{
    /* another address of the same etcd, so that nothing is known of it yet */
    address_from(0, "?prefix=/wiped");
    struct store *store = open_one();
    suite_put(store, "/old", "{\"v\":1}");
    suite_put(store, "/old", "{\"v\":1}");
    start_anew("another");
    is_another_one(store);
    store_close(store);
}

/* All keys below the prefix were deleted: no new store is made in its place. */
static void a_store_that_was_deleted_is_not_made_anew(void)
{
    struct operation operation;
    struct store *store;
    address_from(0, "?prefix=/deleted");
    store_close(open_one());
    etcd_post(&servers, 0, "/v3/kv/deleterange", NULL,
              "{\"key\":\"L2RlbGV0ZWQv\",\"range_end\":\"L2RlbGV0ZWQw\"}");
    is_int(open_at(address, true, &store, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.object, "/deleted/:store");
    is_text(operation.error.message, "the store is gone although it was in use");
}

static void the_rest_needs_an_etcd(void)
{
    SKIP("etcd is not installed");
}

int main(void)
{
    RUN(a_bad_address_is_refused);
    RUN(a_bad_parameter_is_refused);
    RUN(a_good_address_is_taken);
    if (!etcd_installed()) {
        RUN(the_rest_needs_an_etcd);
        return tap_done();
    }
    etcd_start(&servers, 1, "etcd");
    address_from(0, "");
    suite_run(open_one);
    RUN(an_absent_store_is_made_only_with_create);
    RUN(prefixes_keep_stores_apart);
    RUN(a_long_list_is_of_one_revision);
    RUN(a_list_of_several_prefixes_is_one_request);
    RUN(a_large_commit_is_refused_before_it_is_sent);
    RUN(a_backup_is_a_store);
    RUN(a_failed_backup_leaves_nothing);
    RUN(an_alarm_is_told);
    RUN(a_check_finds_bad_values);
    RUN(the_history_bounds_itself);
    RUN(another_etcd_is_found_out);
    RUN(a_wiped_etcd_is_found_out);
    RUN(a_store_that_was_deleted_is_not_made_anew);
    return etcd_done();
}
