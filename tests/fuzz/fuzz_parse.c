/* fuzz_parse.c - each parser of base/parse.h on the same text: what it takes is within its
 * limits, and what it refuses leaves the value alone and says why. */
#include "base/parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_numbers(const char *text)
{
    struct vios_error error = {0};
    uint64_t bytes = 7;
    int64_t number = 7;
    bool boolean = true;
    if (parse_size(text, &bytes, &error) != VIOS_OK) {
        assert(bytes == 7 && error.code == VIOS_E_USAGE && error.message[0]);
    } else {
        assert(bytes <= UINT64_C(1) << 62);
    }
    if (parse_duration(text, &number, &error) != VIOS_OK) {
        assert(number == 7);
    } else {
        assert(number >= 0);
    }
    if (parse_integer(text, -100, 100, &number, &error) == VIOS_OK) {
        assert(number >= -100 && number <= 100);
    }
    parse_boolean(text, &boolean, &error);
}

static void check_names(const char *text)
{
    struct vios_error error = {0};
    static const char *const names[] = {"node", "address", "port", "state_dir", "", "log"};
    char mac[18], near[64];
    if (parse_name(text, "node", &error) == VIOS_OK) {
        assert(strlen(text) <= NAME_MAX_LENGTH && text[0] && !strchr(text, '/'));
    }
    if (parse_uuid(text, &error) == VIOS_OK) {
        assert(strlen(text) == UUID_TEXT_SIZE - 1);
    }
    if (parse_mac(text, mac, &error) == VIOS_OK) {
        assert(strlen(mac) == 17);
    }
    parse_nearest(text, names, sizeof names / sizeof names[0], 3, near, sizeof near);
    assert(strlen(near) < sizeof near);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text) {
        abort();
    }
    memcpy(text, data, size);
    text[size] = '\0';
    check_numbers(text);
    check_names(text);
    free(text);
    return 0;
}
