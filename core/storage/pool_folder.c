/* pool_folder.c - see pool_folder.h. The marker is made first and removed last, so that what lies
 * between is known to be ours. */
#include "storage/pool_folder.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MODE 0700
#define MARKER_TEMPORARY "." POOL_MARKER "."

static const char *const BELOW[] = {"image", "lu"};
#define BELOW_COUNT (sizeof BELOW / sizeof *BELOW)

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The first entry of the folder for which `counts` says so, "" when there is none. */
static int find_entry(int at, const char *path, bool (*counts)(int folder, const char *name),
                      char found[NAME_MAX + 1], struct vios_error *error)
{
    const struct dirent *entry;
    found[0] = '\0';
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder) {
        int status = error_set_errno(error, path, "cannot read this folder");
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    while (!found[0] && (entry = readdir(folder))) {
        if (!is_dots(entry->d_name) && counts(fd, entry->d_name)) {
            snprintf(found, NAME_MAX + 1, "%s", entry->d_name);
        }
    }
    closedir(folder);
    return VIOS_OK;
}

static int open_pool(const struct node *node, const char *name, int *fd, struct vios_error *error)
{
    char path[PATH_MAX], object[96];
    int status = pool_path(node, name, NULL, path, error);
    if (status < 0) {
        return status;
    }
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd >= 0 ? VIOS_OK
                    : error_set_errno(error, pool_object(name, object), "cannot open %.200s", path);
}

bool pool_folder_exists(const struct node *node, const char *pool)
{
    char path[PATH_MAX];
    struct stat status;
    return pool_path(node, pool, NULL, path, NULL) == VIOS_OK && lstat(path, &status) == 0;
}

/* --- making it --- */

static bool is_foreign(int folder, const char *name)
{
    (void)folder;
    return strcmp(name, "lost+found") != 0 &&
           strncmp(name, MARKER_TEMPORARY, strlen(MARKER_TEMPORARY)) != 0;
}

static int write_marker(const struct node *node, int folder, const struct pool *pool,
                        struct vios_error *error)
{
    char found[NAME_MAX + 1], object[96];
    int status = find_entry(folder, ".", is_foreign, found, error);
    if (status == VIOS_OK && found[0]) {
        status = error_set(error, VIOS_E_EXISTS, pool_object(pool->name, object),
                           "empty it, or choose another name",
                           "its folder is there and holds \"%.200s\"", found);
    }
    if (status < 0) {
        return status;
    }
    json_t *json = json_pack("{s:i, s:s, s:s, s:s}", "v", 1, "cluster", node->cluster, "pool",
                             pool->name, "uuid", pool->uuid);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    status = text ? file_replace(folder, POOL_MARKER, text, strlen(text), 0600, error)
                  : error_no_memory(error, NULL);
    free(text);
    json_decref(json);
    return status;
}

static int make_below(int folder, const struct pool *pool, struct vios_error *error)
{
    char object[96];
    for (size_t i = 0; i < BELOW_COUNT; i++) {
        if (mkdirat(folder, BELOW[i], FOLDER_MODE) != 0 && errno != EEXIST) {
            return error_set_errno(error, pool_object(pool->name, object),
                                   "cannot make its folder \"%s\"", BELOW[i]);
        }
    }
    return fsync(folder) == 0
               ? VIOS_OK
               : error_set_errno(error, pool_object(pool->name, object), "cannot sync its folder");
}

int pool_folder_make(const struct node *node, const struct pool *pool, struct vios_error *error)
{
    char path[PATH_MAX];
    struct stat marker;
    int folder = -1;
    int status = pool_path(node, pool->name, NULL, path, error);
    if (status == VIOS_OK) {
        status = file_make_folders(path, FOLDER_MODE, error);
    }
    if (status == VIOS_OK) {
        status = open_pool(node, pool->name, &folder, error);
    }
    if (status < 0) {
        return status;
    }
    if (fstatat(folder, POOL_MARKER, &marker, AT_SYMLINK_NOFOLLOW) == 0) {
        status = pool_check(node, pool, error);
    } else {
        status = write_marker(node, folder, pool, error);
    }
    if (status == VIOS_OK) {
        status = make_below(folder, pool, error);
    }
    close(folder);
    return status;
}

