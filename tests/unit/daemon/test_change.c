/* test_change.c - what the audit says of a record that a call changed. */
#include "daemon/change.h"

#include "base/json.h"
#include "tests/tap.h"

static void is_change(const char *before, const char *after, const char *want)
{
    json_t *was = before ? json_loads(before, JSON_DECODE_ANY, NULL) : NULL;
    json_t *is = after ? json_loads(after, JSON_DECODE_ANY, NULL) : NULL;
    json_t *changes = change_between(was, is);
    char *got = changes ? json_dumps(changes, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    is_text(got, want);
    free(got);
    json_decref(changes);
    json_decref(was);
    json_decref(is);
}

static void members_that_differ_are_told(void)
{
    is_change("{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":3}", "{\"b\":[2,3]}");
    is_change("{\"a\":1}", "{\"c\":{\"d\":1}}", "{\"a\":[1,null],\"c\":[null,{\"d\":1}]}");
    is_change("null", "{\"a\":1}", "{\"a\":[null,1]}");
    is_change("{\"a\":1}", "null", "{\"a\":[1,null]}");
}

static void nothing_is_told_of_what_is_equal_or_not_known(void)
{
    is_change("{\"a\":[1],\"v\":1}", "{\"a\":[1],\"n\":null,\"v\":2}", NULL);
    is_change("null", "null", NULL);
    is_change(NULL, "{\"a\":1}", NULL);
    is_change("{\"a\":1}", NULL, NULL);
}

static void secrets_are_left_out(void)
{
    is_change("{\"key\":\"x\",\"token_hash\":\"y\",\"ring\":1,\"a\":1}",
              "{\"key\":\"z\",\"token_hash\":\"w\",\"ring\":2,\"a\":2,\"passphrase\":\"p\"}",
              "{\"a\":[1,2]}");
}

static void it_is_bounded(void)
{
    json_t *after = json_object();
    char name[16], text[CHANGE_VALUE_MAX + 1];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 2 * CHANGE_MEMBERS_MAX; i++) {
        snprintf(name, sizeof name, "m%d", i);
        json_object_set_new(after, name, json_string(text));
    }
    json_t *changes = change_between(json_null(), after);
    is_int(json_object_size(changes), CHANGE_MEMBERS_MAX);
    is_text(json_string_value(json_array_get(json_object_get(changes, "m0"), 1)), "...");
    json_decref(changes);
    json_decref(after);
}

static void only_methods_with_a_record_are_looked_at(void)
{
    static const struct method looks = {"lpar.list", "", ROLE_VIEWER, 0, NULL};
    static const struct method other = {"daemon.stop", "", ROLE_ADMIN, METHOD_CHANGES, NULL};
    static const struct method unnamed = {"lpar.start", "", ROLE_ADMIN, METHOD_CHANGES, NULL};
    json_t *none = json_object();
    ok(!change_look(NULL, &looks, none), "one that changes nothing");
    ok(!change_look(NULL, &other, none), "one about no record");
    ok(!change_look(NULL, &unnamed, none), "one without a name");
    json_decref(none);
}

int main(void)
{
    RUN(members_that_differ_are_told);
    RUN(nothing_is_told_of_what_is_equal_or_not_known);
    RUN(secrets_are_left_out);
    RUN(it_is_bounded);
    RUN(only_methods_with_a_record_are_looked_at);
    return tap_done();
}
