/* block.c - see block.h. */
#include "hibernation/block.h"

#include "net/crypto.h"
#include "storage/chunks.h"

#include <endian.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define HEAD_SIZE sizeof(struct hibernation_wire_block)
#define PROBES 4 /* where a block is looked at that may not be worth compressing */
#define PROBE_SIZE ((size_t)16 * 1024)
#define BODY_ROOM ZSTD_COMPRESSBOUND(HIBERNATION_BLOCK_SIZE)

struct hibernation_coder {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
    EVP_MD_CTX *digest;
    EVP_CIPHER_CTX *cipher; /* with the file's key; NULL: not encrypted, or no key */
    bool raw_before;        /* compressing did not help the last block */
};

bool hibernation_piece_make(struct hibernation_piece *piece)
{
    piece->plain = malloc(HIBERNATION_BLOCK_SIZE);
    piece->stored = malloc(HEAD_SIZE + BODY_ROOM + HIBERNATION_TAG_SIZE);
    return piece->plain && piece->stored;
}

void hibernation_piece_free(struct hibernation_piece *piece)
{
    free(piece->plain);
    free(piece->stored);
    piece->plain = piece->stored = NULL;
}

int hibernation_coder_new(struct hibernation_coder **coder, const struct hibernation_seal *seal,
                          struct vios_error *error)
{
    struct hibernation_coder *made = calloc(1, sizeof *made);
    *coder = made;
    if (!made) {
        return error_no_memory(error, NULL);
    }
    made->compress = ZSTD_createCCtx();
    made->decompress = ZSTD_createDCtx();
    made->digest = EVP_MD_CTX_new();
    made->cipher = seal ? EVP_CIPHER_CTX_new() : NULL;
    bool good = made->compress && made->decompress && made->digest &&
                !ZSTD_isError(ZSTD_CCtx_setParameter(made->compress, ZSTD_c_compressionLevel,
                                                     HIBERNATION_LEVEL)) &&
                !ZSTD_isError(ZSTD_CCtx_setParameter(made->compress, ZSTD_c_checksumFlag, 1)) &&
                (!seal || (made->cipher && EVP_CipherInit_ex(made->cipher, EVP_aes_256_gcm(), NULL,
                                                             seal->data_key, NULL, 1)));
    if (!good) {
        hibernation_coder_free(made);
        *coder = NULL;
        return error_no_memory(error, NULL);
    }
    return VIOS_OK;
}

void hibernation_coder_free(struct hibernation_coder *coder)
{
    if (coder) {
        ZSTD_freeCCtx(coder->compress);
        ZSTD_freeDCtx(coder->decompress);
        EVP_MD_CTX_free(coder->digest);
        EVP_CIPHER_CTX_free(coder->cipher);
        free(coder);
    }
}

static bool digest_of(struct hibernation_coder *coder, const uint8_t *head, const uint8_t *stored,
                      size_t size, uint8_t digest[HIBERNATION_DIGEST_SIZE])
{
    return EVP_DigestInit_ex(coder->digest, EVP_sha256(), NULL) &&
           EVP_DigestUpdate(coder->digest, head, HEAD_SIZE) &&
           EVP_DigestUpdate(coder->digest, stored, size) &&
           EVP_DigestFinal_ex(coder->digest, digest, NULL);
}

static void make_head(const struct hibernation_piece *piece, struct hibernation_wire_block *head)
{
    *head = (struct hibernation_wire_block){
        .magic = htole32(HIBERNATION_BLOCK_MAGIC),
        .kind = piece->entry.kind,
        .coding = piece->entry.coding,
        .plain_size = htole32(piece->entry.plain_size),
        .stored_size = htole32(piece->entry.stored_size),
        .index = htole64(piece->index),
    };
}

/* The cipher for this block, with its head as additional data. */
static bool begin_cipher(struct hibernation_coder *coder, const struct hibernation_piece *piece,
                         int encrypting)
{
    uint8_t nonce[HIBERNATION_NONCE_SIZE] = {0};
    uint64_t index = htole64(piece->index);
    int done;
    memcpy(nonce + sizeof nonce - sizeof index, &index, sizeof index);
    return EVP_CipherInit_ex(coder->cipher, NULL, NULL, NULL, nonce, encrypting) &&
           EVP_CipherUpdate(coder->cipher, NULL, &done, piece->stored, (int)HEAD_SIZE);
}

/* --- encoding --- */

/* Where one block does not compress, the next ones often do not: then a few places are tried, which
 * is much faster than all of it. Only if none of them becomes smaller it is not tried at all. */
static bool is_noise(struct hibernation_coder *coder, const struct hibernation_piece *piece)
{
    uint32_t size = piece->entry.plain_size;
    if (!coder->raw_before || size < PROBES * PROBE_SIZE) {
        return false;
    }
    for (uint32_t i = 0; i < PROBES; i++) {
        const uint8_t *place = piece->plain + (size_t)size / PROBES * i;
        size_t got = ZSTD_compress2(coder->compress, piece->stored + HEAD_SIZE, BODY_ROOM, place,
                                    PROBE_SIZE);
        if (!ZSTD_isError(got) && got < PROBE_SIZE) {
            return false;
        }
    }
    return true;
}

