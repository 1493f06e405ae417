/* lu_file.c - see lu_file.h. */
#include "storage/lu_file.h"

#include "base/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE_SIZE 4096
#define NAME_SIZE 128

static const char *const FENCE_NAMES[] = {"clone", "grace", "local-only"};

const char *lu_fence_name(enum lu_fence fence)
{
    return FENCE_NAMES[fence];
}

static int open_folder(const char *path, int *fd, struct vios_error *error)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd >= 0 ? VIOS_OK : error_set_errno(error, path, "cannot open this folder");
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

/* --- probing --- */

static bool clones(int to, int from)
{
    return ioctl(to, FICLONE, from) == 0;
}

static bool opens_direct(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDWR | O_DIRECT | O_CLOEXEC);
    close_if_open(fd);
    return fd >= 0;
}

static int make_probe(int folder, const char *name, struct vios_error *error)
{
    static const char zeroes[PROBE_SIZE];
    int fd = openat(folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, zeroes, sizeof zeroes) != (ssize_t)sizeof zeroes) {
        close(fd);
        fd = -1;
    }
    return fd >= 0 ? fd : error_set_errno(error, name, "cannot write it");
}

int lu_file_probe(const char *path, enum lu_fence *fence, struct vios_error *error)
{
    char first[NAME_SIZE], second[NAME_SIZE], uuid[UUID_TEXT_SIZE];
    int folder = -1, from = -1, to = -1;
    uuid_make(uuid); /* all nodes may try at once */
    snprintf(first, sizeof first, LU_PROBE_PREFIX "%s", uuid);
    snprintf(second, sizeof second, LU_PROBE_PREFIX "%s-clone", uuid);
    int status = open_folder(path, &folder, error);
    if (status < 0) {
        return status;
    }
    from = make_probe(folder, first, error);
    to = from < 0 ? from : make_probe(folder, second, error);
    if (to >= 0) {
        *fence = !opens_direct(folder, first) ? LU_FENCE_LOCAL_ONLY
                 : clones(to, from)           ? LU_FENCE_CLONE
                                              : LU_FENCE_GRACE;
    }
    close_if_open(from);
    close_if_open(to);
    unlinkat(folder, first, 0);
    unlinkat(folder, second, 0);
    close(folder);
    return to < 0 ? to : VIOS_OK;
}

/* --- a new file --- */

static int clone_to(int folder, const char *from, const char *temporary, struct vios_error *error)
{
    int status = VIOS_OK, to = -1;
    struct stat old;
    int source = openat(folder, from, O_RDONLY | O_CLOEXEC);
    if (source < 0 || fstat(source, &old) != 0) {
        status = error_set_errno(error, from, "cannot open it");
        goto out;
    }
    to = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0) {
        status = error_set_errno(error, temporary, "cannot make it");
    } else if (!clones(to, source)) {
        status = errno == EOPNOTSUPP || errno == ENOTTY || errno == EINVAL
                     ? error_set(error, VIOS_E_INVALID, from, "use the grace time",
                                 "its file system does not clone files")
                     : error_set_errno(error, from, "cannot clone it");
    } else if (fchmod(to, old.st_mode & 07777) != 0 ||
               (geteuid() == 0 && fchown(to, old.st_uid, old.st_gid) != 0) || fsync(to) != 0) {
        status = error_set_errno(error, temporary, "cannot finish it");
    }
out:
    close_if_open(source);
    close_if_open(to);
    return status;
}

int lu_file_renew(const char *path, const char *from, const char *to, struct vios_error *error)
{
    char temporary[NAME_MAX + 1];
    int folder = -1;
    if (strlen(to) > NAME_MAX - strlen(".new")) {
        return error_set(error, VIOS_E_INVALID, to, NULL, "the name is too long");
    }
    snprintf(temporary, sizeof temporary, "%s.new", to);
    int status = open_folder(path, &folder, error);
    if (status == VIOS_OK) {
        status = clone_to(folder, from, temporary, error);
        if (status == VIOS_OK &&
            (renameat(folder, temporary, folder, to) != 0 || fsync(folder) != 0)) {
            status = error_set_errno(error, to, "cannot rename it");
        }
        if (status < 0) {
            unlinkat(folder, temporary, 0);
        }
    }
    close_if_open(folder);
    return status;
}

/* --- the end --- */

/* ".UDID.n1-3.new", or with `all` also "UDID.7". */
static bool is_of(const char *name, const char *udid, bool all)
{
    size_t length = strlen(udid);
    if (name[0] != '.' && !all) {
        return false;
    }
    name += name[0] == '.';
    return length > 0 && strncmp(name, udid, length) == 0 && name[length] == '.';
}

static int unlink_all(DIR *folder, const char *udid, bool all, struct vios_error *error)
{
    const struct dirent *entry;
    while ((errno = 0, entry = readdir(folder))) {
        if (is_of(entry->d_name, udid, all) && unlinkat(dirfd(folder), entry->d_name, 0) != 0 &&
            errno != ENOENT) {
            return error_set_errno(error, entry->d_name, "cannot unlink it");
        }
    }
    return errno ? error_set_errno(error, udid, "cannot read the folder of its files") : VIOS_OK;
}

static int remove_files(const char *path, const char *udid, bool all, struct vios_error *error)
{
    int fd = -1;
    int status = open_folder(path, &fd, error);
    if (status < 0) {
        return status;
    }
    DIR *folder = fdopendir(fd);
    if (!folder) {
        status = error_set_errno(error, path, "cannot read this folder");
        close(fd);
        return status;
    }
    status = unlink_all(folder, udid, all, error);
    if (status == VIOS_OK && fsync(fd) != 0) {
        status = error_set_errno(error, path, "cannot sync this folder");
    }
    closedir(folder);
    return status;
}

int lu_file_remove_all(const char *path, const char *udid, struct vios_error *error)
{
    return remove_files(path, udid, true, error);
}

int lu_file_remove_temporary(const char *path, const char *udid, struct vios_error *error)
{
    return remove_files(path, udid, false, error);
}
