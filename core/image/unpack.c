/* unpack.c - see unpack.h. */
#include "image/unpack.h"

#include "storage/chunks.h"
#include "storage/copy_error.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE ((size_t)256 * 1024)
#define BLOCK_SIZE 4096 /* zeroes of that size are not written */
#define OTHER_SIZE "it has another size than before: the archive has changed"

/* One pass over the archive. */
struct pass {
    struct archive *archive;
    struct unpack_list *list;           /* being made, or followed */
    char folder[MEMBER_NAME_SIZE];      /* the one that all members are in; "": none */
    bool any;                           /* `folder` is known */
    unsigned folders;                   /* entries that are folders */
    const struct unpack_member *listed; /* the one that is being written */
    bool written[UNPACK_MEMBERS_MAX];
    uint64_t bytes, limit_bytes;
    const struct copy_progress *progress;
    struct operation *operation;
};

static int refuse(struct pass *pass, const char *name, const char *why)
{
    char object[96], shown[MEMBER_SHOWN_SIZE];
    snprintf(object, sizeof object, "archive member \"%.70s\"",
             member_show(name ? name : "", shown));
    return operation_fail(pass->operation, VIOS_E_INVALID, object,
                          "pack plain files with plain names, side by side", "%s", why);
}

static int broken(struct pass *pass)
{
    const char *why = archive_error_string(pass->archive);
    return operation_fail(pass->operation, VIOS_E_CORRUPT, "archive", "bring it there again",
                          "it is damaged or ends too soon: %.250s", why ? why : "no reason given");
}

/* --- opening --- */

static int open_archive(int fd, enum unpack_kind kind, struct archive **archive,
                        struct operation *operation)
{
    *archive = archive_read_new();
    if (!*archive || lseek(fd, 0, SEEK_SET) < 0) {
        archive_read_free(*archive);
        return operation_fail(operation, VIOS_E_NO_SPACE, "archive", NULL, "cannot begin to read");
    }
    archive_read_support_filter_gzip(*archive);
    archive_read_support_filter_xz(*archive);
    archive_read_support_filter_zstd(*archive);
    if (kind == UNPACK_TAR) {
        archive_read_support_format_tar(*archive);
        archive_read_support_format_gnutar(*archive);
    } else {
        archive_read_support_format_raw(*archive);
    }
    if (archive_read_open_fd(*archive, fd, READ_SIZE) != ARCHIVE_OK) {
        operation_fail(operation, VIOS_E_CORRUPT, "archive", "bring it there again",
                       "it is damaged or ends too soon: %.200s", archive_error_string(*archive));
        archive_read_free(*archive);
        *archive = NULL;
        return VIOS_E_CORRUPT;
    }
    return VIOS_OK;
}

/* A disk that begins with zeroes looks like the end of a tar: only a first member makes one. It may
 * be a broken member: that is no disk either. */
static bool is_tar(int fd, struct operation *operation)
{
    struct archive *archive;
    struct archive_entry *entry;
    if (open_archive(fd, UNPACK_TAR, &archive, operation) < 0) {
        return false;
    }
    int result = archive_read_next_header(archive, &entry);
    bool tar = result == ARCHIVE_OK || result == ARCHIVE_WARN ||
               (result != ARCHIVE_EOF && archive_format(archive) != 0);
    archive_read_free(archive);
    return tar;
}

/* One that ends too soon is no disk: it cannot even be opened, if it is short. */
static bool is_compressed(int fd, struct operation *operation)
{
    struct archive *archive;
    struct archive_entry *entry;
    if (open_archive(fd, UNPACK_COMPRESSED, &archive, operation) < 0) {
        return true;
    }
    (void)archive_read_next_header(archive, &entry);
    bool compressed = archive_filter_code(archive, 0) != ARCHIVE_FILTER_NONE;
    archive_read_free(archive);
    return compressed;
}

int unpack_detect(int fd, enum unpack_kind *kind, struct operation *operation)
{
    char byte;
    struct operation trying;
    operation_start(&trying, OPERATION_NO_DEADLINE, operation->cancel);
    *kind = UNPACK_NONE;
    ssize_t got = pread(fd, &byte, 1, 0);
    if (got < 0) {
        return error_set_errno(&operation->error, "source", "cannot read it");
    }
    if (got > 0 && is_tar(fd, &trying)) {
        *kind = UNPACK_TAR;
    } else if (got > 0 && is_compressed(fd, &trying)) {
        *kind = UNPACK_COMPRESSED;
    }
    return operation_check(operation);
}

