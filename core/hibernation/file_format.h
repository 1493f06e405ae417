/*
 * file_format.h - a hibernation file: what an LPAR was when it was stopped, so that it goes on
 * elsewhere. All numbers are little endian, of fixed width and packed; texts are padded with NULs,
 * of which there is one at least; what is reserved is 0.
 *
 *     header | block 0 | block 1 | ... | footer | trailer
 *
 * A block is a head and its stored bytes. Blocks come one behind the other: first those of QEMU's
 * stream, then those of the remote pages. All blocks of a kind have HIBERNATION_BLOCK_SIZE plain
 * bytes, but for the last of the kind, which has 1 at least. Nothing of one kind: no block.
 *
 *     stored bytes = body, and when the file is encrypted a tag of HIBERNATION_TAG_SIZE
 *     body         = nothing: all plain bytes are zero        (HIBERNATION_ZERO)
 *                    the plain bytes themselves               (HIBERNATION_RAW)
 *                    one zstd frame with their size and check (HIBERNATION_ZSTD)
 *
 * The footer is a head, the configuration (JSON, see configuration.h) and an entry for each block.
 * The trailer is the end of the file.
 *
 * Who reads it believes, in this order:
 *   1. the header, by its own digest: enough to say whose file it is, and under which key;
 *   2. the trailer, by its seal: HMAC-SHA256 over the header and the trailer up to the seal;
 *   3. the footer, by its digest in the trailer: now all sizes, places and digests are known;
 *   4. each block, by its digest in the footer: SHA-256 over its head and its stored bytes. It
 *      stands in for the plain bytes too, which follow from those.
 * So no byte of the file is outside of the seal, and none has to be believed before it is checked.
 * Digests need no key: damage is found without one; the seal says that this cluster wrote it.
 *
 * Keys are derived from a secret of the cluster, whose id is in the header, for this file alone:
 *
 *     key of the seal   = HKDF-SHA256(secret, salt HIBERNATION_SALT, info = "seal " + uuid of file)
 *     key of the blocks = HKDF-SHA256(secret, salt HIBERNATION_SALT, info = "data " + uuid of file)
 *
 * An encrypted body is AES-256-GCM under the key of the blocks, with the block's head as additional
 * data. The nonce is 4 zero bytes and the number of the block: since each file has a uuid and so a
 * key of its own, no pair of them comes twice.
 *
 * A change of the layout is another HIBERNATION_VERSION, and readers refuse what they do not know.
 * The header keeps its size and its digest in all versions, so that another one and damage are told
 * apart.
 */
#ifndef HIBERNATION_FILE_FORMAT_H
#define HIBERNATION_FILE_FORMAT_H

#include <stdint.h>

#define HIBERNATION_HEADER_MAGIC "vioshib1"
#define HIBERNATION_FOOTER_MAGIC "vioshibF"
#define HIBERNATION_TRAILER_MAGIC "vioshibE"
#define HIBERNATION_BLOCK_MAGIC 0x6b636c62u /* "blck" */
#define HIBERNATION_VERSION 1
#define HIBERNATION_SALT "vios hibernation 1"

#define HIBERNATION_BLOCK_SIZE ((uint32_t)1 << 20)
#define HIBERNATION_BLOCKS_MAX ((uint64_t)1 << 22) /* 4 TiB; 184 MB of entries */
#define HIBERNATION_CONFIGURATION_MAX ((uint32_t)64 * 1024)
#define HIBERNATION_DIGEST_SIZE 32
#define HIBERNATION_TAG_SIZE 16
#define HIBERNATION_NONCE_SIZE 12
#define HIBERNATION_UUID_SIZE 40 /* of the text, with its NULs */
#define HIBERNATION_NAME_SIZE 64
#define HIBERNATION_WORD_SIZE 32

#define HIBERNATION_ENCRYPTED 1u /* flags of the header; no other is known */

enum hibernation_kind { HIBERNATION_STREAM = 1, HIBERNATION_PAGES = 2 };
enum hibernation_coding { HIBERNATION_ZERO = 1, HIBERNATION_RAW = 2, HIBERNATION_ZSTD = 3 };

struct hibernation_wire_header {
    uint8_t magic[8];
    uint32_t version;
    uint32_t flags;
    uint32_t key_id;                  /* of the cluster's secret */
    uint32_t block_size;              /* HIBERNATION_BLOCK_SIZE */
    char file[HIBERNATION_UUID_SIZE]; /* uuid; of each file another */
    char cluster[HIBERNATION_UUID_SIZE];
    char lpar[HIBERNATION_UUID_SIZE];
    char name[HIBERNATION_NAME_SIZE];        /* of the LPAR */
    char node[HIBERNATION_NAME_SIZE];        /* that it ran on */
    int64_t incarnation;                     /* of that node */
    int64_t generation;                      /* of the LPAR: the file is of use for this one only */
    uint64_t memory_bytes;                   /* of the LPAR */
    char machine[HIBERNATION_WORD_SIZE];     /* QEMU's machine type, with its version */
    char qemu[HIBERNATION_WORD_SIZE];        /* QEMU's version */
    int64_t created_ms;                      /* wall clock, for people; nothing compares it */
    uint8_t digest[HIBERNATION_DIGEST_SIZE]; /* SHA-256 of all before */
} __attribute__((packed));

struct hibernation_wire_block { /* followed by `stored_size` bytes */
    uint32_t magic;
    uint8_t kind;   /* enum hibernation_kind */
    uint8_t coding; /* enum hibernation_coding */
    uint16_t reserved;
    uint32_t plain_size;
    uint32_t stored_size;
    uint64_t index; /* 0, 1, ... */
} __attribute__((packed));

struct hibernation_wire_footer { /* followed by the configuration and the entries */
    uint8_t magic[8];
    uint32_t configuration_size;
    uint32_t reserved;
    uint64_t block_count;
    uint64_t stream_size, pages_size; /* plain bytes of each kind */
    uint64_t stored_size;             /* of all blocks with their heads */
} __attribute__((packed));

struct hibernation_wire_entry {
    uint8_t kind, coding;
    uint16_t reserved;
    uint32_t plain_size;
    uint32_t stored_size;
    uint8_t digest[HIBERNATION_DIGEST_SIZE]; /* SHA-256 of the block's head and stored bytes */
} __attribute__((packed));

struct hibernation_wire_trailer {
    uint64_t footer_size; /* head, configuration and entries */
    uint64_t file_size;
    uint8_t footer_digest[HIBERNATION_DIGEST_SIZE];
    uint8_t magic[8];
    uint8_t seal[HIBERNATION_DIGEST_SIZE];
} __attribute__((packed));

_Static_assert(sizeof(struct hibernation_wire_header) == 400, "the layout is fixed");
_Static_assert(sizeof(struct hibernation_wire_block) == 24, "the layout is fixed");
_Static_assert(sizeof(struct hibernation_wire_footer) == 48, "the layout is fixed");
_Static_assert(sizeof(struct hibernation_wire_entry) == 44, "the layout is fixed");
_Static_assert(sizeof(struct hibernation_wire_trailer) == 88, "the layout is fixed");

#endif
