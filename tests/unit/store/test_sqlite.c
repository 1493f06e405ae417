/* Proves: the sqlite store does what every store does, survives kill -9 in mid-commit, waits for
 * locks no longer than told, and refuses damaged, foreign, lost and networked files. */
#include "store/sqlite.h"
#include "tests/unit/store/suite.h"

#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char path[128];

static int open_path(const char *file, bool create, struct store **store,
                     struct operation *operation)
{
    char address[200];
    snprintf(address, sizeof address, "sqlite:%s", file);
    *operation = suite_operation();
    return store_open(store, address, create, operation);
}

static struct store *open_or_exit(const char *file)
{
    struct store *store = NULL;
    struct operation operation;
    if (open_path(file, true, &store, &operation) != VIOS_OK) {
        printf("# %s\n", operation.error.message);
        exit(1);
    }
    return store;
}

static struct store *open_one(void)
{
    return open_or_exit(path);
}

/* A path in the test's folder, in one of four buffers. */
static const char *file_named(const char *name)
{
    static char names[4][160];
    static int next;
    char *file = names[next++ % 4];
    snprintf(file, sizeof names[0], "%s/%s", tap_folder(), name);
    return file;
}

/* As somebody else who has the file. */
static void execute(const char *file, const char *sql)
{
    sqlite3 *handle;
    is_int(sqlite3_open(file, &handle), SQLITE_OK);
    is_int(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static void an_address_must_be_known(void)
{
    struct store *store;
    struct operation operation = suite_operation();
    is_int(store_open(&store, "paper:/x", true, &operation), VIOS_E_USAGE);
    is_int(store_open(&store, "sqlite:", true, &operation), VIOS_E_USAGE);
    ok(store == NULL, "nothing was opened");
}

static void an_absent_file_is_made_only_with_create(void)
{
    struct store *store;
    struct operation operation;
    const char *file = file_named("absent.db");
    is_int(open_path(file, false, &store, &operation), VIOS_E_NOT_FOUND);
    is_text(operation.error.object, file);
    ok(access(file, F_OK) != 0, "nothing was made");
    close(open(file, O_CREAT | O_WRONLY, 0600));
    is_int(open_path(file, false, &store, &operation), VIOS_E_NOT_FOUND);
    is_int(open_path(file, true, &store, &operation), VIOS_OK);
    store_close(store);
    is_int(open_path(file_named("no/folder.db"), true, &store, &operation), VIOS_E_NOT_FOUND);
    is_int(open_path(tap_folder(), true, &store, &operation), VIOS_E_INVALID);
}

static void the_file_is_private(void)
{
    struct stat status;
    is_int(stat(path, &status), 0);
    is_int(status.st_mode & 0777, 0600);
}

/* A closed store with some content, so that all of it is in the one file. */
static void make_store(const char *file)
{
    struct store *store = open_or_exit(file);
    for (int i = 0; i < 200; i++) {
        char key[32];
        snprintf(key, sizeof key, "/content/%03d", i);
        suite_put(store, key, "{\"v\":1,\"text\":\"some content that fills the pages\"}");
    }
    store_close(store);
}

static void overwrite(const char *file, off_t offset, const char *bytes, size_t size)
{
    int fd = open(file, O_WRONLY);
    ok(pwrite(fd, bytes, size, offset) == (ssize_t)size, "overwritten");
    close(fd);
}

static void is_corrupt(const char *file)
{
    struct store *store = NULL;
    struct operation operation;
    int status = open_path(file, true, &store, &operation);
    ok(status == VIOS_E_CORRUPT, "%s: %s: %s", file, error_name(status), operation.error.message);
    is_text(operation.error.object, file);
    ok(strstr(operation.error.hint, "db restore") != NULL, "the hint: %s", operation.error.hint);
    store_close(store);
}

static void a_damaged_file_is_named_and_kept(void)
{
    char garbage[4096];
    struct stat before;
    struct stat after;
    memset(garbage, 'x', sizeof garbage);
    const char *file = file_named("garbage.db");
    make_store(file);
    overwrite(file, 0, garbage, sizeof garbage);
    stat(file, &before);
    is_corrupt(file);
    stat(file, &after);
    is_int(after.st_size, before.st_size);

    file = file_named("header.db");
    make_store(file);
    overwrite(file, 3, "\xff", 1);
    is_corrupt(file);

    file = file_named("page.db");
    make_store(file);
    overwrite(file, 2 * sizeof garbage, garbage, sizeof garbage);
    is_corrupt(file);
}

static void a_truncated_or_lost_file_is_not_made_anew(void)
{
    struct stat status;
    const char *file = file_named("cut.db");
    make_store(file);
    stat(file, &status);
    is_int(truncate(file, status.st_size / 2), 0);
    is_corrupt(file);
    is_int(truncate(file, 0), 0);
    is_corrupt(file);
    is_int(unlink(file), 0);
    is_corrupt(file);
    ok(access(file, F_OK) != 0, "it was not made");
}

static void another_database_is_refused(void)
{
    const char *file = file_named("foreign.db");
    execute(file, "CREATE TABLE guests (name TEXT)");
    is_corrupt(file);
    struct store *store;
    struct operation operation;
    file = file_named("newer.db");
    make_store(file);
    execute(file, "PRAGMA user_version = 7");
    is_int(open_path(file, true, &store, &operation), VIOS_E_INVALID);
    is_text(operation.error.message, "the store has schema 7, this vios knows 1");
}

static int statfs_nfs(const char *file, struct statfs *result)
{
    (void)file;
    memset(result, 0, sizeof *result);
    result->f_type = 0x6969;
    return 0;
}

static void a_network_file_system_is_refused(void)
{
    struct store *store;
    struct operation operation;
    sqlite_file_statfs = statfs_nfs;
    is_int(open_path(file_named("nfs.db"), true, &store, &operation), VIOS_E_INVALID);
    is_text(operation.error.message, "the store's file lies on NFS");
    sqlite_file_statfs = statfs;
    ok(access(file_named("nfs.db"), F_OK) != 0, "nothing was made");
    is_text(sqlite_file_network_name((int32_t)0xff534d42), "CIFS");
    ok(sqlite_file_network_name(0xef53) == NULL, "ext4 is local");
}

/* Somebody else holds the write lock. */
static void a_busy_store_ends_at_the_deadline(void)
{
    sqlite3 *handle;
    struct operation operation;
    struct store *store = open_one();
    struct store_change change = {"/busy", "{\"v\":1}"};
    sqlite3_open(path, &handle);
    is_int(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    operation_start(&operation, 30, NULL);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_E_TIMEOUT);
    struct cancel *cancel = cancel_new();
    operation_start(&operation, SUITE_PATIENCE_MS, cancel);
    cancel_trigger(cancel);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_E_CANCELLED);
    is_text(suite_json(store, "/busy"), "");
    sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(handle);
    is_int(suite_put(store, "/busy", "{\"v\":1}"), VIOS_OK);
    cancel_free(cancel);
    store_close(store);
}

/* The disk is full: files may not grow. The frames of a commit are written by COMMIT itself. */
static int commit_without_room(void)
{
    char wal[160];
    struct stat status;
    struct operation operation = suite_operation();
    struct store *store = open_one();
    suite_put(store, "/room", "{\"v\":1}");
    snprintf(wal, sizeof wal, "%s-wal", path);
    stat(wal, &status);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {(rlim_t)status.st_size, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
    struct store_change change = {"/room", "{\"v\":2}"};
    int outcome = store_commit(store, NULL, 0, &change, 1, NULL, &operation);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    if (outcome != VIOS_E_UNKNOWN) {
        return 1;
    }
    if (strcmp(suite_json(store, "/room"), "{\"v\":1}") != 0) {
        return 2;
    }
    return suite_put(store, "/room", "{\"v\":3}") == VIOS_OK ? 0 : 3;
}

static void a_commit_that_fails_is_unknown(void)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        _exit(commit_without_room());
    }
    waitpid(child, &status, 0);
    is_int(status, 0);
    struct store *store = open_one();
    is_text(suite_json(store, "/room"), "{\"v\":3}");
    store_close(store);
}

