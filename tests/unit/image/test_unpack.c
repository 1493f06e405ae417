/*
 * test_unpack.c - archives are listed and unpacked as they are; those that are broken, grow or
 * change are refused.
 */
#include "tests/file_limit.h"
#include "tests/unit/image/unpacking.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

static void is_file(int folder_fd, const char *name, const char *text)
{
    char *data = NULL;
    size_t size = 0;
    struct vios_error error = {0};
    ok(file_read(folder_fd, name, 1 << 20, &data, &size, &error) == VIOS_OK, "%s: %s", name,
       error.message);
    is_text(data, text);
    free(data);
}

/* The archive is listed and unpacked, and has these two files, if `other` is not NULL. */
static void is_good(int fd, enum unpack_kind kind, const char *one, const char *other)
{
    int folder_fd = open_folder();
    ok(run_list(fd, LIMIT) == VIOS_OK, "%s: %s", operation.error.object, operation.error.message);
    is_int(list.kind, kind);
    is_int((long long)list.count, other ? 2 : 1);
    is_text(list.members[0].name, one);
    ok(run_to(fd, folder_fd) == VIOS_OK, "%s: %s", operation.error.object, operation.error.message);
    is_file(folder_fd, one, "first text");
    is_int((long long)list.members[0].size_bytes, 10);
    if (other) {
        is_text(list.members[1].name, other);
        is_file(folder_fd, other, "");
        is_int((long long)list.members[1].size_bytes, 0);
    }
    is_int(count_entries(folder), other ? 2 : 1);
    close(folder_fd);
    close(fd);
}

/* --- good ones --- */

static void tars_of_all_formats_and_filters(void)
{
    static const int FORMATS[] = {ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE,
                                  ARCHIVE_FORMAT_TAR_GNUTAR};
    static const int FILTERS[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ,
                                  ARCHIVE_FILTER_ZSTD};
    for (size_t i = 0; i < sizeof FORMATS / sizeof FORMATS[0]; i++) {
        for (size_t k = 0; k < sizeof FILTERS / sizeof FILTERS[0]; k++) {
            struct packed packed;
            pack_begin(&packed, FORMATS[i], FILTERS[k]);
            pack_file(&packed, "disk.qcow2", "first text");
            pack_file(&packed, "empty", "");
            is_good(pack_fd(&packed), UNPACK_TAR, "disk.qcow2", "empty");
        }
    }
}

static void one_folder_around_all(void)
{
    static const char *const NAMES[][2] = {
        {"web/disk.img", "web/b"}, {"./web/disk.img", "./web/b"}, {"./disk.img", "b"}};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        struct packed packed;
        pack_begin(&packed, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE);
        pack_any(&packed, "./", AE_IFDIR, NULL, NULL, 0);
        pack_any(&packed, "web/", AE_IFDIR, NULL, NULL, 0);
        pack_file(&packed, NAMES[i][0], "first text");
        pack_file(&packed, NAMES[i][1], "");
        is_good(pack_fd(&packed), UNPACK_TAR, "disk.img", "b");
    }
}

static void one_compressed_disk(void)
{
    static const int FILTERS[] = {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD};
    for (size_t k = 0; k < sizeof FILTERS / sizeof FILTERS[0]; k++) {
        struct packed packed;
        pack_begin(&packed, ARCHIVE_FORMAT_RAW, FILTERS[k]);
        pack_file(&packed, "x", "first text");
        is_good(pack_fd(&packed), UNPACK_COMPRESSED, UNPACK_SINGLE, NULL);
    }
}

/* The exit status of a line of sh(1). */
static int run_line(const char *line)
{
    pid_t pid;
    int status = -1;
    char *const words[] = {(char *)"sh", (char *)"-c", (char *)line, NULL};
    if (posix_spawnp(&pid, "sh", NULL, NULL, words, environ) == 0) {
        waitpid(pid, &status, 0);
    }
    return status;
}