/* --- removing it --- */

/* What a probe or a killed job left goes, since no LU is left that it could be of. */
static bool is_data(int folder, const char *name)
{
    struct stat status;
    bool left = name[0] == '.' && fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISREG(status.st_mode);
    return !left || unlinkat(folder, name, 0) != 0;
}

static int check_empty(int folder, const struct pool *pool, struct vios_error *error)
{
    char found[NAME_MAX + 1], object[96];
    for (size_t i = 0; i < BELOW_COUNT; i++) {
        struct stat status;
        if (fstatat(folder, BELOW[i], &status, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        int result = find_entry(folder, BELOW[i], is_data, found, error);
        if (result == VIOS_OK && found[0]) {
            result = error_set(error, VIOS_E_CONFLICT, pool_object(pool->name, object),
                               "look at it, and move it away",
                               "its folder \"%s\" holds \"%.200s\", which no record names",
                               BELOW[i], found);
        }
        if (result < 0) {
            return result;
        }
    }
    return VIOS_OK;
}

int pool_folder_check_empty(const struct node *node, const struct pool *pool,
                            struct vios_error *error)
{
    int folder = -1;
    int status = open_pool(node, pool->name, &folder, error);
    if (status == VIOS_OK) {
        status = check_empty(folder, pool, error);
        close(folder);
    }
    return status;
}

static int remove_content(int folder, const struct pool *pool, struct vios_error *error)
{
    char object[96];
    int status = check_empty(folder, pool, error);
    for (size_t i = 0; status == VIOS_OK && i < BELOW_COUNT; i++) {
        if (unlinkat(folder, BELOW[i], AT_REMOVEDIR) != 0 && errno != ENOENT) {
            status = error_set_errno(error, pool_object(pool->name, object),
                                     "cannot remove its folder \"%s\"", BELOW[i]);
        }
    }
    if (status == VIOS_OK && unlinkat(folder, POOL_MARKER, 0) != 0 && errno != ENOENT) {
        status =
            error_set_errno(error, pool_object(pool->name, object), "cannot remove its marker");
    }
    if (status == VIOS_OK && fsync(folder) != 0) {
        status = error_set_errno(error, pool_object(pool->name, object), "cannot sync its folder");
    }
    return status;
}

int pool_folder_remove(const struct node *node, const struct pool *pool, bool whole,
                       struct vios_error *error)
{
    char path[PATH_MAX];
    struct stat marker;
    int folder = -1;
    int status = open_pool(node, pool->name, &folder, error);
    if (status < 0) {
        return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
    }
    if (fstatat(folder, POOL_MARKER, &marker, AT_SYMLINK_NOFOLLOW) == 0) {
        /* Somebody else's stays, and so does all else there. */
        bool ours = pool_check(node, pool, NULL) == VIOS_OK;
        status = ours ? remove_content(folder, pool, error) : VIOS_OK;
        whole = whole && ours;
    }
    close(folder);
    if (status == VIOS_OK && whole && pool_path(node, pool->name, NULL, path, NULL) == VIOS_OK) {
        rmdir(path); /* a mount point, or one with lost+found, stays */
    }
    return status;
}

/* --- trying it --- */

void pool_folder_probe(const struct node *node, const struct pool *pool, struct pool_probe *probe)
{
    char path[PATH_MAX];
    struct vios_error error = {0};
    memset(probe, 0, sizeof *probe);
    probe->fence = LU_FENCE_LOCAL_ONLY;
    probe->mounted = pool_check(node, pool, &error) == VIOS_OK &&
                     pool_space(node, pool->name, &probe->space, &error) == VIOS_OK;
    if (probe->mounted) {
        probe->writable = pool_path(node, pool->name, "lu", path, &error) == VIOS_OK &&
                          lu_file_probe(path, &probe->fence, &error) == VIOS_OK;
    }
    if (!probe->writable) {
        snprintf(probe->why, sizeof probe->why, "%.199s", error.message);
    }
}
