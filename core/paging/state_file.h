/*
 * state_file.h - a memfd that outlives its process in someone else's hands: its size is sealed,
 * and one process at a time uses it.
 */
#ifndef PAGING_STATE_FILE_H
#define PAGING_STATE_FILE_H

#include "base/error.h"

#include <stdint.h>

struct state_file {
    int fd;              /* may be handed out */
    int lock;            /* a private opening of the same memfd that carries the lock; never is */
    uint64_t size_bytes; /* never changes */
};

/* Makes one of `size_bytes`, all zero. `what` names it in /proc and in errors. */
int state_file_make(struct state_file *file, const char *what, uint64_t size_bytes,
                    struct vios_error *error);

/* The same in two steps, for what comes from another node: a memfd to be written to, or a status;
 * and its seal. The caller's. */
int state_file_begin(const char *what, struct vios_error *error);
int state_file_seal(int fd, const char *what, struct vios_error *error);

/* Takes over `handed`, which stays the caller's. VIOS_E_LOCKED while another process uses it,
 * VIOS_E_INVALID when it is no sealed memfd. */
int state_file_take(struct state_file *file, int handed, const char *what,
                    struct vios_error *error);

/* One that failed to open or is all zero is fine. */
void state_file_close(struct state_file *file);

#endif
