/* ring.c - see ring.h. */
#include "node/ring.h"

#include "base/json.h"
#include "net/crypto.h"

#include <openssl/crypto.h>
#include <string.h>

int ring_make(struct ring *ring, struct vios_error *error)
{
    memset(ring, 0, sizeof *ring);
    ring->count = 1;
    ring->seal = 1;
    return datagram_key_make(&ring->keys[0], ring->seal, error);
}

uint32_t ring_newest(const struct ring *ring)
{
    uint32_t newest = 0;
    for (size_t i = 0; i < ring->count; i++) {
        newest = ring->keys[i].id > newest ? ring->keys[i].id : newest;
    }
    return newest;
}

int ring_add(struct ring *ring, struct vios_error *error)
{
    uint32_t newest = ring_newest(ring);
    if (ring->count != 1 || newest == UINT32_MAX) {
        return error_set(error, VIOS_E_LOCKED, "ring key", NULL, "it changes already");
    }
    int status = datagram_key_make(&ring->keys[1], newest + 1, error);
    ring->count += status == VIOS_OK;
    return status;
}

void ring_drop_old(struct ring *ring)
{
    for (size_t i = 0; i < ring->count; i++) {
        if (ring->keys[i].id == ring->seal) {
            ring->keys[0] = ring->keys[i];
        }
    }
    OPENSSL_cleanse(&ring->keys[1], sizeof ring->keys[1]);
    ring->count = 1;
}

char *ring_format(const struct ring *ring)
{
    char hex[2 * DATAGRAM_KEY_BYTES + 1];
    json_t *keys = json_array();
    for (size_t i = 0; i < ring->count; i++) {
        crypto_hex(ring->keys[i].bytes, DATAGRAM_KEY_BYTES, hex);
        json_array_append_new(
            keys, json_pack("{s:I, s:s}", "id", (json_int_t)ring->keys[i].id, "key", hex));
    }
    OPENSSL_cleanse(hex, sizeof hex);
    json_t *record =
        json_pack("{s:i, s:o, s:I}", "v", 1, "keys", keys, "seal", (json_int_t)ring->seal);
    return json_into_text(record);
}

static bool read_key(const json_t *json, struct datagram_key *key)
{
    json_int_t id = json_get_integer(json, "id");
    const char *hex = json_get_text(json, "key");
    if (id < 1 || id > UINT32_MAX || !hex || !crypto_unhex(hex, key->bytes, sizeof key->bytes)) {
        return false;
    }
    key->id = (uint32_t)id;
    return true;
}

static bool read_ring(const json_t *json, struct ring *ring)
{
    const json_t *keys = json_object_get(json, "keys");
    json_int_t seal = json_get_integer(json, "seal");
    bool sealable = false;
    ring->count = json_array_size(keys);
    if (ring->count < 1 || ring->count > DATAGRAM_KEYS_MAX) {
        return false;
    }
    for (size_t i = 0; i < ring->count; i++) {
        if (!read_key(json_array_get(keys, i), &ring->keys[i])) {
            return false;
        }
        sealable = sealable || ring->keys[i].id == seal;
    }
    ring->seal = (uint32_t)seal;
    return sealable && (ring->count == 1 || ring->keys[0].id != ring->keys[1].id);
}

int ring_parse(const char *json, struct ring *ring, struct vios_error *error)
{
    struct ring read = {0};
    json_t *record = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    bool good = read_ring(record, &read);
    json_decref(record);
    if (good) {
        *ring = read;
    }
    ring_forget(&read);
    return good ? VIOS_OK
                : error_set(error, VIOS_E_CORRUPT, RING_KEY, "run \"vios db check\"",
                            "the record of the ring key is damaged");
}

void ring_forget(struct ring *ring)
{
    OPENSSL_cleanse(ring, sizeof *ring);
}
