/* filter.c - see filter.h. */
#include "event/filter.h"

#include "event/payload.h"

#include <stdlib.h>
#include <string.h>

#define CLASS_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

/* What is wrong with a word; NULL: nothing. */
static const char *check_class(const char *word, size_t length)
{
    if (length == 0) {
        return "a class is empty";
    }
    if (length > EVENT_WORD_MAX || strspn(word, CLASS_CHARACTERS) < length) {
        return "a class is a word of [a-z0-9_], as \"node\" or \"lpar\"";
    }
    return NULL;
}

static const char *check_object(const char *word, size_t length)
{
    if (length == 0) {
        return "a pattern of an object is empty";
    }
    if (length > FILTER_WORD_MAX) {
        return "a pattern of an object is too long";
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)word[i] < ' ' || word[i] == 0x7f) {
            return "a pattern of an object has a control character";
        }
    }
    return NULL;
}

struct kind {
    const char *name; /* of the word, for errors */
    const char *(*check)(const char *word, size_t length);
};

static const struct kind CLASS = {"class", check_class}, OBJECT = {"object", check_object};

/* Adds a copy of the word to the list. */
static int add(const struct kind *kind, int code, const char *word, size_t length, char **words,
               size_t *count, struct vios_error *error)
{
    const char *wrong = kind->check(word, length);
    if (wrong) {
        return error_set(error, code, kind->name, NULL, "%s", wrong);
    }
    if (*count == FILTER_WORDS_MAX) {
        return error_set(error, code, kind->name, "use patterns, or register a second caller",
                         "a filter has %d of them at most", FILTER_WORDS_MAX);
    }
    char *copy = strndup(word, length);
    if (!copy) {
        return error_no_memory(error, "filter");
    }
    words[(*count)++] = copy;
    return VIOS_OK;
}

static int parse_list(const struct kind *kind, const char *list, char **words, size_t *count,
                      struct vios_error *error)
{
    int status = VIOS_OK;
    while (status == VIOS_OK && list && *list) {
        size_t length = strcspn(list, ",");
        bool more = list[length] == ',';
        status = add(kind, VIOS_E_USAGE, list, length, words, count, error);
        list += length + more;
        if (status == VIOS_OK && more && !*list) {
            status = error_set(error, VIOS_E_USAGE, kind->name, NULL,
                               "the list of them ends with a comma");
        }
    }
    return status;
}

int event_filter_parse(const char *classes, const char *objects, struct event_filter *filter,
                       struct vios_error *error)
{
    *filter = (struct event_filter){0};
    int status = parse_list(&CLASS, classes, filter->classes, &filter->class_count, error);
    if (status == VIOS_OK) {
        status = parse_list(&OBJECT, objects, filter->objects, &filter->object_count, error);
    }
    if (status != VIOS_OK) {
        event_filter_clear(filter);
    }
    return status;
}

static int read_list(const struct kind *kind, const json_t *list, char **words, size_t *count,
                     struct vios_error *error)
{
    int status = VIOS_OK;
    size_t index;
    json_t *word;
    if (list && !json_is_array(list)) {
        return error_set(error, VIOS_E_INVALID, kind->name, NULL, "it is not a list");
    }
    json_array_foreach(list, index, word)
    {
        if (status == VIOS_OK && !json_is_string(word)) {
            status = error_set(error, VIOS_E_INVALID, kind->name, NULL, "not all are texts");
        }
        if (status == VIOS_OK) {
            status = add(kind, VIOS_E_INVALID, json_string_value(word), json_string_length(word),
                         words, count, error);
        }
    }
    return status;
}

int event_filter_read(const json_t *json, struct event_filter *filter, struct vios_error *error)
{
    *filter = (struct event_filter){0};
    if (!json_is_object(json)) {
        return error_set(error, VIOS_E_INVALID, "filter", NULL, "it is not an object");
    }
    int status = read_list(&CLASS, json_object_get(json, "classes"), filter->classes,
                           &filter->class_count, error);
    if (status == VIOS_OK) {
        status = read_list(&OBJECT, json_object_get(json, "objects"), filter->objects,
                           &filter->object_count, error);
    }
    if (status != VIOS_OK) {
        event_filter_clear(filter);
    }
    return status;
}

static json_t *list_to_json(char *const *words, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(list, json_string(words[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *event_filter_to_json(const struct event_filter *filter)
{
    return json_pack("{s:o, s:o}", "classes", list_to_json(filter->classes, filter->class_count),
                     "objects", list_to_json(filter->objects, filter->object_count));
}

void event_filter_clear(struct event_filter *filter)
{
    for (size_t i = 0; i < filter->class_count; i++) {
        free(filter->classes[i]);
    }
    for (size_t i = 0; i < filter->object_count; i++) {
        free(filter->objects[i]);
    }
    *filter = (struct event_filter){0};
}

/* --- fitting --- */

/* Behind one character of UTF-8. */
static const char *next_character(const char *text)
{
    do {
        text++;
    } while ((*text & 0xc0) == 0x80);
    return text;
}

/* Only the last * is tried at other places: what those before it took is as good as any. */
static bool matches(const char *pattern, const char *text)
{
    const char *star = NULL, *taken = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            taken = text;
        } else if (*pattern == '?') {
            pattern++;
            text = next_character(text);
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = taken = next_character(taken);
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return !*pattern;
}

static bool is_one_of(char *const *words, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], word) == 0) {
            return true;
        }
    }
    return count == 0;
}

bool event_filter_fits(const struct event_filter *filter, const char *class_name,
                       const char *object)
{
    if (!is_one_of(filter->classes, filter->class_count, class_name)) {
        return false;
    }
    for (size_t i = 0; i < filter->object_count; i++) {
        if (matches(filter->objects[i], object)) {
            return true;
        }
    }
    return filter->object_count == 0;
}
