/*
 * parse.h - the words of users and records, validated in one place each. Each function takes
 * the whole text, refuses anything behind it, and leaves `*value` alone on failure
 * (VIOS_E_USAGE, with the right form in the hint).
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_MAX_LENGTH 63 /* [A-Za-z0-9][A-Za-z0-9._-]{0,62} */
#define UUID_TEXT_SIZE 37
#define PARSE_SIZE_TEXT 24

/* "512", "64K", "256M", "1.5G", "2T", also with iB: bytes, powers of 1024, at most 2^62. */
int parse_size(const char *text, uint64_t *bytes, struct vios_error *error);

/* For people: "10 GiB", "1.5 MiB", "17 bytes". Returns `text`. */
char *size_format(uint64_t bytes, char text[PARSE_SIZE_TEXT]);

/* "200ms", "5s", "2m", "1h", "1d"; a bare number is seconds. Milliseconds. */
int parse_duration(const char *text, int64_t *ms, struct vios_error *error);

/* Decimal, within [minimum, maximum]. */
int parse_integer(const char *text, int64_t minimum, int64_t maximum, int64_t *value,
                  struct vios_error *error);

/* yes/no, true/false, on/off, 1/0. */
int parse_boolean(const char *text, bool *value, struct vios_error *error);

/* A name of a cluster, node, LPAR, pool, LU or image; `what` says which, for the error. */
int parse_name(const char *text, const char *what, struct vios_error *error);

/* Lower-case 8-4-4-4-12 hex. */
int parse_uuid(const char *text, struct vios_error *error);

/* A unicast MAC address, 52:54:00:12:34:56; written to `mac` in lower case. */
int parse_mac(const char *text, char mac[18], struct vios_error *error);

/* A random version 4 UUID. */
void uuid_make(char text[UUID_TEXT_SIZE]);

/* The closest of `names` (count of them) to `text`, at most `most`, as `"a", "b"` in `out`;
 * "" when nothing is near. For errors about unknown objects. */
void parse_nearest(const char *text, const char *const *names, size_t count, size_t most, char *out,
                   size_t out_size);

/* The hint of an error about an unknown `text`: `did you mean "a", "b"?`; `otherwise` when none
 * of `names` is near. */
void parse_hint(const char *text, const char *const *names, size_t count, const char *otherwise,
                char *hint, size_t hint_size);

#endif
