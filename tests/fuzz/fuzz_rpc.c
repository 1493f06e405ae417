/* fuzz_rpc.c - RPC lines in pieces: the first byte says how large the pieces are. */
#include "net/rpc.h"

#include <stdlib.h>

static volatile uint8_t last_sum; /* so that the bytes are really read */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    size_t piece = (size_t)data[0] + 1;
    struct rpc_framer *framer = rpc_framer_new();
    struct vios_error error;
    for (size_t at = 1; at < size; at += piece) {
        size_t count = size - at < piece ? size - at : piece;
        if (rpc_framer_push(framer, data + at, count, &error) != VIOS_OK) {
            break;
        }
        struct rpc_message message;
        while (rpc_framer_pop(framer, &message, &error) == 1) {
            uint8_t sum = 0;
            for (size_t i = 0; i < message.data_size; i++) {
                sum ^= message.data[i];
            }
            last_sum = sum;
            json_decref(message.json);
        }
    }
    rpc_framer_free(framer);
    return 0;
}
