/* fileset.c - see fileset.h. */
#include "image/fileset.h"

#include "base/file.h"
#include "storage/pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MODE 0700
#define IMAGE_FOLDER "image"

static int open_folder(int at, const char *name, struct vios_error *error)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : error_set_errno(error, name, "cannot open this folder");
}

int fileset_open_pool(const struct node *node, const char *pool, struct vios_error *error)
{
    char path[PATH_MAX];
    int status = pool_path(node, pool, IMAGE_FOLDER, path, error);
    return status < 0 ? status : open_folder(AT_FDCWD, path, error);
}

static char *work_name(const struct node *node, const struct image *image, char *name)
{
    snprintf(name, FILESET_NAME_SIZE, ".%s.%s-%lld", image->handle, node->name,
             (long long)node->incarnation);
    return name;
}

static int open_below(const struct node *node, const struct image *image, const char *name,
                      struct vios_error *error)
{
    int pool = fileset_open_pool(node, image->pool, error);
    int fd = pool < 0 ? pool : open_folder(pool, name, error);
    if (pool >= 0) {
        close(pool);
    }
    return fd;
}

int fileset_open_work(const struct node *node, const struct image *image, struct vios_error *error)
{
    char name[FILESET_NAME_SIZE];
    int pool = fileset_open_pool(node, image->pool, error);
    int fd = pool;
    if (pool >= 0) {
        fd = mkdirat(pool, work_name(node, image, name), FOLDER_MODE) == 0 || errno == EEXIST
                 ? open_folder(pool, name, error)
                 : error_set_errno(error, name, "cannot make this folder");
        close(pool);
    }
    return fd;
}

int fileset_work_path(const struct node *node, const struct image *image, char path[PATH_MAX],
                      struct vios_error *error)
{
    char name[FILESET_NAME_SIZE], below[FILESET_NAME_SIZE + 8];
    snprintf(below, sizeof below, IMAGE_FOLDER "/%s", work_name(node, image, name));
    return pool_path(node, image->pool, below, path, error);
}

int fileset_open(const struct node *node, const struct image *image, struct vios_error *error)
{
    return open_below(node, image, image->handle, error);
}

/* Removes `name` in an open folder, whatever it is, by its path through the descriptor. */
int fileset_remove_entry(int folder, const char *name, struct vios_error *error)
{
    char path[FILESET_NAME_SIZE + 64];
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, name);
    return file_remove_tree(path, error);
}

static int sync_folder(int fd, const char *name, struct vios_error *error)
{
    return fsync(fd) == 0 ? VIOS_OK : error_set_errno(error, name, "cannot sync this folder");
}

static bool is_there(const struct node *node, const struct image *image, const char *name)
{
    int pool = fileset_open_pool(node, image->pool, NULL);
    bool there = pool >= 0 && faccessat(pool, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (pool >= 0) {
        close(pool);
    }
    return there;
}

bool fileset_has_work(const struct node *node, const struct image *image)
{
    char name[FILESET_NAME_SIZE];
    return is_there(node, image, work_name(node, image, name));
}

bool fileset_is_published(const struct node *node, const struct image *image)
{
    return is_there(node, image, image->handle);
}

int fileset_publish(const struct node *node, const struct image *image, struct vios_error *error)
{
    char name[FILESET_NAME_SIZE];
    int pool = fileset_open_pool(node, image->pool, error);
    if (pool < 0) {
        return pool;
    }
    int status = renameat(pool, work_name(node, image, name), pool, image->handle) == 0
                     ? sync_folder(pool, IMAGE_FOLDER, error)
                     : error_set_errno(error, name, "cannot rename this folder");
    close(pool);
    return status;
}

int fileset_remove_work(const struct node *node, const struct image *image,
                        struct vios_error *error)
{
    char prefix[FILESET_NAME_SIZE];
    int pool = fileset_open_pool(node, image->pool, error);
    if (pool < 0) {
        return pool == VIOS_E_NOT_FOUND ? VIOS_OK : pool;
    }
    int status = VIOS_OK, length = snprintf(prefix, sizeof prefix, ".%s.", image->handle);
    DIR *folder = fdopendir(pool);
    struct dirent *entry;
    while (folder && status == VIOS_OK && (entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, prefix, (size_t)length) == 0) {
            status = fileset_remove_entry(pool, entry->d_name, error);
        }
    }
    if (status == VIOS_OK) {
        status = sync_folder(pool, IMAGE_FOLDER, error);
    }
    if (folder) {
        closedir(folder);
    } else {
        close(pool);
    }
    return status;
}

int fileset_remove(const struct node *node, const struct image *image, struct vios_error *error)
{
    char gone[FILESET_NAME_SIZE];
    int pool = fileset_open_pool(node, image->pool, error);
    if (pool < 0) {
        return pool == VIOS_E_NOT_FOUND ? VIOS_OK : pool;
    }
    /* It has no name any more before the first of its files goes. */
    snprintf(gone, sizeof gone, ".%s.removed", image->handle);
    int status = VIOS_OK;
    if (renameat(pool, image->handle, pool, gone) != 0 && errno != ENOENT) {
        status = error_set_errno(error, image->handle, "cannot rename this folder");
    }
    if (status == VIOS_OK) {
        status = fileset_remove_entry(pool, gone, error);
    }
    if (status == VIOS_OK) {
        status = sync_folder(pool, IMAGE_FOLDER, error);
    }
    close(pool);
    return status;
}
