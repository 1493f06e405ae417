/* test_spool.c - events that wait on the node's own disk: in their order, also for the next daemon;
 * what is damaged is removed, what does not fit is refused and counted. */
#include "event/spool.h"
#include "tests/unit/event/world.h"

#include <dirent.h>

static struct event_spool *open_spool(void)
{
    struct event_spool *spool;
    struct vios_error error = {0};
    ok(event_spool_open(&spool, node.state_dir_fd, &error) == VIOS_OK, "%s", error.message);
    return spool;
}

/* A payload with `count` events; its name is put into `name`. */
static void add(struct event_spool *spool, size_t count, char name[PAYLOAD_NAME_SIZE])
{
    struct payload payload;
    struct vios_error error = {0};
    make_payload(&payload, "n1", 3, count);
    ok(event_spool_add(spool, &payload, &error) == VIOS_OK, "%s", error.message);
    snprintf(name, PAYLOAD_NAME_SIZE, "%s", payload.name);
    payload_clear(&payload);
}

/* The first is this one; it is taken away. */
static void take(struct event_spool *spool, const char *name, size_t count)
{
    struct payload payload;
    struct vios_error error = {0};
    ok(event_spool_first(spool, &payload, &error) == VIOS_OK, "%s", error.message);
    is_text(payload.name, name);
    is_int(payload.count, count);
    payload_clear(&payload);
    event_spool_remove_first(spool);
}

static void has_none(struct event_spool *spool)
{
    struct payload payload;
    struct vios_error error = {0};
    is_int(event_spool_first(spool, &payload, &error), VIOS_E_NOT_FOUND);
    is_text(error.message, "none waits");
    is_int(event_spool_count(spool, NULL), 0);
}

