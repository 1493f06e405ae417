/*
 * test_sparse_copy.c - copies of files with holes: content, holes, digests; a full file system; a
 * copy that is killed and goes on, by a journal that is never ahead of the disk; clones. Some need
 * root, for file systems of their own.
 */
#include "base/file.h"
#include "storage/copy_journal.h"
#include "storage/sparse_copy.h"
#include "tests/loop_mount.h"
#include "tests/synced.h"

#include <errno.h>
#include <signal.h>
#include <sys/mount.h>

#define MIB (1L << 20)
#define SIZE (6 * MIB + 4096 + 7)
#define LARGE (128 * MIB)
#define TRIES 40 /* the copy may be done while its first sync is waited for */

static int folder_fd;

static int opened(const char *name)
{
    return openat(folder_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static int emptied(const char *name)
{
    unlinkat(folder_fd, name, 0);
    return opened(name);
}

static void put(int fd, const void *data, size_t size, off_t at)
{
    is_int(pwrite(fd, data, size, at), (ssize_t)size);
}

/* Holes at 0 and from 3 MiB; written zeroes in the third MiB; a last chunk that is short. */
static int made_source(void)
{
    static char block[MIB];
    int fd = emptied("source");
    is_int(ftruncate(fd, SIZE), 0);
    put(fd, block, MIB, 2 * MIB);
    put(fd, "in it", 5, 2 * MIB + 40960);
    memset(block, 'x', MIB);
    put(fd, block, MIB, MIB);
    put(fd, "the end", 7, SIZE - 7);
    memset(block, 0, MIB);
    return fd;
}

static bool same(int one, int other)
{
    static char a[MIB], b[MIB];
    for (off_t at = 0;; at += MIB) {
        ssize_t got = pread(one, a, MIB, at);
        if (got != pread(other, b, MIB, at) || memcmp(a, b, (size_t)got) != 0) {
            return false;
        }
        if (got < MIB) {
            return true;
        }
    }
}

static off_t allocated(int fd)
{
    struct stat status = {0};
    fstat(fd, &status);
    return status.st_blocks * 512;
}

static void content_holes_and_digests(void)
{
    struct operation operation;
    struct chunks chunks;
    int from = made_source(), to = emptied("copy");
    put(to, "old", 3, 10); /* is lost */
    put(to, "old", 3, 9 * MIB);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    ok(sparse_copy(from, to, SIZE, &chunks, NULL, &operation) == VIOS_OK, "%s",
       operation.error.message);
    ok(same(from, to), "the copy differs");
    ok(allocated(to) <= MIB + 4 * 4096, "%lld bytes are allocated", (long long)allocated(to));
    is_int(chunks.size_bytes, SIZE);
    is_int(chunks_verify(from, "source", &chunks, NULL, &operation), VIOS_OK);
    is_int(chunks_verify(to, "copy", &chunks, NULL, &operation), VIOS_OK);
    chunks_clear(&chunks);
    is_int(sparse_copy(from, to, SIZE, NULL, NULL, &operation), VIOS_OK);
    ok(same(from, to), "the copy without digests differs");
    close(from);
    close(to);
}

static void a_part_is_copied(void)
{
    struct operation operation;
    int from = made_source(), to = emptied("copy");
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(sparse_copy(from, to, MIB + 10, NULL, NULL, &operation), VIOS_OK);
    is_int(lseek(to, 0, SEEK_END), MIB + 10);
    is_int(ftruncate(from, MIB + 10), 0);
    ok(same(from, to), "the part differs");
    close(from);
    close(to);
}

static void a_small_source_is_refused(void)
{
    struct operation operation;
    struct chunks chunks;
    char want[64];
    int from = made_source(), to = emptied("copy");
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(sparse_copy(from, to, SIZE + 1, &chunks, NULL, &operation), VIOS_E_INVALID);
    snprintf(want, sizeof want, "has %ld bytes, %ld are wanted", SIZE, SIZE + 1);
    is_text(operation.error.message, want);
    ok(strstr(operation.error.object, "/source"), "%s", operation.error.object);
    ok(!chunks.digests, "digests of nothing");
    close(from);
    close(to);
}

static void a_cancel_ends_it(void)
{
    struct operation operation;
    struct cancel *cancel = cancel_new();
    int from = made_source(), to = emptied("copy");
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    cancel_trigger(cancel);
    is_int(sparse_copy(from, to, SIZE, NULL, NULL, &operation), VIOS_E_CANCELLED);
    cancel_free(cancel);
    close(from);
    close(to);
}

static void a_bad_descriptor_is_named(void)
{
    struct operation operation;
    char path[256];
    int from = made_source();
    snprintf(path, sizeof path, "%s/source", tap_folder());
    int to = open(path, O_RDONLY | O_CLOEXEC); /* not for writing */
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(sparse_copy(from, to, SIZE, NULL, NULL, &operation), VIOS_E_SYSTEM);
    is_text(operation.error.object, path);
    is_text(operation.error.message, "cannot set its size: Invalid argument");
    close(from);
    close(to);
}

/* --- a full file system --- */

static void missing_bytes_are_named(void)
{
    struct operation operation;
    char folder[128], path[160];
    unsigned long long missing, left, free_bytes;
    int from = made_source();
    snprintf(folder, sizeof folder, "%s/full", tap_folder());
    snprintf(path, sizeof path, "%s/copy", folder);
    mkdir(folder, 0700);
    if (mount("none", folder, "tmpfs", 0, "size=512k") != 0) {
        rmdir(folder);
        close(from);
        SKIP("no tmpfs may be mounted: not root");
    }
    int to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(sparse_copy(from, to, SIZE, NULL, NULL, &operation), VIOS_E_NO_SPACE);
    is_text(operation.error.object, path);
    is_int(sscanf(operation.error.message,
                  "no space: %llu bytes are missing (%llu to be written, %llu free)", &missing,
                  &left, &free_bytes),
           3);
    is_int(missing, left - free_bytes);
    ok(missing > 1500000 && missing < 2000000, "%llu are missing", missing); /* of 2 MiB + 8 KiB */
    close(to);
    close(from);
    umount(folder);
    rmdir(folder);
}

/* --- going on --- */

static long long bytes_read_so_far(void)
{
    char text[256] = "";
    long long count = -1;
    int fd = open("/proc/self/io", O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got > 0) {
        sscanf(text, "rchar: %lld", &count);
    }
    return count;
}

static int made_large(void)
{
    static uint64_t block[MIB / 8];
    int fd = emptied("large");
    for (off_t at = 0; at < LARGE; at += MIB) {
        for (size_t i = 0; i < MIB / 8; i++) {
            block[i] = (uint64_t)at + i + 1;
        }
        put(fd, block, MIB, at);
    }
    return fd;
}

/* In the child: dies as soon as something is in the journal. */
static void die_midway(void *context, uint64_t done, uint64_t total)
{
    struct stat status;
    (void)context;
    if (fstatat(folder_fd, "journal", &status, 0) == 0 && status.st_size > 64 && done < total) {
        kill(getpid(), SIGKILL);
    }
}

static int copied(int from, int to, uint64_t tag, struct chunks *chunks,
                  struct copy_journal *journal, const struct copy_progress *progress)
{
    struct operation operation;
    *journal = (struct copy_journal){
        .folder_fd = folder_fd, .name = "journal", .source_tag = tag, .every_bytes = 1};
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    int status = sparse_copy_resume(from, to, LARGE, chunks, journal, progress, &operation);
    ok(status == VIOS_OK, "%s", operation.error.message);
    return status;
}

/* True when the child was killed; false when it was done before. */
static bool killed_midway(int from, int to, uint64_t tag)
{
    int status = 0;
    unlinkat(folder_fd, "journal", 0);
    is_int(ftruncate(to, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        struct chunks chunks;
        struct copy_journal journal;
        struct copy_progress progress = {die_midway, NULL};
        copied(from, to, tag, &chunks, &journal, &progress);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* Returns the destination of a copy that was killed. */
static int half_done(int from, uint64_t tag)
{
    int to = emptied("copy"), tries = 0;
    while (tries < TRIES && !killed_midway(from, to, tag)) {
        tries++;
    }
    ok(tries < TRIES, "no copy could be killed before its end");
    return to;
}

static void check_whole(int from, int to, struct chunks *chunks)
{
    struct operation operation;
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    ok(same(from, to), "the copy differs");
    ok(chunks_verify(from, "large", chunks, NULL, &operation) == VIOS_OK, "%s",
       operation.error.message);
    chunks_clear(chunks);
}

static void a_killed_copy_goes_on(void)
{
    struct chunks chunks;
    struct copy_journal journal;
    uint64_t tag = 0;
    int from = made_large();
    is_int(sparse_copy_tag(from, &tag, NULL), VIOS_OK);
    int to = half_done(from, tag);
    long long before = bytes_read_so_far();
    is_int(copied(from, to, tag, &chunks, &journal, NULL), VIOS_OK);
    long long count = bytes_read_so_far() - before;
    ok(journal.kept_bytes > 0 && journal.kept_bytes < LARGE, "%llu were kept",
       (unsigned long long)journal.kept_bytes);
    ok(count < LARGE - (long long)journal.kept_bytes + MIB, "%lld were read", count);
    printf("# %lld of %ld MiB were read by the second run\n", count / MIB, LARGE / MIB);
    check_whole(from, to, &chunks);

    before = bytes_read_so_far(); /* nothing is left to do */
    is_int(copied(from, to, tag, &chunks, &journal, NULL), VIOS_OK);
    ok(bytes_read_so_far() - before < MIB, "it was read again");
    check_whole(from, to, &chunks);
    close(from);
    close(to);
}

/* Each batch of the journal behind a sync of the copy. */
static void the_journal_names_what_is_on_the_disk(void)
{
    struct chunks chunks;
    struct copy_journal journal;
    int from = made_large(), to = emptied("copy"), batches = 0;
    unlinkat(folder_fd, "journal", 0);
    synced_begin(tap_folder());
    is_int(copied(from, to, 5, &chunks, &journal, NULL), VIOS_OK);
    for (const char *at = synced(); (at = strstr(at, " journal")); at++) {
        ok(strncmp(at - 4, "copy", 4) == 0, "not synced before batch %d: %s", batches, synced());
        batches++;
    }
    ok(batches > 1, "%d batches: %s", batches, synced());
    chunks_clear(&chunks);
    close(from);
    close(to);
}

static void another_source_starts_over(void)
{
    struct chunks chunks;
    struct copy_journal journal;
    uint64_t tag = 0, other = 0;
    int from = made_large();
    is_int(sparse_copy_tag(from, &tag, NULL), VIOS_OK);
    int to = half_done(from, tag);
    put(from, "changed", 7, 0);
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    is_int(futimens(from, times), 0);
    is_int(sparse_copy_tag(from, &other, NULL), VIOS_OK);
    ok(other != tag, "the tag does not tell");
    is_int(copied(from, to, other, &chunks, &journal, NULL), VIOS_OK);
    is_int(journal.kept_bytes, 0);
    check_whole(from, to, &chunks);
    close(from);
    close(to);
}

static void a_copy_of_another_size_starts_over(void)
{
    struct chunks chunks;
    struct copy_journal journal;
    int from = made_large(), to = half_done(from, 5);
    is_int(ftruncate(to, 0), 0); /* as after a power cut */
    is_int(copied(from, to, 5, &chunks, &journal, NULL), VIOS_OK);
    is_int(journal.kept_bytes, 0);
    check_whole(from, to, &chunks);
    close(from);
    close(to);
}

static void what_is_torn_in_the_journal_is_cut(void)
{
    struct chunks chunks;
    struct copy_journal journal;
    char *data;
    size_t size;
    int from = made_large(), to = half_done(from, 5);
    is_int(file_read(folder_fd, "journal", MIB, &data, &size, NULL), VIOS_OK);
    data[size - 1] ^= 1; /* in the last record */
    is_int(file_replace(folder_fd, "journal", data, size, 0600, NULL), VIOS_OK);
    is_int(chunks_make(&chunks, LARGE, NULL), VIOS_OK);
    uint8_t durable[LARGE / MIB] = {0};
    size_t good = copy_journal_parse(data, size, 5, &chunks, durable);
    ok(good >= 64 && good < size, "%zu of %zu bytes are good", good, size);
    chunks_clear(&chunks);
    free(data);
    is_int(copied(from, to, 5, &chunks, &journal, NULL), VIOS_OK);
    check_whole(from, to, &chunks);
    is_int(copied(from, to, 5, &chunks, &journal, NULL), VIOS_OK);
    is_int(journal.kept_bytes, LARGE);
    check_whole(from, to, &chunks);
    close(from);
    close(to);
}

/* --- clones --- */

static void xfs_clones(void)
{
    struct vios_error error = {0};
    char folder[128], path[160];
    snprintf(folder, sizeof folder, "%s/xfs", tap_folder());
    if (!loop_mount(folder, LOOP_XFS)) {
        SKIP("no XFS on a loop mount: not root, or no mkfs.xfs");
    }
    snprintf(path, sizeof path, "%s/source", folder);
    int from = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    snprintf(path, sizeof path, "%s/clone", folder);
    int to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    put(from, "data", 4, MIB);
    ok(sparse_clone(from, to, &error) == VIOS_OK, "%s", error.message);
    ok(same(from, to), "the clone differs");
    close(from);
    from = made_source(); /* on another file system */
    is_int(sparse_clone(from, to, &error), VIOS_E_INVALID);
    is_text(error.message, "its file system cannot clone it there");
    is_text(error.hint, "copy it");
    close(from);
    close(to);
    loop_unmount(folder);
}

int main(void)
{
    folder_fd = open(tap_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    RUN(content_holes_and_digests);
    RUN(a_part_is_copied);
    RUN(a_small_source_is_refused);
    RUN(a_cancel_ends_it);
    RUN(a_bad_descriptor_is_named);
    RUN(missing_bytes_are_named);
    RUN(a_killed_copy_goes_on);
    RUN(the_journal_names_what_is_on_the_disk);
    RUN(another_source_starts_over);
    RUN(a_copy_of_another_size_starts_over);
    RUN(what_is_torn_in_the_journal_is_cut);
    RUN(xfs_clones);
    close(folder_fd);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
