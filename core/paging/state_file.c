/*
 * state_file.c - see state_file.h. flock(2) belongs to the opening of a file, and a descriptor
 * that was handed out keeps that alive after its process ended. So the lock is taken on a second
 * opening, through /proc/self/fd, that stays here and ends with the process.
 */
#include "paging/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_FILE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

static int state_file_lock(struct state_file *file, const char *what, struct vios_error *error)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
    file->lock = open(path, O_RDWR | O_CLOEXEC);
    if (file->lock < 0) {
        return error_set_errno(error, what, "cannot open it again");
    }
    if (flock(file->lock, LOCK_EX | LOCK_NB) == 0) {
        return VIOS_OK;
    }
    if (errno == EWOULDBLOCK) {
        return error_set(error, VIOS_E_LOCKED, what, "wait until it has ended",
                         "another process still uses it");
    }
    return error_set_errno(error, what, "cannot lock it");
}

int state_file_begin(const char *what, struct vios_error *error)
{
    int fd = memfd_create(what, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd >= 0 ? fd : error_set_errno(error, what, "cannot make a memfd");
}

int state_file_seal(int fd, const char *what, struct vios_error *error)
{
    return fcntl(fd, F_ADD_SEALS, STATE_FILE_SEALS) == 0
               ? VIOS_OK
               : error_set_errno(error, what, "cannot seal it");
}

int state_file_make(struct state_file *file, const char *what, uint64_t size_bytes,
                    struct vios_error *error)
{
    *file = (struct state_file){.fd = -1, .lock = -1, .size_bytes = size_bytes};
    file->fd = state_file_begin(what, error);
    if (file->fd < 0) {
        return file->fd;
    }
    int status;
    if (ftruncate(file->fd, (off_t)size_bytes) < 0 ||
        fcntl(file->fd, F_ADD_SEALS, STATE_FILE_SEALS) < 0) {
        status = error_set_errno(error, what, "cannot give it %llu bytes",
                                 (unsigned long long)size_bytes);
    } else {
        status = state_file_lock(file, what, error);
    }
    if (status != VIOS_OK) {
        state_file_close(file);
    }
    return status;
}

int state_file_take(struct state_file *file, int handed, const char *what, struct vios_error *error)
{
    struct stat information;
    int seals = fcntl(handed, F_GET_SEALS);
    *file = (struct state_file){.fd = -1, .lock = -1};
    if (seals < 0 || (seals & STATE_FILE_SEALS) != STATE_FILE_SEALS ||
        fstat(handed, &information) < 0) {
        return error_set(error, VIOS_E_INVALID, what, NULL,
                         "what was handed over is no sealed memfd");
    }
    file->size_bytes = (uint64_t)information.st_size;
    file->fd = fcntl(handed, F_DUPFD_CLOEXEC, 3);
    if (file->fd < 0) {
        return error_set_errno(error, what, "cannot copy the descriptor");
    }
    int status = state_file_lock(file, what, error);
    if (status != VIOS_OK) {
        state_file_close(file);
    }
    return status;
}

void state_file_close(struct state_file *file)
{
    if (file->fd > 0) {
        close(file->fd);
    }
    if (file->lock > 0) {
        close(file->lock);
    }
    *file = (struct state_file){.fd = -1, .lock = -1};
}
