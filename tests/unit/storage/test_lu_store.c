/* test_lu_store.c - the commits of an LU's life, repeated, in doubt, and against others; its file.
 */
#include "storage/lu_file.h"
#include "storage/lu_make.h"
#include "storage/lu_store.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char database[160];
static struct node node = {.name = "n1", .incarnation = 4};
static unsigned space_asked_for;

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    space_asked_for++;
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

/* PLAN "": a store without faults. */
static struct store *open_world(const char *plan, struct operation *operation)
{
    static int count;
    char address[256], key[STORE_KEY_MAX];
    struct store *store = NULL;
    struct pool pool = {.name = "p1"};
    uuid_make(pool.uuid);
    snprintf(database, sizeof database, "sqlite:%s/db%d", tap_folder(), count++);
    operation_start(operation, 10000, NULL);
    is_int(store_open(&store, database, true, operation), VIOS_OK);
    char *json = pool_format(&pool);
    struct store_change change = {pool_key("p1", key), json};
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, operation), VIOS_OK);
    free(json);
    if (plan[0]) {
        store_close(store);
        snprintf(address, sizeof address, "faulty:%s:%s", plan, database);
        is_int(store_open(&store, address, false, operation), VIOS_OK);
    }
    return store;
}

static struct lu begin(const char *name)
{
    struct lu lu;
    char udid[UUID_TEXT_SIZE];
    uuid_make(udid);
    lu_begin(&lu, udid, name, "p1", 1 << 20, false);
    snprintf(lu.job, sizeof lu.job, "j-1");
    return lu;
}

/* "making", "ready", "deleting", or "" when it is gone. */
static const char *state_of(struct store *store, const char *udid, struct operation *operation)
{
    static const char *const NAMES[] = {"ready", "making", "deleting"};
    struct lu lu;
    return lu_load(store, udid, &lu, NULL, operation) == VIOS_OK ? NAMES[lu.state] : "";
}

static void change_pool(struct store *store, enum pool_state state, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    struct pool pool;
    is_int(pool_load(store, "p1", &pool, operation), VIOS_OK);
    pool.state = state;
    char *json = pool_format(&pool);
    struct store_change change = {pool_key("p1", key), json};
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, operation), VIOS_OK);
    free(json);
}

static void it_lives_and_ends(void)
{
    struct operation operation;
    struct store *store = open_world("", &operation);
    struct lu lu = begin("web"), found;
    for (int again = 0; again < 2; again++) {
        is_int(lu_reserve(store, &lu, &operation), VIOS_OK);
        is_text(state_of(store, lu.udid, &operation), "making");
    }
    for (int again = 0; again < 2; again++) {
        is_int(lu_publish(store, lu.udid, "j-1", &operation), VIOS_OK);
        is_int(lu_find(store, "p1/web", &found, NULL, &operation), VIOS_OK);
        is_text(found.job, "");
    }
    for (int again = 0; again < 2; again++) {
        is_int(lu_mark(store, lu.udid, "j-2", &found, &operation), VIOS_OK);
        is_text(found.name, "web");
        is_text(state_of(store, lu.udid, &operation), "deleting");
    }
    is_int(lu_publish(store, lu.udid, "j-1", &operation), VIOS_OK);
    is_text(state_of(store, lu.udid, &operation), "deleting");
    for (int again = 0; again < 2; again++) {
        is_int(lu_forget(store, lu.udid, "j-2", &operation), VIOS_OK);
        is_text(state_of(store, lu.udid, &operation), "");
    }
    is_int(lu_mark(store, lu.udid, "j-2", &found, &operation), VIOS_OK);
    is_text(found.udid, "");
    lu = begin("web");
    is_int(lu_reserve(store, &lu, &operation), VIOS_OK);
    store_close(store);
}

static void a_name_is_unique_in_its_pool(void)
{
    struct operation operation;
    struct store *store = open_world("", &operation);
    struct lu lu = begin("web"), other = begin("web");
    is_int(lu_reserve(store, &lu, &operation), VIOS_OK);
    is_int(lu_reserve(store, &other, &operation), VIOS_E_EXISTS);
    is_text(operation.error.object, "lu \"web\"");
    is_text(operation.error.message, "pool \"p1\" has an LU of this name");
    is_text(state_of(store, other.udid, &operation), "");
    store_close(store);
}

