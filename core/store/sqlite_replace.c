/*
 * sqlite_replace.c - the content of a store's file, read without touching it and replaced: see
 * replace.h.
 *
 * The new file is written whole beside the old one (FILE.restoring). Then the old one goes aside,
 * first the file itself and then what sqlite keeps beside it, and last the new one takes its name.
 * In between there is no file, and FILE.watch says that there was one: daemons refuse that. The
 * order matters: an old file without its write-ahead log would be an older state, and a new file
 * beside an old log a mixture.
 */
#include "store/replace.h"
#include "store/sqlite_connection.h"

#include "base/clock.h"
#include "base/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SQLITE_SHARED_FIRST 0x40000002 /* the bytes on which sqlite locks a file */
#define SQLITE_SHARED_SIZE 510
#define BESIDE_MAX (PATH_MAX + 64)

static const char *const BESIDE[] = {"-wal", "-shm"};

/* --- reading --- */

/* A damaged file's number is that of its newest value. */
static int64_t newest_of(const struct store_list *list)
{
    int64_t newest = 0;
    for (size_t i = 0; i < list->count; i++) {
        newest = list->values[i].revision > newest ? list->values[i].revision : newest;
    }
    return newest;
}

/* What can be had of it, whatever the checks say. */
static int read_all(struct sqlite_connection *connection, const char *prefix,
                    struct store_reading *reading)
{
    int status = sqlite_run(connection, SQL_BEGIN_READ, "reading");
    int checked = status == VIOS_OK ? sqlite_check_all(connection) : status;
    struct vios_error why = connection->operation->error;
    if (status == VIOS_OK) {
        status = sqlite_list_prefix(connection, prefix, &reading->list);
    }
    if (status == VIOS_OK) {
        status = sqlite_meta(connection, "revision", &reading->revision);
    }
    if (checked != VIOS_OK) {
        connection->operation->error = why;
        status = checked;
    }
    if (status != VIOS_OK && reading->revision == 0) {
        reading->revision = newest_of(&reading->list);
    }
    return status;
}

static int find_file(const char *path, struct operation *operation)
{
    struct stat file;
    if (stat(path, &file) != 0) {
        return errno == ENOENT ? operation_fail(operation, VIOS_E_NOT_FOUND, path, NULL,
                                                "there is no such file")
                               : error_set_errno(&operation->error, path, "file of the store");
    }
    if (!S_ISREG(file.st_mode)) {
        return operation_fail(operation, VIOS_E_INVALID, path, NULL, "not a plain file");
    }
    return file.st_size > 0
               ? VIOS_OK
               : operation_fail(operation, VIOS_E_NOT_FOUND, path, NULL, "the file is empty");
}

int sqlite_store_read(const char *path, const char *prefix, struct store_reading *reading,
                      struct operation *operation)
{
    int status = find_file(path, operation);
    if (status != VIOS_OK) {
        return status;
    }
    struct sqlite_connection connection = {.path = (char *)path};
    sqlite_enter(&connection, operation);
    status = sqlite_connection_look(&connection);
    if (status == VIOS_OK) {
        status = read_all(&connection, prefix, reading);
    }
    if (connection.handle) {
        sqlite_leave(&connection, status);
    }
    sqlite_connection_end(&connection);
    return status;
}

/* --- who uses it --- */

int sqlite_store_check_unused(const char *path, struct operation *operation)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? VIOS_OK
                               : error_set_errno(&operation->error, path, "file of the store");
    }
    /* A connection in WAL mode holds a shared lock for as long as it is open. */
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = SQLITE_SHARED_FIRST,
                         .l_len = SQLITE_SHARED_SIZE};
    int status = VIOS_OK;
    if (fcntl(fd, F_GETLK, &lock) != 0) {
        status = error_set_errno(&operation->error, path, "cannot see who has it open");
    } else if (lock.l_type != F_UNLCK) {
        status = operation_fail(operation, VIOS_E_LOCKED, path,
                                "end the daemons of all nodes that use this VIOS DB",
                                "process %ld has it open", (long)lock.l_pid);
    }
    close(fd);
    return status;
}

/* --- replacing --- */

static int sync_folder(const char *path, struct operation *operation)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    int fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status =
        fd >= 0 && fsync(fd) == 0 ? VIOS_OK : error_set_errno(&operation->error, path, "sync");
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

static int rename_new(const char *from, const char *to, struct operation *operation)
{
    return rename(from, to) == 0 ? VIOS_OK : error_set_errno(&operation->error, from, "rename");
}

/* Absent is fine, and nothing that lies there already is lost. */
static int rename_aside(const char *from, const char *to, struct operation *operation)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) != 0 && errno != ENOENT) {
        return error_set_errno(&operation->error, from, "rename");
    }
    return VIOS_OK;
}

