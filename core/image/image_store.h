/*
 * image_store.h - the commits that images are changed by: the record, and the LUs of its files, all
 * in one. Each compares the revision that `image` was loaded with: VIOS_E_CONFLICT.
 */
#ifndef IMAGE_IMAGE_STORE_H
#define IMAGE_IMAGE_STORE_H

#include "image/image.h"

/* The image if `job` has it; 1 when it is another's, or not there. */
int image_load_own(struct store *store, const char *handle, const char *job, struct image *image,
                   struct operation *operation);

/* Writes it as it is, and its LUs in its state. */
int image_commit(struct store *store, const struct image *image, struct operation *operation);

/* Deletes the LUs; the record is left without files. */
int image_forget_files(struct store *store, const struct image *image, struct operation *operation);

/* Deletes everything. */
int image_forget(struct store *store, const struct image *image, struct operation *operation);

/* Another name, which must be free: VIOS_E_EXISTS. */
int image_rename(struct store *store, const struct image *image, const char *name,
                 struct operation *operation);

#endif
