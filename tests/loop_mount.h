/* loop_mount.h - a file system of a test's own on a loop mount, where its user may make one. */
#ifndef TESTS_LOOP_MOUNT_H
#define TESTS_LOOP_MOUNT_H

#include "tests/tap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LOOP_IMAGE_SIZE (320 << 20) /* XFS makes none below 300 MiB */
#define LOOP_XFS "mkfs.xfs -q -m reflink=1 \"$1\""
#define LOOP_EXT4 "mkfs.ext4 -q \"$1\""

/* Runs the shell words with the image and the folder as $1 and $2. */
static bool loop_shell(const char *words, const char *image, const char *folder)
{
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execlp("sh", "sh", "-c", words, "sh", image, folder, (char *)NULL);
        _exit(127);
    }
    int status;
    return waitpid(child, &status, 0) == child && status == 0;
}

static void loop_image(const char *folder, char image[256])
{
    snprintf(image, 256, "%s.image", folder);
}

__attribute__((unused)) static void loop_unmount(const char *folder)
{
    char image[256];
    loop_image(folder, image);
    loop_shell("umount \"$2\"", image, folder);
    rmdir(folder);
    unlink(image);
}

/* Makes the folder. False, and nothing is left: not root, or no such mkfs. */
__attribute__((unused)) static bool loop_mount(const char *folder, const char *make)
{
    char image[256];
    loop_image(folder, image);
    mkdir(folder, 0700);
    int fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool sized = ftruncate(fd, LOOP_IMAGE_SIZE) == 0;
    close(fd);
    bool mounted = sized && loop_shell(make, image, folder) &&
                   loop_shell("mount -o loop \"$1\" \"$2\"", image, folder);
    if (!mounted) {
        rmdir(folder);
        unlink(image);
    }
    return mounted;
}

#endif
