/*
 * seal.h - the keys of a hibernation file: what proves that this cluster wrote it, and what its
 * blocks are encrypted with (file_format.h says how they are derived).
 */
#ifndef HIBERNATION_SEAL_H
#define HIBERNATION_SEAL_H

#include "base/error.h"
#include "hibernation/file_format.h"

#include <stdbool.h>
#include <stddef.h>

#define HIBERNATION_KEY_SIZE 32

/* A secret of the cluster; files name the id of the one that they were sealed with. */
struct hibernation_key {
    uint32_t id;
    uint8_t bytes[HIBERNATION_KEY_SIZE];
};

/* Of one file. */
struct hibernation_seal {
    uint8_t seal_key[HIBERNATION_KEY_SIZE];
    uint8_t data_key[HIBERNATION_KEY_SIZE];
};

/* Derives them for the file of this uuid. */
int hibernation_seal_make(struct hibernation_seal *seal, const struct hibernation_key *key,
                          const char *file, struct vios_error *error);

/* Overwrites the keys. */
void hibernation_seal_forget(struct hibernation_seal *seal);

/* The seal over header and trailer. */
int hibernation_seal_compute(const struct hibernation_seal *seal,
                             const struct hibernation_wire_header *header,
                             const struct hibernation_wire_trailer *trailer,
                             uint8_t out[HIBERNATION_DIGEST_SIZE], struct vios_error *error);

/* Whether the trailer has the right one; in the same time whatever it has. */
bool hibernation_seal_fits(const struct hibernation_seal *seal,
                           const struct hibernation_wire_header *header,
                           const struct hibernation_wire_trailer *trailer);

#endif
