/* fuzz_certificate.c - what a peer may show as its certificate: it is refused, or it has exactly a
 * name and a serial of ours. PEM starts with a dash. */
#include "net/certificate.h"
#include "tests/fuzz/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct certificate_facts facts;
    int status;
    if (size == 0) {
        return 0;
    }
    if (data[0] == '-') {
        char *pem = text_of(data, size);
        status = certificate_parse(pem, &facts, NULL);
        free(pem);
    } else {
        status = certificate_read(data, size, &facts, NULL);
    }
    if (status == VIOS_OK) {
        assert(parse_name(facts.node, "node", NULL) == VIOS_OK);
        assert(parse_name(facts.issuer, "cluster", NULL) == VIOS_OK);
        assert(strspn(facts.serial, "0123456789abcdef") == CERTIFICATE_SERIAL_SIZE - 1);
        assert(facts.serial[CERTIFICATE_SERIAL_SIZE - 1] == 0);
    }
    return 0;
}