/* --- a member's name --- */

/* "./web/disk.vmdk" in an archive whose members are all in web/. */
static int take_folder(struct pass *pass, const char *path, const char *slash)
{
    char folder[MEMBER_NAME_SIZE] = "";
    if (slash) {
        if ((size_t)(slash - path) >= sizeof folder) {
            return refuse(pass, path, "the name of its folder is too long");
        }
        memcpy(folder, path, (size_t)(slash - path));
        folder[slash - path] = 0;
        if (member_check_name(folder, NULL) < 0) {
            return refuse(pass, path, "its path could leave the folder that it is unpacked to");
        }
    }
    if (pass->any && strcmp(folder, pass->folder) != 0) {
        return refuse(pass, path, "the members are in different folders");
    }
    snprintf(pass->folder, sizeof pass->folder, "%s", folder);
    pass->any = true;
    return VIOS_OK;
}

static int take_name(struct pass *pass, struct archive_entry *entry, char name[MEMBER_NAME_SIZE])
{
    const char *path = archive_entry_pathname(entry);
    if (!path) {
        return refuse(pass, "", "it has no name that can be read");
    }
    const char *begin = strncmp(path, "./", 2) == 0 ? path + 2 : path;
    const char *slash = strchr(begin, '/');
    const char *last = slash ? slash + 1 : begin;
    if (strchr(last, '/')) {
        return refuse(pass, path, "it is in a folder of a folder");
    }
    int status = take_folder(pass, begin, slash);
    if (status == VIOS_OK && member_check_name(last, NULL) < 0) {
        status = refuse(pass, path, "it is no plain name");
    }
    if (status == VIOS_OK) {
        snprintf(name, MEMBER_NAME_SIZE, "%s", last);
    }
    return status;
}

static const char *kind_of(struct archive_entry *entry)
{
    return archive_entry_hardlink(entry)               ? "it is a hard link"
           : archive_entry_filetype(entry) == AE_IFLNK ? "it is a symbolic link"
           : archive_entry_filetype(entry) == AE_IFCHR || archive_entry_filetype(entry) == AE_IFBLK
               ? "it is a device"
           : archive_entry_filetype(entry) == AE_IFIFO ? "it is a FIFO"
           : archive_entry_filetype(entry) != AE_IFREG ? "it is no regular file"
                                                       : NULL;
}

/* 1: it is a folder, which is passed over. */
static int check_member(struct pass *pass, struct archive_entry *entry, char name[MEMBER_NAME_SIZE])
{
    const char *why = kind_of(entry), *path = archive_entry_pathname(entry);
    if (archive_entry_filetype(entry) == AE_IFDIR && !archive_entry_hardlink(entry)) {
        return pass->folders++ == UNPACK_FOLDERS_MAX
                   ? refuse(pass, path, "there are too many folders")
                   : 1; /* what is in it says whether it is a good one */
    }
    if (why) {
        return refuse(pass, path, why);
    }
    if (pass->list->kind == UNPACK_COMPRESSED) {
        snprintf(name, MEMBER_NAME_SIZE, UNPACK_SINGLE);
        return VIOS_OK;
    }
    int status = take_name(pass, entry, name);
    if (status == VIOS_OK && (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0)) {
        status = refuse(pass, path, "its size is not known");
    }
    return status;
}

/* --- reading --- */

static int check_room(struct pass *pass, uint64_t end)
{
    char limit[PARSE_SIZE_TEXT];
    if (pass->listed && end > pass->listed->size_bytes) {
        return refuse(pass, pass->listed->name, OTHER_SIZE);
    }
    if (end > pass->limit_bytes - pass->bytes) {
        return operation_fail(pass->operation, VIOS_E_NO_SPACE, "archive",
                              "make room in the pool, or unpack it elsewhere",
                              "unpacked it is larger than what is free (%s)",
                              size_format(pass->limit_bytes, limit));
    }
    return operation_check(pass->operation);
}

static int count_bytes(struct pass *pass, uint64_t end)
{
    if (pass->progress && pass->progress->told) {
        pass->progress->told(pass->progress->context, pass->bytes + end, 0);
    }
    return check_room(pass, end);
}

