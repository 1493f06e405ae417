/* test_parameters.c - what a method's row lets through, and how it refuses the rest. */
#include "daemon/parameters.h"
#include "node/method.h"
#include "tests/tap.h"

#define ROW                                                                                        \
    "lpar:lpar memory:size? timeout:duration? count:integer? quiet:boolean? "                      \
    "spec:object? disk:list? note:text?"

static struct vios_error error;

static int check(const char *json, unsigned flags, json_t **checked)
{
    json_t *given = json_loads(json, JSON_DECODE_ANY, NULL);
    memset(&error, 0, sizeof error);
    int status = parameters_check(ROW, flags, given, checked, &error);
    json_decref(given);
    return status;
}

static void takes_what_the_row_allows(void)
{
    json_t *checked = NULL;
    is_int(check("{\"lpar\":\"web1\",\"memory\":\"256M\",\"timeout\":\"2m\",\"count\":-3,"
                 "\"quiet\":true,\"spec\":{},\"disk\":[],\"note\":\"\"}",
                 0, &checked),
           VIOS_OK);
    is_int(json_integer_value(json_object_get(checked, "memory")), 256 << 20);
    is_int(json_integer_value(json_object_get(checked, "timeout")), 120000);
    is_int(json_integer_value(json_object_get(checked, "count")), -3);
    is_int(json_object_size(checked), 8);
    json_decref(checked);
    is_int(check("{\"lpar\":\"web1\",\"memory\":512,\"timeout\":5}", 0, &checked), VIOS_OK);
    is_int(json_integer_value(json_object_get(checked, "memory")), 512);
    json_decref(checked);
}

static void refuses_with_the_name(void)
{
    static const char *const rows[][2] = {
        {"{}", "lpar is missing"},
        {"{\"lpar\":1}", "lpar is not text"},
        {"{\"lpar\":\"-x\"}", "-x"},
        {"{\"lpar\":\"a\",\"memory\":\"lots\"}", "lots"},
        {"{\"lpar\":\"a\",\"memory\":-1}", "memory is not a size"},
        {"{\"lpar\":\"a\",\"memory\":null}", "memory is not a size"},
        {"{\"lpar\":\"a\",\"timeout\":\"soon\"}", "soon"},
        {"{\"lpar\":\"a\",\"count\":\"3\"}", "count is not of type integer"},
        {"{\"lpar\":\"a\",\"quiet\":1}", "quiet is not of type boolean"},
        {"{\"lpar\":\"a\",\"spec\":[]}", "spec is not of type object"},
        {"{\"lpar\":\"a\",\"disk\":{}}", "disk is not of type list"},
        {"{\"lpar\":\"a\",\"note\":5}", "note is not text"},
        {"{\"lpar\":\"a\",\"lpra\":\"b\"}", "no parameter is named \"lpra\""},
        {"[]", "not an object"},
        {"{\"lpar\":\"a\",\"wait\":false}", "\"wait\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *checked = NULL;
        ok(check(rows[i][0], 0, &checked) == VIOS_E_USAGE, "%s is refused", rows[i][0]);
        ok(strstr(error.message, rows[i][1]) != NULL, "%s: %s", rows[i][0], error.message);
        ok(error.hint[0] != '\0' || i == 0, "%s has a hint", rows[i][0]);
        ok(!checked, "nothing is given out");
    }
}

static void bounds_texts(void)
{
    static char json[PARAMETER_TEXT_MAX + 100];
    json_t *checked = NULL;
    int size = snprintf(json, sizeof json, "{\"lpar\":\"a\",\"note\":\"%*s\"}",
                        PARAMETER_TEXT_MAX + 1, "");
    ok(size < (int)sizeof json, "it fits");
    is_int(check(json, 0, &checked), VIOS_E_USAGE);
}

static void a_job_takes_two_more(void)
{
    json_t *checked = NULL;
    is_int(check("{\"lpar\":\"a\",\"wait\":false,\"operation\":\"x\"}", METHOD_JOB, &checked),
           VIOS_OK);
    json_decref(checked);
    json_t *list = parameters_describe(ROW, METHOD_JOB);
    is_int(json_array_size(list), 10);
    is_text(json_string_value(json_object_get(json_array_get(list, 1), "type")), "size");
    ok(json_is_true(json_object_get(json_array_get(list, 1), "optional")), "optional");
    ok(json_is_false(json_object_get(json_array_get(list, 0), "optional")), "not optional");
    json_decref(list);
}

static void names_the_object(void)
{
    char object[64];
    json_t *checked = json_pack("{s:s}", "lpar", "web1");
    parameters_object(ROW, checked, object, sizeof object);
    is_text(object, "lpar \"web1\"");
    parameters_object("key:text", checked, object, sizeof object);
    is_text(object, "");
    json_decref(checked);
}

static void shows_no_secret(void)
{
    json_t *checked = json_pack("{s:s, s:s}", "name", "lab", "passphrase", "open sesame");
    json_t *shown = parameters_shown("name:name passphrase:secret?", 0, checked);
    is_text(json_string_value(json_object_get(shown, "name")), "lab");
    is_text(json_string_value(json_object_get(shown, "passphrase")), "(not shown)");
    is_text(json_string_value(json_object_get(checked, "passphrase")), "open sesame");
    json_decref(shown);
    json_object_del(checked, "passphrase");
    shown = parameters_shown("name:name passphrase:secret?", 0, checked);
    ok(json_object_size(shown) == 1, "what was not given is not shown either");
    json_decref(shown);
    json_decref(checked);
}

int main(void)
{
    RUN(takes_what_the_row_allows);
    RUN(refuses_with_the_name);
    RUN(bounds_texts);
    RUN(a_job_takes_two_more);
    RUN(names_the_object);
    RUN(shows_no_secret);
    return tap_done();
}
