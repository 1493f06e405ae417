/* repository.c - see repository.h. */
#include "storage/repository.h"

#include "base/file.h"
#include "base/json.h"
#include "base/parse.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OBJECT "repository"

int repository_path(const struct node *node, const char *object, const char **path,
                    struct vios_error *error)
{
    *path = config_text(node->config, "repository");
    return *path && (*path)[0]
               ? VIOS_OK
               : error_set(error, VIOS_E_INVALID, object, "set repository in the configuration",
                           "this node has no repository");
}

int repository_check_marker(const char *text, const char *uuid, struct vios_error *error)
{
    const char *cluster = NULL, *there = NULL;
    int version = 0;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    int status = VIOS_OK;
    if (json_unpack(json, "{s:i, s:s, s:s}", "v", &version, "cluster", &cluster, "uuid", &there) !=
            0 ||
        version != 1 || parse_name(cluster, "cluster", NULL) < 0 || parse_uuid(there, NULL) < 0) {
        status = error_set(error, VIOS_E_INVALID, OBJECT, "look at " REPOSITORY_MARKER " in it",
                           "its marker is damaged");
    } else if (strcmp(there, uuid) != 0) {
        status = error_set(error, VIOS_E_INVALID, OBJECT, "mount the right one",
                           "it is that of another cluster, \"%s\" (%s)", cluster, there);
    }
    json_decref(json);
    return status;
}

int repository_write_marker(int folder, const char *cluster, const char *uuid,
                            struct vios_error *error)
{
    json_t *json = json_pack("{s:i, s:s, s:s}", "v", 1, "cluster", cluster, "uuid", uuid);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    int status = text ? file_replace(folder, REPOSITORY_MARKER, text, strlen(text), 0600, error)
                      : error_no_memory(error, OBJECT);
    free(text);
    json_decref(json);
    return status;
}

static int check_folder(int folder, const struct node *node, const char *uuid, bool make,
                        struct vios_error *error)
{
    char *text = NULL;
    size_t size;
    int status = file_read(folder, REPOSITORY_MARKER, REPOSITORY_MARKER_MAX, &text, &size, error);
    if (status == VIOS_OK) {
        status = repository_check_marker(text, uuid, error);
    } else if (status == VIOS_E_NOT_FOUND && make) {
        status = repository_write_marker(folder, node->cluster, uuid, error);
    } else if (status == VIOS_E_NOT_FOUND) {
        status = error_set(error, VIOS_E_INVALID, OBJECT, "mount its file system there",
                           "it is not mounted on this node: %.200s has no " REPOSITORY_MARKER,
                           config_text(node->config, "repository"));
    }
    free(text);
    return status;
}

int repository_check(const struct node *node, struct store *store, bool make,
                     struct operation *operation)
{
    const char *path;
    json_t *cluster = NULL;
    int status = repository_path(node, OBJECT, &path, &operation->error);
    if (status == VIOS_OK) {
        status = node_record(store, "/cluster", &cluster, NULL, operation);
    }
    if (status < 0) {
        return status;
    }
    const char *uuid = json_get_text(cluster, "uuid");
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!uuid) {
        status = operation_fail(operation, VIOS_E_CORRUPT, "cluster", "look at it with db get",
                                "its record has no uuid");
    } else if (folder < 0) {
        status = error_set_errno(&operation->error, OBJECT, "cannot open %.200s", path);
    } else {
        status = check_folder(folder, node, uuid, make, &operation->error);
    }
    if (folder >= 0) {
        close(folder);
    }
    json_decref(cluster);
    return status;
}
