/*
 * crash.h - places at which a test ends the process as kill -9 would; nothing but in a build with
 * VIOS_TEST_HOOKS.
 *
 * A place is named "kind:step:where". The process ends there when the environment variable
 * VIOS_CRASH_AT names it, or when the file that VIOS_CRASH_FILE names has it as its only line: that
 * file is removed first, so that of all processes that look at it one ends, once.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

#ifdef VIOS_TEST_HOOKS
void crash_at(const char *format, ...) __attribute__((format(printf, 1, 2)));
#else
__attribute__((format(printf, 1, 2))) static inline void crash_at(const char *format, ...)
{
    (void)format;
}
#endif

#endif
