/* begin.h - what a new image begins with: what the methods that make images share. */
#ifndef IMAGE_BEGIN_H
#define IMAGE_BEGIN_H

#include "image/image.h"

/* A new handle; name, version and architecture from the parameters, or the name from `source`. */
int image_begin(const json_t *parameters, const char *source, struct image *image,
                struct vios_error *error);

/* The name of the pool of the parameters, or of the only one there is; it is mounted here. */
int image_choose_pool(struct node *node, const json_t *parameters, char name[NAME_MAX_LENGTH + 1],
                      struct operation *operation);

#endif
