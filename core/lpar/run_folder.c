/* run_folder.c - the run folders of guests. See the header. */
#include "lpar/run_folder.h"

#include "base/file.h"
#include "base/json.h"
#include "net/transport.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GUEST_FILE_MAX 4096
#define UID_SPAN (1u << 28)
#define PID_POLL_MS 10

static int set_path(struct run_folder *folder, const char *run_dir, const char *uuid,
                    struct vios_error *error)
{
    folder->fd = -1;
    folder->uid = 0;
    int length = snprintf(folder->path, sizeof folder->path, "%s/lpar/%s", run_dir, uuid);
    if (length < 0 || (size_t)length >= sizeof folder->path) {
        return error_set(error, VIOS_E_INVALID, "run_dir", NULL, "the path is too long");
    }
    return VIOS_OK;
}

/* Another guest's folder here has this user id. */
static bool uid_is_taken(const char *run_dir, const char *uuid, uid_t uid)
{
    char parent[4096];
    snprintf(parent, sizeof parent, "%s/lpar", run_dir);
    DIR *folder = opendir(parent);
    bool taken = false;
    const struct dirent *entry;
    while (folder && !taken && (entry = readdir(folder)) != NULL) {
        struct stat status;
        taken = strcmp(entry->d_name, uuid) != 0 && entry->d_name[0] != '.' &&
                fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                status.st_gid == uid;
    }
    if (folder) {
        closedir(folder);
    }
    return taken;
}

static uid_t choose_uid(const char *run_dir, const char *uuid, int64_t uid_base)
{
    uint32_t part = (uint32_t)strtoul(uuid, NULL, 16) % UID_SPAN;
    uid_t uid = (uid_t)(uid_base + part);
    while (uid_is_taken(run_dir, uuid, uid)) {
        part = (part + 1) % UID_SPAN;
        uid = (uid_t)(uid_base + part);
    }
    return uid;
}

int run_folder_make(struct run_folder *folder, const char *run_dir, const char *uuid,
                    int64_t uid_base, struct vios_error *error)
{
    int status = run_folder_open(folder, run_dir, uuid, error);
    if (status != VIOS_E_NOT_FOUND) {
        return status;
    }
    char parent[4096];
    snprintf(parent, sizeof parent, "%s/lpar", run_dir);
    if (mkdir(parent, 0711) != 0 && errno != EEXIST) {
        return error_set_errno(error, parent, "cannot make the folder");
    }
    uid_t uid = uid_base > 0 && geteuid() == 0 ? choose_uid(run_dir, uuid, uid_base) : 0;
    if (mkdir(folder->path, 0700) != 0) {
        return error_set_errno(error, folder->path, "cannot make the folder");
    }
    if (uid && (chown(folder->path, (uid_t)-1, uid) != 0 || chmod(folder->path, 0710) != 0)) {
        (void)error_set_errno(error, folder->path, "cannot give it to the guest");
        rmdir(folder->path);
        return error->code;
    }
    return run_folder_open(folder, run_dir, uuid, error);
}

int run_folder_open(struct run_folder *folder, const char *run_dir, const char *uuid,
                    struct vios_error *error)
{
    struct stat status;
    int result = set_path(folder, run_dir, uuid, error);
    if (result < 0) {
        return result;
    }
    folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder->fd < 0 || fstat(folder->fd, &status) != 0) {
        return error_set_errno(error, folder->path, "cannot open the guest's folder");
    }
    folder->uid = (status.st_mode & S_IXGRP) ? status.st_gid : 0;
    return VIOS_OK;
}

void run_folder_close(struct run_folder *folder)
{
    if (folder->fd >= 0) {
        close(folder->fd);
        folder->fd = -1;
    }
}

int run_folder_remove(const char *run_dir, const char *uuid, struct vios_error *error)
{
    struct run_folder folder;
    int status = set_path(&folder, run_dir, uuid, error);
    return status < 0 ? status : file_remove_tree(folder.path, error);
}

int run_folder_write_guest(const struct run_folder *folder, const struct run_guest *guest,
                           struct vios_error *error)
{
    json_t *json = json_pack("{s:i, s:s, s:s, s:I}", "v", 1, "name", guest->name, "uuid",
                             guest->uuid, "generation", (json_int_t)guest->generation);
    assert(json);
    if (guest->job[0]) {
        json_object_set_new(json, "job", json_string(guest->job));
    }
    char *text = json_dumps(json, JSON_COMPACT);
    assert(text);
    int status = file_replace(folder->fd, "guest.json", text, strlen(text), 0600, error);
    free(text);
    json_decref(json);
    return status;
}

