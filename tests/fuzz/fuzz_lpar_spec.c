/* fuzz_lpar_spec.c - what lpar.create is given, and records of LPARs and of their hibernations: no
 * crash, and what is taken comes back from its record the same. */
#include "lpar/record.h"
#include "lpar/saved.h"
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

static void hibernation(char *text)
{
    struct saved saved, again;
    struct vios_error error;
    const struct store_value value = {.key = (char *)"/hibernation/a", .json = text, .revision = 1};
    if (saved_parse(&value, &saved, &error) != VIOS_OK) {
        return;
    }
    json_t *json = saved_to_json(&saved);
    json_object_set_new(json, "v", json_integer(1));
    json_object_set_new(json, "generation", json_integer(saved.generation));
    const struct store_value made = {
        .key = value.key, .json = json_dumps(json, JSON_COMPACT), .revision = 1};
    assert(made.json && saved_parse(&made, &again, &error) == VIOS_OK);
    assert(strcmp(saved.lu, again.lu) == 0 && strcmp(saved.file, again.file) == 0 &&
           saved.size_bytes == again.size_bytes && saved.encrypted == again.encrypted);
    free(made.json);
    json_decref(json);
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
    hibernation(text);
    json_t *parameters = json_loads(text, 0, NULL);
    if (json_is_object(parameters) &&
        spec_build(parameters, lus, data[0] % 3u, &lpar, &error) == VIOS_OK) {
        round_trip(&lpar);
    }
    json_decref(parameters);
    free(text);
    return 0;
}
