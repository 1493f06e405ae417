/* unpacking.h - what the tests of unpack.h share: one listing, one operation, one folder. */
#ifndef TESTS_UNIT_IMAGE_UNPACKING_H
#define TESTS_UNIT_IMAGE_UNPACKING_H

#include "base/file.h"
#include "image/unpack.h"
#include "tests/tap.h"
#include "tests/unit/image/archives.h"

#include <dirent.h>
#include <fcntl.h>

#define LIMIT ((uint64_t)1 << 30)                  /* bytes that may be unpacked */
#define MEMBER(name) "archive member \"" name "\"" /* in an error */

static struct operation operation;
static struct unpack_list list;
static char folder[128]; /* below tap_folder(), which must have nothing else */

/* A new and empty `folder`. */
static inline int open_folder(void)
{
    struct vios_error error;
    snprintf(folder, sizeof folder, "%s/to", tap_folder());
    ok(file_remove_tree(folder, &error) == VIOS_OK, "%s", error.message);
    ok(mkdir(folder, 0700) == 0, "mkdir %s", folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok(fd >= 0, "open %s", folder);
    return fd;
}

static inline int count_entries(const char *path)
{
    int count = 0;
    struct dirent *entry;
    DIR *dir = opendir(path);
    while (dir && (entry = readdir(dir)) != NULL) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(dir);
    return count;
}

/* Both begin a new `operation`. */
static inline int run_list(int fd, uint64_t limit_bytes)
{
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    return unpack_list(fd, limit_bytes, &list, NULL, &operation);
}

static inline int run_to(int fd, int folder_fd)
{
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    return unpack_to(fd, folder_fd, &list, NULL, &operation);
}

/* `count` empty ones of `type`, an AE_IFX, "m0" and on. */
static inline int many_members(int count, unsigned type)
{
    struct packed packed;
    char name[16];
    pack_begin(&packed, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_GZIP);
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "m%d", i);
        pack_any(&packed, name, type, NULL, NULL, 0);
    }
    return pack_fd(&packed);
}

#endif
