/* fuzz_qmp.c - the QMP line parser eats anything: no crash, no message of an unknown shape. */
#include "lpar/qmp_parser.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qmp_parser *parser = qmp_parser_new();
    struct vios_error error;
    size_t step = size ? 1 + data[0] % 64u : 1;
    for (size_t at = 0; at < size; at += step) {
        size_t count = size - at < step ? size - at : step;
        struct qmp_message message;
        int got = qmp_parser_push(parser, data + at, count, &error);
        while (got == 0 && (got = qmp_parser_pop(parser, &message, &error)) > 0) {
            assert(json_is_object(message.json));
            json_decref(message.json);
            got = 0;
        }
        if (got < 0) {
            break;
        }
    }
    qmp_parser_free(parser);
    return 0;
}
