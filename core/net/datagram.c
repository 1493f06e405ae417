/*
 * datagram.c - see datagram.h.
 *
 * What costs little is looked at first: form, sender, ring key, start, counter. Only a packet that
 * passes is opened, and only one that opens changes anything: the window, and what is the sender's
 * highest start.
 */
#include "net/datagram.h"

#include "base/clock.h"
#include "base/parse.h"
#include "net/crypto.h"
#include "net/datagram_format.h"

#include <assert.h>
#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_WORDS (DATAGRAM_WINDOW / 64)
#define START_RANDOM_BITS 20
#define OVERHEAD_MAX (sizeof(struct datagram_head) + NAME_MAX_LENGTH + DATAGRAM_TAG_BYTES)

_Static_assert(DATAGRAM_BODY_MAX + OVERHEAD_MAX <= DATAGRAM_MAX, "any name fits");

/* The key of one (sender, incarnation, start) under one ring key. */
struct derived {
    bool there;
    uint32_t id;
    uint8_t bytes[DATAGRAM_KEY_BYTES];
};

struct sender {
    char node[NAME_MAX_LENGTH + 1];
    int64_t incarnation, start;                /* the highest; -1: none yet */
    uint64_t top;                              /* the highest counter of it */
    uint64_t seen[WINDOW_WORDS];               /* bit c % WINDOW: c was here, c > top - WINDOW */
    struct derived derived[DATAGRAM_KEYS_MAX]; /* of the highest start */
};

struct datagram {
    char node[NAME_MAX_LENGTH + 1];
    struct datagram_key keys[DATAGRAM_KEYS_MAX];
    size_t key_count;
    uint32_t seal_with;
    int64_t incarnation, start; /* our own; -1: not begun */
    uint64_t counter;           /* used last */
    struct derived derived;     /* our own */
    struct sender *senders;
    size_t sender_count, sender_capacity;
    EVP_CIPHER_CTX *cipher;
    EVP_KDF *kdf;
    uint64_t counts[DATAGRAM_VERDICTS];
};

static const char *const NAMES[DATAGRAM_VERDICTS] = {
    [DATAGRAM_GOOD] = "good",
    [DATAGRAM_TRUNCATED] = "truncated",
    [DATAGRAM_UNKNOWN_SENDER] = "unknown_sender",
    [DATAGRAM_UNKNOWN_KEY] = "unknown_key",
    [DATAGRAM_STALE] = "stale",
    [DATAGRAM_REPLAYED] = "replayed",
    [DATAGRAM_FORGED] = "forged",
};

const char *datagram_verdict_name(enum datagram_verdict verdict)
{
    assert(verdict < DATAGRAM_VERDICTS);
    return NAMES[verdict];
}

const uint64_t *datagram_counts(const struct datagram *datagram)
{
    return datagram->counts;
}

/* --- the object --- */

int datagram_new(struct datagram **out, const char *node, struct vios_error *error)
{
    *out = NULL;
    int status = parse_name(node, "node", error);
    if (status != VIOS_OK) {
        return status;
    }
    struct datagram *datagram = calloc(1, sizeof *datagram);
    if (!datagram) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for keep-alives");
    }
    strncpy(datagram->node, node, sizeof datagram->node - 1);
    datagram->incarnation = datagram->start = -1;
    datagram->cipher = EVP_CIPHER_CTX_new();
    datagram->kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    if (!datagram->cipher || !datagram->kdf) {
        datagram_free(datagram);
        return crypto_fail(error, VIOS_E_SYSTEM, NULL, "keep-alives cannot be sealed");
    }
    *out = datagram;
    return VIOS_OK;
}

void datagram_free(struct datagram *datagram)
{
    if (!datagram) {
        return;
    }
    for (size_t i = 0; i < datagram->sender_count; i++) {
        OPENSSL_cleanse(&datagram->senders[i], sizeof datagram->senders[i]);
    }
    free(datagram->senders);
    EVP_CIPHER_CTX_free(datagram->cipher);
    EVP_KDF_free(datagram->kdf);
    OPENSSL_cleanse(datagram, sizeof *datagram);
    free(datagram);
}

