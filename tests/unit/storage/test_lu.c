/* test_lu.c - records of LUs, good and bad, and where their files are. */
#include "storage/lu.h"
#include "tests/tap.h"

#define UDID "11111111-2222-4333-8444-555555555555"

static void a_record_is_read(void)
{
    struct lu lu;
    struct vios_error error = {0};
    ok(lu_parse(UDID,
                "{\"v\":1,\"name\":\"d\",\"pool\":\"p1\",\"size_bytes\":5,\"file\":\"" UDID
                ".3\",\"dead\":[]}",
                &lu, &error) == VIOS_OK,
       "%s", error.message);
    is_text(lu.pool, "p1");
    is_text(lu.file, UDID ".3");
}

static void a_bad_record_is_named(void)
{
    static const struct {
        const char *json, *bad;
    } rows[] = {
        {"[]", "v"},
        {"{\"v\":2,\"pool\":\"p\",\"file\":\"f\"}", "v"},
        {"{\"v\":1,\"pool\":\"../p\",\"file\":\"f\"}", "pool"},
        {"{\"v\":1,\"file\":\"f\"}", "pool"},
        {"{\"v\":1,\"pool\":\"p\",\"file\":\"a/b\"}", "file"},
        {"{\"v\":1,\"pool\":\"p\",\"file\":\"..\"}", "file"},
        {"{\"v\":1,\"pool\":\"p\",\"file\":\"\"}", "file"},
        {"{\"v\":1,\"pool\":\"p\",\"file\":7}", "file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct lu lu;
        struct vios_error error = {0};
        char message[80];
        is_int(lu_parse(UDID, rows[i].json, &lu, &error), VIOS_E_CORRUPT);
        snprintf(message, sizeof message, "its record has a bad \"%s\"", rows[i].bad);
        is_text(error.message, message);
        is_text(error.object, "lu \"" UDID "\"");
    }
}

static void its_file_is_below_the_repository(void)
{
    struct vios_error error = {0};
    struct node node = {.config = config_new()};
    struct lu lu = {.udid = UDID, .pool = "p1", .file = "f.1"};
    char path[PATH_MAX];
    is_int(lu_path(&node, &lu, path, &error), VIOS_E_INVALID);
    is_text(error.message, "this node has no repository");
    is_int(config_set(node.config, "repository", "/r", NULL), VIOS_OK);
    is_int(lu_path(&node, &lu, path, &error), VIOS_OK);
    is_text(path, "/r/pools/p1/lu/f.1");
    config_free(node.config);
}

int main(void)
{
    RUN(a_record_is_read);
    RUN(a_bad_record_is_named);
    RUN(its_file_is_below_the_repository);
    return tap_done();
}
