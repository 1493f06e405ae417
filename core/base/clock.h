/*
 * clock.h - the two clocks. Decisions use the boot-time clock only; the wall clock is for
 * time stamps that people read, and nothing compares those.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_TEXT_SIZE 32

/* CLOCK_BOOTTIME in milliseconds; the same clock in every process of one boot. */
int64_t clock_now_ms(void);

/* CLOCK_MONOTONIC in nanoseconds, for measuring durations. */
int64_t clock_now_ns(void);

/* Wall clock in milliseconds since 1970, UTC. */
int64_t clock_wall_ms(void);

/* RFC 3339 in UTC with milliseconds: "2026-11-23T12:00:00.000Z". Returns `text`. */
char *clock_format(int64_t wall_ms, char text[CLOCK_TEXT_SIZE]);

#endif
