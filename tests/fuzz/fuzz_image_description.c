/* fuzz_image_description.c - image.json: it is refused, or its names cannot leave their folder. */
#include "image/description.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_description description;
    struct vios_error error = {0};
    if (description_parse((const char *)data, size, &description, &error) != VIOS_OK) {
        assert(error.code == VIOS_E_INVALID && error.message[0]);
        for (const char *at = error.message; *at; at++) {
            assert(*at >= ' ' && *at <= '~');
        }
        return 0;
    }
    assert(parse_name(description.name, "image", NULL) == VIOS_OK);
    assert(description.file_count > 0 && description.file_count <= DESCRIPTION_FILES_MAX);
    for (size_t i = 0; i < description.file_count; i++) {
        const struct description_file *file = &description.files[i];
        assert(member_check_name(file->name, NULL) == VIOS_OK && !strchr(file->name, '/'));
        assert(file->digest[0] == 0 || strlen(file->digest) == CHUNKS_TEXT_SIZE - 1);
        assert(file->size_bytes <= INT64_MAX);
    }
    return 0;
}
