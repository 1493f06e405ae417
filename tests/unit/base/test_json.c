/* Proves: a member of the wrong type, of the wrong size or out of range is refused, and never half
 * taken; what is absent reads as its default. */
#include "base/json.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>

static json_t *object;

static void gets_what_is_there_or_the_default(void)
{
    is_text(json_get_text(object, "text"), "web1");
    ok(!json_get_text(object, "number") && !json_get_text(object, "absent"), "no text is NULL");
    is_text(json_get_word(object, "text"), "web1");
    is_text(json_get_word(object, "number"), "");
    is_text(json_get_word(NULL, "text"), "");
    is_int(json_get_integer(object, "number"), 42);
    is_int(json_get_integer(object, "text"), 0);
    is_int(json_get_integer(NULL, "number"), 0);
}

static void reads_text_whole_or_not(void)
{
    char out[5] = "old";
    ok(json_read_text(object, "text", out, sizeof out), "four bytes fit five");
    is_text(out, "web1");
    ok(!json_read_text(object, "text", out, 4), "and not four");
    is_text(out, "");
    static const char *const wrong[] = {"number", "with_nul", "list", "truth"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        strcpy(out, "old");
        ok(!json_read_text(object, wrong[i], out, sizeof out), "%s is refused", wrong[i]);
        is_text(out, "");
    }
    static const char *const empty[] = {"absent", "null"};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        strcpy(out, "old");
        ok(json_read_text(object, empty[i], out, sizeof out), "%s is empty", empty[i]);
        is_text(out, "");
    }
}

static void reads_integers_in_their_range(void)
{
    int64_t out = 7;
    ok(json_read_integer(object, "number", 42, 42, &out), "the bounds belong to the range");
    is_int(out, 42);
    static const struct {
        const char *key;
        int64_t minimum, maximum;
    } wrong[] = {{"number", 43, 100}, {"number", 0, 41}, {"text", 0, 100},
                 {"absent", 0, 100},  {"null", 0, 100},  {"real", 0, 100}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        out = 7;
        ok(!json_read_integer(object, wrong[i].key, wrong[i].minimum, wrong[i].maximum, &out),
           "%s in %d..%d is refused", wrong[i].key, (int)wrong[i].minimum, (int)wrong[i].maximum);
        is_int(out, 0);
    }
}

static void chooses_among_names(void)
{
    static const char *const names[] = {"web", "web1", ""};
    is_int(json_get_choice(object, "text", names, 2), 1);
    is_int(json_get_choice(object, "text", names, 1), -1);
    is_int(json_get_choice(object, "number", names, 2), -1);
    is_int(json_get_choice(object, "absent", names, 3), 2);
}

static void becomes_text(void)
{
    char *text = json_into_text(json_pack("{s:i, s:[]}", "a", 1, "b"));
    is_text(text, "{\"a\":1,\"b\":[]}");
    free(text);
    ok(!json_into_text(NULL), "nothing stays nothing");
}

int main(void)
{
    object = json_pack("{s:s, s:i, s:s%, s:[], s:b, s:n, s:f}", "text", "web1", "number", 42,
                       "with_nul", "a\0b", 3, "list", "truth", 1, "null", "real", 42.0);
    RUN(gets_what_is_there_or_the_default);
    RUN(reads_text_whole_or_not);
    RUN(reads_integers_in_their_range);
    RUN(chooses_among_names);
    RUN(becomes_text);
    json_decref(object);
    return tap_done();
}
