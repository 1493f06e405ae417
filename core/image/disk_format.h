/*
 * disk_format.h - disks in the formats of others, read through qemu-img, and made into sparse raw
 * files with the digests of their chunks. Files are given as open descriptors of regular files.
 */
#ifndef IMAGE_DISK_FORMAT_H
#define IMAGE_DISK_FORMAT_H

#include "image/disk_header.h"
#include "storage/chunks.h"

struct disk_info {
    enum disk_format format;
    uint64_t virtual_size_bytes; /* what a guest sees */
    uint64_t allocated_bytes;    /* of the file, in its file system */
};

/*
 * What the file holds. VIOS_E_INVALID for one that needs other files, is encrypted or corrupt, or
 * that qemu-img cannot read within its limits; `name` is what errors call it.
 */
int disk_inspect(int fd, const char *name, struct disk_info *info, struct operation *operation);

/* The same of a file that was inspected before, by its first bytes alone: the size is as it was
 * told then. */
int disk_look_again(int fd, const char *name, uint64_t virtual_size_bytes, struct disk_info *info,
                    struct vios_error *error);

/*
 * Makes `to` (a regular file, open for reading and writing, whose content is lost) a sparse raw
 * copy, synced, and `chunks` its digests (chunks_clear() them; empty after a failure). `progress`
 * may be NULL; its total is what is read, which may be twice the size. VIOS_E_NO_SPACE says what is
 * missing. What was written of `to` is left.
 */
int disk_convert(int from, const char *name, const struct disk_info *info, int to,
                 struct chunks *chunks, const struct copy_progress *progress,
                 struct operation *operation);

#endif
