/* view.h - images as people and scripts see them. */
#ifndef IMAGE_VIEW_H
#define IMAGE_VIEW_H

#include "image/image.h"

/* One: handle, name, version, architecture, pool, files, size_bytes, digest, dependents, source,
 * created. */
int view_image(struct store *store, const struct image *image, json_t **shown,
               struct operation *operation);

/* All that are ready, by name. `files` and `dependents` are numbers there. */
int view_images(struct store *store, json_t **list, struct operation *operation);

#endif