static void a_backup_is_a_store(void)
{
    const char *copy = file_named("copy.db");
    struct store *store = open_one();
    struct operation operation = suite_operation();
    suite_put(store, "/backup/a", "{\"v\":1}");
    is_int(store_backup(store, copy, &operation), VIOS_OK);
    suite_put(store, "/backup/a", "{\"v\":2}");
    is_int(store_backup(store, copy, &operation), VIOS_E_EXISTS);
    is_text(operation.error.object, copy);
    is_int(store_backup(store, file_named("none/copy.db"), &operation), VIOS_E_NOT_FOUND);
    struct store *other = open_or_exit(copy);
    is_text(suite_json(other, "/backup/a"), "{\"v\":1}");
    is_int(store_check(other, &operation), VIOS_OK);
    store_close(other);
    store_close(store);
}

/* One whose JSON is NULL; sqlite's own check does not mind once the table allows it. */
static void an_empty_row_is_damage(void)
{
    struct operation operation = suite_operation();
    struct store_value value;
    struct store_list list;
    const char *file = file_named("empty.db");
    make_store(file);
    execute(file, "PRAGMA writable_schema = ON;"
                  "UPDATE sqlite_master SET sql = replace(sql, 'json TEXT NOT NULL', 'json TEXT')"
                  " WHERE name = 'kv'");
    execute(file, "UPDATE kv SET json = NULL WHERE key = '/content/007'");
    struct store *store = open_or_exit(file);
    is_int(store_get(store, "/content/007", &value, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.message, "the store is damaged: a row is empty");
    is_int(store_list(store, "/content/", &list, NULL, &operation), VIOS_E_CORRUPT);
    is_int(store_get(store, "/content/008", &value, &operation), VIOS_OK);
    store_value_clear(&value);
    store_close(store);
}

static void a_check_finds_bad_values(void)
{
    const char *file = file_named("values.db");
    make_store(file);
    execute(file, "UPDATE kv SET json = '{' WHERE key = '/content/007'");
    struct store *store = open_or_exit(file);
    struct operation operation = suite_operation();
    is_int(store_check(store, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.message,
            "the store is damaged: a value that is not JSON: /content/007");
    store_close(store);
}

/* Two keys that always change together; ends only by SIGKILL. */
static void write_pairs(int report)
{
    struct store *store = open_one();
    for (int i = 1;; i++) {
        char json[64];
        struct operation operation = suite_operation();
        snprintf(json, sizeof json, "{\"v\":1,\"n\":%d}", i);
        struct store_change changes[] = {{"/pair/a", json}, {"/pair/b", json}};
        if (store_commit(store, NULL, 0, changes, 2, NULL, &operation) != VIOS_OK ||
            write(report, &i, sizeof i) != sizeof i) {
            _exit(1);
        }
    }
}

static void kill_one_writer(unsigned *seed)
{
    int report[2];
    int told = 0;
    int last = 0;
    is_int(pipe(report), 0);
    pid_t child = fork();
    if (child == 0) {
        close(report[0]);
        write_pairs(report[1]);
    }
    close(report[1]);
    unsigned stop_at = 1 + (unsigned)rand_r(seed) % 20;
    for (unsigned i = 0; i < stop_at && read(report[0], &told, sizeof told) == sizeof told; i++) {
        last = told;
    }
    usleep((unsigned)rand_r(seed) % 400);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(report[0], &told, sizeof told) == sizeof told) {
        last = told;
    }
    close(report[0]);
    struct store *store = open_one();
    char a[64];
    int found = 0;
    snprintf(a, sizeof a, "%s", suite_json(store, "/pair/a"));
    is_text(suite_json(store, "/pair/b"), a);
    sscanf(a, "{\"v\":1,\"n\":%d}", &found);
    ok(found == last || found == last + 1, "told of %d, found %d", last, found);
    store_close(store);
}

static void a_killed_writer_loses_nothing(void)
{
    unsigned seed = (unsigned)getpid();
    struct store *none = open_one(); /* the file stays open elsewhere, as in real life */
    store_close(none);
    for (int round = 0; round < 15; round++) {
        kill_one_writer(&seed);
    }
    struct operation operation = suite_operation();
    struct store *store = open_one();
    is_int(store_check(store, &operation), VIOS_OK);
    store_close(store);
    ok(!tap_bad, "seed %u", seed);
}

static int watch_sockets(void)
{
    char folder[160];
    int count = 0;
    snprintf(folder, sizeof folder, "%s.watch", path);
    DIR *opened = opendir(folder);
    for (struct dirent *entry; opened && (entry = readdir(opened)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    if (opened) {
        closedir(opened);
    }
    return count;
}

static void sockets_of_dead_watches_go(void)
{
    pid_t child = fork();
    if (child == 0) {
        struct operation operation = suite_operation();
        struct store_watch *watch;
        store_watch_open(&watch, open_one(), "/", 0, &operation);
        kill(getpid(), SIGKILL);
    }
    waitpid(child, NULL, 0);
    is_int(watch_sockets(), 1);
    struct store *store = open_one();
    suite_put(store, "/poke", "{\"v\":1}");
    is_int(watch_sockets(), 0);
    store_close(store);
}

/* The socket is gone: the watch finds the change by looking. */
static void a_watch_without_pokes_misses_nothing(void)
{
    char name[200];
    struct operation operation = suite_operation();
    struct store_watch *watch;
    struct store_change_list changes;
    struct store *store = open_one();
    is_int(store_watch_open(&watch, store, "/quiet/", suite_now(store), &operation), VIOS_OK);
    snprintf(name, sizeof name, "%s.watch", path);
    DIR *folder = opendir(name);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] != '.') {
            unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    closedir(folder);
    suite_put(store, "/quiet/a", "{\"v\":1}");
    is_int(store_watch_next(watch, &changes, &operation), VIOS_OK);
    is_int(changes.count, 1);
    store_change_list_clear(&changes);
    store_watch_close(watch);
    store_close(store);
}

/* A log longer than one batch comes whole, in order, no commit split. */
static void a_long_log_comes_in_batches(void)
{
    enum { COMMITS = 20 };
    static struct store_change changes[STORE_CHANGES_MAX];
    static char keys[STORE_CHANGES_MAX][24];
    struct store *store = open_or_exit(file_named("long.db"));
    for (int i = 0; i < STORE_CHANGES_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "/long/%d", i);
        changes[i] = (struct store_change){keys[i], "{\"v\":1}"};
    }
    struct operation operation = suite_operation();
    for (int i = 0; i < COMMITS; i++) {
        store_commit(store, NULL, 0, changes, STORE_CHANGES_MAX, NULL, &operation);
    }
    struct store_watch *watch;
    is_int(store_watch_open(&watch, store, "/long/", 0, &operation), VIOS_OK);
    size_t total = 0;
    int batches = 0;
    while (total < COMMITS * STORE_CHANGES_MAX) {
        struct store_change_list list;
        if (!is_int(store_watch_next(watch, &list, &operation), VIOS_OK)) {
            break;
        }
        is_int(list.count % STORE_CHANGES_MAX, 0);
        total += list.count;
        batches++;
        store_change_list_clear(&list);
    }
    is_int(total, COMMITS * STORE_CHANGES_MAX);
    ok(batches > 1, "%d batches", batches);
    store_watch_close(watch);
    store_close(store);
}

/* The history is bounded without anybody's help. */
static void the_log_bounds_itself(void)
{
    const char *file = file_named("bound.db");
    make_store(file);
    execute(file, "UPDATE meta SET value = 20479 WHERE name = 'revision'");
    struct store *store = open_or_exit(file);
    struct operation operation = suite_operation();
    is_int(suite_put(store, "/bound", "{\"v\":1}"), VIOS_OK);
    struct store_watch *watch;
    struct store_change_list changes;
    is_int(store_watch_open(&watch, store, "/", 20480 - SQLITE_STORE_LOG_REVISIONS - 1, &operation),
           VIOS_OK);
    is_int(store_watch_next(watch, &changes, &operation), VIOS_E_COMPACTED);
    store_watch_close(watch);
    store_close(store);
}

static void processes_make_one_store_together(void)
{
    enum { PROCESSES = 6 };
    pid_t children[PROCESSES];
    const char *file = file_named("race.db");
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            char key[24];
            snprintf(key, sizeof key, "/race/%d", i);
            struct store *store = open_or_exit(file);
            _exit(suite_put(store, key, "{\"v\":1}") == VIOS_OK ? 0 : 1);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        waitpid(children[i], &status, 0);
        is_int(status, 0);
    }
    struct store *store = open_or_exit(file);
    is_int(suite_now(store), PROCESSES);
    store_close(store);
}

int main(void)
{
    snprintf(path, sizeof path, "%s/vios.db", tap_folder());
    suite_run(open_one);
    RUN(an_address_must_be_known);
    RUN(an_absent_file_is_made_only_with_create);
    RUN(the_file_is_private);
    RUN(a_damaged_file_is_named_and_kept);
    RUN(a_truncated_or_lost_file_is_not_made_anew);
    RUN(another_database_is_refused);
    RUN(a_network_file_system_is_refused);
    RUN(a_busy_store_ends_at_the_deadline);
    RUN(a_commit_that_fails_is_unknown);
    RUN(a_backup_is_a_store);
    RUN(an_empty_row_is_damage);
    RUN(a_check_finds_bad_values);
    RUN(a_killed_writer_loses_nothing);
    RUN(sockets_of_dead_watches_go);
    RUN(a_watch_without_pokes_misses_nothing);
    RUN(a_long_log_comes_in_batches);
    RUN(the_log_bounds_itself);
    RUN(processes_make_one_store_together);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
