/* backends.h - the back ends of `export`, made from how they are described in JSON. */
#ifndef IO_BACKENDS_H
#define IO_BACKENDS_H

#include "io/io.h"
#include "paging/pager.h"

#define PAGERS_MAX 1024 /* more than the guests of one node */

/*
 * Makes the export `name` and puts it into the table; an equal one that is there is fine. `fd`, or
 * -1: a file's descriptor, or a pager's state. It is taken over when a file was made; a pager
 * copies what it needs. With io's lock held.
 */
struct backend_options {
    bool shared;  /* see file_backend.h */
    bool replace; /* it takes the place of the one that has the name */
};
int backend_export(struct io *io, const char *name, const char *lpar, const json_t *backend,
                   struct backend_options options, int *fd, struct vios_error *error);

/* `regions`: to every pager of the LPAR. */
int backend_set_regions(struct io *io, const char *lpar, const json_t *regions,
                        struct vios_error *error);

/* `claim`: to every pager of the LPAR. */
int backend_claim(struct io *io, const char *lpar, uint64_t generation, struct vios_error *error);

#endif
