/* import_source.c - see import_source.h. */
#include "image/import_source.h"

#include "base/file.h"
#include "base/json.h"
#include "image/fetch.h"
#include "image/fileset.h"
#include "image/image_folder.h"
#include "image/manifest.h"
#include "image/unpack.h"
#include "storage/copy_told.h"
#include "storage/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FETCHED_DONE "source.whole"
#define UNPACKED_DONE "unpacked.whole"

/* --- from a person's word --- */

static bool is_url(const char *word)
{
    return strncmp(word, "http://", 7) == 0 || strncmp(word, "https://", 8) == 0;
}

static int missing(const char *word, const char *why, struct vios_error *error)
{
    return error_set(error, VIOS_E_NOT_FOUND, "image",
                     "give a path, a URL, or a name from \"vios image discover\"",
                     "cannot import \"%.200s\": %s", word, why);
}

/* What differs when its content does, as far as one can tell without reading it. */
static void tag_of(const struct stat *info, struct image *image)
{
    snprintf(image->tag, sizeof image->tag, "%lld-%lld.%09ld", (long long)info->st_size,
             (long long)info->st_mtim.tv_sec, info->st_mtim.tv_nsec);
}

static int look_at(const char *word, const char *path, const char **kind, struct image *image,
                   struct vios_error *error)
{
    struct stat info;
    char inside[PATH_MAX];
    if (stat(path, &info) != 0) {
        return missing(word, strerror(errno), error);
    }
    *kind = S_ISDIR(info.st_mode) ? "folder" : "file";
    if (S_ISDIR(info.st_mode)) {
        if ((size_t)snprintf(inside, sizeof inside, "%s/" IMAGE_DESCRIPTION, path) >=
                sizeof inside ||
            stat(inside, &info) != 0) {
            return missing(word, "the folder has no " IMAGE_DESCRIPTION, error);
        }
    } else if (!S_ISREG(info.st_mode)) {
        return missing(word, "it is no file or folder", error);
    }
    tag_of(&info, image);
    return VIOS_OK;
}

int import_source_from(const struct node *node, const char *word, json_t **source,
                       struct image *image, struct vios_error *error)
{
    char path[PATH_MAX];
    const char *kind = "url";
    int status = VIOS_OK;
    if (strlen(word) >= IMAGE_SOURCE_SIZE) {
        return error_set(error, VIOS_E_USAGE, "image", NULL, "the source is longer than %d bytes",
                         IMAGE_SOURCE_SIZE - 1);
    }
    snprintf(path, sizeof path, "%s", word);
    snprintf(image->source, sizeof image->source, "%s", word);
    if (is_url(word)) {
        snprintf(image->tag, sizeof image->tag, "url");
    } else {
        if (word[0] != '/') {
            status = parse_name(word, "image", NULL) == VIOS_OK
                         ? image_folder_path(node, word, path, error)
                         : missing(word, "it is neither an absolute path nor a name", error);
        }
        if (status == VIOS_OK) {
            status = look_at(word, path, &kind, image, error);
        }
    }
    *source = status == VIOS_OK ? json_pack("{s:s, s:s}", "kind", kind, "path", path) : NULL;
    return status;
}

/* --- what it is in a job --- */

static const char *source_text(const struct job *job, const char *member)
{
    const char *text = json_get_text(json_object_get(job->data, "source"), member);
    return text ? text : "";
}

static bool is_kind(const struct job *job, const char *kind)
{
    return strcmp(source_text(job, "kind"), kind) == 0;
}

static int open_work(struct job *job, const struct image *image)
{
    return fileset_open_work(job_node(job), image, &job->operation.error);
}

