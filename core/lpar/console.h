/*
 * console.h - a guest's serial console: QEMU takes one connection, so the daemon holds it,
 * keeps the last CONSOLE_RING_SIZE bytes, and serves any number of viewers from those. A slow
 * viewer loses the oldest bytes, never holds up the guest or another viewer.
 */
#ifndef LPAR_CONSOLE_H
#define LPAR_CONSOLE_H

#include "base/operation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONSOLE_RING_SIZE (64 * 1024)
#define CONSOLE_VIEWERS_MAX 8

struct console;

/* Aborts when memory is gone. */
struct console *console_new(void);
void console_free(struct console *console);

/* Takes over the connection to QEMU; -1: there is none now. */
void console_attach(struct console *console, int fd);
int console_descriptor(const struct console *console);

/* Reads what the guest said, without waiting. False: the connection has ended and was closed. */
bool console_receive(struct console *console);

/* No more will come: every viewer is told. */
void console_end(struct console *console);

/* --- viewers, from any thread --- */

/* An eventfd that is written to when there is more; close it with console_unwatch(). Starts at
 * the oldest byte kept. VIOS_E_NO_SPACE: too many viewers. */
int console_watch(struct console *console, uint64_t *cursor, struct vios_error *error);
void console_unwatch(struct console *console, int event);

/* Copies what is behind `*cursor` and moves it; 0: nothing more now; `*end`: nor ever. */
size_t console_read(struct console *console, uint64_t *cursor, void *data, size_t size, bool *end);

/* Types into the guest. Blocks while the guest does not take it. */
int console_write(struct console *console, const void *data, size_t size,
                  struct operation *operation);

#endif
