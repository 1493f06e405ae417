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

/* The way to a QEMU: qmp_call() or guest_call_with() of `context`. */
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
