/*
 * image_folder.h - <repository>/images: images that wait to be imported. An entry is a disk, an
 * archive, or a folder with image.json (description.h) and the files that it names.
 */
#ifndef IMAGE_IMAGE_FOLDER_H
#define IMAGE_IMAGE_FOLDER_H

#include "image/description.h"
#include "node/node.h"

#include <limits.h>

#define IMAGE_DESCRIPTION "image.json"

/* The path of the folder, or of the entry `name` in it. VIOS_E_INVALID without a repository. */
int image_folder_path(const struct node *node, const char *name, char path[PATH_MAX],
                      struct vios_error *error);

/* Its image.json. VIOS_E_NOT_FOUND, VIOS_E_INVALID. */
int image_folder_description(int folder, struct image_description *description,
                             struct vios_error *error);

/* The bytes of the files that are there. */
uint64_t image_folder_size(int folder, const struct image_description *description);

#endif