/* Made by tar(1): a hole before the data, and one behind it. */
static void sparse_tars(void)
{
    static const char *const FORMATS[] = {"gnu", "pax --sparse-version=0.0",
                                          "pax --sparse-version=0.1", "pax --sparse-version=1.0"};
    char command[512], path[192];
    if (run_line("tar --version 2>/dev/null | grep -q GNU") != 0) {
        SKIP("no GNU tar");
    }
    for (size_t i = 0; i < sizeof FORMATS / sizeof FORMATS[0]; i++) {
        struct stat info;
        char byte = 0;
        int folder_fd = open_folder();
        snprintf(path, sizeof path, "%s/t.tar", folder);
        snprintf(
            command, sizeof command,
            "cd '%s' && truncate -s 1M d.raw && printf data | dd of=d.raw bs=4k seek=8 "
            "conv=notrunc status=none && tar -c --sparse --format=%s -f t.tar d.raw && rm d.raw",
            folder, FORMATS[i]);
        is_int(run_line(command), 0);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ok(run_list(fd, LIMIT) == VIOS_OK, "%s: %s", FORMATS[i], operation.error.message);
        is_int((long long)list.members[0].size_bytes, 1 << 20);
        ok(run_to(fd, folder_fd) == VIOS_OK, "%s: %s", FORMATS[i], operation.error.message);
        close(fd);
        fd = openat(folder_fd, "d.raw", O_RDONLY | O_CLOEXEC);
        ok(fstat(fd, &info) == 0 && info.st_size == 1 << 20, "%s: size", FORMATS[i]);
        ok(info.st_blocks * 512 < 1 << 20, "%s: holes are written", FORMATS[i]);
        ok(pread(fd, &byte, 1, 32768) == 1 && byte == 'd', "%s: data", FORMATS[i]);
        fd = (close(fd), open(path, O_RDONLY | O_CLOEXEC));
        is_int(run_list(fd, 1000000), VIOS_E_NO_SPACE); /* holes count */
        close(fd);
        close(folder_fd);
    }
}

static void zeroes_become_holes(void)
{
    struct stat info;
    struct packed packed;
    static char data[1 << 18];
    int folder_fd = open_folder();
    data[100000] = 'x';
    pack_begin(&packed, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_GZIP);
    pack_any(&packed, "d.raw", AE_IFREG, NULL, data, sizeof data);
    int fd = pack_fd(&packed);
    is_int(run_list(fd, LIMIT), VIOS_OK);
    is_int(run_to(fd, folder_fd), VIOS_OK);
    close(fd);
    fd = openat(folder_fd, "d.raw", O_RDONLY | O_CLOEXEC);
    ok(fstat(fd, &info) == 0 && info.st_size == sizeof data, "its size");
    ok(info.st_blocks * 512 <= 65536, "%lld blocks", (long long)info.st_blocks);
    is_int(info.st_mode & 07777, 0600);
    close(fd);
    close(folder_fd);
}

/* --- what is no archive --- */

static void is_none(const void *data, size_t size)
{
    enum unpack_kind kind = UNPACK_TAR;
    int fd = bytes_fd(data, size);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(unpack_detect(fd, &kind, &operation), VIOS_OK);
    is_int(kind, UNPACK_NONE);
    is_int(run_list(fd, LIMIT), VIOS_OK);
    is_int(list.kind, UNPACK_NONE);
    is_int((long long)list.count, 0);
    close(fd);
}

static void raw_disks_are_no_archives(void)
{
    static char data[1 << 16];
    is_none(data, 0);
    is_none(data, 1);
    is_none(data, sizeof data);
    data[510] = 0x55; /* the mark of a boot sector, behind zeroes */
    data[511] = (char)0xaa;
    is_none(data, sizeof data);
    memset(data, 0, 1024);
    memset(data + 1024, 'x', 1024);
    is_none(data, sizeof data);
    memcpy(data, "QFI\xfb\0\0\0\3", 8);
    is_none(data, sizeof data);
    srandom(7);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (char)random();
    }
    is_none(data, sizeof data);
}

