/* copy_told.c - see copy_told.h. */
#include "storage/copy_told.h"

void copy_told(void *job, uint64_t done_bytes, uint64_t total_bytes)
{
    job_progress(job, (int64_t)done_bytes, (int64_t)total_bytes, "bytes");
}

void copy_files_told(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    const struct copy_files *files = context;
    double share = total_bytes > 0 ? (double)done_bytes / (double)total_bytes : 1;
    copy_told(files->job, files->before_bytes + (uint64_t)(share * (double)files->size_bytes),
              files->total_bytes);
}
