/* fuzz_datagram.c - whatever comes by UDP is judged once and changes nothing unless it opens. The
 * input is tried as a packet; then as the body of one, and that packet again with the input's first
 * bytes XORed into it somewhere. */
#include "net/datagram.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct datagram *make(const char *node, const char *other)
{
    struct datagram *datagram;
    struct datagram_key keys[2] = {{.id = 7}, {.id = 8}};
    for (uint8_t i = 0; i < DATAGRAM_KEY_BYTES; i++) {
        keys[0].bytes[i] = i;
    }
    int status = datagram_new(&datagram, node, NULL);
    assert(status == VIOS_OK && datagram_know(datagram, other, NULL) == VIOS_OK);
    status = datagram_set_keys(datagram, keys, 2, 7, NULL);
    assert(status == VIOS_OK);
    return datagram;
}

static void try_change(struct datagram *receiver, const uint8_t *packet, size_t packet_size,
                       const uint8_t *data, size_t size)
{
    uint8_t changed[DATAGRAM_MAX];
    struct datagram_message message;
    memcpy(changed, packet, packet_size);
    size_t at = (size_t)data[0] * 6 % packet_size;
    for (size_t i = 1; i < size && i < 5 && at < packet_size; i++, at++) {
        changed[at] ^= data[i];
    }
    bool same = memcmp(changed, packet, packet_size) == 0;
    enum datagram_verdict verdict = datagram_open(receiver, changed, packet_size, &message);
    assert((verdict == DATAGRAM_GOOD) == same);
    verdict = datagram_open(receiver, packet, packet_size, &message);
    assert(verdict == (same ? DATAGRAM_REPLAYED : DATAGRAM_GOOD));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct datagram *sender = make("n1", "n2"), *receiver = make("n2", "n1");
    struct datagram_message message = {.size = 0};
    uint8_t packet[DATAGRAM_MAX];
    size_t packet_size;
    enum datagram_verdict verdict = datagram_open(receiver, data, size, &message);
    assert(datagram_counts(receiver)[verdict] == 1);
    assert(verdict != DATAGRAM_GOOD || (strcmp(message.node, "n1") == 0 && message.size < size));
    datagram_forget(receiver, "n1"); /* the one in the corpus has a start */
    assert(datagram_know(receiver, "n1", NULL) == VIOS_OK);
    assert(datagram_begin(sender, 1, 2, NULL) == VIOS_OK);
    int status = datagram_seal(sender, data, size, packet, &packet_size, NULL);
    assert((status == VIOS_OK) == (size <= DATAGRAM_BODY_MAX));
    if (status == VIOS_OK && size > 0) {
        try_change(receiver, packet, packet_size, data, size);
    }
    datagram_free(sender);
    datagram_free(receiver);
    return 0;
}