static void a_pool_that_ends_takes_none(void)
{
    struct operation operation;
    struct store *store = open_world("", &operation);
    struct lu lu = begin("web");
    change_pool(store, POOL_DELETING, &operation);
    is_int(lu_reserve(store, &lu, &operation), VIOS_E_NOT_FOUND);
    is_text(operation.error.object, "pool \"p1\"");
    store_close(store);
}

static void a_commit_in_doubt_is_looked_at(void)
{
    static const char *const PLANS[] = {"commit.1=unknown_done", "commit.1=unknown_not_done"};
    for (size_t i = 0; i < 2; i++) {
        struct operation operation;
        struct store *store = open_world(PLANS[i], &operation);
        struct lu lu = begin("web");
        is_int(lu_reserve(store, &lu, &operation), VIOS_OK);
        store_close(store);
        operation_start(&operation, 10000, NULL);
        char address[256];
        snprintf(address, sizeof address, "faulty:%s:%s", PLANS[i], database);
        is_int(store_open(&store, address, false, &operation), VIOS_OK);
        is_int(lu_publish(store, lu.udid, "j-1", &operation), VIOS_OK);
        is_text(state_of(store, lu.udid, &operation), "ready");
        store_close(store);
    }
}

static void doubt_stays_doubt(void)
{
    struct operation operation;
    struct store *store = open_world("commit.2=unknown_done,get.3=unreachable", &operation);
    struct lu lu = begin("web");
    is_int(lu_reserve(store, &lu, &operation), VIOS_OK); /* get 1: the pool */
    is_int(lu_publish(store, lu.udid, "j-1", &operation), VIOS_E_UNKNOWN);
    is_int(lu_publish(store, lu.udid, "j-1", &operation), VIOS_OK);
    is_text(state_of(store, lu.udid, &operation), "ready");
    store_close(store);
}

static void a_mapped_or_held_one_stays(void)
{
    struct operation operation;
    struct store *store = open_world("", &operation);
    struct lu lu = begin("web"), found;
    struct store_value value = {0};
    bool marked = true;
    is_int(lu_reserve(store, &lu, &operation), VIOS_OK);
    is_int(lu_mark(store, lu.udid, "j-2", &found, &operation), VIOS_E_LOCKED);
    is_int(lu_publish(store, lu.udid, "j-1", &operation), VIOS_OK);
    is_int(lu_hold(store, lu.udid, "j-3", 0, &found, &operation), VIOS_OK);
    is_int(lu_hold(store, lu.udid, "j-2", 0, &found, &operation), VIOS_E_LOCKED);
    is_text(operation.error.hint, "wait for it: job wait j-3");
    is_int(lu_release(store, lu.udid, "j-2", &operation), VIOS_OK);
    is_int(lu_mark(store, lu.udid, "j-2", &found, &operation), VIOS_E_LOCKED);
    is_int(lu_release(store, lu.udid, "j-3", &operation), VIOS_OK);
    is_int(lu_load(store, lu.udid, &lu, &value, &operation), VIOS_OK);
    snprintf(lu.lpar, sizeof lu.lpar, "g1");
    is_int(lu_save(store, &lu, &value, &operation), VIOS_OK);
    is_int(lu_mark(store, lu.udid, "j-2", &found, &operation), VIOS_E_CONFLICT);
    is_text(operation.error.message, "it is a disk of lpar \"g1\"");
    is_text(operation.error.hint, "remove that first: lpar remove g1");
    is_int(lu_abandon(store, lu.udid, "j-1", &marked, &operation), VIOS_OK);
    ok(!marked, "it is not being made");
    is_int(lu_forget(store, lu.udid, "j-1", &operation), VIOS_OK);
    is_text(state_of(store, lu.udid, &operation), "ready");
    store_value_clear(&value);
    store_close(store);
}

