/* tap_reader.c - counting `ok` and `not ok`, and holding them against the plan. */
#include "tests/runner/tap_reader.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE_SIZE 4096

static bool starts(const char *line, const char *word)
{
    size_t length = strlen(word);
    return strncmp(line, word, length) == 0 &&
           (line[length] == '\0' || strchr(" \t\n", line[length]));
}

/* The words behind `# SKIP` in a line; NULL when it has none. */
static const char *skip_reason(const char *line)
{
    const char *mark = strchr(line, '#');
    if (!mark) {
        return NULL;
    }
    mark += 1 + strspn(mark + 1, " ");
    return strncasecmp(mark, "skip", 4) == 0 ? mark + 4 : NULL;
}

static void read_plan(const char *line, struct tap_result *result)
{
    if (result->planned >= 0) {
        snprintf(result->fault, sizeof result->fault, "two plans");
        return;
    }
    const char *why = skip_reason(line);
    result->planned = atoi(line + 3);
    if (result->planned == 0 && why) {
        snprintf(result->skip_why, sizeof result->skip_why, "%.*s", (int)strcspn(why, "\n"), why);
        result->skipped++;
    }
}

static void read_line(const char *line, struct tap_result *result)
{
    if (strncmp(line, "1..", 3) == 0) {
        read_plan(line, result);
    } else if (starts(line, "not ok")) {
        result->failed++;
    } else if (starts(line, "ok")) {
        if (skip_reason(line)) {
            result->skipped++;
        } else {
            result->passed++;
        }
    } else if (starts(line, "Bail out!")) {
        snprintf(result->fault, sizeof result->fault, "%.*s", (int)strcspn(line, "\n"), line);
    }
}

void tap_read(FILE *stream, struct tap_result *result)
{
    char line[LINE_SIZE];
    bool fresh = true; /* the last piece read ended a line */
    memset(result, 0, sizeof *result);
    result->planned = -1;
    while (fgets(line, sizeof line, stream)) {
        if (fresh) {
            read_line(line, result);
        }
        fresh = strchr(line, '\n') != NULL;
    }
    int seen = result->passed + result->failed + result->skipped;
    bool all_skipped = result->planned == 0 && result->skip_why[0] && seen == 1;
    if (result->fault[0] || all_skipped) {
        return;
    }
    if (result->planned < 0) {
        snprintf(result->fault, sizeof result->fault, "no plan");
    } else if (result->planned != seen) {
        snprintf(result->fault, sizeof result->fault, "planned %d tests, saw %d", result->planned,
                 seen);
    }
}
