/* fuzz_nbd_client.c - what a page server may send: the handshake, then heads of replies. Nothing
 * is taken that was not there, and every step goes on or ends. */
#include "nbd/client_wire.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replies(bool structured, const uint8_t *data, size_t size)
{
    struct nbd_reply reply;
    size_t used = 0;
    while (nbd_reply_parse(structured, data, size, &reply, &used, NULL) == 1) {
        assert(used > 0 && used <= size);
        data += used;
        size -= used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nbd_handshake handshake;
    size_t used = 0;
    if (size == 0) {
        return 0;
    }
    replies(data[0] & 1, data + 1, size - 1);
    assert(nbd_handshake_start(&handshake, "page/x/0.1/1", NULL) == VIOS_OK);
    handshake.tls = size % 2;
    int status = nbd_handshake_feed(&handshake, data, size, &used, NULL);
    assert(!handshake.tls || handshake.state <= NBD_SECURING);
    if (status == VIOS_OK && handshake.state == NBD_SECURING) {
        size_t more = 0;
        nbd_handshake_secured(&handshake);
        status = nbd_handshake_feed(&handshake, data + used, size - used, &more, NULL);
        used += more;
    }
    if (status == VIOS_OK) {
        assert(used <= size && handshake.output_size <= sizeof handshake.output);
        replies(handshake.export.structured, data + used, size - used);
    }
    return 0;
}
