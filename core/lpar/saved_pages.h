/*
 * saved_pages.h - the pages of an LPAR's paging device, on their way into its hibernation file and
 * back.
 */
#ifndef LPAR_SAVED_PAGES_H
#define LPAR_SAVED_PAGES_H

#include "hibernation/reader.h"
#include "hibernation/writer.h"
#include "job/job.h"
#include "lpar/record.h"
#include "node/node.h"

/* The size of the device that the guest, which runs here, uses; 0: it has none. VIOS_E_CONFLICT
 * while the record and the guest do not agree about that. */
int saved_pages_size(struct node *node, const struct lpar *lpar, uint64_t *bytes,
                     struct operation *operation);

/* The same, but of what is in it. */
int saved_pages_held(struct node *node, const struct lpar *lpar, uint64_t *bytes,
                     struct operation *operation);

/* The guest, whose QEMU started at `start`, stands still: all of its pages go behind its state.
 * `progress` is told how much of the device was gone through. */
int saved_pages_write(struct job *job, const struct lpar *lpar, int64_t start,
                      struct hibernation_writer *writer,
                      void (*progress)(void *context, uint64_t done_bytes), void *context);

/* That the file has pages if, and only if, the LPAR has a device for them. */
int saved_pages_check(struct node *node, const struct lpar *lpar,
                      const struct hibernation_reader *reader, struct operation *operation);

/* Into the device that this node hosts for the LPAR's generation, which is empty; every block is
 * checked before. Done again after a failure it writes over the same. */
int saved_pages_load(struct job *job, const struct lpar *lpar, struct hibernation_reader *reader);

#endif
