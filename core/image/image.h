/*
 * image.h - /image/HANDLE: the record of an image (MISSION §2). An image is one or more files that
 * became disks: each is an LU of its own, which no guest ever writes, in the image's folder, the
 * image management fileset: <repository>/pools/POOL/image/HANDLE.
 *
 * The handle of an image is its UUID, that of a file of it the UDID of the file's LU: both are
 * unique in the cluster and stay when the image is renamed. Its name is unique too:
 * /image-name/NAME {"handle"} is written and deleted in the same commits.
 *
 * `job` is the job that makes or changes it. An image is for people to see only when it is
 * IMAGE_READY; what is being made or deleted has a job that ends that.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/clock.h"
#include "base/operation.h"
#include "base/parse.h"
#include "job/job.h"
#include "node/node.h"
#include "storage/chunks.h"
#include "storage/lu.h"
#include "store/store.h"

#include <limits.h>

#define IMAGE_FILES_MAX 8
#define IMAGE_FILE_NAME_SIZE 128
#define IMAGE_WORD_SIZE 64 /* version, architecture */
#define IMAGE_SOURCE_SIZE 512
#define IMAGE_TAG_SIZE 128

enum image_state { IMAGE_READY, IMAGE_MAKING, IMAGE_DELETING };

struct image_file {
    char name[IMAGE_FILE_NAME_SIZE]; /* as it was called where it came from */
    char udid[UUID_TEXT_SIZE];       /* of its LU: its handle */
    uint64_t size_bytes;             /* of the disk */
    char digest[CHUNKS_TEXT_SIZE]; /* of its content, see storage/chunks.h; "" until it is there */
};

struct image {
    char handle[UUID_TEXT_SIZE];
    char name[NAME_MAX_LENGTH + 1];
    char version[IMAGE_WORD_SIZE], architecture[IMAGE_WORD_SIZE]; /* "": not said */
    char pool[NAME_MAX_LENGTH + 1];
    enum image_state state;
    char job[JOB_ID_SIZE];
    char source[IMAGE_SOURCE_SIZE]; /* where it came from, for people */
    char tag[IMAGE_TAG_SIZE];       /* differs when the source does; "": it cannot be told */
    char created[CLOCK_TEXT_SIZE];
    struct image_file files[IMAGE_FILES_MAX];
    size_t file_count;
    int64_t revision; /* of the store's value it was read from */
};

/* An error's object: `image "debian12"`. Returns `text`. */
char *image_object(const char *name, char text[96]);

/* VIOS_E_CORRUPT, naming the member, for a record that is not one of ours. */
int image_parse(const char *handle, const char *json, struct image *image,
                struct vios_error *error);
/* free() it; NULL without memory. */
char *image_format(const struct image *image);

/* "/image/HANDLE", and "/image-name/NAME" with what stands there. Return `key` and `json`. */
char *image_key(const char *handle, char key[STORE_KEY_MAX]);
char *image_name_key(const char *name, char key[STORE_KEY_MAX]);
char *image_name_record(const char *handle, char json[64]);

/* In whatever state it is. VIOS_E_NOT_FOUND. */
int image_load(struct store *store, const char *handle, struct image *image,
               struct operation *operation);

/* The handle behind a name, in whatever state the image is; VIOS_E_NOT_FOUND without an error. */
int image_name_handle(struct store *store, const char *name, char handle[UUID_TEXT_SIZE],
                      struct operation *operation);

/* The image that a person means by its name, its handle, or the handle of one of its files, if it
 * is ready. VIOS_E_NOT_FOUND with near names. */
int image_find(struct store *store, const char *word, struct image *image,
               struct operation *operation);

/* SHA-256 over the digests and sizes of its files, in order; "" while one has none. */
void image_digest(const struct image *image, char hex[CHUNKS_TEXT_SIZE]);

uint64_t image_size(const struct image *image);

/* The LU of a file, as its record is written: its name is HANDLE.N, which nobody types. */
void image_file_lu(const struct image *image, size_t i, struct lu *lu);

/* Is the LU a linked clone of one of its files? */
bool image_has_clone(const struct image *image, const struct lu *lu);

/* The linked clones of its files: all LUs whose `origin` is one of them, in whatever state. free()
 * `*clones`. */
int image_dependents(struct store *store, const struct image *image, struct lu **clones,
                     size_t *count, struct operation *operation);

#endif
