/*
 * file_backend.h - an NBD export that is a file or block device: LUs, and disks of guests.
 *
 * Requests run as plain pread and pwrite on a small pool of threads: unlike io_uring's they
 * end with the process. A gated file is touched only while the gate is open; what comes at
 * other times waits, and what was done when it closed is answered when it opens again.
 */
#ifndef STORAGE_FILE_BACKEND_H
#define STORAGE_FILE_BACKEND_H

#include "nbd/backend.h"
#include "storage/file_pool.h"
#include "storage/gate.h"

#define FILE_LOCK_WAIT_MS 3000 /* for the lock of a process that is just ending */

struct file_configuration {
    const char *name; /* of the export */
    const char *lpar; /* uuid, "" for none */
    const char *path; /* the file; only its name when `fd` is given */
    int fd;           /* -1: open the path; else taken over when it succeeds */
    bool direct;      /* O_DIRECT; where the file system cannot, without, and statistics say so */
    bool gated;
    bool read_only;
    bool shared; /* a gated one that another node serves still: its lock is not waited for */
};

/*
 * Opens the file and locks it (flock; shared when read-only): VIOS_E_LOCKED when another has it
 * longer than FILE_LOCK_WAIT_MS; a gated one is then used without. `gate` may be NULL when not
 * gated. The export ends by its `close` operation.
 */
int file_backend_open(struct nbd_export **export, const struct file_configuration *configuration,
                      struct file_pool *pool, struct gate *gate, struct worker *home,
                      struct vios_error *error);

#endif
