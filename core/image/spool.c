/* spool.c - see spool.h. */
#include "image/spool.h"

#include "base/file.h"
#include "image/begin.h"
#include "image/fileset.h"
#include "storage/pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "spool:"
#define FILE_PREFIX ".spool-"
#define FILE_NAME_SIZE (sizeof FILE_PREFIX + UUID_TEXT_SIZE)
#define RECEIVE_BYTES (64 * 1024)

bool spool_is(const char *word)
{
    return strncmp(word, PREFIX, strlen(PREFIX)) == 0;
}

static char *file_name(const char *uuid, char name[FILE_NAME_SIZE])
{
    snprintf(name, FILE_NAME_SIZE, FILE_PREFIX "%s", uuid);
    return name;
}

static int missing(const char *word, struct vios_error *error)
{
    return error_set(error, VIOS_E_NOT_FOUND, "image", "send it again",
                     "\"%.200s\" was never sent, or is imported already", word);
}

int spool_source(const struct node *node, const char *word, json_t **source, struct image *image,
                 struct vios_error *error)
{
    char pool[NAME_MAX_LENGTH + 1], uuid[UUID_TEXT_SIZE], below[FILE_NAME_SIZE + 8], path[PATH_MAX];
    const char *slash = strchr(word, '/');
    size_t length = slash ? (size_t)(slash - word) - strlen(PREFIX) : 0;
    if (!slash || length == 0 || length > NAME_MAX_LENGTH || strlen(slash + 1) >= sizeof uuid) {
        return missing(word, error);
    }
    snprintf(pool, sizeof pool, "%.*s", (int)length, word + strlen(PREFIX));
    snprintf(uuid, sizeof uuid, "%s", slash + 1);
    if (parse_name(pool, "pool", NULL) < 0 || parse_uuid(uuid, NULL) < 0) {
        return missing(word, error);
    }
    snprintf(below, sizeof below, "image/" FILE_PREFIX "%s", uuid);
    int status = pool_path(node, pool, below, path, error);
    if (status == VIOS_OK && access(path, F_OK) != 0) {
        status = missing(word, error);
    }
    if (status == VIOS_OK) {
        snprintf(image->source, sizeof image->source, "standard input");
        *source = json_pack("{s:s, s:s}", "kind", "spool", "path", path);
    }
    return status;
}

/* --- old ones --- */

/* Takes over `fd`. */
static void clear_old(int fd)
{
    DIR *folder = fdopendir(fd);
    struct dirent *entry;
    struct stat info;
    while (folder && (entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, FILE_PREFIX, strlen(FILE_PREFIX)) == 0 &&
            fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            info.st_mtime + SPOOL_KEPT_S < time(NULL)) {
            unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    if (folder) {
        closedir(folder);
    } else {
        close(fd);
    }
}

/* --- daemon.receive --- */

static int receive_all(struct call *call, int fd, uint64_t *total, struct operation *operation)
{
    char *data = malloc(RECEIVE_BYTES);
    ssize_t got = 1;
    int status = data ? VIOS_OK : operation_no_memory(operation, NULL);
    *total = 0;
    while (status == VIOS_OK && got > 0) {
        got = call->operations->receive(call, data, RECEIVE_BYTES, operation);
        if (got > 0) {
            status = file_write_all(fd, data, (size_t)got, &operation->error);
            *total += (uint64_t)got;
        }
    }
    free(data);
    return got < 0 ? (int)got : status;
}

int spool_receive_call(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    uint64_t total = 0;
    char pool[NAME_MAX_LENGTH + 1], uuid[UUID_TEXT_SIZE], name[FILE_NAME_SIZE], word[256];
    int status = image_choose_pool(call->node, parameters, pool, operation);
    int folder = status < 0 ? status : fileset_open_pool(call->node, pool, &operation->error);
    if (folder < 0) {
        return folder;
    }
    clear_old(fcntl(folder, F_DUPFD_CLOEXEC, 0));
    uuid_make(uuid);
    int fd = openat(folder, file_name(uuid, name),
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    status = fd < 0 ? error_set_errno(&operation->error, name, "cannot make it in the pool")
                    : receive_all(call, fd, &total, operation);
    if (status == VIOS_OK && fsync(fd) != 0) {
        status = error_set_errno(&operation->error, name, "cannot write it");
    }
    if (status < 0 && fd >= 0) {
        unlinkat(folder, name, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    close(folder);
    snprintf(word, sizeof word, PREFIX "%s/%s", pool, uuid);
    if (status == VIOS_OK) {
        *result = json_pack("{s:s, s:I}", "source", word, "size_bytes", (json_int_t)total);
    }
    return status;
}