static bool is_whole(int work, const char *mark)
{
    return faccessat(work, mark, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What may be written into the pool now. */
static int free_bytes(struct job *job, const struct image *image, uint64_t *bytes)
{
    struct pool_space space = {0};
    int status = pool_space(job_node(job), image->pool, &space, &job->operation.error);
    *bytes = space.free_bytes;
    return status;
}

int import_source_fetch(struct job *job, const struct image *image)
{
    uint64_t limit;
    struct copy_progress progress = {copy_told, job};
    if (!is_kind(job, "url")) {
        return VIOS_OK;
    }
    int work = open_work(job, image);
    int status = work < 0 ? work : free_bytes(job, image, &limit);
    if (status == VIOS_OK && !is_whole(work, FETCHED_DONE)) {
        status = fetch_url(source_text(job, "path"), work, SOURCE_FETCHED, limit, &progress,
                           &job->operation);
        if (status == VIOS_OK) {
            status = file_replace(work, FETCHED_DONE, "", 0, 0600, &job->operation.error);
        }
    }
    if (work >= 0) {
        close(work);
    }
    return status;
}

/* The source itself, if it is one file: an archive, a disk, or something compressed. */
static int open_source(struct job *job, int work)
{
    char object[96];
    const char *path = source_text(job, "path");
    int fd = is_kind(job, "url") ? openat(work, SOURCE_FETCHED, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
                                 : open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    snprintf(object, sizeof object, "source \"%.80s\"", path);
    return fd >= 0 ? fd : error_set_errno(&job->operation.error, object, "cannot open it");
}

static int unpack_source(struct job *job, const struct image *image, int work, int fd)
{
    uint64_t limit;
    struct unpack_list members = {.count = 0};
    struct copy_progress progress = {copy_told, job};
    int folder = -1;
    int status = free_bytes(job, image, &limit);
    if (status == VIOS_OK) {
        status = unpack_list(fd, limit, &members, &progress, &job->operation);
    }
    if (status == VIOS_OK) {
        status = fileset_remove_entry(work, SOURCE_UNPACKED, &job->operation.error);
    }
    if (status == VIOS_OK &&
        (mkdirat(work, SOURCE_UNPACKED, 0700) != 0 ||
         (folder = openat(work, SOURCE_UNPACKED, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)) {
        status = error_set_errno(&job->operation.error, SOURCE_UNPACKED, "cannot make this folder");
    }
    if (status == VIOS_OK) {
        status = unpack_to(fd, folder, &members, &progress, &job->operation);
    }
    if (status == VIOS_OK) {
        status = manifest_check(folder, &progress, &job->operation);
    }
    if (status == VIOS_OK) {
        status = file_replace(work, UNPACKED_DONE, "", 0, 0600, &job->operation.error);
    }
    if (folder >= 0) {
        close(folder);
    }
    return status;
}

static int unpack(struct job *job, const struct image *image)
{
    enum unpack_kind kind;
    int fd = -1;
    if (is_kind(job, "folder")) {
        return VIOS_OK;
    }
    int work = open_work(job, image);
    int status = work < 0 ? work : VIOS_OK;
    if (status == VIOS_OK && !is_whole(work, UNPACKED_DONE)) {
        fd = open_source(job, work);
        status = fd < 0 ? fd : unpack_detect(fd, &kind, &job->operation);
        if (status == VIOS_OK && kind != UNPACK_NONE) {
            status = unpack_source(job, image, work, fd);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    if (work >= 0) {
        close(work);
    }
    return status;
}

/* --- its disks --- */

void import_disks_close(struct import_disks *disks)
{
    for (size_t i = 0; i < disks->count; i++) {
        close(disks->disks[i].fd);
    }
    disks->count = 0;
}

/* Takes over `fd`. */
static int add_disk(struct job *job, struct import_disks *disks, int fd, const char *name)
{
    char object[96];
    struct import_disk *disk = &disks->disks[disks->count];
    if (fd < 0) {
        snprintf(object, sizeof object, "file \"%.80s\"", name);
        return error_set_errno(&job->operation.error, object, "cannot open it");
    }
    if (disks->count == IMAGE_FILES_MAX) {
        close(fd);
        return operation_fail(&job->operation, VIOS_E_INVALID, job->object, NULL,
                              "more than %d disks", IMAGE_FILES_MAX);
    }
    snprintf(disk->name, sizeof disk->name, "%s", name);
    disk->fd = fd;
    disks->count++;
    if (disks->known) {
        size_t i = disks->count - 1;
        return disk_look_again(fd, name,
                               i < disks->known->file_count ? disks->known->files[i].size_bytes : 0,
                               &disk->info, &job->operation.error);
    }
    return disk_inspect(fd, name, &disk->info, &job->operation);
}

static int check_format(struct job *job, const struct description_file *file,
                        const struct disk_info *info)
{
    char object[96];
    const char *is = disk_format_name(info->format);
    snprintf(object, sizeof object, "file \"%.80s\"", file->name);
    return file->format[0] && strcmp(file->format, is) != 0
               ? operation_fail(&job->operation, VIOS_E_INVALID, object,
                                "correct " IMAGE_DESCRIPTION, "it is %s, its description says %s",
                                is, file->format)
               : VIOS_OK;
}

static int open_described(struct job *job, int folder, struct import_disks *disks)
{
    const struct image_description *described = &disks->description;
    struct copy_progress progress = {copy_told, job};
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < described->file_count; i++) {
        const struct description_file *file = &described->files[i];
        int fd = openat(folder, file->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        status = add_disk(job, disks, fd, file->name);
        if (status == VIOS_OK) {
            status = check_format(job, file, &disks->disks[i].info);
        }
        if (status == VIOS_OK && !disks->known) {
            status = description_check_file(fd, file, &progress, &job->operation);
        }
    }
    return status;
}

/* What an archive without a description had: all disks in it by name. */
static int open_named(struct job *job, int folder, struct import_disks *disks)
{
    struct unpack_list members = {.count = 0};
    int status = unpack_disks(folder, &members, &job->operation.error);
    for (size_t i = 0; status == VIOS_OK && i < members.count; i++) {
        int fd = openat(folder, members.members[i].name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        status = add_disk(job, disks, fd, members.members[i].name);
    }
    if (status == VIOS_OK && disks->count == 0) {
        status = operation_fail(&job->operation, VIOS_E_INVALID, job->object,
                                "pack .qcow2, .vmdk, .vhd, .raw or .img files into it",
                                "there is no disk in the archive");
    }
    return status;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : "disk";
}

static int open_single(struct job *job, int work, struct import_disks *disks)
{
    char name[IMAGE_FILE_NAME_SIZE];
    const char *base = is_kind(job, "spool") ? "disk" : base_name(source_text(job, "path"));
    snprintf(name, sizeof name, "%s", member_check_name(base, NULL) == VIOS_OK ? base : "disk");
    int fd = open_source(job, work);
    return fd < 0 ? fd : add_disk(job, disks, fd, name);
}

static int open_all(struct job *job, int work, struct import_disks *disks)
{
    bool unpacked = is_whole(work, UNPACKED_DONE);
    if (!unpacked && !is_kind(job, "folder")) {
        return open_single(job, work, disks);
    }
    int folder = unpacked ? openat(work, SOURCE_UNPACKED, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                          : open(source_text(job, "path"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return error_set_errno(&job->operation.error, source_text(job, "path"), "cannot open it");
    }
    int status = image_folder_description(folder, &disks->description, &job->operation.error);
    if (status == VIOS_OK) {
        status = open_described(job, folder, disks);
    } else if (status == VIOS_E_NOT_FOUND && unpacked) {
        status = open_named(job, folder, disks);
    }
    close(folder);
    return status;
}

int import_source_open(struct job *job, const struct image *image, bool check,
                       struct import_disks *disks)
{
    memset(disks, 0, sizeof *disks);
    disks->known = check ? NULL : image;
    /* A survivor has a working folder of its own, where nothing is yet. */
    int status = import_source_fetch(job, image);
    if (status == VIOS_OK) {
        status = unpack(job, image);
    }
    int work = status < 0 ? status : open_work(job, image);
    if (work < 0) {
        return work;
    }
    status = open_all(job, work, disks);
    if (status < 0) {
        import_disks_close(disks);
    }
    close(work);
    return status;
}

int import_source_clear(struct job *job, const struct image *image)
{
    static const char *const ENTRIES[] = {SOURCE_FETCHED, FETCHED_DONE, SOURCE_UNPACKED,
                                          UNPACKED_DONE};
    int status = VIOS_OK;
    int work = open_work(job, image);
    if (work < 0) {
        return work;
    }
    for (size_t i = 0; status == VIOS_OK && i < sizeof ENTRIES / sizeof ENTRIES[0]; i++) {
        status = fileset_remove_entry(work, ENTRIES[i], &job->operation.error);
    }
    close(work);
    return status;
}
