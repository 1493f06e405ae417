/* crash.c - see crash.h. */
#include "base/crash.h"

#ifdef VIOS_TEST_HOOKS

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACE_SIZE 256

static bool is_in_file(const char *path, const char *place)
{
    char line[PLACE_SIZE] = "";
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file) {
        return false;
    }
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    return read && strcmp(line, place) == 0 && unlink(path) == 0;
}

void crash_at(const char *format, ...)
{
    char place[PLACE_SIZE];
    const char *wanted = getenv("VIOS_CRASH_AT");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(place, sizeof place, format, arguments);
    va_end(arguments);
    if ((wanted && strcmp(wanted, place) == 0) || is_in_file(getenv("VIOS_CRASH_FILE"), place)) {
        kill(getpid(), SIGKILL);
        pause();
    }
}

#else
typedef int crash_nothing; /* a file of nothing is no C */
#endif