/* What its header says; a compressed file has none. */
static uint64_t said_size(const struct pass *pass, struct archive_entry *entry)
{
    return pass->list->kind == UNPACK_TAR ? (uint64_t)archive_entry_size(entry) : 0;
}

static int write_block(struct pass *pass, int fd, const char *data, size_t size, uint64_t offset)
{
    while (size > 0) {
        size_t length = size < BLOCK_SIZE ? size : BLOCK_SIZE;
        if (!chunk_is_zero(data, length)) {
            ssize_t done = pwrite(fd, data, length, (off_t)offset);
            if (done < 0) {
                return copy_error(fd, "cannot write it", size, &pass->operation->error);
            }
            length = (size_t)done;
        }
        data += length;
        offset += length;
        size -= length;
    }
    return VIOS_OK;
}

/* Reads a member to its end, into `fd` unless that is -1. `*size` is what it has, with a hole at
 * its end. */
static int read_member(struct pass *pass, struct archive_entry *entry, int fd, uint64_t *size)
{
    const void *data;
    size_t length;
    la_int64_t offset;
    uint64_t said = said_size(pass, entry);
    int result, status = check_room(pass, said);
    *size = 0;
    while (status == VIOS_OK && (result = archive_read_data_block(pass->archive, &data, &length,
                                                                  &offset)) != ARCHIVE_EOF) {
        if (result != ARCHIVE_OK || offset < 0) {
            return broken(pass);
        }
        *size = (uint64_t)offset + length;
        status = count_bytes(pass, *size);
        if (status == VIOS_OK && fd >= 0 && length > 0) {
            status = write_block(pass, fd, data, length, (uint64_t)offset);
        }
    }
    *size = *size < said ? said : *size;
    return status;
}

/* --- listing --- */

static int list_member(struct pass *pass, struct archive_entry *entry)
{
    struct unpack_list *list = pass->list;
    char name[MEMBER_NAME_SIZE] = "";
    uint64_t size = 0;
    int status = check_member(pass, entry, name);
    if (status != VIOS_OK) {
        return status > 0 ? operation_check(pass->operation) : status;
    }
    if (list->count == UNPACK_MEMBERS_MAX) {
        return refuse(pass, name, "there are too many members");
    }
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->members[i].name, name) == 0) {
            return refuse(pass, name, "it is there twice");
        }
    }
    status = read_member(pass, entry, -1, &size);
    if (status == VIOS_OK) {
        struct unpack_member *member = &list->members[list->count++];
        snprintf(member->name, sizeof member->name, "%s", name);
        member->size_bytes = size;
        pass->bytes += size;
    }
    return status;
}

/* After the last member. A tar that was cut between two members ends without its mark. */
static int check_end(struct pass *pass, int result)
{
    bool mark = pass->list->kind != UNPACK_TAR || archive_filter_bytes(pass->archive, 0) >
                                                      archive_read_header_position(pass->archive);
    if (result != ARCHIVE_EOF || !mark) {
        return broken(pass);
    }
    return VIOS_OK;
}

int unpack_list(int fd, uint64_t limit_bytes, struct unpack_list *list,
                const struct copy_progress *progress, struct operation *operation)
{
    struct archive_entry *entry;
    struct pass pass = {
        .list = list, .limit_bytes = limit_bytes, .progress = progress, .operation = operation};
    int result = ARCHIVE_OK;
    memset(list, 0, sizeof *list);
    int status = unpack_detect(fd, &list->kind, operation);
    if (status < 0 || list->kind == UNPACK_NONE) {
        return status;
    }
    status = open_archive(fd, list->kind, &pass.archive, operation);
    while (status == VIOS_OK &&
           (result = archive_read_next_header(pass.archive, &entry)) == ARCHIVE_OK) {
        status = list_member(&pass, entry);
    }
    if (status == VIOS_OK) {
        status = check_end(&pass, result);
    }
    archive_read_free(pass.archive);
    return status;
}

/* --- writing --- */

/* Into the open file, as it was listed. */
static int write_file(struct pass *pass, struct archive_entry *entry, int fd)
{
    uint64_t size = 0;
    int status = read_member(pass, entry, fd, &size);
    if (status == VIOS_OK && size != pass->listed->size_bytes) {
        status = refuse(pass, pass->listed->name, OTHER_SIZE);
    }
    if (status == VIOS_OK && (ftruncate(fd, (off_t)size) != 0 || fsync(fd) != 0)) {
        status = copy_error(fd, "cannot finish it", 0, &pass->operation->error);
    }
    pass->bytes += size;
    return status;
}

