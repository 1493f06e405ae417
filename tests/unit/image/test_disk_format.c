/* test_disk_format.c - what a disk file is, what is refused, and what becomes of the others. */
#include "base/file.h"
#include "image/disk_format.h"
#include "image/qemu_img.h"
#include "tests/loop_mount.h"

#include <errno.h>
#include <sys/mount.h>

#define MIB (1L << 20)
#define SIZE (8 * MIB)

static int folder_fd;
static bool have_qemu;

static int opened(const char *name)
{
    return openat(folder_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

/* Runs shell words in the folder. */
static bool shell(const char *words)
{
    char line[1024];
    snprintf(line, sizeof line, "cd \"$1\" && %s", words);
    return loop_shell(line, tap_folder(), "");
}

static void make_raw(void)
{
    int fd = opened("raw");
    is_int(ftruncate(fd, SIZE), 0);
    is_int(pwrite(fd, "here", 4, 2 * MIB + 9), 4);
    is_int(pwrite(fd, "there", 5, SIZE - 5), 5);
    close(fd);
}

static int inspected(const char *name, struct disk_info *info, struct operation *operation)
{
    int fd = opened(name);
    operation_start(operation, OPERATION_NO_DEADLINE, NULL);
    int status = disk_inspect(fd, name, info, operation);
    close(fd);
    return status;
}

static void count_up(void *context, uint64_t done, uint64_t total)
{
    uint64_t *last = context;
    ok(done >= *last && done <= total, "%llu after %llu of %llu", (unsigned long long)done,
       (unsigned long long)*last, (unsigned long long)total);
    *last = done;
}

static void converts(const char *name, enum disk_format format)
{
    struct operation operation;
    struct disk_info info;
    struct chunks chunks, raw_chunks;
    char hex[CHUNKS_TEXT_SIZE], raw_hex[CHUNKS_TEXT_SIZE];
    uint64_t last = 0;
    struct copy_progress progress = {count_up, &last};
    ok(inspected(name, &info, &operation) == VIOS_OK, "%s", operation.error.message);
    is_text(disk_format_name(info.format), disk_format_name(format));
    is_int(info.virtual_size_bytes, SIZE);
    int from = opened(name), to = opened("converted"), raw = opened("raw"), copy = opened("copy");
    ok(disk_convert(from, name, &info, to, &chunks, &progress, &operation) == VIOS_OK, "%s",
       operation.error.message);
    ok(last >= SIZE, "progress ended at %llu", (unsigned long long)last);
    struct disk_info raw_info = {.virtual_size_bytes = SIZE};
    is_int(disk_convert(raw, "raw", &raw_info, copy, &raw_chunks, NULL, &operation), VIOS_OK);
    chunks_digest(&chunks, hex);
    chunks_digest(&raw_chunks, raw_hex);
    is_text(hex, raw_hex);
    is_int(chunks_verify(to, "converted", &raw_chunks, NULL, &operation), VIOS_OK);
    struct stat status = {0};
    fstat(to, &status);
    ok(status.st_blocks * 512 <= MIB, "%lld bytes are allocated",
       (long long)status.st_blocks * 512);
    chunks_clear(&chunks);
    chunks_clear(&raw_chunks);
    close(from);
    close(to);
    close(raw);
    close(copy);
}

static void raw_is_converted(void)
{
    converts("raw", DISK_RAW);
}

/* `how`: the words for qemu-img after "-O". */
static void made_and_converted(const char *how, const char *name, enum disk_format format)
{
    char words[160];
    snprintf(words, sizeof words, "qemu-img convert -f raw -O %s raw %s", how, name);
    ok(shell(words), "%s", words);
    converts(name, format);
}

static void others_are_converted(void)
{
    if (!have_qemu) {
        SKIP("no qemu-img");
    }
    made_and_converted("qcow2", "a.qcow2", DISK_QCOW2);
    made_and_converted("qcow2 -c -o compression_type=zstd", "c.qcow2", DISK_QCOW2);
    made_and_converted("vmdk", "a.vmdk", DISK_VMDK);
    made_and_converted("vmdk -o subformat=streamOptimized", "s.vmdk", DISK_VMDK);
    made_and_converted("vpc -o force_size=on", "a.vhd", DISK_VHD);
    made_and_converted("vpc -o subformat=fixed,force_size=on", "f.vhd", DISK_VHD);
    made_and_converted("vhdx", "a.vhdx", DISK_VHDX);
}

static void refused(const char *name, const char *why)
{
    struct operation operation;
    struct disk_info info;
    is_int(inspected(name, &info, &operation), VIOS_E_INVALID);
    is_text(operation.error.object, name);
    is_text(operation.error.message, why);
}

static void what_needs_others_is_refused(void)
{
    if (!have_qemu) {
        SKIP("no qemu-img");
    }
    ok(shell("qemu-img create -q -f qcow2 -b raw -F raw b.qcow2"), "qemu-img");
    refused("b.qcow2", "refused: the qcow2 has a backing file");
    ok(shell("qemu-img create -q -f qcow2 -o data_file=data,data_file_raw=on d.qcow2 8M"),
       "qemu-img");
    refused("d.qcow2", "refused: the qcow2 has an external data file");
    ok(shell("qemu-img create -q -f vmdk -o subformat=monolithicFlat flat.vmdk 8M"), "qemu-img");
    refused("flat.vmdk", "refused: the vmdk has its extents in other files");
    ok(shell("qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse two.vmdk 8M"),
       "qemu-img");
    refused("two.vmdk", "refused: the vmdk has its extents in other files");
    ok(shell("qemu-img convert -f raw -O vmdk raw p.vmdk && "
             "qemu-img create -q -f vmdk -b p.vmdk -F vmdk b.vmdk"),
       "qemu-img");
    refused("b.vmdk", "refused: the vmdk has a backing file");
    ok(shell("qemu-img create -q -f qcow2 e.qcow2 8M"), "qemu-img");
    int fd = opened("e.qcow2");
    is_int(pwrite(fd, "\0\0\0\2", 4, 32), 4); /* LUKS */
    close(fd);
    refused("e.qcow2", "refused: the qcow2 is encrypted");
}

static void damaged_headers_are_refused(void)
{
    if (!have_qemu) {
        SKIP("no qemu-img");
    }
    ok(shell("qemu-img create -q -f qcow2 x.qcow2 8M"), "qemu-img");
    int fd = opened("x.qcow2");
    is_int(pwrite(fd, "\xff\xff", 2, 40), 2); /* where its first table lies */
    close(fd);
    refused("x.qcow2", "qemu-img: Active L1 table offset invalid");
    fd = opened("short.qcow2");
    is_int(pwrite(fd, "QFI\xfb\0\0\0\3", 8, 0), 8);
    close(fd);
    refused("short.qcow2", "refused: the qcow2 header is cut");
}

static void a_name_is_never_a_protocol(void)
{
    struct operation operation;
    struct disk_info info;
    int fd = opened("nbd:localhost:1");
    is_int(ftruncate(fd, MIB), 0);
    close(fd);
    is_int(inspected("nbd:localhost:1", &info, &operation), VIOS_OK);
    is_int(info.format, DISK_RAW);
    is_int(info.virtual_size_bytes, MIB);
}

static void a_cancel_ends_it(void)
{
    struct operation operation;
    struct disk_info info = {.format = DISK_QCOW2, .virtual_size_bytes = SIZE};
    struct chunks chunks;
    struct cancel *cancel = cancel_new();
    int from = opened("raw"), to = opened("converted");
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    cancel_trigger(cancel);
    is_int(disk_convert(from, "raw", &info, to, &chunks, NULL, &operation), VIOS_E_CANCELLED);
    ok(!chunks.digests, "digests of nothing");
    cancel_free(cancel);
    close(from);
    close(to);
}

static void a_full_disk_names_what_is_missing(void)
{
    struct operation operation;
    struct disk_info info;
    struct chunks chunks;
    char folder[128], path[160];
    unsigned long long missing, left, free_bytes;
    if (!have_qemu) {
        SKIP("no qemu-img");
    }
    snprintf(folder, sizeof folder, "%s/full", tap_folder());
    snprintf(path, sizeof path, "%s/copy", folder);
    mkdir(folder, 0700);
    if (mount("none", folder, "tmpfs", 0, "size=1m") != 0) {
        rmdir(folder);
        SKIP("no tmpfs may be mounted: not root");
    }
    ok(shell("head -c 4M /dev/urandom >full.raw && "
             "qemu-img convert -f raw -O qcow2 full.raw full.qcow2"),
       "qemu-img");
    is_int(inspected("full.qcow2", &info, &operation), VIOS_OK);
    int from = opened("full.qcow2"), to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    is_int(disk_convert(from, "full.qcow2", &info, to, &chunks, NULL, &operation), VIOS_E_NO_SPACE);
    is_text(operation.error.object, path);
    is_int(sscanf(operation.error.message,
                  "no space: %llu bytes are missing (%llu to be written, %llu free)", &missing,
                  &left, &free_bytes),
           3);
    ok(missing >= 3 * MIB - 65536 && missing <= 4 * MIB, "%llu are missing", missing);
    close(from);
    close(to);
    umount(folder);
    rmdir(folder);
}

int main(void)
{
    folder_fd = open(tap_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    have_qemu = access(QEMU_IMG_PROGRAM, X_OK) == 0;
    make_raw();
    RUN(raw_is_converted);
    RUN(others_are_converted);
    RUN(what_needs_others_is_refused);
    RUN(damaged_headers_are_refused);
    RUN(a_name_is_never_a_protocol);
    RUN(a_cancel_ends_it);
    RUN(a_full_disk_names_what_is_missing);
    close(folder_fd);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