/* The boot's clock, which only grows within an incarnation, and randomness for two daemons that
 * somebody makes start within one millisecond. */
int64_t datagram_start_make(void)
{
    uint32_t random = 0;
    if (crypto_random(&random, sizeof random, NULL) != VIOS_OK) {
        abort(); /* a start that repeats would give the key away */
    }
    return clock_now_ms() << START_RANDOM_BITS | (random & ((1u << START_RANDOM_BITS) - 1));
}

int datagram_key_make(struct datagram_key *key, uint32_t id, struct vios_error *error)
{
    key->id = id;
    return crypto_random(key->bytes, sizeof key->bytes, error);
}

static const struct datagram_key *find_key(const struct datagram *datagram, uint32_t id)
{
    for (size_t i = 0; i < datagram->key_count; i++) {
        if (datagram->keys[i].id == id) {
            return &datagram->keys[i];
        }
    }
    return NULL;
}

int datagram_set_keys(struct datagram *datagram, const struct datagram_key *keys, size_t count,
                      uint32_t seal_with, struct vios_error *error)
{
    bool usable = false;
    for (size_t i = 0; i < count && count <= DATAGRAM_KEYS_MAX; i++) {
        usable = usable || keys[i].id == seal_with;
    }
    if (!usable || (count == 2 && keys[0].id == keys[1].id)) {
        return error_set(error, VIOS_E_INVALID, "ring key", NULL,
                         "one or two with different ids, one of them to seal with");
    }
    memset(datagram->keys, 0, sizeof datagram->keys);
    memcpy(datagram->keys, keys, count * sizeof *keys);
    datagram->key_count = count;
    datagram->seal_with = seal_with;
    datagram->derived.there = false; /* another key may come under an old id */
    for (size_t i = 0; i < datagram->sender_count; i++) {
        for (size_t j = 0; j < DATAGRAM_KEYS_MAX; j++) {
            datagram->senders[i].derived[j].there = false;
        }
    }
    return VIOS_OK;
}

int datagram_begin(struct datagram *datagram, int64_t incarnation, int64_t start,
                   struct vios_error *error)
{
    if (incarnation == datagram->incarnation && start == datagram->start) {
        return VIOS_OK;
    }
    if (incarnation < 0 || start < 0 || incarnation < datagram->incarnation ||
        (incarnation == datagram->incarnation && start < datagram->start)) {
        return error_set(error, VIOS_E_STALE, datagram->node, NULL,
                         "incarnation %lld, start %lld was left behind", (long long)incarnation,
                         (long long)start);
    }
    datagram->incarnation = incarnation;
    datagram->start = start;
    datagram->counter = 0;
    datagram->derived.there = false;
    return VIOS_OK;
}

/* --- senders --- */

static struct sender *find_sender(const struct datagram *datagram, const char *node)
{
    for (size_t i = 0; i < datagram->sender_count; i++) {
        if (strcmp(datagram->senders[i].node, node) == 0) {
            return &datagram->senders[i];
        }
    }
    return NULL;
}

