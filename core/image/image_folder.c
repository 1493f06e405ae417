/* image_folder.c - see image_folder.h. */
#include "image/image_folder.h"

#include "base/file.h"
#include "storage/repository.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DESCRIPTION_MAX (64 * 1024) /* bytes */

int image_folder_path(const struct node *node, const char *name, char path[PATH_MAX],
                      struct vios_error *error)
{
    const char *repository;
    int status = repository_path(node, "image", &repository, error);
    if (status < 0) {
        return status;
    }
    int length =
        snprintf(path, PATH_MAX, "%s/images%s%s", repository, name ? "/" : "", name ? name : "");
    return length < PATH_MAX ? VIOS_OK
                             : error_set(error, VIOS_E_INVALID, "image",
                                         "mount the repository elsewhere", "its path is too long");
}

int image_folder_description(int folder, struct image_description *description,
                             struct vios_error *error)
{
    char *text = NULL;
    size_t size = 0;
    int status = file_read(folder, IMAGE_DESCRIPTION, DESCRIPTION_MAX, &text, &size, error);
    if (status == VIOS_OK) {
        status = description_parse(text, size, description, error);
    }
    free(text);
    return status;
}

uint64_t image_folder_size(int folder, const struct image_description *description)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < description->file_count; i++) {
        struct stat info;
        if (fstatat(folder, description->files[i].name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
            bytes += (uint64_t)info.st_size;
        }
    }
    return bytes;
}
