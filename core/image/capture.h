/*
 * capture.h - image.capture: an image of the disks of an LPAR (MISSION §2, step 4).
 *
 * A stopped one is copied. Of one that runs QEMU itself copies all disks as they were at one moment
 * (blockdev-backup in one transaction), through io, while the guest goes on; what the guest had not
 * yet written is not in it, as after a power failure.
 */
#ifndef IMAGE_CAPTURE_H
#define IMAGE_CAPTURE_H

#include "image/image.h"
#include "lpar/guest.h"
#include "node/method.h"

/* The method: done on the node that runs the guest. */
int capture_call(struct call *call, const json_t *parameters, json_t **result,
                 struct operation *operation);

/*
 * Copies the guest's disks into files of the working folder, which are named by
 * image->files[i].udid and are there with their sizes. What an earlier try left in QEMU and in io
 * is ended first.
 */
int capture_guest(struct node *node, struct guest *guest, const struct image *image,
                  const char *work_path, const struct copy_progress *progress,
                  struct operation *operation);

#endif
