/* json.c - see json.h. */
#include "base/json.h"

#include <string.h>

const char *json_get_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

const char *json_get_word(const json_t *object, const char *key)
{
    const char *text = json_get_text(object, key);
    return text ? text : "";
}

int64_t json_get_integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

bool json_read_text(const json_t *object, const char *key, char *out, size_t size)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    out[0] = 0;
    if (!value || json_is_null(value)) {
        return true;
    }
    if (!text || length >= size || strlen(text) != length) {
        return false;
    }
    memcpy(out, text, length + 1);
    return true;
}

bool json_read_integer(const json_t *object, const char *key, int64_t minimum, int64_t maximum,
                       int64_t *out)
{
    const json_t *value = json_object_get(object, key);
    int64_t number = json_integer_value(value);
    bool good = json_is_integer(value) && number >= minimum && number <= maximum;
    *out = good ? number : 0;
    return good;
}

int json_get_choice(const json_t *object, const char *key, const char *const *names, size_t count)
{
    const char *text = json_get_word(object, key);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

char *json_into_text(json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}
