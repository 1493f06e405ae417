/*
 * test_deploy_job.c - LPARs deployed from an image and captured again, clones and their flattening,
 * with a crash at every step; afterwards records and files agree.
 */
#include "base/log.h"
#include "image/fileset.h"
#include "tests/unit/image/world.h"

#include <sys/stat.h>

#define LPAR_UUID "99999999-2222-4333-8444-555555555555"
#define LU_UUID "88888888-2222-4333-8444-555555555555"
#define RECORD                                                                                     \
    "{\"v\":1,\"uuid\":\"" LPAR_UUID "\",\"name\":\"g\",\"generation\":0,\"owner\":null,"          \
    "\"wanted\":\"stopped\",\"job\":null,\"spec\":{\"machine\":\"pc\",\"accel\":\"tcg\","          \
    "\"cpu\":\"qemu64\",\"cpus\":1,\"memory_bytes\":16777216,\"boot\":{},\"nics\":[],\"disks\":"   \
    "[{\"id\":\"disk0\",\"slot\":4,\"lu\":\"" LU_UUID "\",\"serial\":\"s\",\"read_only\":false}]," \
    "\"serial_console\":true,\"autostart\":false}}"

static const char *fresh_with_image(void)
{
    struct operation operation;
    world_fresh();
    ok(run_job(&image_import_job, world_import_data("i"), NULL, &operation) == VIOS_OK, "%s",
       operation.error.message);
    return address;
}

static json_t *handle_data(void)
{
    struct image image;
    world_image("i", &image);
    return json_pack("{s:s, s:s}", "handle", image.handle, "name", "i");
}

static json_t *deploy_data(void)
{
    json_t *data = handle_data();
    json_object_set_new(data, "record", json_string(RECORD));
    json_object_set_new(data, "pool", json_string("p1"));
    json_object_set_new(data, "stopped", json_true());
    return data;
}

static void load_lu(struct lu *lu)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    ok(lu_load(store, LU_UUID, lu, NULL, &operation) == VIOS_OK, "%s", operation.error.message);
    node_store_return(&node, store);
}

static void check_contents(const char *where)
{
    struct lu lu;
    struct vios_error error = {0};
    char path[PATH_MAX], byte[2] = "";
    load_lu(&lu);
    is_int(lu_path(&node, &lu, path, &error), VIOS_OK);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ok(pread(fd, byte, 1, 2 << 20) == 1 && byte[0] == 'v', "%s: the disk is not the image's",
       where);
    close(fd);
}

static void deployed(const char *where, int status)
{
    struct lu lu;
    struct image image;
    (void)status;
    world_agrees(where);
    check_contents(where);
    load_lu(&lu);
    world_image("i", &image);
    is_text(lu.lpar, "g");
    is_text(lu.name, "g-disk0");
    is_text(lu.origin, have_clones ? image.files[0].udid : "");
}

static void an_lpar_is_deployed(void)
{
    struct operation operation;
    json_t *result = NULL;
    fresh_with_image();
    ok(run_job(&image_deploy_job, deploy_data(), &result, &operation) == VIOS_OK, "%s: %s",
       operation.error.object, operation.error.message);
    deployed("once", 0);
    is_text(json_string_value(json_object_get(result, "state")), "stopped");
    json_decref(result);
    is_int(run_job(&image_deploy_job, deploy_data(), NULL, &operation), VIOS_OK);
    json_t *other = deploy_data();
    char *record = strdup(RECORD);
    memcpy(strstr(record, LPAR_UUID), "77777777", 8);
    json_object_set_new(other, "record", json_string(record));
    free(record);
    is_int(run_job(&image_deploy_job, other, NULL, &operation), VIOS_E_EXISTS);
    is_text(operation.error.message, "there is an LPAR of this name");
    deployed("refused", 0);
}

static void a_deploy_survives_every_crash(void)
{
    struct job_crash crash = {.kind = &image_deploy_job,
                              .object = "lpar \"g\"",
                              .id = "j-2",
                              .data = deploy_data,
                              .status = VIOS_OK,
                              .context = &node,
                              .fresh = fresh_with_image,
                              .check = deployed};
    job_crash_everywhere(&crash, false);
}

/* With `digests`, those beside it are made to fit. */
static void damage_image(bool digests)
{
    struct image image;
    struct operation operation;
    struct chunks chunks = {0};
    char path[320], name[UUID_TEXT_SIZE + sizeof FILESET_DIGESTS];
    world_image("i", &image);
    snprintf(path, sizeof path, "%s/image/%s", pool_folder, image.handle);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(folder, image.files[0].udid, O_RDWR | O_CLOEXEC);
    is_int(pwrite(fd, "x", 1, 4096), 1);
    if (digests) {
        operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
        snprintf(name, sizeof name, "%s" FILESET_DIGESTS, image.files[0].udid);
        is_int(chunks_of(fd, WORLD_SIZE, &chunks, NULL, &operation), VIOS_OK);
        is_int(chunks_save(folder, name, &chunks, NULL), VIOS_OK);
        chunks_clear(&chunks);
    }
    close(fd);
    close(folder);
}