static int write_member(struct pass *pass, struct archive_entry *entry, int folder_fd)
{
    char name[MEMBER_NAME_SIZE] = "";
    size_t i = 0;
    int status = check_member(pass, entry, name);
    if (status != VIOS_OK) {
        return status > 0 ? operation_check(pass->operation) : status;
    }
    while (i < pass->list->count && strcmp(pass->list->members[i].name, name) != 0) {
        i++;
    }
    if (i == pass->list->count) {
        return refuse(pass, name, "it was not there before: the archive has changed");
    }
    int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_set_errno(&pass->operation->error, name, "cannot unpack it");
    }
    pass->listed = &pass->list->members[i];
    status = write_file(pass, entry, fd);
    pass->written[i] = true;
    pass->listed = NULL;
    close(fd);
    return status;
}

static int check_written(struct pass *pass)
{
    for (size_t i = 0; i < pass->list->count; i++) {
        if (!pass->written[i]) {
            return refuse(pass, pass->list->members[i].name,
                          "it is there no more: the archive has changed");
        }
    }
    return VIOS_OK;
}

int unpack_to(int fd, int folder_fd, const struct unpack_list *list,
              const struct copy_progress *progress, struct operation *operation)
{
    struct archive_entry *entry;
    struct unpack_list again = *list;
    struct pass pass = {
        .list = &again, .limit_bytes = UINT64_MAX, .progress = progress, .operation = operation};
    int result = ARCHIVE_OK;
    int status = open_archive(fd, list->kind, &pass.archive, operation);
    while (status == VIOS_OK &&
           (result = archive_read_next_header(pass.archive, &entry)) == ARCHIVE_OK) {
        status = write_member(&pass, entry, folder_fd);
    }
    if (status == VIOS_OK) {
        status = check_end(&pass, result);
    }
    if (status == VIOS_OK) {
        status = check_written(&pass);
    }
    if (status == VIOS_OK && fsync(folder_fd) != 0) {
        status = error_set_errno(&operation->error, "archive", "cannot sync its folder");
    }
    archive_read_free(pass.archive);
    return status;
}

/* --- what is in the folder --- */

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), size = strlen(end);
    return length > size && strcmp(name + length - size, end) == 0;
}

static bool is_disk(const char *name)
{
    static const char *const ENDS[] = {".qcow2", ".vmdk", ".vhd", ".vhdx", ".img", ".raw"};
    for (size_t i = 0; i < sizeof ENDS / sizeof ENDS[0]; i++) {
        if (ends_with(name, ENDS[i])) {
            return true;
        }
    }
    return false;
}

static int compare_members(const void *one, const void *other)
{
    return strcmp(((const struct unpack_member *)one)->name,
                  ((const struct unpack_member *)other)->name);
}

/* Members of the folder that `wanted` takes, in order. */
static int find_members(int folder_fd, bool (*wanted)(const char *name), struct unpack_list *found,
                        struct vios_error *error)
{
    struct dirent *entry;
    int copy = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    memset(found, 0, sizeof *found);
    if (!folder) {
        return error_set_errno(error, "archive", "cannot read its folder");
    }
    while ((entry = readdir(folder)) != NULL && found->count < UNPACK_MEMBERS_MAX) {
        if (member_check_name(entry->d_name, NULL) == VIOS_OK && wanted(entry->d_name)) {
            snprintf(found->members[found->count++].name, MEMBER_NAME_SIZE, "%.127s",
                     entry->d_name);
        }
    }
    closedir(folder);
    qsort(found->members, found->count, sizeof found->members[0], compare_members);
    return VIOS_OK;
}

int unpack_disks(int folder_fd, struct unpack_list *disks, struct vios_error *error)
{
    return find_members(folder_fd, is_disk, disks, error);
}

static bool is_manifest(const char *name)
{
    return ends_with(name, ".mf");
}

int unpack_find_manifest(int folder_fd, char name[MEMBER_NAME_SIZE], struct vios_error *error)
{
    struct unpack_list found;
    int status = find_members(folder_fd, is_manifest, &found, error);
    if (status == VIOS_OK) {
        snprintf(name, MEMBER_NAME_SIZE, "%s", found.count ? found.members[0].name : "");
    }
    return status;
}