static int spool_folder(void)
{
    return openat(node.state_dir_fd, "events", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The name of the file of this payload; "" when there is none. */
static void spooled_name(const char *name, char found[NAME_MAX + 1])
{
    const struct dirent *entry;
    DIR *listing = fdopendir(spool_folder());
    found[0] = '\0';
    while ((entry = readdir(listing)) != NULL) {
        if (strstr(entry->d_name, name)) {
            snprintf(found, NAME_MAX + 1, "%s", entry->d_name);
        }
    }
    closedir(listing);
}

static void an_empty_one_has_none(void)
{
    world_new();
    struct event_spool *spool = open_spool();
    has_none(spool);
    event_spool_remove_first(spool);
    has_none(spool);
    event_spool_close(spool);
    event_spool_close(NULL);
}

static void they_come_in_their_order(void)
{
    char names[20][PAYLOAD_NAME_SIZE];
    world_new();
    struct event_spool *spool = open_spool();
    for (size_t i = 0; i < 20; i++) {
        add(spool, i + 1, names[i]);
    }
    is_int(event_spool_count(spool, NULL), 20);
    for (size_t i = 0; i < 20; i++) {
        take(spool, names[i], i + 1);
    }
    has_none(spool);
    event_spool_close(spool);
}

/* The first stays until it is removed. */
static void the_next_daemon_goes_on(void)
{
    char names[6][PAYLOAD_NAME_SIZE];
    struct payload payload;
    world_new();
    struct event_spool *spool = open_spool();
    for (size_t i = 0; i < 5; i++) {
        add(spool, 1, names[i]);
    }
    take(spool, names[0], 1);
    is_int(event_spool_first(spool, &payload, NULL), VIOS_OK);
    payload_clear(&payload);
    event_spool_close(spool);
    spool = open_spool();
    is_int(event_spool_count(spool, NULL), 4);
    add(spool, 2, names[5]);
    for (size_t i = 1; i < 6; i++) {
        take(spool, names[i], i == 5 ? 2 : 1);
    }
    has_none(spool);
    event_spool_close(spool);
    spool = open_spool();
    has_none(spool);
    event_spool_close(spool);
}

static void what_is_no_spooled_file_is_left_alone(void)
{
    world_new();
    event_spool_close(open_spool());
    int folder = spool_folder();
    close(openat(folder, ".temporary", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    close(openat(folder, "000000000001-other", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    struct event_spool *spool = open_spool();
    has_none(spool);
    is_int(faccessat(folder, "000000000001-other", F_OK, 0), 0);
    event_spool_close(spool);
    close(folder);
}

static void damaged_ones_are_removed(void)
{
    char names[5][PAYLOAD_NAME_SIZE], file[NAME_MAX + 1];
    world_new();
    struct event_spool *spool = open_spool();
    for (size_t i = 0; i < 5; i++) {
        add(spool, 1, names[i]);
    }
    int folder = spool_folder();
    spooled_name(names[0], file); /* one bit */
    int fd = openat(folder, file, O_WRONLY | O_CLOEXEC);
    is_int(pwrite(fd, "~", 1, 20), 1);
    close(fd);
    spooled_name(names[1], file); /* cut off */
    fd = openat(folder, file, O_WRONLY | O_CLOEXEC);
    is_int(ftruncate(fd, 100), 0);
    close(fd);
    spooled_name(names[3], file); /* gone */
    is_int(unlinkat(folder, file, 0), 0);
    take(spool, names[2], 1);
    take(spool, names[4], 1);
    has_none(spool);
    spooled_name(names[0], file);
    is_text(file, "");
    close(folder);
    event_spool_close(spool);
}

/* What cannot be read now is no reason to remove it. */
static void one_that_cannot_be_read_stays(void)
{
    char name[PAYLOAD_NAME_SIZE], file[NAME_MAX + 1];
    struct payload payload;
    struct vios_error error = {0};
    world_new();
    struct event_spool *spool = open_spool();
    add(spool, 1, name);
    int folder = spool_folder();
    spooled_name(name, file);
    is_int(renameat(folder, file, folder, "aside"), 0);
    is_int(symlinkat(file, folder, file), 0); /* ELOOP */
    int status = event_spool_first(spool, &payload, &error);
    ok(status != VIOS_OK && status != VIOS_E_NOT_FOUND, "%s", error_name(status));
    is_int(event_spool_count(spool, NULL), 1);
    is_int(renameat(folder, "aside", folder, file), 0);
    take(spool, name, 1);
    close(folder);
    event_spool_close(spool);
}

/* As files of an earlier daemon, without a sync for each. */
static void make_many(size_t count, off_t size)
{
    struct payload payload;
    char *text, name[96];
    size_t length;
    event_spool_close(open_spool());
    int folder = spool_folder();
    make_payload(&payload, "n1", 3, 1);
    is_int(payload_format(&payload, &text, &length, NULL), VIOS_OK);
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%012zu-%s", i, payload.name);
        int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        is_int(write(fd, text, length), (long long)length);
        if (size > 0) {
            is_int(ftruncate(fd, size), 0);
        }
        close(fd);
    }
    payload_clear(&payload);
    free(text);
    close(folder);
}

static void is_full(struct event_spool *spool, size_t files)
{
    struct payload payload;
    struct vios_error error = {0};
    char message[96];
    uint64_t lost = 0;
    make_payload(&payload, "n1", 3, 7);
    is_int(event_spool_add(spool, &payload, &error), VIOS_E_NO_SPACE);
    snprintf(message, sizeof message,
             "%zu files of them wait for the repository on this node already", files);
    is_text(error.message, message);
    is_text(error.hint, "bring the repository back");
    is_int(event_spool_add(spool, &payload, NULL), VIOS_E_NO_SPACE);
    is_int(event_spool_count(spool, &lost), files);
    is_int(lost, 14);
    event_spool_count(spool, &lost);
    is_int(lost, 0);
    payload_clear(&payload);
}

static void it_is_full_by_its_files(void)
{
    char name[PAYLOAD_NAME_SIZE];
    world_new();
    make_many(SPOOL_FILES_MAX, 0);
    struct event_spool *spool = open_spool();
    is_full(spool, SPOOL_FILES_MAX);
    event_spool_remove_first(spool);
    add(spool, 1, name);
    is_full(spool, SPOOL_FILES_MAX);
    event_spool_close(spool);
}

static void it_is_full_by_its_bytes(void)
{
    char name[PAYLOAD_NAME_SIZE];
    world_new();
    make_many(4, SPOOL_BYTES_MAX / 4);
    struct event_spool *spool = open_spool();
    is_full(spool, 4);
    event_spool_remove_first(spool);
    add(spool, 1, name);
    take(spool, name, 1); /* the three are damaged, for they are too large */
    has_none(spool);
    event_spool_close(spool);
}

static void a_folder_that_is_none_is_refused(void)
{
    struct event_spool *spool;
    struct vios_error error = {0};
    world_new();
    close(openat(node.state_dir_fd, "events", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ok(event_spool_open(&spool, node.state_dir_fd, &error) != VIOS_OK, "it is taken");
    is_text(error.message, "cannot use this folder: Not a directory");
    ok(!spool, "a spool");
}

int main(void)
{
    RUN(an_empty_one_has_none);
    RUN(they_come_in_their_order);
    RUN(the_next_daemon_goes_on);
    RUN(what_is_no_spooled_file_is_left_alone);
    RUN(damaged_ones_are_removed);
    RUN(one_that_cannot_be_read_stays);
    RUN(it_is_full_by_its_files);
    RUN(it_is_full_by_its_bytes);
    RUN(a_folder_that_is_none_is_refused);
    world_end();
    return tap_done();
}
