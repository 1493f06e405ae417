/* test_event_file.c - payload files where they lie: durable with their folders when they are
 * written, refused in a place that is not theirs, removed, put aside, and listed. */
#include "tests/synced.h"
#include "tests/unit/event/world.h"

static void a_file_is_durable_with_its_folders(void)
{
    struct payload payload;
    char want[200];
    world_new();
    make_payload(&payload, "n1", 1, 1);
    synced_begin(world);
    is_int(event_file_write(&node, &payload, NULL), VIOS_OK);
    snprintf(want, sizeof want, "folder folder temporary rename:%s folder", payload.name);
    is_text(synced(), want);
    payload_name(&payload);
    synced_begin(world);
    is_int(event_file_write(&node, &payload, NULL), VIOS_OK);
    snprintf(want, sizeof want, "temporary rename:%s folder", payload.name);
    is_text(synced(), want);
    synced_begin("");
    payload_clear(&payload);
}

/* Where the repository is not mounted nothing is made. */
static void a_repository_is_never_made(void)
{
    struct payload payload;
    struct vios_error error = {0};
    world_new();
    make_payload(&payload, "n1", 1, 1);
    char aside[160];
    snprintf(aside, sizeof aside, "%s.aside", repository);
    is_int(rename(repository, aside), 0);
    is_int(event_file_write(&node, &payload, &error), VIOS_E_NOT_FOUND);
    ok(strstr(error.message, "cannot open") != NULL, "%s", error.message);
    ok(access(repository, F_OK) != 0, "it is made");
    is_int(rename(aside, repository), 0);
    payload_clear(&payload);
}

static int read_file(const char *producer, const char *name, struct vios_error *error)
{
    struct payload payload;
    int status = event_file_read(&node, producer, name, &payload, error);
    ok(status == VIOS_OK || payload.count == 0, "something is left of it");
    payload_clear(&payload);
    return status;
}

static void it_is_refused_in_another_place(void)
{
    static const char MESSAGE[] = "it is of another cluster, node or name than its place says";
    char name[PAYLOAD_NAME_SIZE], other[PAYLOAD_NAME_SIZE], path[PATH_MAX];
    struct vios_error error = {0};
    world_new();
    make_file("n1", 1, 1, 0, name);
    make_file("n2", 1, 1, 0, other);
    is_int(read_file("n1", name, &error), VIOS_OK);
    is_int(read_file("n1", other, &error), VIOS_E_NOT_FOUND);
    is_int(read_file("n7", other, &error), VIOS_E_NOT_FOUND);
    snprintf(path, sizeof path, "%s", file_path("n1", name));
    is_int(link(path, file_path("n2", name)), 0);
    is_int(read_file("n2", name, &error), VIOS_E_CORRUPT);
    is_text(error.message, MESSAGE);
    is_int(link(path, file_path("n1", other)), 0);
    is_int(read_file("n1", other, &error), VIOS_E_CORRUPT);
    node.cluster = "other";
    is_int(read_file("n1", name, &error), VIOS_E_CORRUPT);
    is_text(error.message, MESSAGE);
    node.cluster = "c";
}

static int count_one(void *context, const char *name, struct vios_error *error)
{
    (void)error;
    *(int *)context += payload_name_is_valid(name, NULL);
    return *(int *)context < 3 ? VIOS_OK : VIOS_E_IO;
}

static int count_producer(void *context, const char *name, struct vios_error *error)
{
    (void)error;
    *(int *)context += name[0] == 'n';
    return VIOS_OK;
}

static void they_are_listed_removed_and_put_aside(void)
{
    char names[3][PAYLOAD_NAME_SIZE], aside[PATH_MAX + 16];
    int count = 0;
    world_new();
    is_int(event_file_each(&node, "n1", count_one, &count, NULL), VIOS_OK);
    make_file("n1", 1, 1, 0, names[0]);
    make_file("n1", 1, 1, 0, names[1]);
    is_int(event_file_quarantine(&node, "n1", names[1], NULL), VIOS_OK);
    snprintf(aside, sizeof aside, "%s.damaged", file_path("n1", names[1]));
    is_int(access(aside, F_OK), 0);
    is_int(event_file_quarantine(&node, "n1", names[1], NULL), VIOS_E_NOT_FOUND);
    is_int(event_file_each(&node, "n1", count_one, &count, NULL), VIOS_OK);
    is_int(count, 1);
    make_file("n1", 1, 1, 0, names[2]);
    is_int(event_file_each(&node, "n1", count_one, &count, NULL), VIOS_E_IO);
    is_int(event_file_remove(&node, "n1", names[2], NULL), VIOS_OK);
    is_int(event_file_remove(&node, "n1", names[2], NULL), VIOS_OK);
    count = 0;
    is_int(event_file_each(&node, "n1", count_one, &count, NULL), VIOS_OK);
    is_int(count, 1);
    count = 0;
    make_file("n2", 1, 1, 0, names[2]);
    is_int(event_file_each(&node, NULL, count_producer, &count, NULL), VIOS_OK);
    is_int(count, 2);
}

static void without_a_repository_there_is_no_place(void)
{
    char path[PATH_MAX];
    struct vios_error error = {0};
    is_int(config_set(node.config, "repository", "", NULL), VIOS_OK);
    is_int(event_file_path(&node, "n1", NULL, path, &error), VIOS_E_INVALID);
    is_text(error.message, "this node has no repository");
    is_int(read_file("n1", "x", &error), VIOS_E_INVALID);
}

int main(void)
{
    RUN(a_file_is_durable_with_its_folders);
    RUN(a_repository_is_never_made);
    RUN(it_is_refused_in_another_place);
    RUN(they_are_listed_removed_and_put_aside);
    RUN(without_a_repository_there_is_no_place);
    world_end();
    return tap_done();
}
