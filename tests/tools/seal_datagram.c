/*
 * seal_datagram.c - a keep-alive's packet to stdout, for tests that forge them.
 *
 *   seal_datagram NODE INCARNATION START KEY-ID KEY-IN-HEX BODY
 */
#include "net/crypto.h"
#include "net/datagram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **words)
{
    struct datagram *datagram;
    struct datagram_key key;
    struct vios_error error = {0};
    uint8_t packet[DATAGRAM_MAX];
    size_t size;
    if (count != 7 || !crypto_unhex(words[5], key.bytes, sizeof key.bytes)) {
        fprintf(stderr, "usage: seal_datagram NODE INCARNATION START KEY-ID KEY-IN-HEX BODY\n");
        return 2;
    }
    key.id = (uint32_t)strtoul(words[4], NULL, 10);
    if (datagram_new(&datagram, words[1], &error) != VIOS_OK ||
        datagram_set_keys(datagram, &key, 1, key.id, &error) != VIOS_OK ||
        datagram_begin(datagram, strtoll(words[2], NULL, 10), strtoll(words[3], NULL, 10),
                       &error) != VIOS_OK ||
        datagram_seal(datagram, words[6], strlen(words[6]), packet, &size, &error) != VIOS_OK) {
        fprintf(stderr, "seal_datagram: %s: %s\n", error.object, error.message);
        return 1;
    }
    datagram_free(datagram);
    return fwrite(packet, 1, size, stdout) == size ? 0 : 1;
}
