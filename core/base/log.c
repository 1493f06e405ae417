/*
 * log.c - one line, one write(2). A line is built whole on the stack, so that lines of several
 * threads and processes on the same descriptor never mix.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_TEXT_LIMIT 1024
#define LOG_LINE_LIMIT (6 * LOG_TEXT_LIMIT + 256) /* each byte may become \u00xx */

static const struct {
    const char *name;
    int priority; /* of syslog(3) */
} LEVELS[] = {
    [LOG_ERROR] = {"error", 3},
    [LOG_WARNING] = {"warning", 4},
    [LOG_NOTICE] = {"notice", 5},
    [LOG_DEBUG] = {"debug", 7},
};

static atomic_int log_threshold = LOG_NOTICE;
static atomic_bool log_json;
static atomic_bool log_journal;

struct line {
    char text[LOG_LINE_LIMIT];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void line_add(struct line *line, const char *format,
                                                           ...)
{
    va_list arguments;
    va_start(arguments, format);
    int added =
        vsnprintf(line->text + line->used, sizeof line->text - line->used, format, arguments);
    va_end(arguments);
    assert(added >= 0 && (size_t)added < sizeof line->text - line->used);
    line->used += (size_t)added;
}

/* 0 also for a control character, those of two bytes among them. */
static size_t printable_length(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    bool control = at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
    return control ? 0 : utf8_length(text);
}

static void line_add_escaped(struct line *line, const char *text, bool json)
{
    while (*text) {
        size_t length = printable_length(text);
        if (length == 0) {
            line_add(line, json ? "\\u%04x" : "\\x%02x", (unsigned char)*text++);
        } else if (json && (*text == '"' || *text == '\\')) {
            line_add(line, "\\%c", *text++);
        } else {
            line_add(line, "%.*s", (int)length, text);
            text += length;
        }
    }
}

/* systemd names the device and inode of the stream it reads; ours may have been redirected. */
static bool stderr_is_the_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char ours[64];
    if (!stream || fstat(STDERR_FILENO, &status) != 0) {
        return false;
    }
    snprintf(ours, sizeof ours, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(stream, ours) == 0;
}

void log_configure(enum log_level level, bool json)
{
    atomic_store(&log_threshold, (int)level);
    atomic_store(&log_json, json);
    atomic_store(&log_journal, stderr_is_the_journal());
}

static void build(struct line *line, enum log_level level, const char *part, const char *text)
{
    bool journal = atomic_load(&log_journal);
    char now[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_ms(), now);
    if (journal) {
        line_add(line, "<%d>", LEVELS[level].priority);
    }
    if (atomic_load(&log_json)) {
        line_add(line, "{\"time\":\"%s\",\"level\":\"%s\",\"part\":\"%s\",\"text\":\"", now,
                 LEVELS[level].name, part);
        line_add_escaped(line, text, true);
        line_add(line, "\"}\n");
        return;
    }
    line_add(line, "%s%s%s: %s: ", journal ? "" : now, journal ? "" : " ", LEVELS[level].name,
             part);
    line_add_escaped(line, text, false);
    line_add(line, "\n");
}

void log_line(enum log_level level, const char *part, const char *format, ...)
{
    if ((int)level > atomic_load(&log_threshold)) {
        return;
    }
    int saved = errno;
    char text[LOG_TEXT_LIMIT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    struct line line;
    line.used = 0;
    build(&line, level, part, text);
    ssize_t written = write(STDERR_FILENO, line.text, line.used);
    (void)written; /* nobody to tell */
    errno = saved;
}
