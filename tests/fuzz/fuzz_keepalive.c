/* fuzz_keepalive.c - what another node may send: what is taken is the same again when written, and
 * every name in it is one. */
#include "cluster/keepalive.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keepalive message;
    uint8_t again[KEEPALIVE_SIZE_MAX];
    if (!keepalive_read(&message, data, size)) {
        return 0;
    }
    assert(message.kind >= KEEPALIVE_ROW && message.kind <= KEEPALIVE_KIND_LAST);
    assert(message.row_count <= KEEPALIVE_ROW_MAX);
    for (size_t i = 0; i < message.row_count; i++) {
        assert(parse_name(message.row[i], "node", NULL) == VIOS_OK);
    }
    assert(keepalive_write(&message, again) == size);
    assert(memcmp(again, data, size) == 0);
    return 0;
}
