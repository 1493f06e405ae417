/* event_file.c - see event_file.h. */
#include "event/event_file.h"

#include "base/file.h"
#include "storage/repository.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MODE 0600
#define FOLDER_MODE 0700

int event_file_path(const struct node *node, const char *producer, const char *below, char *path,
                    struct vios_error *error)
{
    const char *repository;
    int status = repository_path(node, "events", &repository, error);
    if (status != VIOS_OK) {
        return status;
    }
    int length = snprintf(path, PATH_MAX, "%s/events%s%s%s%s", repository, producer ? "/" : "",
                          producer ? producer : "", below ? "/" : "", below ? below : "");
    return length < PATH_MAX ? VIOS_OK
                             : error_set(error, VIOS_E_INVALID, "events",
                                         "mount the repository elsewhere", "its path is too long");
}

/* So that a folder that was made in it is there after a crash. */
static int sync_folder(const char *path, struct vios_error *error)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = folder >= 0 && fsync(folder) == 0
                     ? VIOS_OK
                     : error_set_errno(error, "events", "cannot sync %.200s", path);
    if (folder >= 0) {
        close(folder);
    }
    return status;
}

/* Of a producer, durably, when it is absent; the folder `repository` is there. */
static int make_folder(const char *repository, const char *path, struct vios_error *error)
{
    char events[PATH_MAX];
    if (access(path, F_OK) == 0) {
        return VIOS_OK;
    }
    snprintf(events, sizeof events, "%s/events", repository);
    int status = file_make_folders(path, FOLDER_MODE, error);
    if (status == VIOS_OK) {
        status = sync_folder(events, error);
    }
    return status == VIOS_OK ? sync_folder(repository, error) : status;
}

/* The folder's descriptor, or a status. With `make` it is made when it is absent; the folder above
 * is not, for then another file system is mounted there. */
static int open_folder(const struct node *node, const char *producer, bool make,
                       struct vios_error *error)
{
    char path[PATH_MAX];
    int status = event_file_path(node, producer, NULL, path, error);
    if (status != VIOS_OK) {
        return status;
    }
    const char *repository = config_text(node->config, "repository");
    if (make && access(repository, F_OK) == 0) {
        status = make_folder(repository, path, error);
    }
    if (status != VIOS_OK) {
        return status;
    }
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder >= 0 ? folder : error_set_errno(error, "events", "cannot open %.200s", path);
}

int event_file_write(const struct node *node, const struct payload *payload,
                     struct vios_error *error)
{
    char *text = NULL;
    size_t size = 0;
    int folder = open_folder(node, payload->node, true, error);
    int status = folder < 0 ? folder : payload_format(payload, &text, &size, error);
    if (status == VIOS_OK) {
        status = file_replace(folder, payload->name, text, size, FILE_MODE, error);
    }
    if (folder >= 0) {
        close(folder);
    }
    free(text);
    return status;
}

int event_file_parse(const char *text, size_t size, const struct node *node, const char *producer,
                     const char *name, struct payload *payload, struct vios_error *error)
{
    int status = payload_parse(text, size, payload, error);
    if (status == VIOS_OK &&
        (strcmp(payload->node, producer) != 0 || strcmp(payload->name, name) != 0 ||
         (node->cluster[0] && strcmp(payload->cluster, node->cluster) != 0))) {
        payload_clear(payload);
        status = error_set(error, VIOS_E_CORRUPT, "payload file",
                           "look at who writes into the repository",
                           "it is of another cluster, node or name than its place says");
    }
    return status;
}

int event_file_read(const struct node *node, const char *producer, const char *name,
                    struct payload *payload, struct vios_error *error)
{
    char *text = NULL;
    size_t size = 0;
    *payload = (struct payload){0};
    int folder = open_folder(node, producer, false, error);
    int status =
        folder < 0 ? folder : file_read(folder, name, PAYLOAD_SIZE_MAX, &text, &size, error);
    if (status == VIOS_OK) {
        status = event_file_parse(text, size, node, producer, name, payload, error);
    }
    if (folder >= 0) {
        close(folder);
    }
    free(text);
    return status;
}

int event_file_remove(const struct node *node, const char *producer, const char *name,
                      struct vios_error *error)
{
    char path[PATH_MAX];
    int status = event_file_path(node, producer, name, path, error);
    if (status == VIOS_OK && unlink(path) != 0 && errno != ENOENT) {
        status = error_set_errno(error, "events", "cannot remove %.200s", path);
    }
    return status;
}

int event_file_quarantine(const struct node *node, const char *producer, const char *name,
                          struct vios_error *error)
{
    char path[PATH_MAX], aside[PATH_MAX + sizeof EVENT_FILE_DAMAGED];
    int status = event_file_path(node, producer, name, path, error);
    if (status == VIOS_OK) {
        snprintf(aside, sizeof aside, "%s" EVENT_FILE_DAMAGED, path);
        status = rename(path, aside) == 0
                     ? VIOS_OK
                     : error_set_errno(error, "events", "cannot put %.200s aside", path);
    }
    return status;
}

static bool is_entry(const char *name)
{
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

int event_file_each(const struct node *node, const char *producer,
                    int (*each)(void *context, const char *name, struct vios_error *error),
                    void *context, struct vios_error *error)
{
    const struct dirent *entry;
    int folder = open_folder(node, producer, false, error);
    if (folder == VIOS_E_NOT_FOUND) {
        return VIOS_OK;
    }
    DIR *listing = folder >= 0 ? fdopendir(folder) : NULL;
    if (!listing) {
        int status = folder < 0 ? folder : error_no_memory(error, "events");
        if (folder >= 0) {
            close(folder);
        }
        return status;
    }
    int status = VIOS_OK;
    while (status == VIOS_OK && (entry = readdir(listing)) != NULL) {
        if (is_entry(entry->d_name)) {
            status = each(context, entry->d_name, error);
        }
    }
    closedir(listing);
    return status;
}
