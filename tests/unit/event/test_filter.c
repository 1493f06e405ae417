/* test_filter.c - which events a filter lets through, and which filters are none. */
#include "event/filter.h"

#include "tests/tap.h"

static struct event_filter filter_of(const char *classes, const char *objects)
{
    struct event_filter filter;
    struct vios_error error = {0};
    ok(event_filter_parse(classes, objects, &filter, &error) == VIOS_OK, "%s", error.message);
    return filter;
}

static bool fits(const char *classes, const char *objects, const char *class_name,
                 const char *object)
{
    struct event_filter filter = filter_of(classes, objects);
    bool result = event_filter_fits(&filter, class_name, object);
    event_filter_clear(&filter);
    return result;
}

static void an_empty_filter_takes_all(void)
{
    ok(fits(NULL, NULL, "node", "n1"), "not given");
    ok(fits("", "", "node", ""), "empty");
}

static void classes_are_whole_words(void)
{
    ok(fits("node,lpar", NULL, "lpar", "web1"), "one of them");
    ok(!fits("node,lpar", NULL, "lparx", "web1"), "longer");
    ok(!fits("node", NULL, "nod", "n1"), "shorter");
}

static void objects_are_patterns(void)
{
    static const struct {
        const char *pattern, *object;
        bool fits;
    } rows[] = {
        {"web1", "web1", true},     {"web1", "web10", false},  {"web*", "web", true},
        {"web*", "web10", true},    {"web?", "web", false},    {"web?", "web1", true},
        {"*1", "web1", true},       {"*1", "web12", false},    {"*a*b*c", "xaybzc", true},
        {"*a*b*c", "xaybz", false}, {"*", "", true},           {"?", "", false},
        {"?", "\xc3\xa4", true},    {"??", "\xc3\xa4", false}, {"a*b", "ab", true},
        {"[a]", "a", false},        {"n1,n2", "n2", true},     {"a\\*", "a*", false},
        {"**x", "yyx", true},       {"*ab", "aab", true},      {"a*?", "a", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ok(fits(NULL, rows[i].pattern, "node", rows[i].object) == rows[i].fits, "%s and %s",
           rows[i].pattern, rows[i].object);
    }
}

static void a_nasty_pattern_takes_no_time(void)
{
    char object[FILTER_WORD_MAX + 1];
    memset(object, 'a', FILTER_WORD_MAX);
    object[FILTER_WORD_MAX] = '\0';
    ok(!fits(NULL, "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab", "node", object), "no");
}

static void refused(const char *classes, const char *objects, const char *object,
                    const char *message)
{
    struct event_filter filter;
    struct vios_error error = {0};
    is_int(event_filter_parse(classes, objects, &filter, &error), VIOS_E_USAGE);
    is_text(error.object, object);
    ok(strstr(error.message, message) != NULL, "%s", error.message);
    is_int(filter.class_count + filter.object_count, 0);
}

static void words_that_are_none_are_refused(void)
{
    char longest[FILTER_WORD_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    refused("node,,lpar", NULL, "class", "a class is empty");
    refused("node,", NULL, "class", "ends with a comma");
    refused("Node", NULL, "class", "a word of [a-z0-9_]");
    refused("abcdefghijklmnopqrstuvwxyz1234567890", NULL, "class", "a word of");
    refused("node", longest, "object", "too long");
    refused("node", "a\tb", "object", "control character");
    refused("a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", NULL, "class", "16 of them at most");
}

static void json_goes_both_ways(void)
{
    struct event_filter filter = filter_of("node,lpar", "web*,\xc3\xa4"), again;
    struct vios_error error = {0};
    json_t *json = event_filter_to_json(&filter);
    is_int(event_filter_read(json, &again, &error), VIOS_OK);
    is_int(again.class_count, 2);
    is_text(again.classes[1], "lpar");
    is_text(again.objects[0], "web*");
    is_text(again.objects[1], "\xc3\xa4");
    json_decref(json);
    event_filter_clear(&filter);
    event_filter_clear(&again);
}

static void json_that_is_none_is_refused(void)
{
    static const char *const wrong[] = {"[]",
                                        "{\"classes\":1}",
                                        "{\"classes\":[1]}",
                                        "{\"objects\":[\"\"]}",
                                        "{\"classes\":[\"a\"],\"objects\":[\"a\\u0000b\"]}",
                                        "{\"classes\":[\"A\"]}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct event_filter filter;
        struct vios_error error = {0};
        json_t *json = json_loads(wrong[i], JSON_ALLOW_NUL, NULL);
        ok(event_filter_read(json, &filter, &error) == VIOS_E_INVALID, "%s", wrong[i]);
        ok(error.message[0] && filter.class_count == 0, "%s: %s", wrong[i], error.message);
        json_decref(json);
    }
}

int main(void)
{
    RUN(an_empty_filter_takes_all);
    RUN(classes_are_whole_words);
    RUN(objects_are_patterns);
    RUN(a_nasty_pattern_takes_no_time);
    RUN(words_that_are_none_are_refused);
    RUN(json_goes_both_ways);
    RUN(json_that_is_none_is_refused);
    return tap_done();
}
