/*
 * spool.h - what a caller sends through RPC, to be imported afterwards: daemon.receive takes the
 * bytes and answers {"source": "spool:POOL/UUID"}, which image.import takes for its source. The job
 * removes the file at its end; one that nobody imported goes after a day.
 */
#ifndef IMAGE_SPOOL_H
#define IMAGE_SPOOL_H

#include "image/image.h"
#include "node/method.h"

#define SPOOL_KEPT_S (24 * 60 * 60)

bool spool_is(const char *word);

/* As import_source_from(). VIOS_E_NOT_FOUND. */
int spool_source(const struct node *node, const char *word, json_t **source, struct image *image,
                 struct vios_error *error);

/* The method daemon.receive: "pool:pool?", and bytes. What is older than SPOOL_KEPT_S in the pool
 * goes.
 */
int spool_receive_call(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation);

#endif
