/* test_create.c - LPARs on LUs: which are refused, the one commit, and that it may be repeated. */
#include "lpar/create.h"
#include "lpar/disks.h"
#include "lpar/spec.h"

#include "base/file.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct operation operation;

static struct store *open_world(const char *plan)
{
    static int count;
    char address[256];
    struct store *store = NULL;
    snprintf(address, sizeof address, "sqlite:%s/db%d", tap_folder(), count++);
    operation_start(&operation, 10000, NULL);
    is_int(store_open(&store, address, true, &operation), VIOS_OK);
    if (plan[0]) {
        char faulty[300];
        store_close(store);
        snprintf(faulty, sizeof faulty, "faulty:%s:%s", plan, address);
        is_int(store_open(&store, faulty, false, &operation), VIOS_OK);
    }
    return store;
}

static struct lu new_lu(const char *name)
{
    struct lu lu = {.size_bytes = 1 << 20, .pool = "p1"};
    uuid_make(lu.udid);
    snprintf(lu.name, sizeof lu.name, "%s", name);
    snprintf(lu.file, sizeof lu.file, "%s.0", lu.udid);
    return lu;
}

static void put_lu(struct store *store, const struct lu *lu)
{
    char key[STORE_KEY_MAX], name_key[STORE_KEY_MAX], name[64];
    char *json = lu_format(lu, NULL);
    struct store_change changes[] = {{lu_key(lu->udid, key), json},
                                     {lu_name_key(lu, name_key), lu_name_record(lu, name)}};
    is_int(store_commit(store, NULL, 0, changes, 2, NULL, &operation), VIOS_OK);
    free(json);
}

static struct lu add_lu(struct store *store, const char *name)
{
    struct lu lu = new_lu(name);
    put_lu(store, &lu);
    return lu;
}

static json_t *words(const char *name, const char *first, const char *second)
{
    return json_pack("{s:s, s:I, s:[s, s*]}", "name", name, "memory", (json_int_t)(16 << 20),
                     "disk", first, second);
}

static int find(struct store *store, struct lpar_lus *found, const char *first, const char *second)
{
    json_t *parameters = words("web1", first, second);
    int status = lpar_lus_find(store, parameters, found, &operation);
    json_decref(parameters);
    return status;
}

static int build(const struct lpar_lus *found, const char *name, const char *first,
                 const char *second, struct lpar *lpar)
{
    json_t *parameters = words(name, first, second);
    int status = spec_build(parameters, found->lus, found->count, lpar, &operation.error);
    json_decref(parameters);
    return status;
}

static int commit(struct store *store, const struct lpar *lpar, struct lpar_lus *found)
{
    return lpar_create_commit(store, lpar, found->lus, found->values, found->count, NULL,
                              &operation);
}

static void is_mapped(struct store *store, const char *udid, const char *lpar)
{
    struct lu lu;
    is_int(lu_load(store, udid, &lu, NULL, &operation), VIOS_OK);
    is_text(lu.lpar, lpar);
}

static void maps_lus_in_one_commit(void)
{
    static struct lpar lpar, read;
    struct lpar_lus found;
    struct store *store = open_world("");
    struct lu root = add_lu(store, "root"), data = add_lu(store, "data");
    is_int(find(store, &found, "root", data.udid), VIOS_OK);
    is_int(build(&found, "web1", "root", data.udid, &lpar), VIOS_OK);
    is_text(lpar.disks[0].lu, root.udid);
    is_text(lpar.disks[1].lu, data.udid);
    is_text(lpar.disks[1].file, "");
    ok(strncmp(lpar.disks[1].serial, lpar.uuid, 8) == 0 &&
           strcmp(lpar.disks[1].serial + 8, "-disk1") == 0,
       "serial %s", lpar.disks[1].serial);
    for (int again = 0; again < 2; again++) {
        is_int(commit(store, &lpar, &found), VIOS_OK);
    }
    is_mapped(store, root.udid, "web1");
    is_mapped(store, data.udid, "web1");
    is_int(lpar_load(store, "web1", &read, &operation), VIOS_OK);
    is_text(read.disks[0].lu, root.udid);
    lpar_lus_clear(&found);
    store_close(store);
}