/* FILE.damaged-20260102T030405.678, or .replaced-... for one that was whole. */
static void name_aside(const char *path, const char *why, char aside[BESIDE_MAX])
{
    char time[CLOCK_TEXT_SIZE], packed[CLOCK_TEXT_SIZE];
    size_t length = 0;
    clock_format(clock_wall_ms(), time);
    for (const char *at = time; *at && *at != 'Z'; at++) {
        if (*at != '-' && *at != ':') {
            packed[length++] = *at;
        }
    }
    packed[length] = '\0';
    snprintf(aside, BESIDE_MAX, "%s.%s-%s", path, why, packed);
}

static int move_beside(const char *path, const char *aside, struct operation *operation)
{
    int status = VIOS_OK;
    for (size_t i = 0; i < sizeof BESIDE / sizeof BESIDE[0] && status == VIOS_OK; i++) {
        char from[BESIDE_MAX], to[BESIDE_MAX + 8];
        snprintf(from, sizeof from, "%s%s", path, BESIDE[i]);
        snprintf(to, sizeof to, "%s%s", aside, BESIDE[i]);
        status = rename_aside(from, to, operation);
    }
    return status;
}

static int move_aside(const char *path, const char *why, char aside[BESIDE_MAX],
                      struct operation *operation)
{
    char watch[BESIDE_MAX];
    snprintf(watch, sizeof watch, "%s.watch", path);
    if (mkdir(watch, 0700) != 0 && errno != EEXIST) {
        return error_set_errno(&operation->error, path, "folder of its watches");
    }
    bool there = access(path, F_OK) == 0;
    name_aside(path, why, aside);
    int status = rename_aside(path, aside, operation);
    if (status == VIOS_OK) {
        status = sync_folder(path, operation);
    }
    crash_at("db.restore:away");
    if (status == VIOS_OK) {
        status = move_beside(path, aside, operation);
    }
    if (status == VIOS_OK) {
        status = sync_folder(path, operation);
    }
    aside[0] = there ? aside[0] : '\0';
    return status;
}

static void name_new(const char *path, char name[BESIDE_MAX])
{
    snprintf(name, BESIDE_MAX, "%s.restoring", path);
}

void sqlite_store_left(const char *path, char left[PATH_MAX + 16])
{
    char name[BESIDE_MAX];
    name_new(path, name);
    left[0] = '\0';
    if (access(name, F_OK) == 0) {
        snprintf(left, PATH_MAX + 16, "sqlite:%.*s", PATH_MAX, name);
    }
}

/* What an earlier attempt left is replaced only by the new one that is whole. */
static int write_new(const char *path, const char *name, const struct store_list *list,
                     int64_t revision, struct operation *operation)
{
    char written[BESIDE_MAX + 8], partial[BESIDE_MAX + 24];
    snprintf(written, sizeof written, "%s.new", name);
    snprintf(partial, sizeof partial, "%s.partial", written);
    unlink(written);
    unlink(partial);
    int status = sqlite_store_write(written, list, revision, operation);
    crash_at("db.restore:written");
    if (status == VIOS_OK) {
        status = rename_new(written, name, operation);
    }
    return status == VIOS_OK ? sync_folder(path, operation) : status;
}

/* For the name of what goes aside. */
static bool is_whole(const char *path)
{
    struct store_reading reading = {0};
    struct operation reads;
    operation_start(&reads, SQLITE_STORE_BUSY_MAX_MS, NULL);
    bool whole = sqlite_store_read(path, "/cluster", &reading, &reads) == VIOS_OK;
    store_reading_clear(&reading);
    return whole;
}

int sqlite_store_replace(const char *path, const struct store_list *list, int64_t revision,
                         char aside[PATH_MAX + 64], struct operation *operation)
{
    char name[BESIDE_MAX];
    enum sqlite_file found;
    name_new(path, name);
    int status = sqlite_file_inspect(path, &found, operation);
    if (status != VIOS_OK && status != VIOS_E_CORRUPT) { /* that one is what we are for */
        return status;
    }
    const char *why = is_whole(path) ? "replaced" : "damaged";
    status = write_new(path, name, list, revision, operation);
    crash_at("db.restore:ready");
    if (status == VIOS_OK) {
        status = sqlite_store_check_unused(path, operation);
    }
    if (status == VIOS_OK) {
        status = move_aside(path, why, aside, operation);
    }
    crash_at("db.restore:aside");
    if (status == VIOS_OK) {
        status = rename_new(name, path, operation);
    }
    crash_at("db.restore:placed");
    return status == VIOS_OK ? sync_folder(path, operation) : status;
}

int sqlite_store_retire(const char *path, char aside[PATH_MAX + 64], struct operation *operation)
{
    return access(path, F_OK) == 0 ? move_aside(path, "replaced", aside, operation) : VIOS_OK;
}
