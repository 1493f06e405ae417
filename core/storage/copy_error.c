/* copy_error.c - see copy_error.h. */
#include "storage/copy_error.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

void copy_path(int fd, char path[COPY_PATH_SIZE])
{
    char link[32], whole[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, whole, sizeof whole - 1);
    if (length < 0) {
        length = 0;
    }
    whole[length] = 0;
    size_t size = (size_t)length;
    if (size < COPY_PATH_SIZE) {
        memcpy(path, whole, size + 1);
    } else {
        snprintf(path, COPY_PATH_SIZE, "...%s", whole + size - (COPY_PATH_SIZE - 4));
    }
}

int copy_error_full(int fd, uint64_t left_bytes, struct vios_error *error)
{
    char path[COPY_PATH_SIZE];
    struct statvfs system = {0};
    copy_path(fd, path);
    unsigned long long free_bytes = 0, left = left_bytes;
    if (fstatvfs(fd, &system) == 0) {
        free_bytes = (unsigned long long)system.f_bavail * system.f_frsize;
    }
    if (free_bytes >= left) { /* a quota, or somebody removed something meanwhile */
        return error_set(error, VIOS_E_NO_SPACE, path, "make room or raise the quota",
                         "no space: %llu bytes are still to be written", left);
    }
    return error_set(error, VIOS_E_NO_SPACE, path, "make room in its file system",
                     "no space: %llu bytes are missing (%llu to be written, %llu free)",
                     left - free_bytes, left, free_bytes);
}

int copy_error(int fd, const char *what, uint64_t left_bytes, struct vios_error *error)
{
    if (errno == ENOSPC || errno == EDQUOT) {
        return copy_error_full(fd, left_bytes, error);
    }
    int number = errno;
    char path[COPY_PATH_SIZE];
    copy_path(fd, path);
    if (number == EIO) {
        return error_set(error, VIOS_E_IO, path, NULL, "%s: the device failed", what);
    }
    errno = number;
    return error_set_errno(error, path, "%s", what);
}
