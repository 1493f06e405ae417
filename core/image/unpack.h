/*
 * unpack.h - archives and compressed files, through libarchive.
 *
 * A tar (also compressed), an OVA (a tar), or one file behind gzip, xz or zstd. The archive is read
 * through once and validated as a whole before anything of it is written: regular files only,
 * side by side (a single folder around all of them is fine), with names that cannot leave the
 * folder that they are unpacked to.
 */
#ifndef IMAGE_UNPACK_H
#define IMAGE_UNPACK_H

#include "image/description.h"

#define UNPACK_MEMBERS_MAX 32
#define UNPACK_FOLDERS_MAX 64    /* entries that are folders */
#define UNPACK_SINGLE "disk.raw" /* what one compressed file is called */

enum unpack_kind { UNPACK_NONE, UNPACK_COMPRESSED, UNPACK_TAR };

struct unpack_member {
    char name[MEMBER_NAME_SIZE];
    uint64_t size_bytes;
};

struct unpack_list {
    struct unpack_member members[UNPACK_MEMBERS_MAX];
    size_t count;
    enum unpack_kind kind;
};

/* By its content, never by its name. Moves the file's offset, as all of these. */
int unpack_detect(int fd, enum unpack_kind *kind, struct operation *operation);

/* What is in it. VIOS_E_INVALID says which member is refused, and why; VIOS_E_CORRUPT is for an
 * archive that is damaged or cut. `limit_bytes`: more than that, unpacked and with its holes, is
 * VIOS_E_NO_SPACE. */
int unpack_list(int fd, uint64_t limit_bytes, struct unpack_list *list,
                const struct copy_progress *progress, struct operation *operation);

/* Writes what was listed into the folder, as sparse files that must not be there. VIOS_E_INVALID
 * when the archive is another one by now. */
int unpack_to(int fd, int folder_fd, const struct unpack_list *list,
              const struct copy_progress *progress, struct operation *operation);

/* The disks in such a folder by their names' ends (.qcow2 .vmdk .vhd .vhdx .img .raw), in order. */
int unpack_disks(int folder_fd, struct unpack_list *disks, struct vios_error *error);

/* The name of the manifest (NAME.mf) in such a folder; "" when there is none. */
int unpack_find_manifest(int folder_fd, char name[MEMBER_NAME_SIZE], struct vios_error *error);

#endif