int run_folder_read_guest(const struct run_folder *folder, struct run_guest *guest,
                          struct vios_error *error)
{
    char *text = NULL;
    size_t size = 0;
    int status = file_read(folder->fd, "guest.json", GUEST_FILE_MAX, &text, &size, error);
    if (status < 0) {
        return status;
    }
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_get_text(json, "name");
    const char *uuid = json_get_text(json, "uuid");
    const char *job = json_get_word(json, "job");
    const json_t *generation = json_object_get(json, "generation");
    if (strlen(job) >= sizeof guest->job || !name || parse_name(name, "LPAR", NULL) < 0 || !uuid ||
        parse_uuid(uuid, NULL) < 0 || !json_is_integer(generation)) {
        status = error_set(error, VIOS_E_CORRUPT, folder->path, NULL, "guest.json is damaged");
    } else {
        snprintf(guest->name, sizeof guest->name, "%s", name);
        snprintf(guest->uuid, sizeof guest->uuid, "%s", uuid);
        guest->generation = json_integer_value(generation);
        snprintf(guest->job, sizeof guest->job, "%s", job);
    }
    json_decref(json);
    free(text);
    return status;
}

int run_folder_lock(const struct run_folder *folder, struct vios_error *error)
{
    int fd = openat(folder->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return error_set_errno(error, folder->path, "cannot open the lock");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int status = errno == EWOULDBLOCK
                         ? error_set(error, VIOS_E_LOCKED, folder->path, NULL, "its QEMU lives")
                         : error_set_errno(error, folder->path, "cannot take the lock");
        close(fd);
        return status;
    }
    return fd;
}

bool run_folder_is_locked(const struct run_folder *folder)
{
    int fd = openat(folder->fd, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    bool locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) {
        close(fd);
    }
    return locked;
}

bool run_folder_lives(const char *run_dir, const char *uuid)
{
    struct run_folder folder = {.fd = -1};
    bool lives =
        run_folder_open(&folder, run_dir, uuid, NULL) == VIOS_OK && run_folder_is_locked(&folder);
    run_folder_close(&folder);
    return lives;
}

uint64_t run_process_start_time(pid_t pid)
{
    char path[32] = "/proc/self/stat", text[1024];
    if (pid) {
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (got <= 0) {
        return 0;
    }
    text[got] = 0;
    /* The name may hold anything; behind its last ")" come state and further fields. */
    char *field = strrchr(text, ')');
    for (int i = 2; field && i < 22; i++) {
        field = strchr(field + 1, ' ');
    }
    return field ? strtoull(field + 1, NULL, 10) : 0;
}

static bool read_process(const struct run_folder *folder, struct run_process *process)
{
    char *text = NULL;
    size_t size = 0;
    int pid = 0;
    unsigned long long start_time = 0;
    bool good = file_read(folder->fd, "pid", 64, &text, &size, NULL) == VIOS_OK &&
                sscanf(text, "%d %llu\n", &pid, &start_time) == 2 && pid > 1 &&
                text[size - 1] == '\n';
    free(text);
    process->pid = pid;
    process->start_time = start_time;
    return good;
}

int run_folder_process(const struct run_folder *folder, struct run_process *process,
                       struct operation *operation)
{
    while (!read_process(folder, process)) {
        if (!run_folder_is_locked(folder)) {
            return operation_fail(operation, VIOS_E_NOT_FOUND, folder->path, NULL,
                                  "no QEMU runs here");
        }
        int status = operation_sleep(operation, PID_POLL_MS);
        if (status < 0) {
            return status;
        }
    }
    int fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    if (fd >= 0 && run_process_start_time(process->pid) == process->start_time) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return operation_fail(operation, VIOS_E_NOT_FOUND, folder->path, NULL, "its QEMU has ended");
}

int run_folder_listen(const struct run_folder *folder, const char *name, struct vios_error *error)
{
    char address[4200];
    snprintf(address, sizeof address, "unix:%s/%s", folder->path, name);
    unlinkat(folder->fd, name, 0);
    int fd = transport_listen(address, error);
    if (fd >= 0 && folder->uid &&
        fchownat(folder->fd, name, folder->uid, folder->uid, AT_SYMLINK_NOFOLLOW) != 0) {
        (void)error_set_errno(error, folder->path, "cannot give %s to the guest", name);
        close(fd);
        return error->code;
    }
    return fd;
}

int run_folder_connect(const struct run_folder *folder, const char *name,
                       struct operation *operation)
{
    char address[4200];
    snprintf(address, sizeof address, "unix:%s/%s", folder->path, name);
    return transport_connect(address, operation);
}

void run_folder_last_words(const struct run_folder *folder, char *text, size_t size)
{
    char tail[2048];
    text[0] = 0;
    int fd = openat(folder->fd, "log", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return;
    }
    off_t end = lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)sizeof tail - 1 ? end - (off_t)sizeof tail + 1 : 0;
    ssize_t got = pread(fd, tail, sizeof tail - 1, from);
    close(fd);
    char *rest = tail, *line;
    tail[got > 0 ? got : 0] = 0;
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (line[strspn(line, " \t\r")]) {
            snprintf(text, size, "%.300s", line);
        }
    }
}
