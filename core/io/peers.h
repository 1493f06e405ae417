/*
 * peers.h - who this node is to the others, and which of them may connect: what the daemon says
 * with `identity` and `peers`. Until it has, nobody gets in, and nobody is connected to.
 */
#ifndef IO_PEERS_H
#define IO_PEERS_H

#include "net/tls.h"

#include <jansson.h>

#define PEERS_MAX 2048
#define PEERS_REFUSALS_MAX 10 /* told in a second; the rest is only counted */

struct peers;

/* `refused` is told why somebody did not get in, on any thread; must not block. */
int peers_new(struct peers **peers, void (*refused)(void *context, const struct vios_error *why),
              void *context, struct vios_error *error);

/* For both sides of connections; lives as long as the process. */
struct tls_context *peers_tls(struct peers *peers);

/* Which node's certificate has which serial; replaces what was said before. A node may be there
 * twice, while it changes its certificate. All or nothing. */
int peers_allow(struct peers *peers, const json_t *allowed, struct vios_error *error);

/* A peer did not get in. */
void peers_refuse(void *peers, const struct vios_error *why);

/* {"ready","allowed","refused"}: whether there is an identity, and two counts. */
json_t *peers_describe(struct peers *peers);

#endif
