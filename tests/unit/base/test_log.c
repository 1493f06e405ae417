/* Proves: a log line is one line, with nothing in it that acts on a terminal or breaks JSON. */
#include "base/log.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>

static char got[8192];

/* What one call writes to stderr. */
static const char *written(enum log_level level, const char *text)
{
    int pipes[2], saved = dup(STDERR_FILENO);
    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0 || saved < 0) {
        exit(1);
    }
    dup2(pipes[1], STDERR_FILENO);
    log_line(level, "store", "%s", text);
    dup2(saved, STDERR_FILENO);
    ssize_t size = read(pipes[0], got, sizeof got - 1);
    got[size > 0 ? size : 0] = '\0';
    close(pipes[0]);
    close(pipes[1]);
    close(saved);
    return got;
}

static void drops_what_is_above_its_level(void)
{
    log_configure(LOG_WARNING, false);
    is_text(written(LOG_NOTICE, "x"), "");
    is_text(written(LOG_DEBUG, "x"), "");
    ok(strstr(written(LOG_WARNING, "x"), " warning store: x\n") != NULL ||
           strstr(got, " warning: store: x\n") != NULL,
       "%s", got);
    ok(strstr(written(LOG_ERROR, "y"), "error") != NULL, "%s", got);
}

static void escapes_what_is_not_text(void)
{
    log_configure(LOG_NOTICE, false);
    written(LOG_NOTICE, "a\nb\033[31m\177 \xc3\xa9 \xff \xc2\x9b");
    is_int(strchr(got, '\n') - got, strlen(got) - 1);
    ok(!strchr(got, '\033') && !strchr(got, '\177'), "%s", got);
    ok(strstr(got, "\xc3\xa9") != NULL, "keeps letters: %s", got);
    ok(!strchr(got, '\xff') && !strstr(got, "\xc2\x9b"), "and nothing else: %s", got);
}

static void writes_json(void)
{
    log_configure(LOG_NOTICE, true);
    written(LOG_NOTICE, "say \"hi\" \\ \n\t \x01 \xff \xc3\xa9");
    json_t *line = json_loads(got, JSON_REJECT_DUPLICATES, NULL);
    ok(line != NULL, "%s", got);
    is_text(json_string_value(json_object_get(line, "level")), "notice");
    is_text(json_string_value(json_object_get(line, "part")), "store");
    const char *text = json_string_value(json_object_get(line, "text"));
    ok(text && strncmp(text, "say \"hi\" \\ \n\t \x01 ", 15) == 0, "%s", text ? text : "");
    json_decref(line);
}

static void cuts_long_lines(void)
{
    static char text[5000];
    memset(text, '"', sizeof text - 1);
    log_configure(LOG_NOTICE, true);
    written(LOG_NOTICE, text);
    json_t *line = json_loads(got, 0, NULL);
    ok(line != NULL, "still JSON");
    json_decref(line);
}

static void marks_lines_for_the_journal_only(void)
{
    char stream[64];
    struct stat status;
    fstat(STDERR_FILENO, &status);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_configure(LOG_NOTICE, false);
    ok(strncmp(written(LOG_NOTICE, "x"), "<5>", 3) == 0, "%s", got);
    setenv("JOURNAL_STREAM", "1:1", 1);
    log_configure(LOG_NOTICE, false);
    ok(strncmp(written(LOG_NOTICE, "x"), "<5>", 3) != 0, "%s", got);
}

int main(void)
{
    RUN(drops_what_is_above_its_level);
    RUN(escapes_what_is_not_text);
    RUN(writes_json);
    RUN(cuts_long_lines);
    RUN(marks_lines_for_the_journal_only);
    return tap_done();
}