static void an_lpar_that_changed_is_seen(void)
{
    struct operation operation;
    struct store *store = open_world("", &operation);
    struct lu lu = begin("web"), found;
    struct store_value value = {0};
    struct store_change change = {"/lpar/g1", "{\"v\":1}"};
    int64_t revision = 0;
    is_int(lu_reserve(store, &lu, &operation), VIOS_OK);
    is_int(lu_publish(store, lu.udid, "j-1", &operation), VIOS_OK);
    is_int(lu_load(store, lu.udid, &lu, &value, &operation), VIOS_OK);
    snprintf(lu.lpar, sizeof lu.lpar, "g1");
    is_int(lu_save(store, &lu, &value, &operation), VIOS_OK);
    is_int(store_commit(store, NULL, 0, &change, 1, &revision, &operation), VIOS_OK);
    is_int(lu_hold(store, lu.udid, "j-2", revision - 1, &found, &operation), VIOS_E_CONFLICT);
    is_int(lu_hold(store, lu.udid, "j-2", revision, &found, &operation), VIOS_OK);
    store_value_clear(&value);
    store_close(store);
}

static void a_failed_one_is_abandoned(void)
{
    struct operation operation;
    struct store *store = open_world("", &operation);
    struct lu lu = begin("web");
    bool marked = false;
    is_int(lu_reserve(store, &lu, &operation), VIOS_OK);
    for (int again = 0; again < 2; again++) {
        is_int(lu_abandon(store, lu.udid, "j-1", &marked, &operation), VIOS_OK);
        ok(marked, "it was ours");
        is_text(state_of(store, lu.udid, &operation), "deleting");
    }
    is_int(lu_forget(store, lu.udid, "j-1", &operation), VIOS_OK);
    is_int(lu_abandon(store, lu.udid, "j-1", &marked, &operation), VIOS_OK);
    ok(!marked, "it is gone");
    store_close(store);
}

/* --- its file --- */

static void make_folder(char folder[PATH_MAX])
{
    char path[PATH_MAX];
    if (!node.config) {
        node.config = config_new();
        config_set(node.config, "repository", tap_folder(), NULL);
        snprintf(path, sizeof path, "%s/pools", tap_folder());
        mkdir(path, 0700);
        snprintf(path, sizeof path, "%s/pools/p1", tap_folder());
        mkdir(path, 0700);
    }
    snprintf(folder, PATH_MAX, "%s/pools/p1/lu", tap_folder());
    mkdir(folder, 0700);
}

static struct stat look(const char *folder, const char *name)
{
    char path[PATH_MAX + 200];
    struct stat status = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    stat(path, &status); /* all zero when it is not there */
    return status;
}

