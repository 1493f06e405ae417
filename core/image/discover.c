/* discover.c - see discover.h. */
#include "image/discover.h"

#include "base/file.h"
#include "base/json.h"
#include "image/description.h"
#include "image/image_folder.h"
#include "lpar/guest.h"
#include "node/driver.h"
#include "node/members.h"
#include "node/others.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QMP_TIMEOUT_MS 2000
#define TEXT_MAX 64
#define SECTOR 512

static void add(json_t *list, const struct node *node, const char *kind, const char *name,
                uint64_t size_bytes, const char *state, const char *detail)
{
    if (json_array_size(list) < DISCOVER_OBJECTS_MAX) {
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:[s], s:I, s:s, s:s}", "kind", kind, "name",
                                        name, "nodes", node->name, "size_bytes",
                                        (json_int_t)size_bytes, "state", state, "detail", detail));
    }
}

/* Calls `look` on each name in a folder. One that cannot be read holds nothing. */
static void each_name(json_t *list, const struct node *node, const char *path,
                      void (*look)(json_t *, const struct node *, int folder, const char *name))
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.') {
            look(list, node, dirfd(folder), entry->d_name);
        }
    }
    if (folder) {
        closedir(folder);
    }
}

/* --- disks --- */

/* A small file below /sys/block/NAME, without its end; "" when there is none. */
static void read_attribute(int disk, const char *name, char text[TEXT_MAX])
{
    char *data = NULL;
    size_t size = 0;
    text[0] = 0;
    if (file_read(disk, name, TEXT_MAX * 4, &data, &size, NULL) == VIOS_OK) {
        snprintf(text, TEXT_MAX, "%s", data);
        text[strcspn(text, "\n")] = 0;
    }
    free(data);
}

static const char *disk_state(const char *path)
{
    int fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return "free";
    }
    return errno == EBUSY ? "in use" : errno == EACCES || errno == EPERM ? "no access" : "failed";
}

static void discover_disk(json_t *list, const struct node *node, int folder, const char *name)
{
    char path[NAME_MAX + 8], sectors[TEXT_MAX], model[TEXT_MAX];
    int disk = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk < 0) {
        return;
    }
    read_attribute(disk, "size", sectors);
    read_attribute(disk, "device/model", model);
    uint64_t size = strtoull(sectors, NULL, 10) * SECTOR;
    close(disk);
    if (size > 0) {
        snprintf(path, sizeof path, "/dev/%s", name);
        add(list, node, "disk", path, size, disk_state(path), model);
    }
}

/* --- images that could be imported --- */

static void discover_folder(json_t *list, const struct node *node, int fd, const char *name)
{
    struct image_description description;
    struct vios_error error = {0};
    char detail[sizeof error.message];
    int status = image_folder_description(fd, &description, &error);
    uint64_t size = status == VIOS_OK ? image_folder_size(fd, &description) : 0;
    if (status == VIOS_OK) {
        snprintf(detail, sizeof detail, "%.60s %.60s %.60s, %zu file%s", description.name,
                 description.version, description.architecture, description.file_count,
                 description.file_count == 1 ? "" : "s");
    } else {
        snprintf(detail, sizeof detail, "%s", error.message);
    }
    add(list, node, "image", name, size, status == VIOS_OK ? "ready" : "invalid", detail);
}

