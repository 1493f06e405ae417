/*
 * json.h - members of JSON objects that came from outside, checked as they are taken; what
 * jansson leaves to its callers.
 *
 * "get" hands out what lies in the object and lives as long as it; of another type counts as
 * absent, so these are for objects that were validated, or where absent is an answer. "read"
 * validates: false means that the member is there and is wrong, and `out` is then empty. All of
 * them take NULL, or what is no object, as an object without members.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The text, or NULL. */
const char *json_get_text(const json_t *object, const char *key);

/* The same, with "" for NULL. */
const char *json_get_word(const json_t *object, const char *key);

/* The integer, or 0. */
int64_t json_get_integer(const json_t *object, const char *key);

/* Copies the text to `out`; absent and null are "". False for other types, for what does not fit
 * `size` with its NUL, and for a NUL inside. */
bool json_read_text(const json_t *object, const char *key, char *out, size_t size);

/* The integer; false when it is absent, no integer, or not in minimum..maximum. */
bool json_read_integer(const json_t *object, const char *key, int64_t minimum, int64_t maximum,
                       int64_t *out);

/* Which of the `count` names the text is: its index, or -1 for none of them. */
int json_get_choice(const json_t *object, const char *key, const char *const *names, size_t count);

/* The value as compact text, which the caller frees; NULL without memory, and for NULL. Takes over
 * the reference. */
char *json_into_text(json_t *json);

#endif