static void touch(const char *folder, const char *name)
{
    char path[PATH_MAX + 200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ok(file && fputs("old", file) > 0 && fclose(file) == 0, "%s", path);
}

static void a_file_is_sparse_or_thick(void)
{
    char folder[PATH_MAX];
    struct vios_error error = {0};
    struct lu lu = begin("web");
    make_folder(folder);
    ok(lu_make(&node, &lu, &error) == VIOS_OK, "%s", error.message);
    struct stat status = look(folder, lu.file);
    is_int(status.st_size, 1 << 20);
    is_int(status.st_blocks, 0);
    is_int(status.st_mode & 07777, 0600);
    lu = begin("thick");
    lu.thick = true;
    ok(lu_make(&node, &lu, &error) == VIOS_OK, "%s", error.message);
    ok(look(folder, lu.file).st_blocks * 512 >= 1 << 20, "its space is taken");
}

/* What a daemon that was killed left, and what one that comes too late does. */
static void an_unfinished_one_does_no_harm(void)
{
    char folder[PATH_MAX], left[128];
    struct vios_error error = {0};
    struct lu lu = begin("web");
    struct lu_making late;
    make_folder(folder);
    snprintf(left, sizeof left, ".%s.n2-9.new", lu.udid);
    touch(folder, left);
    node.incarnation = 3;
    is_int(lu_make_begin(&late, &node, &lu, &error), VIOS_OK);
    node.incarnation = 4;
    ok(lu_make(&node, &lu, &error) == VIOS_OK, "%s", error.message);
    is_int(look(folder, left).st_nlink, 0);
    ino_t made = look(folder, lu.file).st_ino;
    is_int(lu_make_publish(&late, &error), VIOS_OK); /* its name is gone, but there is one */
    lu_make_end(&late);
    ok(look(folder, lu.file).st_ino == made, "the late one took its name");
    is_int(lu_make(&node, &lu, &error), VIOS_OK);
    ok(look(folder, lu.file).st_ino == made, "it was made again");
    lu = begin("gone");
    is_int(lu_make_begin(&late, &node, &lu, &error), VIOS_OK);
    is_int(lu_file_remove_all(folder, lu.udid, &error), VIOS_OK);
    is_int(lu_make_publish(&late, &error), VIOS_E_NOT_FOUND);
    is_text(error.object, "lu \"gone\"");
    ok(strstr(error.message, "cannot name its file in pool \"p1\"") == error.message, "%s",
       error.message);
    lu_make_end(&late);
}

static void a_full_pool_is_named(void)
{
    char folder[PATH_MAX];
    struct vios_error error = {0};
    struct lu lu = begin("huge");
    make_folder(folder);
    lu.thick = true;
    lu.size_bytes = LU_SIZE_MAX / 8; /* ext4 has no files of 64 TiB */
    unsigned before = space_asked_for;
    is_int(lu_make(&node, &lu, &error), VIOS_E_NO_SPACE);
    is_int(space_asked_for, before); /* it would be taken from everybody else meanwhile */
    is_text(error.object, "lu \"huge\"");
    ok(strstr(error.message, "no space in pool \"p1\" (need 8 TiB, free ") == error.message, "%s",
       error.message);
    ok(strstr(error.message, " bytes are missing)") != NULL, "%s", error.message);
    is_int(look(folder, lu.file).st_nlink, 0);
    ok(lu_file_remove_all(folder, lu.udid, &error) == VIOS_OK, "%s", error.message);
}

static void all_its_files_go(void)
{
    char folder[PATH_MAX], name[128];
    struct vios_error error = {0};
    struct lu lu = begin("web"), other = begin("other");
    static const char *const ROUND[][2] = {
        {"", ".0"}, {"", ".17"}, {".", ".n1-2.new"}, {"", ".18.new"}};
    make_folder(folder);
    is_int(lu_make(&node, &other, &error), VIOS_OK);
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s%s", ROUND[i][0], lu.udid, ROUND[i][1]);
        touch(folder, name);
    }
    for (int again = 0; again < 2; again++) {
        ok(lu_file_remove_all(folder, lu.udid, &error) == VIOS_OK, "%s", error.message);
    }
    is_int(look(folder, lu.file).st_nlink, 0);
    is_int(look(folder, name).st_nlink, 0);
    is_int(look(folder, other.file).st_nlink, 1);
}

static void its_origin_is_forgotten(void)
{
    struct operation operation;
    struct store *store = open_world("", &operation);
    for (int late = 0; late < 2; late++) {
        struct lu lu = begin(late ? "late" : "early");
        snprintf(lu.origin, sizeof lu.origin, "%s", lu.udid);
        is_int(lu_reserve(store, &lu, &operation), VIOS_OK);
        if (late) {
            is_int(lu_publish(store, lu.udid, "j-1", &operation), VIOS_OK);
            is_int(lu_hold(store, lu.udid, "j-2", 0, &lu, &operation), VIOS_OK);
            is_text(lu.origin, lu.udid);
            is_int(lu_release_alone(store, lu.udid, "j-1", &operation), VIOS_OK); /* not its */
            is_int(lu_load(store, lu.udid, &lu, NULL, &operation), VIOS_OK);
            is_text(lu.origin, lu.udid);
            is_int(lu_release_alone(store, lu.udid, "j-2", &operation), VIOS_OK);
        } else {
            is_int(lu_publish_alone(store, lu.udid, "j-1", &operation), VIOS_OK);
        }
        is_int(lu_load(store, lu.udid, &lu, NULL, &operation), VIOS_OK);
        is_text(lu.origin, "");
        is_text(lu.job, "");
        is_int(lu.state, LU_READY);
    }
    store_close(store);
}

int main(void)
{
    RUN(it_lives_and_ends);
    RUN(its_origin_is_forgotten);
    RUN(a_name_is_unique_in_its_pool);
    RUN(a_pool_that_ends_takes_none);
    RUN(a_commit_in_doubt_is_looked_at);
    RUN(doubt_stays_doubt);
    RUN(a_mapped_or_held_one_stays);
    RUN(an_lpar_that_changed_is_seen);
    RUN(a_failed_one_is_abandoned);
    RUN(a_file_is_sparse_or_thick);
    RUN(an_unfinished_one_does_no_harm);
    RUN(a_full_pool_is_named);
    RUN(all_its_files_go);
    config_free(node.config);
    return tap_done();
}
