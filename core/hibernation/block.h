/*
 * block.h - one block of a hibernation file, from its plain bytes to its stored ones and back. No
 * I/O. A coder is one thread's; a piece is whoever's turn it is.
 */
#ifndef HIBERNATION_BLOCK_H
#define HIBERNATION_BLOCK_H

#include "hibernation/footer.h"
#include "hibernation/seal.h"

#define HIBERNATION_LEVEL 1 /* of zstd */

/* A block with its buffers. */
struct hibernation_piece {
    uint64_t index;
    struct hibernation_entry entry;
    uint8_t *plain;  /* HIBERNATION_BLOCK_SIZE bytes */
    uint8_t *stored; /* the head; behind it room for what is stored, whatever it is */

    /* What an encoding left: the stored bytes lie behind the head, or are the plain ones. What a
     * decoding left: the plain bytes, or NULL: they cannot be had without the key. */
    const uint8_t *body;
};

/* Allocates the buffers. False: no memory; free it all the same. */
bool hibernation_piece_make(struct hibernation_piece *piece);
void hibernation_piece_free(struct hibernation_piece *piece);

struct hibernation_coder;

/* `seal` is the file's, NULL when its blocks are not encrypted or the key is not there. */
int hibernation_coder_new(struct hibernation_coder **coder, const struct hibernation_seal *seal,
                          struct vios_error *error);
/* NULL is fine. */
void hibernation_coder_free(struct hibernation_coder *coder);

/* From `index`, `entry.kind`, `entry.plain_size` and `plain` to the others. */
int hibernation_block_encode(struct hibernation_coder *coder, struct hibernation_piece *piece,
                             struct vios_error *error);

/* From `index`, `entry`, and `entry.stored_size` bytes read behind the head in `stored`, to `body`.
 * VIOS_OK, and `*wrong` is what is wrong with it: "its digest differs"; NULL: nothing. */
int hibernation_block_decode(struct hibernation_coder *coder, bool encrypted,
                             struct hibernation_piece *piece, const char **wrong,
                             struct vios_error *error);

#endif
