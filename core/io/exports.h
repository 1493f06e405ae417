/*
 * exports.h - the table of what this io serves, and who may use it.
 *
 * Any thread may call these. An entry is held by the table and by each connection; dropped, it
 * leaves the table at once, its connections are closed on its home worker, and when the last has
 * let go its back end is closed there.
 */
#ifndef IO_EXPORTS_H
#define IO_EXPORTS_H

#include "base/operation.h"
#include "nbd/server.h"

#include <jansson.h>

#define EXPORTS_MAX 4096

struct exports;

/* For names that are not in the table: VIOS_OK when it is worth looking again. */
typedef int (*exports_missing)(void *context, const char *name, const char *node);

int exports_new(struct exports **exports, struct vios_error *error);
void exports_set_missing(struct exports *exports, exports_missing missing, void *context);

/* What nbd_server_new takes, with the table as context. */
extern const struct nbd_server_operations exports_server_operations;

/* Takes over the export; also `backend` (may be NULL), how it was asked for. VIOS_E_EXISTS: the
 * name is taken; VIOS_E_NO_SPACE: EXPORTS_MAX. The export is then still the caller's. */
int exports_add(struct exports *exports, struct nbd_export *export, json_t *backend,
                struct vios_error *error);

/* The same in place of the export that has this name, which is dropped: whoever comes finds one of
 * the two. */
int exports_replace(struct exports *exports, struct nbd_export *export, json_t *backend,
                    struct vios_error *error);

/* Drops it; `operation` (may be NULL) waits until its back end is closed. */
int exports_drop(struct exports *exports, struct nbd_export *export, struct operation *operation);

/* The export of a name, held until exports_release; NULL. For the control side: no identity. */
struct nbd_export *exports_get(struct exports *exports, const char *name);
void exports_release(struct nbd_export *export);

/* A new reference to how it was asked for, or NULL; and its replacement (taken over). */
json_t *exports_backend(struct exports *exports, struct nbd_export *export);
void exports_set_backend(struct exports *exports, struct nbd_export *export, json_t *backend);

/* Moves it to a state, on its home. DRAINING returns when nothing is in flight; a timeout
 * leaves it draining. */
int exports_set_state(struct exports *exports, struct nbd_export *export,
                      enum nbd_export_state state, struct operation *operation);

/*
 * Looks how large it is now and closes its connections, so that its clients come again and see;
 * `*size_bytes` is that size. VIOS_E_INVALID: its back end has a fixed size, or it has shrunk.
 */
int exports_resize(struct exports *exports, struct nbd_export *export, uint64_t *size_bytes,
                   struct operation *operation);

/* Counts what a successor must know: exports that were asked for, made, changed or dropped. */
uint64_t exports_revision(struct exports *exports);

/* All exports, held: release each, then free() the array. */
struct nbd_export **exports_all(struct exports *exports, size_t *count);

#endif