static void what_cannot_be_read(void)
{
    enum unpack_kind kind;
    int pipes[2], fd;
    ok(pipe(pipes) == 0, "pipe");
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(unpack_detect(pipes[0], &kind, &operation), VIOS_E_SYSTEM);
    is_text(operation.error.object, "source");
    ok(strstr(operation.error.message, "cannot read it") != NULL, "%s", operation.error.message);
    close(pipes[0]);
    close(pipes[1]);
    fd = open(tap_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(unpack_detect(fd, &kind, &operation), VIOS_E_SYSTEM);
    ok(strstr(operation.error.message, "cannot read it") != NULL, "%s", operation.error.message);
    close(fd);
}

/* --- sizes --- */

static void sizes_that_are_not_there(void)
{
    unsigned char blocks[4 * 512] = {0};
    static const uint64_t SIZES[] = {600, (uint64_t)1 << 40, (uint64_t)1 << 62};
    for (size_t i = 0; i < sizeof SIZES / sizeof SIZES[0]; i++) {
        tar_header(blocks, "a", SIZES[i], '0');
        int fd = bytes_fd(blocks, 1024);
        is_int(run_list(fd, UINT64_MAX), VIOS_E_CORRUPT);
        is_text(operation.error.object, "archive");
        ok(strstr(operation.error.message, "it is damaged or ends too soon") != NULL, "%s",
           operation.error.message);
        is_int(run_list(fd, 500), VIOS_E_NO_SPACE);
        close(fd);
    }
    tar_header(blocks, "a", UINT64_MAX, '0'); /* negative */
    blocks[124] = 0xff;
    int fd = bytes_fd(blocks, sizeof blocks);
    ok(run_list(fd, LIMIT) < 0 || list.kind == UNPACK_NONE, "a negative size");
    close(fd);
}

static void a_bomb_is_stopped(void)
{
    static const char zeroes[1 << 20];
    struct packed packed;
    pack_begin(&packed, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_GZIP);
    pack_any(&packed, "a", AE_IFREG, NULL, zeroes, sizeof zeroes);
    pack_any(&packed, "b", AE_IFREG, NULL, zeroes, sizeof zeroes);
    int fd = pack_fd(&packed);
    is_int(run_list(fd, 2 * sizeof zeroes), VIOS_OK);
    is_int(run_list(fd, 2 * sizeof zeroes - 1), VIOS_E_NO_SPACE);
    is_text(operation.error.object, "archive");
    ok(strstr(operation.error.message, "unpacked it is larger than what is free (") != NULL, "%s",
       operation.error.message);
    is_text(operation.error.hint, "make room in the pool, or unpack it elsewhere");
    close(fd);
    pack_begin(&packed, ARCHIVE_FORMAT_RAW, ARCHIVE_FILTER_XZ);
    pack_any(&packed, "a", AE_IFREG, NULL, zeroes, sizeof zeroes);
    fd = pack_fd(&packed);
    is_int(run_list(fd, 4096), VIOS_E_NO_SPACE);
    close(fd);
}

static void a_cancel_is_heard(void)
{
    struct cancel *cancel = cancel_new();
    int fd = many_members(3, AE_IFDIR);
    cancel_trigger(cancel);
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    is_int(unpack_list(fd, LIMIT, &list, NULL, &operation), VIOS_E_CANCELLED);
    list.kind = UNPACK_TAR;
    int folder_fd = open_folder();
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    is_int(unpack_to(fd, folder_fd, &list, NULL, &operation), VIOS_E_CANCELLED);
    close(folder_fd);
    close(fd);
    cancel_free(cancel);
}

/* --- truncated ones --- */

static void is_whole_or_refused(const struct packed *packed, size_t size)
{
    int folder_fd, fd = bytes_fd(packed->data, size);
    int status = run_list(fd, LIMIT);
    ok(status == VIOS_OK || (status == VIOS_E_CORRUPT && operation.error.message[0]),
       "%zu bytes: %d, %s", size, status, operation.error.message);
    if (status == VIOS_OK && list.kind != UNPACK_NONE) {
        is_int((long long)list.count, 2);
        is_int((long long)list.members[0].size_bytes, 600);
        is_int((long long)list.members[1].size_bytes, 10);
        folder_fd = open_folder();
        is_int(run_to(fd, folder_fd), VIOS_OK);
        is_file(folder_fd, "b", "first text");
        close(folder_fd);
    } else if (status == VIOS_OK) {
        ok(size < 512, "%zu bytes of it are taken for a disk", size);
    }
    close(fd);
}

static void every_prefix_is_whole_or_refused(void)
{
    static const int FILTERS[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ,
                                  ARCHIVE_FILTER_ZSTD};
    static const int FORMATS[] = {ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE};
    char data[600];
    srandom(3);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (char)random();
    }
    for (size_t i = 0; i < sizeof FILTERS / sizeof FILTERS[0]; i++) {
        for (size_t k = 0; k < sizeof FORMATS / sizeof FORMATS[0]; k++) {
            struct packed packed;
            pack_begin(&packed, FORMATS[k], FILTERS[i]);
            pack_any(&packed, k ? "./a" : "a", AE_IFREG, NULL, data, sizeof data);
            pack_file(&packed, k ? "./b" : "b", "first text");
            pack_end(&packed);
            for (size_t size = 0; size <= packed.size; size++) {
                is_whole_or_refused(&packed, size);
            }
            free(packed.data);
        }
    }
}

/* --- a folder that is not empty, an archive that changes --- */

static int two_members(const char *one, const char *text, const char *other)
{
    struct packed packed;
    pack_begin(&packed, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE);
    pack_file(&packed, one, text);
    if (other) {
        pack_file(&packed, other, "2");
    }
    return pack_fd(&packed);
}

static void links_in_the_folder_are_not_followed(void)
{
    char victim[128], target[192];
    snprintf(victim, sizeof victim, "%s/victim", tap_folder());
    int folder_fd = open_folder(), fd = two_members("a", "1", NULL);
    snprintf(target, sizeof target, "%s/a", folder);
    ok(symlink(victim, target) == 0, "symlink");
    is_int(run_list(fd, LIMIT), VIOS_OK);
    is_int(run_to(fd, folder_fd), VIOS_E_SYSTEM);
    is_text(operation.error.object, "a");
    is_text(operation.error.message, "cannot unpack it: File exists");
    ok(access(victim, F_OK) != 0, "the link was followed");
    close(folder_fd);
    close(fd);
}

