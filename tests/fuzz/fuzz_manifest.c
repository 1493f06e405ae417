/* fuzz_manifest.c - the manifest of an incident: refused with a reason, or all of it is what names
 * and paths are made of, and written it is read again. The same bytes as a bundle, and as the lines
 * of a flight recorder, harm no reader. */
#include "ffdc/bundle.h"
#include "ffdc/manifest.h"
#include "ffdc/redact.h"
#include "ffdc/timeline.h"
#include "tests/fuzz/text.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(struct manifest *manifest)
{
    char file[MANIFEST_FILE_SIZE];
    struct manifest again;
    char *text = manifest_format(manifest);
    assert(text && strlen(text) <= MANIFEST_TEXT_MAX);
    assert(manifest_parse(text, strlen(text), &again, NULL) == VIOS_OK);
    assert(again.node_count == manifest->node_count);
    assert(bundle_name_is_valid(manifest_file(manifest, file)) && !strchr(file, '/'));
    assert(manifest_time_ms(manifest) >= 0);
    for (size_t i = 0; i < manifest->node_count; i++) {
        assert(parse_name(manifest->nodes[i].node, "node", NULL) == VIOS_OK);
        assert(manifest_find(manifest, manifest->nodes[i].node) == &manifest->nodes[i]);
    }
    free(text);
}

static void read_bundle(const uint8_t *data, size_t size)
{
    struct bundle_reader *reader = NULL;
    struct bundle_member member;
    struct vios_error error = {0};
    int fd = memfd_create("bundle", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    int status = bundle_open(&reader, fd, &error);
    while (status >= 0 && (status = bundle_next(reader, &member, &error)) == 1) {
        char *text;
        size_t taken;
        assert(bundle_name_is_valid(member.name));
        int got = bundle_take(reader, &member, 1 << 20, &text, &taken, &error);
        if (got == VIOS_OK) {
            assert(taken == member.size_bytes);
            free(text);
        }
    }
    assert(status == 0 || (error.code == status && error.message[0]));
    bundle_close(reader);
    close(fd);
}

static void read_lines(const uint8_t *data, size_t size)
{
    struct timeline *timeline = timeline_new();
    char *text = text_of(data, size);
    size_t bad, count;
    assert(timeline && timeline_add(timeline, "n1", 0, 0, text, &bad, NULL) == VIOS_OK);
    const struct timeline_entry *entries = timeline_sort(timeline, &count);
    for (size_t i = 1; i < count; i++) {
        assert(entries[i - 1].time_ms <= entries[i].time_ms);
    }
    timeline_free(timeline);
    free(text);
}

/* What was replaced once is not replaced again. */
static void redact(const uint8_t *data, size_t size)
{
    struct redactor *redactor = redactor_new();
    char *once, *twice;
    size_t once_size, twice_size;
    assert(redactor);
    redactor_add_name(redactor, "web1");
    assert(redactor_run(redactor, (const char *)data, size, &once, &once_size, NULL) == VIOS_OK);
    assert(redactor_run(redactor, once, once_size, &twice, &twice_size, NULL) == VIOS_OK);
    free(once);
    free(twice);
    redactor_free(redactor);
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
    read_bundle(data, size);
    read_lines(data, size);
    redact(data, size);
    return 0;
}