/* Into what the body is made, and of how many bytes it is. */
static void choose_coding(struct hibernation_coder *coder, struct hibernation_piece *piece)
{
    struct hibernation_entry *entry = &piece->entry;
    uint8_t *body = piece->stored + HEAD_SIZE;
    if (chunk_is_zero(piece->plain, entry->plain_size)) {
        entry->coding = HIBERNATION_ZERO;
        entry->stored_size = 0;
        piece->body = body;
        return;
    }
    size_t size = is_noise(coder, piece) ? entry->plain_size
                                         : ZSTD_compress2(coder->compress, body, BODY_ROOM,
                                                          piece->plain, entry->plain_size);
    bool smaller = !ZSTD_isError(size) && size < entry->plain_size;
    coder->raw_before = !smaller;
    entry->coding = smaller ? HIBERNATION_ZSTD : HIBERNATION_RAW;
    entry->stored_size = smaller ? (uint32_t)size : entry->plain_size;
    piece->body = smaller ? body : piece->plain;
}

static bool encrypt(struct hibernation_coder *coder, struct hibernation_piece *piece, uint32_t size)
{
    uint8_t *body = piece->stored + HEAD_SIZE;
    const uint8_t *from = piece->body;
    int done;
    piece->body = body;
    return begin_cipher(coder, piece, 1) &&
           EVP_CipherUpdate(coder->cipher, body, &done, from, (int)size) &&
           EVP_CipherFinal_ex(coder->cipher, body + size, &done) &&
           EVP_CIPHER_CTX_ctrl(coder->cipher, EVP_CTRL_AEAD_GET_TAG, HIBERNATION_TAG_SIZE,
                               body + size);
}

int hibernation_block_encode(struct hibernation_coder *coder, struct hibernation_piece *piece,
                             struct vios_error *error)
{
    struct hibernation_entry *entry = &piece->entry;
    struct hibernation_wire_block head;
    choose_coding(coder, piece);
    uint32_t size = entry->stored_size;
    entry->stored_size += coder->cipher ? HIBERNATION_TAG_SIZE : 0;
    make_head(piece, &head);
    memcpy(piece->stored, &head, sizeof head);
    if (coder->cipher && !encrypt(coder, piece, size)) {
        return crypto_fail(error, VIOS_E_SYSTEM, NULL, "a block cannot be encrypted");
    }
    return digest_of(coder, piece->stored, piece->body, entry->stored_size, entry->digest)
               ? VIOS_OK
               : crypto_fail(error, VIOS_E_SYSTEM, NULL, "cannot make a digest");
}

/* --- decoding --- */

static bool decrypt(struct hibernation_coder *coder, struct hibernation_piece *piece, uint32_t size)
{
    uint8_t *body = piece->stored + HEAD_SIZE;
    int done;
    return begin_cipher(coder, piece, 0) &&
           EVP_CipherUpdate(coder->cipher, body, &done, body, (int)size) &&
           EVP_CIPHER_CTX_ctrl(coder->cipher, EVP_CTRL_AEAD_SET_TAG, HIBERNATION_TAG_SIZE,
                               body + size) &&
           EVP_CipherFinal_ex(coder->cipher, body + size, &done);
}

/* Whatever the frame says, no more is written than there is room for. */
static const char *expand(struct hibernation_coder *coder, struct hibernation_piece *piece,
                          uint32_t size)
{
    const struct hibernation_entry *entry = &piece->entry;
    const uint8_t *body = piece->stored + HEAD_SIZE;
    if (entry->coding == HIBERNATION_RAW) {
        piece->body = body;
        return NULL;
    }
    piece->body = piece->plain;
    if (entry->coding == HIBERNATION_ZERO) {
        memset(piece->plain, 0, entry->plain_size);
        return NULL;
    }
    size_t got =
        ZSTD_decompressDCtx(coder->decompress, piece->plain, HIBERNATION_BLOCK_SIZE, body, size);
    return !ZSTD_isError(got) && got == entry->plain_size ? NULL : "it does not decompress";
}

int hibernation_block_decode(struct hibernation_coder *coder, bool encrypted,
                             struct hibernation_piece *piece, const char **wrong,
                             struct vios_error *error)
{
    const struct hibernation_entry *entry = &piece->entry;
    uint8_t digest[HIBERNATION_DIGEST_SIZE];
    struct hibernation_wire_block head;
    piece->body = NULL;
    *wrong = NULL;
    if (!digest_of(coder, piece->stored, piece->stored + HEAD_SIZE, entry->stored_size, digest)) {
        return crypto_fail(error, VIOS_E_SYSTEM, NULL, "cannot make a digest");
    }
    make_head(piece, &head);
    uint32_t size = entry->stored_size - (encrypted ? HIBERNATION_TAG_SIZE : 0);
    if (memcmp(digest, entry->digest, sizeof digest) != 0) {
        *wrong = "its digest differs";
    } else if (memcmp(&head, piece->stored, sizeof head) != 0) {
        *wrong = "its head is not what the footer says";
    } else if (encrypted && coder->cipher && !decrypt(coder, piece, size)) {
        *wrong = "it does not decrypt";
    } else if (!encrypted || coder->cipher) {
        *wrong = expand(coder, piece, size);
    }
    return VIOS_OK;
}
