/* log.c - one line a call to stderr, as text or JSON. */
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_TEXT_MAX 1024
#define LOG_LINE_MAX (LOG_TEXT_MAX * 6 + 256) /* every byte escaped, and the frame */

static const char *const LEVELS[] = {"error", "warning", "notice", "debug"};
static const int PRIORITIES[] = {3, 4, 5, 7}; /* syslog's, for journald */

static enum log_level most = LOG_NOTICE;
static bool as_json;
static bool under_journald;

void log_configure(enum log_level level, bool json)
{
    most = level;
    as_json = json;
    under_journald = getenv("JOURNAL_STREAM") != NULL;
}

/* Appends with what a line or a JSON text cannot hold escaped. */
static size_t append_escaped(char *line, size_t used, size_t size, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at && used + 7 < size; at++) {
        if (*at < 0x20 || *at == 0x7f) {
            used += (size_t)snprintf(line + used, size - used, "\\u%04x", *at);
        } else if (as_json && (*at == '"' || *at == '\\')) {
            line[used++] = '\\';
            line[used++] = (char)*at;
        } else {
            line[used++] = (char)*at;
        }
    }
    line[used] = '\0';
    return used;
}

static size_t start_line(char *line, size_t size, enum log_level level, const char *part)
{
    char now[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_ms(), now);
    if (as_json) {
        return (size_t)snprintf(line, size,
                                "{\"time\":\"%s\",\"level\":\"%s\",\"part\":\"%s\",\"text\":\"",
                                now, LEVELS[level], part);
    }
    if (under_journald) {
        return (size_t)snprintf(line, size, "<%d>%s: ", PRIORITIES[level], part);
    }
    return (size_t)snprintf(line, size, "%s %s %s: ", now, LEVELS[level], part);
}

void log_line(enum log_level level, const char *part, const char *format, ...)
{
    char text[LOG_TEXT_MAX], line[LOG_LINE_MAX];
    if (level > most) {
        return;
    }
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t used = start_line(line, sizeof line, level, part);
    used = append_escaped(line, used, sizeof line - 4, text);
    used += (size_t)snprintf(line + used, sizeof line - used, "%s\n", as_json ? "\"}" : "");
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; /* nowhere left to say so */
    errno = saved;
}
