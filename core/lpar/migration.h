/*
 * migration.h - the state of a guest (memory, devices) as the stream that QEMU makes of it: out of
 * a guest that stands still, and into one whose QEMU was started with `-incoming defer` (DESIGN
 * "LPARs and hibernation"). QEMU does not protect the stream: a damaged one may well load, so its
 * length and digest are whoever's who keeps it.
 */
#ifndef LPAR_MIGRATION_H
#define LPAR_MIGRATION_H

#include "base/operation.h"

#include <jansson.h>
#include <stddef.h>

/* The way to a QEMU: qmp_call() of `context`, or what guest_port() makes. */
struct migration_port {
    int (*call)(void *context, const char *command, json_t *arguments, int descriptor,
                json_t **result, struct operation *operation);
    void *context;
};

/* Takes the next bytes; its failure ends the saving. */
typedef int migration_sink(void *context, const void *data, size_t size,
                           struct operation *operation);

/*
 * Gives the whole stream to `sink`, on this thread. The guest must stand still (`stop`) and is not
 * changed: whatever comes of this, `cont` lets it go on. VIOS_OK: QEMU says that the stream is
 * complete. VIOS_E_IO: it failed, with its reason; or the sink's failure.
 */
int migration_save(const struct migration_port *port, migration_sink *sink, void *context,
                   struct operation *operation);

/* QEMU's own word for where a migration is: "none", "active", "pre-switchover", "completed",
 * "failed", "cancelled"; "" while there was none. */
#define MIGRATION_STATE_SIZE 32
int migration_state(const struct migration_port *port, char state[MIGRATION_STATE_SIZE],
                    struct operation *operation);

/*
 * A guest that runs goes on while QEMU gives its state to `*descriptor`, the caller's. When little
 * is left, QEMU stops the guest and waits at "pre-switchover" for migration_switch_over(). The end
 * of the descriptor is the end of it, and migration_sent() says which.
 */
int migration_begin(const struct migration_port *port, int *descriptor,
                    struct operation *operation);
int migration_switch_over(const struct migration_port *port, struct operation *operation);

/* VIOS_OK: all of the state was given, and the guest stands still. VIOS_E_IO: why not. */
int migration_sent(const struct migration_port *port, struct operation *operation);

/* After VIOS_OK nothing of a migration_begin() goes on. Unless its state was complete QEMU lets the
 * guest go on by itself. */
int migration_end(const struct migration_port *port, struct operation *operation);

/* Writes the whole stream to `descriptor`, and does not close it. */
typedef int migration_source(void *context, int descriptor, struct operation *operation);

/*
 * Lets QEMU load the stream that `source` writes, on this thread. VIOS_OK: it is loaded, and the
 * guest stands still. Any other status: this QEMU is of no use any more (it may have ended by
 * itself), and must be killed.
 */
int migration_load(const struct migration_port *port, migration_source *source, void *context,
                   struct operation *operation);

#endif
