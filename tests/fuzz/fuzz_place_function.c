/* fuzz_place_function.c - what the process writes that is asked where a guest goes: one of the
 * nodes, none, or an error with a reason. */
#include "base/json.h"
#include "node/place_function.h"
#include "tests/fuzz/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char chosen[NAME_MAX_LENGTH + 1];
    struct vios_error error = {0};
    json_t *nodes = json_pack("[{s:s}, {s:s}]", "node", "n1", "node", "n2");
    int status = place_function_answer((const char *)data, size, nodes, chosen, &error);
    if (status == VIOS_OK) {
        assert(!chosen[0] || strcmp(chosen, "n1") == 0 || strcmp(chosen, "n2") == 0);
    } else {
        assert((status == VIOS_E_INVALID || status == VIOS_E_CORRUPT) && error.code == status);
        assert(!chosen[0]);
    }
    json_decref(nodes);
    return 0;
}