int datagram_know(struct datagram *datagram, const char *node, struct vios_error *error)
{
    int status = parse_name(node, "node", error);
    if (status != VIOS_OK || find_sender(datagram, node)) {
        return status;
    }
    if (datagram->sender_count == DATAGRAM_SENDERS_MAX) {
        return error_set(error, VIOS_E_NO_SPACE, node, NULL, "there are %d senders already",
                         DATAGRAM_SENDERS_MAX);
    }
    if (datagram->sender_count == datagram->sender_capacity) {
        size_t capacity = datagram->sender_capacity * 2 + 16;
        struct sender *larger = calloc(capacity, sizeof *larger);
        if (!larger) {
            return error_set(error, VIOS_E_NO_SPACE, node, NULL, "no memory for a sender");
        }
        size_t used = datagram->sender_count * sizeof *larger;
        if (used > 0) {
            memcpy(larger, datagram->senders, used);
            OPENSSL_cleanse(datagram->senders, used);
        }
        free(datagram->senders);
        datagram->senders = larger;
        datagram->sender_capacity = capacity;
    }
    struct sender *sender = &datagram->senders[datagram->sender_count++];
    *sender = (struct sender){.incarnation = -1, .start = -1};
    strncpy(sender->node, node, sizeof sender->node - 1);
    return VIOS_OK;
}

void datagram_forget(struct datagram *datagram, const char *node)
{
    struct sender *sender = find_sender(datagram, node);
    if (sender) {
        struct sender *last = &datagram->senders[--datagram->sender_count];
        *sender = *last;
        OPENSSL_cleanse(last, sizeof *last);
    }
}

/* Negative: (incarnation, start) is below the sender's highest; 0: it is that. */
static int compare_start(const struct sender *sender, int64_t incarnation, int64_t start)
{
    if (incarnation != sender->incarnation) {
        return incarnation < sender->incarnation ? -1 : 1;
    }
    return start < sender->start ? -1 : start > sender->start;
}

static void raise_start(struct sender *sender, int64_t incarnation, int64_t start)
{
    sender->incarnation = incarnation;
    sender->start = start;
    sender->top = 0;
    memset(sender->seen, 0, sizeof sender->seen);
    for (size_t i = 0; i < DATAGRAM_KEYS_MAX; i++) {
        sender->derived[i].there = false;
    }
}

void datagram_expect(struct datagram *datagram, const char *node, int64_t incarnation,
                     int64_t start)
{
    struct sender *sender = find_sender(datagram, node);
    if (sender && compare_start(sender, incarnation, start) > 0) {
        raise_start(sender, incarnation, start);
    }
}

/* --- the window --- */

static bool is_seen(const struct sender *sender, uint64_t counter)
{
    if (counter > sender->top) {
        return false;
    }
    uint64_t bit = counter % DATAGRAM_WINDOW;
    return sender->top - counter >= DATAGRAM_WINDOW || (sender->seen[bit / 64] >> bit % 64 & 1);
}

static void mark_seen(struct sender *sender, uint64_t counter)
{
    if (counter > sender->top) {
        if (counter - sender->top >= DATAGRAM_WINDOW) {
            memset(sender->seen, 0, sizeof sender->seen);
        }
        for (uint64_t skipped = sender->top + 1;
             skipped < counter && counter - sender->top < DATAGRAM_WINDOW; skipped++) {
            uint64_t old = skipped % DATAGRAM_WINDOW;
            sender->seen[old / 64] &= ~(UINT64_C(1) << old % 64);
        }
        sender->top = counter;
    }
    uint64_t bit = counter % DATAGRAM_WINDOW;
    sender->seen[bit / 64] |= UINT64_C(1) << bit % 64;
}

/* --- keys --- */

static bool derive(const struct datagram *datagram, const struct datagram_key *ring,
                   const struct datagram_head *head, const char *node, struct derived *derived)
{
    uint8_t info[2 * sizeof(int64_t) + NAME_MAX_LENGTH];
    size_t length = strlen(node);
    memcpy(info, &head->incarnation, sizeof head->incarnation);
    memcpy(info + sizeof(int64_t), &head->start, sizeof head->start);
    memcpy(info + 2 * sizeof(int64_t), node, length);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)ring->bytes,
                                          sizeof ring->bytes),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (char *)DATAGRAM_SALT,
                                          sizeof DATAGRAM_SALT - 1),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 2 * sizeof(int64_t) + length),
        OSSL_PARAM_construct_end()};
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(datagram->kdf);
    derived->there =
        context && EVP_KDF_derive(context, derived->bytes, sizeof derived->bytes, parameters) == 1;
    derived->id = ring->id;
    EVP_KDF_CTX_free(context);
    return derived->there;
}

