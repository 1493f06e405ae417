/*
 * test_lu_file.c - a new inode for an LU, on file systems that can and cannot: XFS with reflinks
 * and ext4 on loop mounts where root may make them, and a tmpfs.
 */
#include "storage/lu_file.h"
#include "tests/loop_mount.h"

#include <errno.h>
#include <sys/mount.h>

static char folder[128];

static bool mount_with(const char *make)
{
    snprintf(folder, sizeof folder, "%s/pool", tap_folder());
    return loop_mount(folder, make);
}

static void file_path(const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", folder, name);
}

static void put(const char *name, char first)
{
    char path[256];
    file_path(name, path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    is_int(ftruncate(fd, 1 << 20), 0);
    is_int(pwrite(fd, &first, 1, 0), 1);
    close(fd);
}

static char first_of(const char *name)
{
    char path[256], byte = 0;
    file_path(name, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    is_int(pread(fd, &byte, 1, 0), 1);
    close(fd);
    return byte;
}

static ino_t inode_of(const char *name)
{
    char path[256];
    struct stat status = {0};
    file_path(name, path);
    is_int(stat(path, &status), 0);
    return status.st_ino;
}

static int entries(void)
{
    return loop_shell("test -z \"$(ls -A \"$2\" | grep -v lost.found)\"", "", folder) ? 0 : 1;
}

static enum lu_fence probed(void)
{
    enum lu_fence fence = LU_FENCE_LOCAL_ONLY;
    struct vios_error error = {0};
    ok(lu_file_probe(folder, &fence, &error) == VIOS_OK, "%s", error.message);
    is_int(entries(), 0);
    return fence;
}

static void xfs_clones(void)
{
    struct vios_error error = {0};
    char path[256];
    struct stat status;
    if (!mount_with(LOOP_XFS)) {
        SKIP("no XFS on a loop mount: not root, or no mkfs.xfs");
    }
    is_text(lu_fence_name(probed()), "clone");
    put("lu.1", 'a');
    file_path("lu.1", path);
    int late = open(path, O_RDWR | O_CLOEXEC);
    ok(lu_file_renew(folder, "lu.1", "lu.2", &error) == VIOS_OK, "%s", error.message);
    ok(inode_of("lu.1") != inode_of("lu.2"), "the same inode");
    is_int(pwrite(late, "b", 1, 0), 1);
    is_int(first_of("lu.1"), 'b');
    is_int(first_of("lu.2"), 'a');
    file_path("lu.2", path);
    is_int(stat(path, &status), 0);
    is_int(status.st_mode & 07777, 0640);
    is_int(status.st_size, 1 << 20);

    ino_t before = inode_of("lu.2"); /* repeated: another file again */
    ok(lu_file_renew(folder, "lu.1", "lu.2", &error) == VIOS_OK, "%s", error.message);
    ok(inode_of("lu.2") != before, "the same inode");
    is_int(first_of("lu.2"), 'b');
    is_int(lu_file_renew(folder, "nosuch", "lu.3", &error), VIOS_E_NOT_FOUND);
    is_text(error.object, "nosuch");
    close(late);
    loop_unmount(folder);
}

static void ext4_needs_grace(void)
{
    struct vios_error error = {0};
    if (!mount_with(LOOP_EXT4)) {
        SKIP("no ext4 on a loop mount: not root, or no mkfs.ext4");
    }
    is_text(lu_fence_name(probed()), "grace");
    put("lu.1", 'a');
    is_int(lu_file_renew(folder, "lu.1", "lu.2", &error), VIOS_E_INVALID);
    is_text(error.message, "its file system does not clone files");
    is_int(first_of("lu.1"), 'a');
    char path[256];
    file_path("lu.2.new", path);
    is_int(access(path, F_OK), -1);
    loop_unmount(folder);
}

/* Newer kernels open files O_DIRECT on a tmpfs too; none clones there. */
static void a_tmpfs_is_local_at_best(void)
{
    snprintf(folder, sizeof folder, "%s/memory", tap_folder());
    mkdir(folder, 0700);
    if (mount("none", folder, "tmpfs", 0, NULL) != 0) {
        rmdir(folder);
        SKIP("no tmpfs can be mounted");
    }
    char path[256];
    file_path("file", path);
    int fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    const char *wanted = fd < 0 && errno == EINVAL ? "local-only" : "grace";
    close(fd);
    unlink(path);
    is_text(lu_fence_name(probed()), wanted);
    umount(folder);
    rmdir(folder);
}

static void a_folder_that_is_not_there(void)
{
    struct vios_error error = {0};
    enum lu_fence fence;
    is_int(lu_file_probe("/nosuch", &fence, &error), VIOS_E_NOT_FOUND);
    is_text(error.object, "/nosuch");
    is_int(lu_file_renew("/nosuch", "a", "b", &error), VIOS_E_NOT_FOUND);
}

int main(void)
{
    RUN(xfs_clones);
    RUN(ext4_needs_grace);
    RUN(a_tmpfs_is_local_at_best);
    RUN(a_folder_that_is_not_there);
    rmdir(tap_folder());
    return tap_done();
}
