/* fuzz_lpar_spec.c - what lpar.create is given, and records of LPARs: no crash, and what is taken
 * comes back from its record the same. */
#include "lpar/record.h"
#include "lpar/spec.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct lpar *lpar)
{
    static struct lpar again;
    struct vios_error error;
    char first[65], second[65];
    char *json = lpar_format(lpar);
    assert(json && lpar_parse(json, &again, &error) == VIOS_OK);
    lpar_adapter_hash(lpar, first);
    lpar_adapter_hash(&again, second);
    assert(strcmp(first, second) == 0 && again.disk_count == lpar->disk_count);
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lpar lpar;
    struct vios_error error;
    const struct lu lus[] = {{.udid = "11111111-2222-4333-8444-555555555555", .name = "a"},
                             {.udid = "11111111-2222-4333-8444-666666666666", .name = "b"}};
    if (size == 0 || size > INPUT_MAX) {
        return 0;
    }
    char *text = calloc(1, size + 1);
    assert(text);
    memcpy(text, data, size);
    if (lpar_parse(text, &lpar, &error) == VIOS_OK) {
        round_trip(&lpar);
    }
    json_t *parameters = json_loads(text, 0, NULL);
    if (json_is_object(parameters) &&
        spec_build(parameters, lus, data[0] % 3u, &lpar, &error) == VIOS_OK) {
        round_trip(&lpar);
    }
    json_decref(parameters);
    free(text);
    return 0;
}
