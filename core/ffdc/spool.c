/* spool.c - STATE_DIR/ffdc: bundles that wait for the repository, as C/NODE/csnap_..., and
 * manifests that wait for the VIOS DB. It is bounded: the oldest go. */
#include "ffdc/ffdc_private.h"

#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void path_of(const struct ffdc *ffdc, const char *correlator, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.3800s/%.31s", ffdc->spool, correlator);
}

int spool_open(struct ffdc *ffdc, const struct manifest *manifest, int *folder_fd,
               char path[PATH_MAX], struct vios_error *error)
{
    char folder[PATH_MAX], name[MANIFEST_FILE_SIZE];
    path_of(ffdc, manifest->correlator, folder);
    size_t length = strlen(folder);
    snprintf(folder + length, sizeof folder - length, "/%s", ffdc->node->name);
    snprintf(path, PATH_MAX, "%.3900s/%s", folder, manifest_file(manifest, name));
    int status = file_make_folders(folder, 0700, error);
    if (status == VIOS_OK) {
        *folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        status = *folder_fd < 0 ? error_set_errno(error, folder, "cannot be opened") : VIOS_OK;
    }
    return status;
}

static int open_incident(struct ffdc *ffdc, const char *correlator, struct vios_error *error)
{
    int fd = openat(ffdc->spool_fd, correlator, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_set_errno(error, correlator, "cannot be opened") : fd;
}

int spool_put_manifest(struct ffdc *ffdc, const struct manifest *manifest, struct vios_error *error)
{
    char path[PATH_MAX];
    path_of(ffdc, manifest->correlator, path);
    int status = file_make_folders(path, 0700, error);
    int fd = status == VIOS_OK ? open_incident(ffdc, manifest->correlator, error) : status;
    if (fd < 0) {
        return fd;
    }
    char *text = manifest_format(manifest);
    status = text ? file_replace(fd, MANIFEST_NAME, text, strlen(text), 0600, error)
                  : error_no_memory(error, NULL);
    free(text);
    close(fd);
    return status;
}

int spool_read_manifest(struct ffdc *ffdc, const char *correlator, struct manifest *manifest,
                        struct vios_error *error)
{
    char *text = NULL;
    size_t size;
    int fd = open_incident(ffdc, correlator, error);
    if (fd < 0) {
        return fd;
    }
    int status = file_read(fd, MANIFEST_NAME, MANIFEST_TEXT_MAX, &text, &size, error);
    if (status == VIOS_OK) {
        status = manifest_parse(text, size, manifest, error);
    }
    free(text);
    close(fd);
    return status;
}

void spool_drop(struct ffdc *ffdc, const char *correlator)
{
    char path[PATH_MAX];
    struct vios_error error;
    path_of(ffdc, correlator, path);
    if (file_remove_tree(path, &error) != VIOS_OK) {
        log_warning("ffdc", "%s stays: %s", path, error.message);
    }
}

void spool_each(struct ffdc *ffdc, void (*each)(void *context, const char *correlator),
                void *context)
{
    int fd = openat(ffdc->spool_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL) {
        if (manifest_check_correlator(entry->d_name, NULL) == VIOS_OK) {
            each(context, entry->d_name);
        }
    }
    if (folder) {
        closedir(folder);
    }
}

/* --- its bound --- */

struct oldest {
    struct ffdc *ffdc;
    char correlator[MANIFEST_CORRELATOR_SIZE];
    time_t since;
    int count;
    int64_t bytes;
};

static int64_t tree_bytes(int fd)
{
    int64_t bytes = 0;
    DIR *folder = fdopendir(fd); /* closes it */
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL) {
        struct stat info;
        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        int below = S_ISDIR(info.st_mode) ? openat(dirfd(folder), entry->d_name,
                                                   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                                          : -1;
        bytes += below >= 0 ? tree_bytes(below) : info.st_size;
    }
    if (folder) {
        closedir(folder);
    }
    return bytes;
}

static void look_at(void *context, const char *correlator)
{
    struct oldest *oldest = context;
    struct stat info;
    int fd = open_incident(oldest->ffdc, correlator, NULL);
    if (fd < 0) {
        return;
    }
    memset(&info, 0, sizeof info);
    (void)fstat(fd, &info);
    if (oldest->count++ == 0 || info.st_mtime < oldest->since) {
        oldest->since = info.st_mtime;
        snprintf(oldest->correlator, sizeof oldest->correlator, "%.31s", correlator);
    }
    oldest->bytes += tree_bytes(fd);
}

void spool_make_room(struct ffdc *ffdc)
{
    for (int tries = 0; tries <= FFDC_SPOOL_MAX; tries++) {
        struct oldest oldest = {.ffdc = ffdc};
        spool_each(ffdc, look_at, &oldest);
        if (oldest.count < FFDC_SPOOL_MAX && oldest.bytes < FFDC_SPOOL_BYTES) {
            return;
        }
        log_warning("ffdc", "what waits of incident %s is dropped: %d incidents wait, %lld bytes",
                    oldest.correlator, oldest.count, (long long)oldest.bytes);
        spool_drop(ffdc, oldest.correlator);
    }
}