static void discover_entry(json_t *list, const struct node *node, int images, const char *name)
{
    struct stat info;
    int fd = openat(images, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        add(list, node, "image", name, 0, "no access", strerror(errno));
    } else if (S_ISDIR(info.st_mode)) {
        discover_folder(list, node, fd, name);
    } else if (S_ISREG(info.st_mode)) {
        add(list, node, "image", name, (uint64_t)info.st_size, "ready", "a file");
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void discover_images(json_t *list, const struct node *node)
{
    char path[PATH_MAX];
    if (image_folder_path(node, NULL, path, NULL) == VIOS_OK) {
        each_name(list, node, path, discover_entry);
    }
}

/* --- partitions: what QEMU itself says --- */

static void discover_partitions(json_t *list, const struct node *node, struct cancel *cancel)
{
    size_t count = 0;
    struct guest **guests = node->lpars ? lpars_list(node->lpars, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        struct operation asking;
        json_t *answer = NULL;
        const struct lpar *lpar = guest_lpar(guests[i]);
        operation_start(&asking, QMP_TIMEOUT_MS, cancel);
        int status = guest_call(guests[i], "query-status", NULL, &answer, &asking);
        const char *state = json_get_text(answer, "status");
        add(list, node, "partition", lpar->name, lpar->memory_bytes,
            status == VIOS_OK && state ? state : "no answer",
            status == VIOS_OK ? lpar->uuid : asking.error.message);
        json_decref(answer);
        guest_release(guests[i]);
    }
    free(guests);
}

int discover_agent_call(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    (void)parameters;
    *result = json_array();
    discover_partitions(*result, call->node, operation->cancel);
    discover_images(*result, call->node);
    each_name(*result, call->node, "/sys/block", discover_disk);
    return VIOS_OK;
}

/* --- the director --- */

/* What several nodes see is one object: an image in the repository. */
static json_t *find_same(const json_t *list, const json_t *object)
{
    size_t i;
    json_t *other;
    const char *kind = json_get_text(object, "kind");
    if (!kind || strcmp(kind, "image") != 0) {
        return NULL;
    }
    json_array_foreach((json_t *)list, i, other)
    {
        if (json_equal(json_object_get(other, "kind"), json_object_get(object, "kind")) &&
            json_equal(json_object_get(other, "name"), json_object_get(object, "name")) &&
            json_equal(json_object_get(other, "state"), json_object_get(object, "state"))) {
            return other;
        }
    }
    return NULL;
}

static void merge(json_t *list, const json_t *found)
{
    size_t i;
    json_t *object;
    json_array_foreach((json_t *)found, i, object)
    {
        json_t *same = find_same(list, object);
        if (same) {
            json_array_extend(json_object_get(same, "nodes"), json_object_get(object, "nodes"));
        } else {
            json_array_append(list, object);
        }
    }
}

static void ask_node(struct call *call, const char *name, json_t *list, struct operation *operation)
{
    json_t *found = NULL;
    struct operation asking;
    operation_start(&asking, DISCOVER_NODE_MS, operation->cancel);
    int status = strcmp(name, call->node->name) == 0
                     ? discover_agent_call(call, NULL, &found, &asking)
                     : others_call(call, name, "daemon.discover", json_object(), &found, &asking);
    if (status == VIOS_OK && json_is_array(found)) {
        merge(list, found);
    } else {
        json_array_append_new(list, json_pack("{s:s, s:s, s:[s], s:i, s:s, s:s}", "kind", "node",
                                              "name", name, "nodes", name, "size_bytes", 0, "state",
                                              error_name(status), "detail", asking.error.message));
    }
    json_decref(found);
}

static bool is_there(const struct member *member)
{
    return member->state == MEMBER_UP || member->state == MEMBER_SUSPECT ||
           member->state == MEMBER_DRAINED;
}

static int direct(struct call *call, const char *only, json_t **result, struct operation *operation)
{
    struct member *members = NULL;
    size_t count = 0, asked = 0;
    int status = node_members(call->node, &members, &count);
    if (status < 0) {
        return operation_no_memory(operation, NULL);
    }
    *result = json_array();
    for (size_t i = 0; i < count && status == VIOS_OK; i++) {
        if (only ? strcmp(members[i].name, only) == 0 : is_there(&members[i])) {
            ask_node(call, members[i].name, *result, operation);
            status = operation_check(operation);
            asked++;
        }
    }
    free(members);
    if (status == VIOS_OK && only && asked == 0) {
        status = operation_fail(operation, VIOS_E_NOT_FOUND, only, "see \"vios node list\"",
                                "there is no such node");
    }
    if (status < 0) {
        json_decref(*result);
        *result = NULL;
    }
    return status;
}

int discover_call(struct call *call, const json_t *parameters, json_t **result,
                  struct operation *operation)
{
    char primary[NAME_MAX_LENGTH + 1] = "";
    const char *only = json_get_text(parameters, "node");
    others_primary(call->node, primary);
    if (primary[0] && !strchr(call->actor, '@')) { /* forwarded once: it may have changed */
        return others_call(call, primary, "image.discover", json_deep_copy(parameters), result,
                           operation);
    }
    return direct(call, only, result, operation);
}
