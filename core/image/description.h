/*
 * description.h - image.json: what an image is called, and which files it is made of. It lies in a
 * folder below <repository>/images, or in an archive.
 *
 *   {"v":1, "name":"debian12", "version":"12.7", "architecture":"x86_64",
 *    "files":[{"name":"disk.qcow2", "format":"qcow2", "size_bytes":123, "digest":"sha256:HEX"}]}
 *
 * version, architecture, format, size_bytes and digest may be left out; members that are not known
 * are refused. Size and digest are those of the file as it lies there.
 */
#ifndef IMAGE_DESCRIPTION_H
#define IMAGE_DESCRIPTION_H

#include "base/parse.h"
#include "storage/chunks.h"

#define DESCRIPTION_FILES_MAX 8
#define DESCRIPTION_WORD_SIZE 64
#define DESCRIPTION_FORMAT_SIZE 8
#define MEMBER_NAME_SIZE 128 /* of a file in a folder or an archive */
#define MEMBER_SHOWN_SIZE 161

struct description_file {
    char name[MEMBER_NAME_SIZE];
    char format[DESCRIPTION_FORMAT_SIZE]; /* "": not said */
    uint64_t size_bytes;                  /* 0: not said */
    char digest[CHUNKS_TEXT_SIZE];        /* SHA-256 in hex; "": not said */
};

struct image_description {
    char name[NAME_MAX_LENGTH + 1];
    char version[DESCRIPTION_WORD_SIZE], architecture[DESCRIPTION_WORD_SIZE]; /* "": not said */
    struct description_file files[DESCRIPTION_FILES_MAX];
    size_t file_count;
};

/* [A-Za-z0-9][A-Za-z0-9._-]*: VIOS_E_INVALID for what could leave its folder, or hide in it. */
int member_check_name(const char *name, struct vios_error *error);

/* Foreign text for an error, which may be no UTF-8: what is no plain character becomes "?", and it
 * is cut. Returns `shown`. */
const char *member_show(const char *text, char shown[MEMBER_SHOWN_SIZE]);

/* VIOS_E_INVALID names the member that is wrong. */
int description_parse(const char *text, size_t size, struct image_description *description,
                      struct vios_error *error);

/* That the file has the size and the digest that are said of it: VIOS_E_CORRUPT. Moves the file's
 * offset. `progress` may be NULL. */
int description_check_file(int fd, const struct description_file *file,
                           const struct copy_progress *progress, struct operation *operation);

#endif
