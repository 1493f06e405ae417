/*
 * outlet.h - what waits to be sent on one connection. Any thread puts messages in, the loop
 * takes them out. It outlives its connection for as long as calls hold it, closed.
 */
#ifndef DAEMON_OUTLET_H
#define DAEMON_OUTLET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Beyond this many unsent bytes streams wait and the connection is not read. */
#define OUTLET_FULL (4 * 1024 * 1024)

struct outlet;

struct outlet_chunk {
    struct outlet_chunk *next;
    size_t size;
    char data[];
};

/* `wake` is called, on the putting thread, whenever the loop has something to look at. */
struct outlet *outlet_new(void (*wake)(void *context), void *context);
struct outlet *outlet_reference(struct outlet *outlet);
void outlet_release(struct outlet *outlet);

/* Takes over `message`; `size` bytes of `data` go behind it. False: closed, too long for a line
 * (RPC_LINE_MAX), or no memory; nothing was put. */
bool outlet_put(struct outlet *outlet, json_t *message, const void *data, size_t size);

bool outlet_full(struct outlet *outlet);
void outlet_wake(struct outlet *outlet);

/* --- for the loop --- */

/* All there is, in order; free() each. */
struct outlet_chunk *outlet_take(struct outlet *outlet);
/* `size` bytes are sent, or never will be. */
void outlet_sent(struct outlet *outlet, size_t size);
bool outlet_empty(struct outlet *outlet);
/* From now on nothing is taken in; wake is not called any more once this returned. */
void outlet_close(struct outlet *outlet);

#endif
