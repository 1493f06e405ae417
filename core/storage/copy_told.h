/* copy_told.h - how far copies are (struct copy_progress), told as the progress of a job. */
#ifndef STORAGE_COPY_TOLD_H
#define STORAGE_COPY_TOLD_H

#include "job/job.h"

#include <stdint.h>

/* A `told` for one file; its context is the job. */
void copy_told(void *job, uint64_t done_bytes, uint64_t total_bytes);

/* Several files, one after the other, as one progress. */
struct copy_files {
    struct job *job;
    uint64_t before_bytes; /* of the files that are done */
    uint64_t size_bytes;   /* of this one; what is read of it may be more */
    uint64_t total_bytes;  /* of all */
};

/* A `told` for one of them; its context is a struct copy_files. */
void copy_files_told(void *files, uint64_t done_bytes, uint64_t total_bytes);

#endif
