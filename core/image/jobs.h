/*
 * jobs.h - the kinds of jobs that work on images. Their data names the image by its handle, so that
 * a rename meanwhile changes nothing.
 */
#ifndef IMAGE_JOBS_H
#define IMAGE_JOBS_H

#include "image/image.h"

/* making_data() and "source" (import_source.h). Result: the image, and "existing". */
extern const struct job_kind image_import_job;

/* making_data() and "lpar". */
extern const struct job_kind image_capture_job;

/* {"handle", "name", "pool": of the LUs, "record": of the new LPAR, with an LU's UDID for each
 * disk, "stopped"}. Result: what lpar.show says, with "start", the job that starts it, and
 * "start_error": each is "" when there is none. */
extern const struct job_kind image_deploy_job;

/* {"handle", "name"}. */
extern const struct job_kind image_remove_job;

/* {"handle", "name"}: cuts the ties of all its linked clones. */
extern const struct job_kind image_flatten_job;

/* {"handle", "name"}: reads it all. */
extern const struct job_kind image_verify_job;

/* That no job but `job` (NULL: none at all) works on it. VIOS_E_LOCKED. */
int image_check_lock(const struct image *image, const char *job, struct vios_error *error);

#endif
