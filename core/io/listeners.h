/*
 * listeners.h - the sockets that NBD clients come to, each with the identity it gives them.
 *
 * A listening socket outlives the process that made it: its descriptor is given to the daemon,
 * which hands it to a successor, and who waits in its backlog meanwhile is served by that one.
 */
#ifndef IO_LISTENERS_H
#define IO_LISTENERS_H

#include "nbd/server.h"

#include <jansson.h>

#define LISTENERS_MAX 1024 /* a socket for each peer and each guest */

struct listeners;

int listeners_new(struct listeners **listeners, struct nbd_server *server,
                  struct worker *const *workers, size_t worker_count, struct tls_context *tls,
                  const char *run_dir, struct vios_error *error);

/* "local", "node:NAME", "lpar:UUID"; "peer": a node that says by its certificate which. */
int listeners_check_identity(const char *identity, struct vios_error *error);

/*
 * Listens on `path`: below the run folder, absolute or relative to it, its folders made 0700; or on
 * "tcp:HOST:PORT". The same again with the same identity is fine, and makes a socket that somebody
 * removed anew; with another it is VIOS_E_EXISTS. With `fd` >= 0 it takes over that listening
 * socket instead of making one (on success). `address` (may be NULL) gets what was bound.
 */
int listeners_add(struct listeners *listeners, const char *path, const char *identity, int fd,
                  char *address, size_t address_size, struct vios_error *error);

/* Counts what was added and removed. */
uint64_t listeners_revision(struct listeners *listeners);

/* Closes it and removes the socket; absent is fine. */
int listeners_remove(struct listeners *listeners, const char *path, struct vios_error *error);

/* [{"path","as"}] of all of them. */
json_t *listeners_describe(struct listeners *listeners);

/*
 * One batch for a successor: as listeners_describe, of at most `max` whose paths come behind
 * `after` in strcmp's order ("": from the first). Duplicates of their descriptors, the caller's, go
 * into `descriptors` in the same order. `*more`: there are others behind.
 */
int listeners_give(struct listeners *listeners, const char *after, size_t max, int *descriptors,
                   json_t **list, bool *more, struct vios_error *error);

/* Accepts nobody from now on; who comes waits in the backlogs for a successor. */
void listeners_pause(struct listeners *listeners);

#endif
