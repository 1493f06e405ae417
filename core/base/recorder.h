/*
 * recorder.h - the flight recorder: the last few thousand things a process did, in a ring in
 * an mmap'd file, so that they are there after kill -9 (MISSION §5.10).
 *
 * Writers never lock and never wait: a slot is claimed by one atomic add, and published by
 * storing its sequence number last. A reader takes a slot whose sequence number is the same
 * before and after copying it, so a half-written record is never shown.
 */
#ifndef BASE_RECORDER_H
#define BASE_RECORDER_H

#include "base/operation.h"

#include <stddef.h>
#include <stdint.h>

struct recorder;

struct recorder_entry {
    uint64_t sequence;
    int64_t wall_ms; /* for people */
    int64_t boot_ms; /* CLOCK_BOOTTIME, for order within one boot */
    char part[16];
    char text[200];
};

/* Opens or makes the ring at `path` with `slots` entries; one whose header does not fit is
 * renamed to PATH.old, never overwritten. */
int recorder_open(struct recorder **recorder, const char *path, size_t slots,
                  struct vios_error *error);
void recorder_close(struct recorder *recorder);

/* NULL recorder: does nothing. Text is cut at the size of an entry. */
void recorder_note(struct recorder *recorder, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads a ring of this or another, living or dead, process, oldest first, calling `each`. */
int recorder_read(const char *path, void (*each)(void *context, const struct recorder_entry *),
                  void *context, struct vios_error *error);

#endif