static void is_changed(int before, int after, const char *object, const char *why)
{
    int folder_fd = open_folder();
    is_int(run_list(before, LIMIT), VIOS_OK);
    is_int(run_to(after, folder_fd), VIOS_E_INVALID);
    is_text(operation.error.object, object);
    is_text(operation.error.message, why);
    close(folder_fd);
    close(before);
    close(after);
}

static void archives_that_change_are_refused(void)
{
    is_changed(two_members("a", "1", NULL), two_members("a", "1", "b"), MEMBER("b"),
               "it was not there before: the archive has changed");
    is_changed(two_members("a", "1", "b"), two_members("a", "1", NULL), MEMBER("b"),
               "it is there no more: the archive has changed");
    is_changed(two_members("a", "1", NULL), two_members("a", "12", NULL), MEMBER("a"),
               "it has another size than before: the archive has changed");
    is_changed(two_members("a", "12", NULL), two_members("a", "1", NULL), MEMBER("a"),
               "it has another size than before: the archive has changed");
}

/* --- writing fails --- */

static void what_cannot_be_written(void)
{
    static char data[8192];
    struct packed packed;
    for (int hole = 0; hole < 2; hole++) {
        int folder_fd = open_folder();
        memset(data, hole ? 0 : 'x', sizeof data);
        pack_begin(&packed, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE);
        pack_any(&packed, "a", AE_IFREG, NULL, data, sizeof data);
        int fd = pack_fd(&packed);
        is_int(run_list(fd, LIMIT), VIOS_OK);
        limit_files(4096);
        is_int(run_to(fd, folder_fd), VIOS_E_SYSTEM);
        limit_files(RLIM_INFINITY);
        ok(strstr(operation.error.object, "/to/a") != NULL, "%s", operation.error.object);
        is_text(operation.error.message,
                hole ? "cannot finish it: File too large" : "cannot write it: File too large");
        close(folder_fd);
        close(fd);
    }
    int fd = two_members("a", "1", NULL);
    is_int(run_list(fd, LIMIT), VIOS_OK);
    is_int(run_to(fd, -1), VIOS_E_SYSTEM);
    is_text(operation.error.object, "a");
    is_text(operation.error.message, "cannot unpack it: Bad file descriptor");
    close(fd);
}

/* --- what is in the folder --- */

static void touch(int folder_fd, const char *name)
{
    int fd = openat(folder_fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ok(fd >= 0, "%s", name);
    close(fd);
}

static void disks_and_manifests_are_found(void)
{
    static const char *const NAMES[] = {"b.vmdk", "a.qcow2", "c.vhdx", "d.vhd", "e.img",   "f.raw",
                                        ".g.img", ".raw",    "i.RAW",  "j.ovf", "k.vmdk2", "vmdk"};
    static const char *const FOUND[] = {"a.qcow2", "b.vmdk", "c.vhdx", "d.vhd", "e.img", "f.raw"};
    char name[MEMBER_NAME_SIZE] = "x";
    struct vios_error error = {0};
    int folder_fd = open_folder();
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        touch(folder_fd, NAMES[i]);
    }
    is_int(unpack_disks(folder_fd, &list, &error), VIOS_OK);
    is_int((long long)list.count, 6);
    for (size_t i = 0; i < list.count; i++) {
        is_text(list.members[i].name, FOUND[i]);
    }
    is_int(unpack_find_manifest(folder_fd, name, &error), VIOS_OK);
    is_text(name, "");
    touch(folder_fd, "web.mf");
    is_int(unpack_find_manifest(folder_fd, name, &error), VIOS_OK);
    is_text(name, "web.mf");
    close(folder_fd);
    is_int(unpack_disks(-1, &list, &error), VIOS_E_SYSTEM);
    is_text(error.object, "archive");
    ok(strstr(error.message, "cannot read its folder") != NULL, "%s", error.message);
}

int main(void)
{
    RUN(tars_of_all_formats_and_filters);
    RUN(one_folder_around_all);
    RUN(one_compressed_disk);
    RUN(sparse_tars);
    RUN(zeroes_become_holes);
    RUN(raw_disks_are_no_archives);
    RUN(what_cannot_be_read);
    RUN(sizes_that_are_not_there);
    RUN(a_bomb_is_stopped);
    RUN(a_cancel_is_heard);
    RUN(every_prefix_is_whole_or_refused);
    RUN(links_in_the_folder_are_not_followed);
    RUN(archives_that_change_are_refused);
    RUN(what_cannot_be_written);
    RUN(disks_and_manifests_are_found);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
