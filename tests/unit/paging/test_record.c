/* Proves: a paging record goes out and in unchanged, and a damaged one is refused as a whole. */
#include "paging/record.h"
#include "tests/tap.h"

static const char GOOD[] =
    "{\"v\":1,\"lpar\":\"web1\",\"uuid\":\"3f0e1c1e-7c55-4f0e-9a54-0d6a7b8c9d0e\","
    "\"generation\":4,\"start\":3,\"host\":\"n1\",\"size_bytes\":8192,\"policy\":\"mirror\","
    "\"disk\":null,"
    "\"regions\":[{\"index\":0,\"number\":3,\"offset\":0,\"size_bytes\":8192,"
    "\"replicas\":[{\"node\":\"n2\"},{\"node\":\"n3\"}]}],"
    "\"job\":\"j-1\",\"created\":\"2026-11-23T12:00:00.000Z\","
    "\"plan\":{\"job\":\"j-7\",\"node\":\"n2\",\"generation\":5,\"start\":3}}";

static void goes_round_unchanged(void)
{
    struct paging_record record;
    is_int(paging_record_parse(GOOD, &record, NULL), VIOS_OK);
    is_int(record.regions[0].number, 3);
    is_int(paging_region_find(&record.regions[0], "n3"), 1);
    is_int(paging_region_find(&record.regions[0], "n4"), -1);
    char *text = paging_record_format(&record);
    is_text(text, GOOD);
    free(text);
}

static void takes_one_of_before(void)
{
    static const char BEFORE[] =
        "{\"v\":1,\"lpar\":\"web1\",\"uuid\":\"3f0e1c1e-7c55-4f0e-9a54-0d6a7b8c9d0e\","
        "\"generation\":4,\"host\":\"n1\",\"size_bytes\":8192,\"policy\":\"disk\",\"disk\":\"/d\","
        "\"regions\":[{\"index\":0,\"number\":3,\"offset\":0,\"size_bytes\":8192,\"replicas\":[]}]"
        "}";
    struct paging_record record;
    is_int(paging_record_parse(BEFORE, &record, NULL), VIOS_OK);
    is_int(record.start, 4);
    is_text(record.plan.job, "");
}

/* GOOD with the first `from` replaced by `to` must be refused with a message that has `why`. */
static void refuses(const char *from, const char *to, const char *why)
{
    char text[2048];
    const char *at = strstr(GOOD, from);
    if (!ok(at != NULL, "no %s", from)) {
        return;
    }
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - GOOD), GOOD, to, at + strlen(from));
    struct paging_record record;
    struct vios_error error = {0};
    is_int(paging_record_parse(text, &record, &error), VIOS_E_CORRUPT);
    ok(strstr(error.message, why) != NULL, "message \"%s\" lacks \"%s\"", error.message, why);
}

static void refuses_what_does_not_fit(void)
{
    refuses("\"n3\"", "\"n2\"", "twice");
    refuses(",{\"node\":\"n3\"}", "", "wants 2");
    refuses("mirror", "raid", "no paging policy");
    refuses("mirror", "disk", "disk");
    refuses("\"size_bytes\":8192", "\"size_bytes\":12288", "cover");
    refuses("\"size_bytes\":8192", "\"size_bytes\":-1", "range");
    refuses("\"offset\":0", "\"offset\":4096", "does not fit");
    refuses("\"number\":3", "\"number\":0", "does not fit");
    refuses("web1", "../x", "name");
    refuses("3f0e", "zzzz", "");
    refuses("\"v\":1", "\"v\":9", "range");
    refuses("\"start\":3", "\"start\":5", "start");
    refuses("\"start\":3", "\"start\":-1", "start");
    refuses("\"job\":\"j-7\"", "\"job\":\"\"", "plan");
    refuses("\"node\":\"n2\",\"generation\"", "\"node\":\"../x\",\"generation\"", "plan");
    refuses("\"generation\":5", "\"generation\":2", "plan");
    refuses("\"start\":3}", "\"start\":-1}", "plan");
    refuses("\"start\":3}", "\"start\":3,\"target\":\"../x\"}", "plan");
    refuses("}", "", "");
}

static void grants_only_what_lies_there(void)
{
    struct paging_record record;
    paging_record_parse(GOOD, &record, NULL);
    json_t *mine = paging_record_grants(&record, "n2");
    json_t *none = paging_record_grants(&record, "n1");
    is_int(json_array_size(mine), 1);
    is_int(json_integer_value(json_object_get(json_array_get(mine, 0), "number")), 3);
    is_int(json_array_size(none), 0);
    json_decref(mine);
    json_decref(none);
}

int main(void)
{
    RUN(goes_round_unchanged);
    RUN(takes_one_of_before);
    RUN(refuses_what_does_not_fit);
    RUN(grants_only_what_lies_there);
    return tap_done();
}
