/*
 * test_import_job.c - images made, removed and verified: twice, changed behind our back, and with a
 * crash at every step; afterwards the records and the pool's files agree.
 */
#include "base/log.h"
#include "tests/unit/image/world.h"

static json_t *import_data(void)
{
    return world_import_data("i");
}

static void an_image_is_imported(void)
{
    struct operation operation;
    struct image image;
    json_t *result = NULL;
    world_fresh();
    ok(run_job(&image_import_job, import_data(), &result, &operation) == VIOS_OK, "%s: %s",
       operation.error.object, operation.error.message);
    world_agrees("imported");
    world_image("i", &image);
    is_int((long long)image.file_count, 1);
    is_int((long long)image.files[0].size_bytes, WORLD_SIZE);
    is_text(image.files[0].name, "disk.raw");
    is_text(json_string_value(json_object_get(result, "handle")), image.handle);
    ok(json_is_false(json_object_get(result, "existing")), "it was not there before");
    json_decref(result);
}

static void the_same_again_is_the_same_image(void)
{
    struct operation operation;
    struct image before, after;
    json_t *result = NULL;
    world_fresh();
    is_int(run_job(&image_import_job, import_data(), NULL, &operation), VIOS_OK);
    world_image("i", &before);
    is_int(run_job(&image_import_job, import_data(), &result, &operation), VIOS_OK);
    world_image("i", &after);
    is_text(after.handle, before.handle);
    ok(json_is_true(json_object_get(result, "existing")), "it was there before");
    json_decref(result);
    world_agrees("again");
    json_t *other = import_data();
    struct image wanted = {.pool = "p1", .source = "elsewhere", .state = IMAGE_MAKING};
    uuid_make(wanted.handle);
    snprintf(wanted.name, sizeof wanted.name, "i");
    json_t *data = making_data(&wanted);
    json_object_set(data, "source", json_object_get(other, "source"));
    json_decref(other);
    is_int(run_job(&image_import_job, data, NULL, &operation), VIOS_E_EXISTS);
    is_text(operation.error.object, "image \"i\"");
    world_agrees("refused");
}

static void imported(const char *where, int status)
{
    struct image image;
    (void)status;
    world_agrees(where);
    world_image("i", &image);
    is_int((long long)image_size(&image), WORLD_SIZE);
}

static void an_import_survives_every_crash(void)
{
    struct job_crash crash = {.kind = &image_import_job,
                              .object = "image \"i\"",
                              .data = import_data,
                              .status = VIOS_OK,
                              .context = &node,
                              .fresh = world_fresh,
                              .check = imported};
    job_crash_everywhere(&crash, false);
}

static void next_incarnation(void)
{
    node.incarnation = 2; /* a working folder of its own */
}

static void a_survivor_goes_on(void)
{
    struct job_crash crash = {.kind = &image_import_job,
                              .object = "image \"i\"",
                              .data = import_data,
                              .status = VIOS_OK,
                              .incarnation = 2,
                              .between = next_incarnation,
                              .context = &node,
                              .fresh = world_fresh,
                              .check = imported};
    job_crash_everywhere(&crash, false);
}

/* --- an import that cannot succeed: its disk is gone by the time it is copied --- */

static json_t *failing_data(void)
{
    unlink(disk);
    return world_import_data("i");
}

static void nothing_is_left(const char *where, int status)
{
    (void)status;
    world_agrees(where);
    ok(world_entries("image") == 0, "%s: something is left", where);
}

static void a_failed_import_leaves_nothing(void)
{
    struct operation operation;
    world_fresh();
    is_int(run_job(&image_import_job, failing_data(), NULL, &operation), VIOS_E_NOT_FOUND);
    nothing_is_left("failed", 0);
}

/* --- remove --- */

static json_t *handle_data(void)
{
    struct image image;
    world_image("i", &image);
    return json_pack("{s:s, s:s}", "handle", image.handle, "name", "i");
}

static const char *fresh_with_image(void)
{
    struct operation operation;
    world_fresh();
    is_int(run_job(&image_import_job, import_data(), NULL, &operation), VIOS_OK);
    return address;
}

static void a_removal_survives_every_crash(void)
{
    struct job_crash crash = {.kind = &image_remove_job,
                              .object = "image \"i\"",
                              .id = "j-2",
                              .data = handle_data,
                              .status = VIOS_OK,
                              .context = &node,
                              .fresh = fresh_with_image,
                              .check = nothing_is_left};
    job_crash_everywhere(&crash, false);
}

/* --- verify --- */

static void a_changed_byte_is_found(void)
{
    struct operation operation;
    struct image image;
    char path[320];
    fresh_with_image();
    is_int(run_job(&image_verify_job, handle_data(), NULL, &operation), VIOS_OK);
    world_image("i", &image);
    snprintf(path, sizeof path, "%s/image/%s/%s", pool_folder, image.handle, image.files[0].udid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    is_int(pwrite(fd, "x", 1, (2 << 20) + 5), 1);
    close(fd);
    is_int(run_job(&image_verify_job, handle_data(), NULL, &operation), VIOS_E_CORRUPT);
    ok(strstr(operation.error.message, "2097152") != NULL, "%s", operation.error.message);
}

int main(void)
{
    log_configure(LOG_ERROR, false);
    image_world_begin();
    RUN(an_image_is_imported);
    RUN(the_same_again_is_the_same_image);
    RUN(an_import_survives_every_crash);
    RUN(a_survivor_goes_on);
    RUN(a_failed_import_leaves_nothing);
    RUN(a_removal_survives_every_crash);
    RUN(a_changed_byte_is_found);
    image_world_end();
    return tap_done();
}
