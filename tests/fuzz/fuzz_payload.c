/* fuzz_payload.c - a message payload file as it may lie in the repository: refused with a reason,
 * or it is what payload_format() makes of what was read. Bytes that are none are also taken as the
 * events of a file whose header and digest fit. */
#include "event/payload.h"
#include "net/crypto.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UUID "00000000-1111-4222-8333-444444444444"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool are_equal(const struct payload *one, const struct payload *other)
{
    bool equal = one->count == other->count && one->incarnation == other->incarnation &&
                 one->epoch == other->epoch && one->derived == other->derived &&
                 strcmp(one->cluster, other->cluster) == 0 && strcmp(one->node, other->node) == 0 &&
                 strcmp(one->name, other->name) == 0;
    for (size_t i = 0; equal && i < one->count; i++) {
        equal = json_equal(one->events[i], other->events[i]);
    }
    return equal;
}

static void try_file(const char *text, size_t size)
{
    struct payload payload, back;
    struct vios_error error = {0};
    char *again;
    size_t size_again;
    if (payload_parse(text, size, &payload, &error) != VIOS_OK) {
        assert(error.code == VIOS_E_CORRUPT && error.message[0] && payload.count == 0);
        return;
    }
    assert(payload.count >= 1 && payload.count <= PAYLOAD_EVENTS_MAX);
    for (size_t i = 0; i < payload.count; i++) {
        assert(event_check(payload.events[i], NULL) == VIOS_OK);
    }
    assert(payload_format(&payload, &again, &size_again, NULL) == VIOS_OK);
    assert(payload_parse(again, size_again, &back, NULL) == VIOS_OK);
    assert(are_equal(&payload, &back));
    free(again);
    payload_clear(&payload);
    payload_clear(&back);
}

/* So that the search gets behind the digest. */
static void try_events(const char *events, size_t size)
{
    static const char HEADER[] =
        "{\"v\":1,\"cluster\":\"c\",\"node\":\"n1\",\"incarnation\":4,\"epoch\":7,\"derived\":0,"
        "\"name\":\"4-" UUID "\",\"count\":%zu,\"digest\":\"%s\"}";
    char line[PAYLOAD_HEADER_MAX], hex[DIGEST_TEXT_SIZE];
    uint8_t digest[DIGEST_SIZE];
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += events[i] == '\n';
    }
    int length = snprintf(line, sizeof line, HEADER, count, "");
    assert(crypto_digest(line, (size_t)length, events, size, digest, NULL) == VIOS_OK);
    crypto_hex(digest, sizeof digest, hex);
    length = snprintf(line, sizeof line, HEADER, count, hex);
    char *whole = malloc((size_t)length + 1 + size);
    assert(whole);
    memcpy(whole, line, (size_t)length);
    whole[length] = '\n';
    memcpy(whole + length + 1, events, size);
    try_file(whole, (size_t)length + 1 + size);
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = size > 0 ? (const char *)data : "";
    try_file(text, size);
    try_events(text, size);
    return 0;
}
