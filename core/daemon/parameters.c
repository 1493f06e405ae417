/* parameters.c - see parameters.h. */
#include "daemon/parameters.h"

#include "base/json.h"
#include "base/parse.h"
#include "node/method.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 32

struct parameter {
    char name[WORD_MAX];
    char type[WORD_MAX];
    bool optional;
};

struct parameter_type {
    const char *name;
    const char *form; /* for the hint */
    /* Checks `value` and returns a new reference to what the method gets; NULL: refused. */
    json_t *(*check)(const struct parameter *parameter, json_t *value, struct vios_error *error);
};

static json_t *check_name(const struct parameter *parameter, json_t *value,
                          struct vios_error *error)
{
    const char *text = json_string_value(value);
    const char *what = strcmp(parameter->type, "name") == 0 ? parameter->name : parameter->type;
    if (!text) {
        error_set(error, VIOS_E_USAGE, NULL, NULL, "%s is not text", parameter->name);
        return NULL;
    }
    return parse_name(text, what, error) == VIOS_OK ? json_incref(value) : NULL;
}

static json_t *check_text(const struct parameter *parameter, json_t *value,
                          struct vios_error *error)
{
    if (!json_is_string(value) || json_string_length(value) > PARAMETER_TEXT_MAX) {
        error_set(error, VIOS_E_USAGE, NULL, NULL, "%s is not text of at most %d bytes",
                  parameter->name, PARAMETER_TEXT_MAX);
        return NULL;
    }
    return json_incref(value);
}

/* A count of bytes or milliseconds: an integer that is not negative, or text. */
static json_t *check_count(const struct parameter *parameter, json_t *value,
                           struct vios_error *error)
{
    const char *text = json_string_value(value);
    uint64_t bytes = 0;
    int64_t ms = 0;
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        return json_incref(value);
    }
    if (!text) {
        error_set(error, VIOS_E_USAGE, NULL, NULL, "%s is not a %s", parameter->name,
                  parameter->type);
        return NULL;
    }
    if (strcmp(parameter->type, "size") == 0) {
        return parse_size(text, &bytes, error) == VIOS_OK ? json_integer((json_int_t)bytes) : NULL;
    }
    return parse_duration(text, &ms, error) == VIOS_OK ? json_integer(ms) : NULL;
}

static json_t *check_kind(const struct parameter *parameter, json_t *value,
                          struct vios_error *error)
{
    const char *type = parameter->type;
    bool good = (strcmp(type, "integer") == 0 && json_is_integer(value)) ||
                (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
                (strcmp(type, "object") == 0 && json_is_object(value)) ||
                (strcmp(type, "list") == 0 && json_is_array(value));
    if (!good) {
        error_set(error, VIOS_E_USAGE, NULL, NULL, "%s is not of type %s", parameter->name, type);
        return NULL;
    }
    return json_incref(value);
}

static const struct parameter_type types[] = {
    {"name", "a name", check_name},
    {"lpar", "a name", check_name},
    {"node", "a name", check_name},
    {"pool", "a name", check_name},
    {"lu", "a name", check_name},
    {"image", "a name", check_name},
    {"job", "a job's id", check_name},
    {"text", "text", check_text},
    {"secret", "text", check_text},
    {"size", "bytes, or 512M, 4G", check_count},
    {"duration", "milliseconds, or 500ms, 5s, 2m", check_count},
    {"integer", "a whole number", check_kind},
    {"boolean", "true or false", check_kind},
    {"object", "an object", check_kind},
    {"list", "a list", check_kind},
};

#define TYPE_COUNT (sizeof types / sizeof types[0])

static const struct parameter_type *find_type(const char *name)
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (strcmp(types[i].name, name) == 0) {
            return &types[i];
        }
    }
    return NULL;
}

/* One "name:type" or "name:type?" of `length` bytes. Rows are ours: a bad one is a defect. */
static void parse_word(const char *word, size_t length, struct parameter *parameter)
{
    const char *colon = memchr(word, ':', length);
    assert(colon && colon > word);
    parameter->optional = word[length - 1] == '?';
    size_t name_length = (size_t)(colon - word);
    size_t type_length = length - name_length - 1 - (parameter->optional ? 1 : 0);
    assert(name_length < WORD_MAX && type_length < WORD_MAX);
    memcpy(parameter->name, word, name_length);
    parameter->name[name_length] = '\0';
    memcpy(parameter->type, colon + 1, type_length);
    parameter->type[type_length] = '\0';
    assert(find_type(parameter->type));
}

