/*
 * log.c - one line, one write(2). A line is built whole on the stack, so that lines of several
 * threads and processes on the same descriptor never mix.
 */
#include "base/log.h"

#include "base/clock.h"

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

/* How many bytes the UTF-8 character at `text` has; 0: it is none, or a control character. */
static size_t printable_length(const unsigned char *text)
{
    if (text[0] < 0x80) {
        return text[0] >= 0x20 && text[0] != 0x7f;
    }
    size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool control = text[0] == 0xc2 && text[1] < 0xa0;
    bool overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
    bool surrogate = text[0] == 0xed && text[1] >= 0xa0;
    bool beyond = text[0] == 0xf4 && text[1] >= 0x90;
    return control || overlong || surrogate || beyond ? 0 : length;
}

static void line_add_escaped(struct line *line, const char *text, bool json)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        size_t length = printable_length(at);
        if (length == 0) {
            line_add(line, json ? "\\u%04x" : "\\x%02x", *at++);
        } else if (json && (*at == '"' || *at == '\\')) {
            line_add(line, "\\%c", *at++);
        } else {
            line_add(line, "%.*s", (int)length, (const char *)at);
            at += length;
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
