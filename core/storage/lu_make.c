/* lu_make.c - see lu_make.h. */
#include "storage/lu_make.h"

#include "storage/lu_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define STAT_BLOCK 512 /* of st_blocks */

/* Bytes that this process may take. */
static uint64_t left_bytes(int fd)
{
    struct statvfs info = {0};
    fstatvfs(fd, &info);
    return (uint64_t)(geteuid() == 0 ? info.f_bfree : info.f_bavail) * info.f_frsize;
}

static int no_space(int fd, const struct lu *lu, uint64_t need_bytes, struct vios_error *error)
{
    char object[96], need[PARSE_SIZE_TEXT], have[PARSE_SIZE_TEXT];
    uint64_t left = left_bytes(fd);
    uint64_t missing = need_bytes > left ? need_bytes - left : 0;
    return error_set(
        error, VIOS_E_NO_SPACE, lu_object(lu->name, object), "give --pool, or remove LUs",
        "no space in pool \"%s\" (need %s, free %s: %llu bytes are missing)", lu->pool,
        size_format(need_bytes, need), size_format(left, have), (unsigned long long)missing);
}

static int fail(const struct lu *lu, const char *what, struct vios_error *error)
{
    char object[96];
    return error_set_errno(error, lu_object(lu->name, object), "cannot %s its file in pool \"%s\"",
                           what, lu->pool);
}

/* --- its size --- */

static int too_large(const struct lu *lu, struct vios_error *error)
{
    char object[96];
    return error_set(error, VIOS_E_INVALID, lu_object(lu->name, object), "make it smaller",
                     "the file system of pool \"%s\" has no files this large", lu->pool);
}

/* Looks first whether `need_bytes` are free: the file system would take all that there are before
 * it said no, and guests that write to thin LUs meanwhile would find it full. */
static int take_space(int fd, uint64_t size_bytes, uint64_t need_bytes)
{
    int result;
    if (need_bytes > left_bytes(fd)) {
        errno = ENOSPC;
        return -1;
    }
    do {
        result = fallocate(fd, 0, 0, (off_t)size_bytes);
    } while (result != 0 && errno == EINTR);
    return result;
}

static int cannot_take(int fd, const struct lu *lu, uint64_t need_bytes, struct vios_error *error)
{
    char object[96];
    if (errno == ENOSPC || errno == EDQUOT) {
        return no_space(fd, lu, need_bytes, error);
    }
    if (errno == EFBIG) {
        return too_large(lu, error);
    }
    if (errno == EOPNOTSUPP) {
        return error_set(error, VIOS_E_INVALID, lu_object(lu->name, object),
                         "make it thin: without --thick",
                         "the file system of pool \"%s\" cannot keep space free", lu->pool);
    }
    return fail(lu, "take space for", error);
}

int lu_make_larger(int fd, const struct lu *lu, uint64_t size_bytes, struct vios_error *error)
{
    struct stat before;
    int status = VIOS_OK;
    if (fstat(fd, &before) != 0) {
        return fail(lu, "look at", error);
    }
    bool grows = (uint64_t)before.st_size < size_bytes;
    uint64_t used = (uint64_t)before.st_blocks * STAT_BLOCK;
    uint64_t need = size_bytes > used ? size_bytes - used : 0;
    if (lu->thick && take_space(fd, size_bytes, need) != 0) {
        status = cannot_take(fd, lu, need, error);
        if (ftruncate(fd, before.st_size) != 0) {
            return status; /* the space stays taken: the first failure is the one to tell */
        }
    } else if (grows && ftruncate(fd, (off_t)size_bytes) != 0) {
        status = errno == EFBIG ? too_large(lu, error) : fail(lu, "enlarge", error);
    } else if (fsync(fd) != 0) {
        status = fail(lu, "sync", error);
    }
    return status;
}

/* --- a new file --- */

int lu_make_begin(struct lu_making *making, const struct node *node, const struct lu *lu,
                  struct vios_error *error)
{
    struct stat there;
    *making = (struct lu_making){.fd = -1, .folder_fd = -1, .lu = lu};
    snprintf(making->temporary, sizeof making->temporary, ".%s.%s-%lld.new", lu->udid, node->name,
             (long long)node->incarnation);
    int status = lu_folder(node, lu, making->folder, error);
    if (status < 0) {
        return status;
    }
    making->folder_fd = open(making->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (making->folder_fd < 0) {
        return fail(lu, "reach the folder of", error);
    }
    if (fstatat(making->folder_fd, lu->file, &there, AT_SYMLINK_NOFOLLOW) == 0) {
        /* An earlier run may have ended between this link and the sync of the folder. */
        status = lu_file_remove_temporary(making->folder, lu->udid, error);
        return status == VIOS_OK ? VIOS_E_EXISTS : status;
    }
    making->fd =
        openat(making->folder_fd, making->temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return making->fd >= 0 ? VIOS_OK : fail(lu, "make", error);
}

int lu_make_size(const struct lu_making *making, struct vios_error *error)
{
    return lu_make_larger(making->fd, making->lu, making->lu->size_bytes, error);
}

int lu_make_publish(const struct lu_making *making, struct vios_error *error)
{
    const struct lu *lu = making->lu;
    int folder = making->folder_fd;
    if (fsync(making->fd) != 0) {
        return fail(lu, "sync", error);
    }
    /* ENOENT: whoever was faster has removed our temporary name, and its file is as good. */
    if (linkat(folder, making->temporary, folder, lu->file, 0) != 0 && errno != EEXIST &&
        (errno != ENOENT || faccessat(folder, lu->file, F_OK, AT_SYMLINK_NOFOLLOW) != 0)) {
        return fail(lu, "name", error);
    }
    /* Also what other incarnations left, who will not come back to it; syncs the folder. */
    return lu_file_remove_temporary(making->folder, lu->udid, error);
}

void lu_make_end(struct lu_making *making)
{
    if (making->fd >= 0) {
        unlinkat(making->folder_fd, making->temporary, 0);
        close(making->fd);
    }
    if (making->folder_fd >= 0) {
        close(making->folder_fd);
    }
    making->fd = making->folder_fd = -1;
}

int lu_make(const struct node *node, const struct lu *lu, struct vios_error *error)
{
    struct lu_making making;
    int status = lu_make_begin(&making, node, lu, error);
    if (status == VIOS_OK) {
        status = lu_make_size(&making, error);
    }
    if (status == VIOS_OK) {
        status = lu_make_publish(&making, error);
    }
    lu_make_end(&making);
    return status == VIOS_E_EXISTS ? VIOS_OK : status;
}
