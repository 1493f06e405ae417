/*
 * making.h - the steps that every job has that makes an image: image.import and image.capture.
 *
 * claim      the image's name is this job's: the record is IMAGE_MAKING, nobody sees it
 * ...        (the job finds its files, and tells making_set_files())
 * configure  an LU for each file, LU_MAKING (MISSION §2: the storage is configured first)
 * ...        (the job fills fileset_open_work() with UDID and UDID.digests of each)
 * publish    the working folder gets the image's name
 * commit     the image and its LUs are ready, in one commit: the job's commit point
 *
 * What is made is kept in the job's data as "image": the record. When there is a ready image of
 * this name already, made of the very same source, claim finds that (MISSION §2: two nodes that
 * import the same image at once end with one copy): it waits for the other's job, and then this job
 * has nothing to do: making_is_existing().
 */
#ifndef IMAGE_MAKING_H
#define IMAGE_MAKING_H

#include "image/image.h"

/* The data of a new job; `image` has a name, a pool, a source. json_object_set() more into it. */
json_t *making_data(const struct image *image);

/* The image as this job has it so far; VIOS_E_CORRUPT. */
int making_image(const struct job *job, struct image *image, struct vios_error *error);

/* Takes `image` into the job's data; its files get handles. */
int making_set_files(struct job *job, struct image *image);

bool making_is_existing(const struct job *job);

int making_claim(struct job *job);
int making_claim_undo(struct job *job);
int making_configure(struct job *job);
int making_configure_undo(struct job *job);
/* Writes image.json too. `fill` is the step before, for a survivor: its working folder is empty. */
int making_publish(struct job *job, int (*fill)(struct job *job));
int making_publish_undo(struct job *job);
int making_commit(struct job *job);

/* Removes working folders; an undo for any step that fills them. */
int making_clear_work(struct job *job);

/* UDID.digests of file `i` into the working folder, and their digest into the job's data. */
int making_save_digests(struct job *job, size_t i, int work, const struct chunks *chunks);

#endif
