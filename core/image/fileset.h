/*
 * fileset.h - the folders of images in a pool: the image management fileset (MISSION §2).
 *
 *     image/HANDLE/        a whole image: for each file UDID, the disk, and UDID.digests, its
 *                          chunks' digests; image.json, the record as it was published
 *     image/.HANDLE.NODE-INCARNATION/
 *                          one that is being made: it gets its name when all is there
 *     image/.spool-UUID    what a caller sends through RPC, before its job begins
 *
 * The folder in which an image is made is of one incarnation of one node: a survivor makes it anew
 * in its own, so that what a frozen predecessor still writes reaches nothing that anybody reads.
 */
#ifndef IMAGE_FILESET_H
#define IMAGE_FILESET_H

#include "image/image.h"

#define FILESET_DIGESTS ".digests"
#define FILESET_NAME_SIZE 256

/* The folder image/ of the pool, open. Negative on failure. */
int fileset_open_pool(const struct node *node, const char *pool, struct vios_error *error);

/* This incarnation's working folder for the image, made if it is not there; a descriptor, or
 * negative. */
int fileset_open_work(const struct node *node, const struct image *image, struct vios_error *error);

/* Its path, for io. */
int fileset_work_path(const struct node *node, const struct image *image, char path[PATH_MAX],
                      struct vios_error *error);

/* The folder of a whole image; a descriptor, or negative. */
int fileset_open(const struct node *node, const struct image *image, struct vios_error *error);

/* Whether this incarnation has begun to make it, and whether it has its name already. */
bool fileset_has_work(const struct node *node, const struct image *image);
bool fileset_is_published(const struct node *node, const struct image *image);

/* The working folder becomes the image's. */
int fileset_publish(const struct node *node, const struct image *image, struct vios_error *error);

/* Removes working folders of the image, of all incarnations. */
int fileset_remove_work(const struct node *node, const struct image *image,
                        struct vios_error *error);

/* Removes the image's own folder. Absent is fine, for both. */
int fileset_remove(const struct node *node, const struct image *image, struct vios_error *error);

/* Below a working or an image's folder: removes what is there. Absent is fine. */
int fileset_remove_entry(int folder, const char *name, struct vios_error *error);

#endif
