/*
 * tap.h - unit tests that speak TAP. A test program is a list of functions:
 *
 *     static void opens_an_empty_file(void) { ok(size == 0, "size is %zu", size); }
 *     int main(void) { RUN(opens_an_empty_file); return tap_done(); }
 *
 * Each RUN is one TAP line; ok(), is_int() and is_text() inside it are its checks. A failed check
 * says where and what, and the function goes on.
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int tap_count, tap_failed;
static bool tap_bad; /* the current function */
static const char *tap_skipped;

__attribute__((format(printf, 4, 5), unused)) static bool
tap_check(bool good, const char *file, int line, const char *format, ...)
{
    if (!good) {
        va_list arguments;
        va_start(arguments, format);
        tap_bad = true;
        printf("# %s:%d: ", file, line);
        vprintf(format, arguments);
        printf("\n");
        fflush(stdout); /* a crash may follow */
        va_end(arguments);
    }
    return good;
}

__attribute__((unused)) static bool tap_text(const char *got, const char *want, const char *file,
                                             int line)
{
    bool same = got && want ? strcmp(got, want) == 0 : got == want;
    return tap_check(same, file, line, "got \"%s\", want \"%s\"", got ? got : "(null)",
                     want ? want : "(null)");
}

__attribute__((unused)) static bool tap_int(long long got, long long want, const char *what,
                                            const char *file, int line)
{
    return tap_check(got == want, file, line, "%s is %lld, want %lld", what, got, want);
}

#define ok(condition, ...) tap_check((condition), __FILE__, __LINE__, __VA_ARGS__)
#define is_int(got, want) tap_int((got), (want), #got, __FILE__, __LINE__)
#define is_text(got, want) tap_text((got), (want), __FILE__, __LINE__)

/* Within a RUN function, before any check: it is shown as skipped, with the reason. */
#define SKIP(why)                                                                                  \
    do {                                                                                           \
        tap_skipped = (why);                                                                       \
        return;                                                                                    \
    } while (0)

__attribute__((unused)) static void tap_run(void (*function)(void), const char *name)
{
    tap_bad = false;
    tap_skipped = NULL;
    function();
    tap_count++;
    tap_failed += tap_bad;
    printf("%sok %d - %s%s%s\n", tap_bad ? "not " : "", tap_count, name,
           tap_skipped ? " # SKIP " : "", tap_skipped ? tap_skipped : "");
    fflush(stdout);
}

#define RUN(function) tap_run(function, #function)

__attribute__((unused)) static int tap_done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed ? 1 : 0;
}

/* A fresh folder for this test, removed at exit by tap_remove_folder's caller. */
__attribute__((unused)) static const char *tap_folder(void)
{
    static char path[64];
    if (!path[0]) {
        const char *parent = getenv("TMPDIR");
        snprintf(path, sizeof path, "%.40s/vios-test-XXXXXX", parent ? parent : "/tmp");
        if (!mkdtemp(path)) {
            perror("mkdtemp");
            exit(1);
        }
    }
    return path;
}

#endif
