/* fuzz_manifest.c - the manifest of an incident: refused with a reason, or all of it is what names
 * and paths are made of, and written it is read again. */
#include "ffdc/manifest.h"
#include "tests/fuzz/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(struct manifest *manifest)
{
    char file[MANIFEST_FILE_SIZE];
    struct manifest again;
    char *text = manifest_format(manifest);
    assert(text && strlen(text) <= MANIFEST_TEXT_MAX);
    assert(manifest_parse(text, strlen(text), &again, NULL) == VIOS_OK);
    assert(again.node_count == manifest->node_count);
    assert(!strchr(manifest_file(manifest, file), '/'));
    assert(manifest_time_ms(manifest) >= 0);
    for (size_t i = 0; i < manifest->node_count; i++) {
        assert(parse_name(manifest->nodes[i].node, "node", NULL) == VIOS_OK);
        assert(manifest_find(manifest, manifest->nodes[i].node) == &manifest->nodes[i]);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest manifest;
    struct vios_error error = {0};
    int status = manifest_parse((const char *)data, size, &manifest, &error);
    if (status == VIOS_OK) {
        look_at(&manifest);
    } else {
        assert(error.code == status && error.message[0]);
    }
    return 0;
}
