/* error.c - the error value and its two maps: to names, and to exit statuses. */
#include "base/error.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct code_row {
    int code;
    const char *name;
    int exit_status;
};

static const struct code_row CODES[] = {
    {VIOS_OK, "ok", 0},
    {VIOS_E_SYSTEM, "system", 1},
    {VIOS_E_USAGE, "usage", 2},
    {VIOS_E_NOT_FOUND, "not_found", 1},
    {VIOS_E_EXISTS, "exists", 1},
    {VIOS_E_CONFLICT, "conflict", 1},
    {VIOS_E_LOCKED, "locked", 6},
    {VIOS_E_INVALID, "invalid", 7},
    {VIOS_E_NO_SPACE, "no_space", 1},
    {VIOS_E_TIMEOUT, "timeout", 5},
    {VIOS_E_UNKNOWN, "unknown", 1},
    {VIOS_E_CANCELLED, "cancelled", 130},
    {VIOS_E_UNREACHABLE, "unreachable", 4},
    {VIOS_E_DENIED, "denied", 1},
    {VIOS_E_STALE, "stale", 1},
    {VIOS_E_COMPACTED, "compacted", 1},
    {VIOS_E_CORRUPT, "corrupt", 1},
    {VIOS_E_IO, "io", 1},
};

static const size_t CODE_COUNT = sizeof CODES / sizeof CODES[0];

static const struct code_row *find_code(int code)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        if (CODES[i].code == code) {
            return &CODES[i];
        }
    }
    return NULL;
}

/* What is no UTF-8, such as a character that was cut, becomes "?": errors travel as JSON. */
static void keep_utf8(char *text)
{
    while (*text) {
        size_t length = utf8_length(text);
        if (length == 0) {
            *text = '?';
        }
        text += length ? length : 1;
    }
}

__attribute__((format(printf, 5, 0))) static void fill(struct vios_error *error, int code,
                                                       const char *object, const char *hint,
                                                       const char *format, va_list arguments)
{
    error->code = code;
    snprintf(error->object, sizeof error->object, "%s", object ? object : "");
    snprintf(error->hint, sizeof error->hint, "%s", hint ? hint : "");
    vsnprintf(error->message, sizeof error->message, format, arguments);
    keep_utf8(error->object);
    keep_utf8(error->hint);
    keep_utf8(error->message);
}

int error_set(struct vios_error *error, int code, const char *object, const char *hint,
              const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        fill(error, code, object, hint, format, arguments);
        va_end(arguments);
    }
    return code;
}

static int code_of_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return VIOS_E_NO_SPACE;
    case EACCES:
    case EPERM:
        return VIOS_E_DENIED;
    case ENOENT:
        return VIOS_E_NOT_FOUND;
    default:
        return VIOS_E_SYSTEM;
    }
}

int error_set_errno(struct vios_error *error, const char *object, const char *format, ...)
{
    int number = errno;
    int code = code_of_errno(number);
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        fill(error, code, object, NULL, format, arguments);
        va_end(arguments);
        size_t used = strlen(error->message);
        snprintf(error->message + used, sizeof error->message - used, ": %s", strerror(number));
    }
    return code;
}

int error_no_memory(struct vios_error *error, const char *object)
{
    return error_set(error, VIOS_E_NO_SPACE, object, NULL, "out of memory");
}

const char *error_name(int code)
{
    const struct code_row *row = find_code(code);
    return row ? row->name : "unknown_code";
}

int error_code(const char *name)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        if (strcmp(CODES[i].name, name) == 0) {
            return CODES[i].code;
        }
    }
    return VIOS_E_SYSTEM;
}

int error_exit_status(int code)
{
    const struct code_row *row = find_code(code);
    return row ? row->exit_status : 1;
}

char *error_format(const struct vios_error *error, char *text, unsigned long size)
{
    size_t length = strlen(error->message);
    bool asks = length > 0 && error->message[length - 1] == '?';
    snprintf(text, size, "%s%s%s%s%s", error->object, error->object[0] ? ": " : "", error->message,
             !error->hint[0] ? ""
             : asks          ? " "
                             : ": ",
             error->hint);
    return text;
}