static void refuses_what_is_not_free(void)
{
    struct lpar_lus found;
    struct store *store = open_world("");
    struct lu mapped = new_lu("mapped"), image = new_lu("image"), locked = new_lu("locked");
    snprintf(mapped.lpar, sizeof mapped.lpar, "db1");
    snprintf(image.image, sizeof image.image, "11111111-2222-4333-8444-555555555555");
    snprintf(locked.job, sizeof locked.job, "j-7");
    put_lu(store, &mapped);
    put_lu(store, &image);
    put_lu(store, &locked);
    (void)add_lu(store, "free");
    const struct {
        const char *first, *second;
        int code;
        const char *object, *message;
    } rows[] = {
        {"mapped", NULL, VIOS_E_CONFLICT, "lu \"mapped\"", "it is a disk of lpar \"db1\""},
        {"image", NULL, VIOS_E_CONFLICT, "lu \"image\"",
         "it is a file of image 11111111-2222-4333-8444-555555555555"},
        {"p1/locked", NULL, VIOS_E_LOCKED, "lu \"locked\"", "job j-7 is at work on it"},
        {"free", "p1/free", VIOS_E_USAGE, "disk", "lu \"free\" is given twice"},
        {"fre", NULL, VIOS_E_NOT_FOUND, "lu \"fre\"", "there is no such LU"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        is_int(find(store, &found, rows[i].first, rows[i].second), rows[i].code);
        is_text(operation.error.object, rows[i].object);
        is_text(operation.error.message, rows[i].message);
        lpar_lus_clear(&found);
    }
    store_close(store);
}

static void says_why_the_commit_failed(void)
{
    static struct lpar lpar;
    struct lpar_lus found, late;
    struct store *store = open_world("");
    struct lu root = add_lu(store, "root");
    (void)add_lu(store, "other");
    is_int(find(store, &late, "root", NULL), VIOS_OK);
    is_int(find(store, &found, "root", NULL), VIOS_OK);
    is_int(build(&found, "web1", "root", NULL, &lpar), VIOS_OK);
    is_int(commit(store, &lpar, &found), VIOS_OK);
    is_int(build(&late, "web2", "root", NULL, &lpar), VIOS_OK);
    is_int(commit(store, &lpar, &late), VIOS_E_CONFLICT);
    is_mapped(store, root.udid, "web1");
    is_int(lpar_load(store, "web2", &lpar, &operation), VIOS_E_NOT_FOUND);
    lpar_lus_clear(&found);
    is_int(find(store, &found, "other", NULL), VIOS_OK);
    is_int(build(&found, "web1", "other", NULL, &lpar), VIOS_OK);
    is_int(commit(store, &lpar, &found), VIOS_E_EXISTS);
    is_text(operation.error.object, "lpar \"web1\"");
    is_text(operation.error.message, "there is an LPAR of this name");
    lpar_lus_clear(&found);
    lpar_lus_clear(&late);
    store_close(store);
}

/* As image.deploy does: the LUs are its own, and the LPAR stays with its job for a while. */
static void publishes_the_lus_of_a_job(void)
{
    static struct lpar lpar;
    struct lu lu = new_lu("root"), read;
    struct store_value value = {0};
    struct store *store = open_world("");
    lu.state = LU_MAKING;
    snprintf(lu.job, sizeof lu.job, "j-3");
    put_lu(store, &lu);
    is_int(lu_load(store, lu.udid, &lu, &value, &operation), VIOS_OK);
    json_t *parameters = json_pack("{s:s, s:I}", "name", "web1", "memory", (json_int_t)(16 << 20));
    is_int(spec_build(parameters, &lu, 1, &lpar, &operation.error), VIOS_OK);
    json_decref(parameters);
    is_text(lpar.disks[0].lu, lu.udid);
    snprintf(lpar.job, sizeof lpar.job, "j-3");
    lu.state = LU_READY;
    lu.job[0] = 0;
    struct store_compare exists = {STORE_EXISTS, "/image/x", 0};
    struct store_change change = {"/deployed/x", "{\"v\":1}"};
    struct lpar_also also = {&exists, 1, &change, 1};
    is_int(lpar_create_commit(store, &lpar, &lu, &value, 1, &also, &operation), VIOS_E_CONFLICT);
    also.compare_count = 0;
    is_int(lpar_create_commit(store, &lpar, &lu, &value, 1, &also, &operation), VIOS_OK);
    is_int(lu_find(store, "root", &read, NULL, &operation), VIOS_OK);
    is_text(read.lpar, "web1");
    is_text(read.job, "");
    is_int(lpar_load(store, "web1", &lpar, &operation), VIOS_OK);
    is_text(lpar.job, "j-3");
    store_value_clear(&value);
    is_int(store_get(store, "/deployed/x", &value, &operation), VIOS_OK);
    store_value_clear(&value);
    store_close(store);
}

static void looks_again_when_in_doubt(void)
{
    static struct lpar lpar;
    struct lpar_lus found;
    const char *const plans[] = {"commit.2=unknown_done", "commit.2=unknown_not_done"};
    for (int i = 0; i < 2; i++) {
        struct store *store = open_world(plans[i]);
        struct lu root = add_lu(store, "root");
        is_int(find(store, &found, "root", NULL), VIOS_OK);
        is_int(build(&found, "web1", "root", NULL, &lpar), VIOS_OK);
        is_int(commit(store, &lpar, &found), i == 0 ? VIOS_OK : VIOS_E_UNKNOWN);
        is_int(commit(store, &lpar, &found), VIOS_OK);
        is_mapped(store, root.udid, "web1");
        lpar_lus_clear(&found);
        store_close(store);
    }
}

static void bounds_the_disks(void)
{
    static struct lpar lpar;
    struct lpar_lus found;
    char name[16];
    struct store *store = open_world("");
    json_t *disks = json_array();
    for (int i = 0; i <= LPAR_DISKS_MAX; i++) {
        snprintf(name, sizeof name, "d%d", i);
        (void)add_lu(store, name);
        json_array_append_new(disks, json_string(name));
    }
    json_t *parameters = json_pack("{s:s, s:I, s:o}", "name", "web1", "memory",
                                   (json_int_t)(16 << 20), "disk", disks);
    is_int(lpar_lus_find(store, parameters, &found, &operation), VIOS_E_USAGE);
    is_text(operation.error.message, "more than 8 disks");
    is_int(spec_build(parameters, found.lus, found.count, &lpar, &operation.error), VIOS_E_USAGE);
    json_decref(parameters);
    lpar_lus_clear(&found);
    store_close(store);
}

/* --- at a start --- */

static void make_file(const char *path, bool folder)
{
    if (folder ? mkdir(path, 0755) != 0 : close(open(path, O_WRONLY | O_CREAT, 0600)) != 0) {
        exit(1);
    }
}

static void a_start_looks_at_its_lus(void)
{
    static struct lpar lpar;
    char path[300];
    struct lpar_lus found;
    struct vios_error error;
    struct node node = {.name = "n1", .config = config_new()};
    struct store *store = open_world("");
    struct lu root = add_lu(store, "root");
    is_int(config_set(node.config, "repository", tap_folder(), &error), VIOS_OK);
    is_int(find(store, &found, "root", NULL), VIOS_OK);
    is_int(build(&found, "web1", "root", NULL, &lpar), VIOS_OK);
    is_int(commit(store, &lpar, &found), VIOS_OK);
    is_int(disks_check(&node, store, &lpar, &operation), VIOS_E_INVALID);
    is_text(operation.error.object, "lu \"root\"");
    is_text(operation.error.message, "its file cannot be opened in pool \"p1\" on node \"n1\": "
                                     "No such file or directory");
    const char *const folders[] = {"pools", "pools/p1", "pools/p1/lu"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", tap_folder(), folders[i]);
        make_file(path, true);
    }
    snprintf(path, sizeof path, "%s/pools/p1/lu/%s.0", tap_folder(), root.udid);
    make_file(path, false);
    is_int(disks_check(&node, store, &lpar, &operation), VIOS_OK);
    unlink(path);
    if (mkfifo(path, 0600) != 0) {
        exit(1);
    }
    is_int(disks_check(&node, store, &lpar, &operation), VIOS_E_INVALID);
    is_text(operation.error.message, "what is in the place of its file in pool \"p1\" on node "
                                     "\"n1\" is no regular file");
    snprintf(lpar.name, sizeof lpar.name, "web2");
    is_int(disks_check(&node, store, &lpar, &operation), VIOS_E_CONFLICT);
    is_text(operation.error.message, "it is a disk of lpar \"web1\"");
    uuid_make(lpar.disks[0].lu);
    is_int(disks_check(&node, store, &lpar, &operation), VIOS_E_NOT_FOUND);
    ok(strstr(operation.error.message, "its disk0 is gone") != NULL, "%s", operation.error.message);
    lpar_lus_clear(&found);
    store_close(store);
    config_free(node.config);
}

int main(void)
{
    RUN(maps_lus_in_one_commit);
    RUN(refuses_what_is_not_free);
    RUN(says_why_the_commit_failed);
    RUN(publishes_the_lus_of_a_job);
    RUN(looks_again_when_in_doubt);
    RUN(bounds_the_disks);
    RUN(a_start_looks_at_its_lus);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
