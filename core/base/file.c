/* file.c - durable replacement of whole files, and trees. */
#include "base/file.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_NAP_MS 10
#define PATH_LIMIT 4096
#define TREE_DEPTH_MAX 64

int file_write_all(int fd, const void *data, size_t size, struct vios_error *error)
{
    const char *at = data;
    while (size) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return error_set_errno(error, NULL, "write");
        }
        at += written;
        size -= (size_t)written;
    }
    return VIOS_OK;
}

int file_lock(int fd, int64_t wait_ms, struct vios_error *error)
{
    int64_t end_ms = clock_now_ms() + wait_ms;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return error_set_errno(error, NULL, "flock");
        }
        if (clock_now_ms() >= end_ms) {
            return error_set(error, VIOS_E_LOCKED, NULL, NULL, "another process holds the lock");
        }
        struct timespec nap = {.tv_nsec = LOCK_NAP_MS * 1000000L};
        nanosleep(&nap, NULL);
    }
    return VIOS_OK;
}

static int sync_folder(int directory_fd, struct vios_error *error)
{
    return fsync(directory_fd) == 0 ? VIOS_OK : error_set_errno(error, NULL, "fsync of the folder");
}

static int write_temporary(int directory_fd, const char *temporary, const void *data, size_t size,
                           mode_t mode, struct vios_error *error)
{
    int fd = openat(directory_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        return error_set_errno(error, temporary, "cannot be made");
    }
    int status = file_write_all(fd, data, size, error);
    if (status == VIOS_OK && fsync(fd) != 0) {
        status = error_set_errno(error, temporary, "fsync");
    }
    if (close(fd) != 0 && status == VIOS_OK) {
        status = error_set_errno(error, temporary, "close");
    }
    return status;
}

int file_replace(int directory_fd, const char *name, const void *data, size_t size, mode_t mode,
                 struct vios_error *error)
{
    static atomic_uint counter; /* two threads may replace the same file */
    char temporary[NAME_MAX + 1];
    int length = snprintf(temporary, sizeof temporary, ".%s.%ld.%u.tmp", name, (long)getpid(),
                          atomic_fetch_add(&counter, 1));
    if (length >= (int)sizeof temporary) {
        return error_set(error, VIOS_E_INVALID, name, NULL, "the name is too long");
    }
    unlinkat(directory_fd, temporary, 0); /* of a process that died with our id */
    int status = write_temporary(directory_fd, temporary, data, size, mode, error);
    if (status == VIOS_OK && renameat(directory_fd, temporary, directory_fd, name) != 0) {
        status = error_set_errno(error, name, "rename");
    }
    if (status != VIOS_OK) {
        unlinkat(directory_fd, temporary, 0);
        return status;
    }
    return sync_folder(directory_fd, error);
}

static int read_open_file(int fd, const char *name, size_t limit, char **data, size_t *size,
                          struct vios_error *error)
{
    size_t used = 0, room = 4096;
    char *buffer = malloc(room + 1);
    while (buffer) {
        ssize_t got = read(fd, buffer + used, room - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            free(buffer);
            return error_set_errno(error, name, "read");
        }
        used += (size_t)got;
        if (got == 0) {
            buffer[used] = '\0';
            *data = buffer;
            *size = used;
            return VIOS_OK;
        }
        if (used > limit) {
            free(buffer);
            return error_set(error, VIOS_E_INVALID, name, NULL, "larger than %zu bytes", limit);
        }
        if (used == room) {
            room *= 2;
            char *larger = realloc(buffer, room + 1);
            if (!larger) {
                free(buffer);
            }
            buffer = larger;
        }
    }
    return error_no_memory(error, name);
}

int file_read(int directory_fd, const char *name, size_t limit, char **data, size_t *size,
              struct vios_error *error)
{
    size_t unused;
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(error, name, "cannot be read");
    }
    int status = read_open_file(fd, name, limit, data, size ? size : &unused, error);
    close(fd);
    return status;
}

int file_make_folders(const char *path, mode_t mode, struct vios_error *error)
{
    char folder[PATH_LIMIT];
    size_t length = strlen(path);
    if (length >= sizeof folder) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL, "the path is too long");
    }
    memcpy(folder, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (folder[i] != '/' && folder[i] != '\0') {
            continue;
        }
        char end = folder[i];
        folder[i] = '\0';
        if (mkdir(folder, mode) != 0 && errno != EEXIST) {
            return error_set_errno(error, folder, "cannot be made");
        }
        folder[i] = end;
    }
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        return error_set(error, VIOS_E_EXISTS, path, NULL, "is not a folder");
    }
    return VIOS_OK;
}

static int remove_below(int parent_fd, const char *name, int depth, struct vios_error *error);

static int empty_folder(int fd, int depth, struct vios_error *error)
{
    DIR *folder = fdopendir(fd);
    if (!folder) {
        close(fd);
        return error_set_errno(error, NULL, "fdopendir");
    }
    int status = VIOS_OK;
    struct dirent *entry;
    while (status == VIOS_OK && (entry = readdir(folder))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            status = remove_below(dirfd(folder), entry->d_name, depth + 1, error);
        }
    }
    closedir(folder);
    return status;
}

static int remove_below(int parent_fd, const char *name, int depth, struct vios_error *error)
{
    if (depth > TREE_DEPTH_MAX) {
        return error_set(error, VIOS_E_INVALID, name, NULL, "more than %d folders deep",
                         TREE_DEPTH_MAX);
    }
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        int status = empty_folder(fd, depth, error);
        if (status != VIOS_OK) {
            return status;
        }
    }
    if (unlinkat(parent_fd, name, fd >= 0 ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT) {
        return error_set_errno(error, name, "cannot be removed");
    }
    return VIOS_OK;
}

int file_remove_tree(const char *path, struct vios_error *error)
{
    return remove_below(AT_FDCWD, path, 0, error);
}