static void make_nonce(const struct datagram_head *head, uint8_t nonce[DATAGRAM_NONCE_BYTES])
{
    memset(nonce, 0, DATAGRAM_NONCE_BYTES);
    memcpy(nonce + DATAGRAM_NONCE_BYTES - sizeof head->counter, &head->counter,
           sizeof head->counter);
}

/* --- sealing --- */

static bool encrypt(EVP_CIPHER_CTX *cipher, const uint8_t *key, const uint8_t *nonce,
                    const void *body, size_t size, uint8_t *packet, size_t head_size)
{
    int done;
    uint8_t *out = packet + head_size;
    return EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce) &&
           EVP_EncryptUpdate(cipher, NULL, &done, packet, (int)head_size) &&
           EVP_EncryptUpdate(cipher, out, &done, body, (int)size) &&
           EVP_EncryptFinal_ex(cipher, out + done, &done) &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, DATAGRAM_TAG_BYTES, out + size);
}

int datagram_seal(struct datagram *datagram, const void *body, size_t size,
                  uint8_t packet[DATAGRAM_MAX], size_t *packet_size, struct vios_error *error)
{
    uint8_t nonce[DATAGRAM_NONCE_BYTES];
    const struct datagram_key *ring = find_key(datagram, datagram->seal_with);
    if (!ring || datagram->start < 0) {
        return error_set(error, VIOS_E_LOCKED, datagram->node, NULL,
                         "there is no ring key yet, or no incarnation");
    }
    if (size > DATAGRAM_BODY_MAX || datagram->counter == UINT64_MAX) {
        return error_set(error, VIOS_E_NO_SPACE, datagram->node, NULL,
                         "a keep-alive has %d bytes at most", DATAGRAM_BODY_MAX);
    }
    size_t name = strlen(datagram->node);
    struct datagram_head head = {.magic = htobe32(DATAGRAM_MAGIC),
                                 .version = DATAGRAM_VERSION,
                                 .name_length = (uint8_t)name,
                                 .key_id = htobe32(ring->id),
                                 .incarnation = (int64_t)htobe64((uint64_t)datagram->incarnation),
                                 .start = (int64_t)htobe64((uint64_t)datagram->start),
                                 .counter = htobe64(++datagram->counter)};
    struct derived *own = &datagram->derived;
    memcpy(packet, &head, sizeof head);
    memcpy(packet + sizeof head, datagram->node, name);
    make_nonce(&head, nonce);
    bool good =
        (own->there && own->id == ring->id) || derive(datagram, ring, &head, datagram->node, own);
    if (!good ||
        !encrypt(datagram->cipher, own->bytes, nonce, body, size, packet, sizeof head + name)) {
        return crypto_fail(error, VIOS_E_SYSTEM, datagram->node, "a keep-alive cannot be sealed");
    }
    *packet_size = sizeof head + name + size + DATAGRAM_TAG_BYTES;
    return VIOS_OK;
}

/* --- opening --- */

struct packet {
    struct datagram_head head; /* as on the wire */
    uint32_t key_id;
    size_t head_size; /* with the name */
    const uint8_t *bytes;
    size_t size;
};

