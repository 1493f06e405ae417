/*
 * ring.h - the ring key of the cluster, from which every node derives the keys of its keep-alives
 * (net/datagram.h), as the VIOS DB has it:
 *
 *     /secret/ring {"v":1,"keys":[{"id":1,"key":"64 hex digits"}],"seal":1}
 *
 * While it changes there are two: see removal.h. No I/O here.
 */
#ifndef NODE_RING_H
#define NODE_RING_H

#include "net/datagram.h"

#include <jansson.h>
#include <stdbool.h>

#define RING_KEY "/secret/ring"

struct ring {
    struct datagram_key keys[DATAGRAM_KEYS_MAX];
    size_t count;  /* 1 at least */
    uint32_t seal; /* the id of the one to seal with */
};

/* The first of a new cluster. */
int ring_make(struct ring *ring, struct vios_error *error);

/* Puts a new one beside the only one; what is sealed with does not change. */
int ring_add(struct ring *ring, struct vios_error *error);

/* Leaves only the one that is sealed with. */
void ring_drop_old(struct ring *ring);

/* The highest id in it. */
uint32_t ring_newest(const struct ring *ring);

/* The record; crypto_forget() it. NULL: no memory. */
char *ring_format(const struct ring *ring);

/* Validates it completely. VIOS_E_CORRUPT. */
int ring_parse(const char *json, struct ring *ring, struct vios_error *error);

/* Overwrites the keys. */
void ring_forget(struct ring *ring);

#endif
