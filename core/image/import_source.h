/*
 * import_source.h - what an image is imported from, made into files that can be read: a disk, a
 * folder with image.json, an archive, a compressed file, a URL, or what a caller sent.
 *
 * The job's data has "source" {"kind": "file", "folder", "url" or "spool", "path"}. What comes by a
 * URL is kept in the image's working folder as SOURCE_FETCHED, what was in an archive in the folder
 * SOURCE_UNPACKED there, each until the image is published. Every step may be run again: what is
 * whole is left alone.
 */
#ifndef IMAGE_IMPORT_SOURCE_H
#define IMAGE_IMPORT_SOURCE_H

#include "image/description.h"
#include "image/disk_format.h"
#include "image/image.h"

#define SOURCE_FETCHED "source"
#define SOURCE_UNPACKED "unpacked"

/* A disk of the image, open for reading. */
struct import_disk {
    char name[IMAGE_FILE_NAME_SIZE];
    int fd;
    struct disk_info info;
};

struct import_disks {
    struct import_disk disks[IMAGE_FILES_MAX];
    size_t count;
    struct image_description description; /* name[0] is 0 when there is none */
    const struct image *known;            /* its files were inspected before; NULL: they are now */
};

/* A new job's "source" from a person's word: an absolute path, an http(s) URL, or the name of a
 * folder or file below <repository>/images. `image` gets its source and tag. VIOS_E_NOT_FOUND. */
int import_source_from(const struct node *node, const char *word, json_t **source,
                       struct image *image, struct vios_error *error);

/* Brings a URL into the working folder; nothing to do for others. */
int import_source_fetch(struct job *job, const struct image *image);

/*
 * Its disks; import_disks_close() them. What is to be fetched or unpacked is, if it is not there
 * yet; an archive is validated as a whole before anything of it is unpacked. With `check` each disk
 * is inspected as a whole, and files that do not have the size or digest of their description are
 * VIOS_E_CORRUPT; without, that was done before, and `image` (which must outlive `disks`) knows its
 * files.
 */
int import_source_open(struct job *job, const struct image *image, bool check,
                       struct import_disks *disks);
void import_disks_close(struct import_disks *disks);

/* Removes what was fetched or unpacked. */
int import_source_clear(struct job *job, const struct image *image);

#endif