static bool read_packet(struct packet *packet, const uint8_t *bytes, size_t size,
                        struct datagram_message *message)
{
    const struct datagram_head *head = &packet->head;
    if (size < sizeof *head || size > DATAGRAM_MAX) {
        return false;
    }
    memcpy(&packet->head, bytes, sizeof *head);
    size_t name = head->name_length;
    packet->head_size = sizeof *head + name;
    if (be32toh(head->magic) != DATAGRAM_MAGIC || head->version != DATAGRAM_VERSION ||
        head->reserved != 0 || name < 1 || name > NAME_MAX_LENGTH ||
        size < packet->head_size + DATAGRAM_TAG_BYTES) {
        return false;
    }
    memcpy(message->node, bytes + sizeof *head, name);
    message->node[name] = 0;
    message->incarnation = (int64_t)be64toh((uint64_t)head->incarnation);
    message->start = (int64_t)be64toh((uint64_t)head->start);
    message->counter = be64toh(head->counter);
    message->size = size - packet->head_size - DATAGRAM_TAG_BYTES;
    packet->key_id = be32toh(head->key_id);
    packet->bytes = bytes;
    packet->size = size;
    return strlen(message->node) == name && message->incarnation >= 0 && message->start >= 0 &&
           message->counter > 0 && message->size <= DATAGRAM_BODY_MAX;
}

static bool decrypt(EVP_CIPHER_CTX *cipher, const uint8_t *key, const struct packet *packet,
                    struct datagram_message *message)
{
    uint8_t nonce[DATAGRAM_NONCE_BYTES], tag[DATAGRAM_TAG_BYTES];
    int done;
    make_nonce(&packet->head, nonce);
    memcpy(tag, packet->bytes + packet->size - sizeof tag, sizeof tag);
    return EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce) &&
           EVP_DecryptUpdate(cipher, NULL, &done, packet->bytes, (int)packet->head_size) &&
           EVP_DecryptUpdate(cipher, message->body, &done, packet->bytes + packet->head_size,
                             (int)message->size) &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) &&
           EVP_DecryptFinal_ex(cipher, message->body + done, &done) > 0;
}

/* With the sender's key of that start, which is kept when it is the highest. */
static bool unseal(struct datagram *datagram, struct sender *sender,
                   const struct datagram_key *ring, const struct packet *packet,
                   struct datagram_message *message)
{
    bool newer = compare_start(sender, message->incarnation, message->start) > 0;
    struct derived fresh = {.there = false};
    struct derived *kept = &sender->derived[ring - datagram->keys];
    struct derived *derived = newer ? &fresh : kept;
    bool good = ((derived->there && derived->id == ring->id) ||
                 derive(datagram, ring, &packet->head, message->node, derived)) &&
                decrypt(datagram->cipher, derived->bytes, packet, message);
    if (good && newer) {
        raise_start(sender, message->incarnation, message->start);
        *kept = fresh;
    }
    OPENSSL_cleanse(&fresh, sizeof fresh);
    return good;
}

static enum datagram_verdict judge(struct datagram *datagram, const uint8_t *bytes, size_t size,
                                   struct datagram_message *message)
{
    struct packet packet;
    if (!read_packet(&packet, bytes, size, message)) {
        return DATAGRAM_TRUNCATED;
    }
    struct sender *sender = find_sender(datagram, message->node);
    if (!sender) {
        return DATAGRAM_UNKNOWN_SENDER;
    }
    const struct datagram_key *ring = find_key(datagram, packet.key_id);
    if (!ring) {
        return DATAGRAM_UNKNOWN_KEY;
    }
    int order = compare_start(sender, message->incarnation, message->start);
    if (order < 0) {
        return DATAGRAM_STALE;
    }
    if (order == 0 && is_seen(sender, message->counter)) {
        return DATAGRAM_REPLAYED;
    }
    if (!unseal(datagram, sender, ring, &packet, message)) {
        return DATAGRAM_FORGED;
    }
    mark_seen(sender, message->counter);
    return DATAGRAM_GOOD;
}

enum datagram_verdict datagram_open(struct datagram *datagram, const uint8_t *packet, size_t size,
                                    struct datagram_message *message)
{
    struct datagram_message opened;
    enum datagram_verdict verdict = judge(datagram, packet, size, &opened);
    datagram->counts[verdict]++;
    if (verdict == DATAGRAM_GOOD) {
        memcpy(message, &opened, offsetof(struct datagram_message, body) + opened.size);
    }
    return verdict;
}