static size_t parse_specification(const char *specification, unsigned flags,
                                  struct parameter parameters[PARAMETERS_MAX])
{
    size_t count = 0;
    const char *at = specification ? specification : "";
    while (*(at += strspn(at, " ")) != '\0') {
        size_t length = strcspn(at, " ");
        assert(count < PARAMETERS_MAX);
        parse_word(at, length, &parameters[count++]);
        at += length;
    }
    if (flags & METHOD_JOB) {
        static const char *const extra[] = {"wait:boolean?", "operation:text?"};
        for (size_t i = 0; i < 2; i++) {
            assert(count < PARAMETERS_MAX);
            parse_word(extra[i], strlen(extra[i]), &parameters[count++]);
        }
    }
    return count;
}

/* "give lpar, size (optional)": what may be given, for the hint. */
static void describe_forms(const struct parameter *parameters, size_t count, char *text,
                           size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++) {
        int wrote = snprintf(text + used, size - used, "%s%s%s", i > 0 ? ", " : "give ",
                             parameters[i].name, parameters[i].optional ? " (optional)" : "");
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    if (count == 0) {
        snprintf(text, size, "give none");
    }
}

static const struct parameter *find_parameter(const struct parameter *parameters, size_t count,
                                              const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parameters[i].name, name) == 0) {
            return &parameters[i];
        }
    }
    return NULL;
}

static int refuse_unknown(const struct parameter *parameters, size_t count, const json_t *given,
                          struct vios_error *error)
{
    const char *key;
    json_t *value;
    char forms[160];
    json_object_foreach((json_t *)given, key, value)
    {
        if (!find_parameter(parameters, count, key)) {
            describe_forms(parameters, count, forms, sizeof forms);
            return error_set(error, VIOS_E_USAGE, NULL, forms, "no parameter is named \"%s\"", key);
        }
    }
    return VIOS_OK;
}

static int check_one(const struct parameter *parameter, const json_t *given, json_t *checked,
                     struct vios_error *error)
{
    json_t *value = json_object_get(given, parameter->name);
    const struct parameter_type *type = find_type(parameter->type);
    if (!value) {
        return parameter->optional ? VIOS_OK
                                   : error_set(error, VIOS_E_USAGE, NULL, NULL,
                                               "%s is missing (%s)", parameter->name, type->form);
    }
    struct vios_error why = {0};
    json_t *good = type->check(parameter, value, &why);
    if (!good) {
        char hint[WORD_MAX + 60];
        snprintf(hint, sizeof hint, "give %.31s: %.40s", parameter->name, type->form);
        return error_set(error, VIOS_E_USAGE, why.object, why.hint[0] ? why.hint : hint, "%s",
                         why.message);
    }
    json_object_set_new(checked, parameter->name, good);
    return VIOS_OK;
}

int parameters_check(const char *specification, unsigned flags, const json_t *given,
                     json_t **checked, struct vios_error *error)
{
    struct parameter parameters[PARAMETERS_MAX];
    size_t count = parse_specification(specification, flags, parameters);
    *checked = NULL;
    if (given && !json_is_object(given)) {
        return error_set(error, VIOS_E_USAGE, NULL, "give them by name",
                         "the parameters are not an object");
    }
    int status = given ? refuse_unknown(parameters, count, given, error) : VIOS_OK;
    json_t *made = json_object();
    for (size_t i = 0; i < count && status == VIOS_OK; i++) {
        status = check_one(&parameters[i], given, made, error);
    }
    if (status != VIOS_OK) {
        json_decref(made);
        return status;
    }
    *checked = made;
    return VIOS_OK;
}

json_t *parameters_shown(const char *specification, unsigned flags, const json_t *checked)
{
    struct parameter parameters[PARAMETERS_MAX];
    size_t count = parse_specification(specification, flags, parameters);
    json_t *shown = json_copy((json_t *)checked);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parameters[i].type, "secret") == 0 &&
            json_object_get(shown, parameters[i].name)) {
            json_object_set_new(shown, parameters[i].name, json_string("(not shown)"));
        }
    }
    return shown;
}

json_t *parameters_describe(const char *specification, unsigned flags)
{
    struct parameter parameters[PARAMETERS_MAX];
    size_t count = parse_specification(specification, flags, parameters);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "name", parameters[i].name, "type",
                                              parameters[i].type, "optional",
                                              (int)parameters[i].optional));
    }
    return list;
}

void parameters_object(const char *specification, const json_t *checked, char *object, size_t size)
{
    struct parameter parameters[PARAMETERS_MAX];
    size_t count = parse_specification(specification, 0, parameters);
    object[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const char *text = json_get_text(checked, parameters[i].name);
        if (text && find_type(parameters[i].type)->check == check_name) {
            const char *what =
                strcmp(parameters[i].type, "name") == 0 ? parameters[i].name : parameters[i].type;
            snprintf(object, size, "%s \"%s\"", what, text);
            return;
        }
    }
}
