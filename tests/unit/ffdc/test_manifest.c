/* Proves: a manifest is read back as it was written, names its bundles, keeps its nodes in order;
 * and whatever is wrong in one is refused by name. */
#include "ffdc/manifest.h"

#include "tests/tap.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD                                                                                       \
    "\"v\":1,\"correlator\":\"7\",\"time\":\"2026-11-23T12:00:00.000Z\","                          \
    "\"last\":\"2026-11-23T12:00:01.000Z\",\"count\":2,\"trigger\":\"by hand\","                   \
    "\"component\":\"full\",\"priority\":\"high\",\"signature\":\"s\",\"node\":\"n1\","            \
    "\"state\":\"done\",\"left_out\":0"
#define OK_NODE                                                                                    \
    "{\"node\":\"n1\",\"state\":\"ok\",\"why\":\"\",\"size_bytes\":5,\"digest\":\"" DIGEST         \
    "\",\"clock_offset_ms\":-3,\"epoch\":4}"
#define MISSING_NODE                                                                               \
    "{\"node\":\"n2\",\"state\":\"missing\",\"why\":\"down\",\"size_bytes\":0,\"digest\":\"\","    \
    "\"clock_offset_ms\":0,\"epoch\":0}"

static struct manifest manifest;
static struct vios_error error;

static int parse(const char *text)
{
    return manifest_parse(text, strlen(text), &manifest, &error);
}

static void it_is_read_and_written(void)
{
    const char *text = "{" HEAD ",\"nodes\":[" OK_NODE "," MISSING_NODE "]}";
    is_int(parse(text), VIOS_OK);
    is_text(manifest.correlator, "7");
    is_int(manifest.count, 2);
    is_int(manifest.priority, PRIORITY_HIGH);
    is_int(manifest.node_count, 2);
    is_int(manifest.nodes[0].clock_offset_ms, -3);
    is_int(manifest.nodes[1].state, PART_MISSING);
    is_int(manifest_size_bytes(&manifest), 5);
    is_int(manifest_time_ms(&manifest), INT64_C(1795435200000));
    char *again = manifest_format(&manifest);
    is_text(again, text);
    free(again);
}

static void it_names_its_bundles(void)
{
    char name[MANIFEST_FILE_SIZE];
    is_int(parse("{" HEAD ",\"nodes\":[]}"), VIOS_OK);
    is_text(manifest_file(&manifest, name), "csnap_20261123_120000_by_full_high_c7.tar.zst");
}

static void what_is_wrong_is_refused(void)
{
    static const struct {
        const char *from, *to, *why;
    } CASES[] = {
        {"\"v\":1", "\"v\":2", "it is damaged: it has a bad v"},
        {"\"7\"", "\"../7\"", "it is damaged: it has a bad correlator"},
        {"\"7\"", "\"\"", "it is damaged: it has a bad correlator"},
        {"11-23T12:00:00", "02-31T12:00:00", "it is damaged: it has a bad time"},
        {"12:00:01.000Z", "12:00:01.000", "it is damaged: it has a bad last"},
        {"\"count\":2", "\"count\":0", "it is damaged: it has a bad count"},
        {"by hand", "by\\nhand", "it is damaged: it has a bad trigger"},
        {"\"full\"", "\"../full\"", "it is damaged: it has a bad component"},
        {"\"high\"", "\"highest\"", "it is damaged: it has a bad priority"},
        {"\"done\"", "1", "it is damaged: it has a bad state"},
        {"\"nodes\":[", "\"nodes\":[1,", "it is damaged: it has a bad node"},
        {"\"ok\"", "\"fine\"", "it is damaged: it has a bad state of a node"},
        {"\"why\":\"down\"", "\"why\":\"\"", "it is damaged: it has a bad why"},
        {"\"size_bytes\":5", "\"size_bytes\":-5", "it is damaged: it has a bad size_bytes"},
        {"\"size_bytes\":5", "\"size_bytes\":0", "it is damaged: it has a bad digest"},
        {DIGEST, "x", "it is damaged: it has a bad digest"},
        {"\"node\":\"n2\"", "\"node\":\"n1\"", "it is damaged: it has a bad order of nodes"},
        {"\"epoch\":4", "\"epoch\":null", "it is damaged: it has a bad epoch"},
    };
    const char *good = "{" HEAD ",\"nodes\":[" OK_NODE "," MISSING_NODE "]}";
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char text[4096];
        const char *at = strstr(good, CASES[i].from);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, CASES[i].to,
                 at + strlen(CASES[i].from));
        is_int(parse(text), VIOS_E_CORRUPT);
        is_text(error.message, CASES[i].why);
    }
    is_int(parse("[]"), VIOS_E_CORRUPT);
    is_int(parse(""), VIOS_E_CORRUPT);
}

static void nodes_are_kept_in_order(void)
{
    char name[32];
    is_int(parse("{" HEAD ",\"nodes\":[]}"), VIOS_OK);
    for (int i = MANIFEST_NODES_MAX; i > 0; i--) {
        snprintf(name, sizeof name, "n%03d", i);
        ok(manifest_add(&manifest, name, "not asked") != NULL, "there is room for %s", name);
    }
    ok(manifest_add(&manifest, "n999", "not asked") == NULL, "there is no more room");
    is_int(manifest.left_out, 1);
    is_text(manifest.nodes[0].node, "n001");
    ok(manifest_find(&manifest, "n077") == &manifest.nodes[76], "n077 is found");
    ok(manifest_find(&manifest, "n0") == NULL, "n0 is not");
}

/* However long its texts are, the record stays within a value of the VIOS DB. */
static void the_longest_has_room(void)
{
    is_int(parse("{" HEAD ",\"nodes\":[]}"), VIOS_OK);
    for (int i = 0; i < MANIFEST_NODES_MAX; i++) {
        char name[NAME_MAX_LENGTH + 1], why[MANIFEST_WHY_SIZE + 20];
        snprintf(name, sizeof name, "n%062d", i);
        memset(why, '"', sizeof why);
        why[sizeof why - 1] = 0;
        struct manifest_node *node = manifest_add(&manifest, name, why);
        node->state = PART_LATE;
        node->size_bytes = 1ull << 39;
        node->clock_offset_ms = -1000000;
        node->epoch = 1ll << 50;
        memcpy(node->digest, DIGEST, sizeof node->digest);
    }
    char *text = manifest_format(&manifest);
    ok(strlen(text) <= MANIFEST_TEXT_MAX, "it has %zu bytes", strlen(text));
    is_int(parse(text), VIOS_OK);
    free(text);
}

static void words_are_checked(void)
{
    enum manifest_priority priority;
    is_int(manifest_check_correlator("x12ab", &error), VIOS_OK);
    is_int(manifest_check_correlator("a/b", &error), VIOS_E_USAGE);
    is_text(error.message, "\"a/b\" is no correlator");
    is_int(manifest_check_component("lpar-2", &error), VIOS_OK);
    is_int(manifest_check_component("2lpar", &error), VIOS_E_USAGE);
    is_int(manifest_priority_parse("low", &priority, &error), VIOS_OK);
    is_int(priority, PRIORITY_LOW);
    is_int(manifest_priority_parse("1", &priority, &error), VIOS_E_USAGE);
    is_text(error.hint, "give high, medium or low");
}

int main(void)
{
    RUN(it_is_read_and_written);
    RUN(it_names_its_bundles);
    RUN(what_is_wrong_is_refused);
    RUN(nodes_are_kept_in_order);
    RUN(the_longest_has_room);
    RUN(words_are_checked);
    return tap_done();
}