static void a_damaged_image_is_not_deployed(void)
{
    struct operation operation;
    fresh_with_image();
    damage_image(false);
    is_int(run_job(&image_deploy_job, deploy_data(), NULL, &operation), VIOS_E_CORRUPT);
    world_agrees("refused");
    fresh_with_image();
    damage_image(true);
    is_int(run_job(&image_deploy_job, deploy_data(), NULL, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.message, "the digests of its file disk.raw are not its own");
    world_agrees("refused again");
    is_int((long long)world_entries("lu"), 0);
}

/* --- clones --- */

static const char *fresh_with_clone(void)
{
    struct operation operation;
    fresh_with_image();
    ok(run_job(&image_deploy_job, deploy_data(), NULL, &operation) == VIOS_OK, "%s",
       operation.error.message);
    return address;
}

static void an_image_with_clones_stays(void)
{
    struct operation operation;
    if (!have_clones) {
        SKIP("no XFS on a loop mount: not root, or no mkfs.xfs");
    }
    fresh_with_clone();
    is_int(run_job(&image_remove_job, handle_data(), NULL, &operation), VIOS_E_CONFLICT);
    is_text(operation.error.object, "image \"i\"");
    is_text(operation.error.message, "1 linked clone of it: p1/g-disk0 of g");
    is_text(operation.error.hint, "cut the tie first: image flatten i");
    ok(run_job(&image_flatten_job, handle_data(), NULL, &operation) == VIOS_OK, "%s",
       operation.error.message);
    world_agrees("flattened");
    ok(run_job(&image_remove_job, handle_data(), NULL, &operation) == VIOS_OK, "%s",
       operation.error.message);
    world_agrees("removed");
    check_contents("removed");
    is_int((long long)world_entries("image"), 0);
}

static void flattened(const char *where, int status)
{
    struct lu lu;
    (void)status;
    world_agrees(where);
    check_contents(where);
    load_lu(&lu);
    is_text(lu.origin, "");
    is_text(lu.lpar, "g");
}

static void a_flattening_survives_every_crash(void)
{
    struct job_crash crash = {.kind = &image_flatten_job,
                              .object = "image \"i\"",
                              .id = "j-3",
                              .data = handle_data,
                              .status = VIOS_OK,
                              .context = &node,
                              .fresh = fresh_with_clone,
                              .check = flattened};
    if (!have_clones) {
        SKIP("no XFS on a loop mount: not root, or no mkfs.xfs");
    }
    /* Each job of the preparation is in a store of its own engine: the third is the one. */
    job_crash_everywhere(&crash, false);
}

static void a_clone_that_is_removed_is_left_alone(void)
{
    struct operation operation;
    struct image image;
    struct lu lu = {.udid = LU_UUID,
                    .name = "g-disk0",
                    .pool = "p1",
                    .file = LU_UUID ".0",
                    .state = LU_DELETING,
                    .job = "j-9"};
    json_t *result = NULL;
    fresh_with_image();
    world_image("i", &image);
    snprintf(lu.origin, sizeof lu.origin, "%s", image.files[0].udid);
    char *record = lu_format(&lu, NULL);
    put("/lu/" LU_UUID, record);
    free(record);
    ok(run_job(&image_flatten_job, handle_data(), &result, &operation) == VIOS_OK, "%s",
       operation.error.message);
    is_int(json_integer_value(json_object_get(result, "flattened")), 0);
    json_decref(result);
    load_lu(&lu);
    is_text(lu.job, "j-9");
}

/* --- capture --- */

static json_t *capture_data(void)
{
    struct image image = {.state = IMAGE_MAKING, .name = "c", .pool = "p1", .source = "lpar g"};
    uuid_make(image.handle);
    json_t *data = making_data(&image);
    json_object_set_new(data, "lpar", json_string("g"));
    return data;
}

static void captured(const char *where, int status)
{
    struct image first, second;
    (void)status;
    world_agrees(where);
    world_image("i", &first);
    world_image("c", &second);
    is_text(second.files[0].digest, first.files[0].digest);
    is_text(second.files[0].name, "disk0.raw");
}

static void a_capture_survives_every_crash(void)
{
    struct job_crash crash = {.kind = &image_capture_job,
                              .object = "image \"c\"",
                              .id = "j-3",
                              .data = capture_data,
                              .status = VIOS_OK,
                              .context = &node,
                              .fresh = fresh_with_clone,
                              .check = captured};
    job_crash_everywhere(&crash, false);
}

int main(void)
{
    log_configure(LOG_ERROR, false);
    image_world_begin();
    RUN(an_lpar_is_deployed);
    RUN(a_deploy_survives_every_crash);
    RUN(a_damaged_image_is_not_deployed);
    RUN(an_image_with_clones_stays);
    RUN(a_flattening_survives_every_crash);
    RUN(a_clone_that_is_removed_is_left_alone);
    RUN(a_capture_survives_every_crash);
    image_world_end();
    return tap_done();
}
