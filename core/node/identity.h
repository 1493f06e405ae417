/*
 * identity.h - who this node is to the others, and who they are: its certificate and key for TLS,
 * and the allow-list, which is the serials in the records of the members.
 *
 * A thread keeps io informed, which has connections of its own: it tells it this identity, the
 * allow-list whenever that changes, and where to listen for the page traffic of others; and again
 * whatever a new io process does not know. It also looks at what io and the keep-alives have
 * refused, so that it is audited.
 */
#ifndef NODE_IDENTITY_H
#define NODE_IDENTITY_H

#include "net/tls.h"
#include "node/node.h"
#include "node/part.h"

struct identity;

/* From the files in STATE_DIR. VIOS_E_NOT_FOUND: this node has none. node->members outlives it. */
int identity_new(struct identity **identity, struct node *node, struct vios_error *error);
void identity_free(struct identity *identity);

/* For connections from and to other nodes' daemons. */
struct tls_context *identity_tls(struct identity *identity);

/* The serial of the own certificate. */
const char *identity_serial(const struct identity *identity);

/* Where io listens for other nodes: "tcp:HOST:PORT", or "" while it does not. */
void identity_nbd(struct identity *identity, char *text, size_t size);

extern const struct part identity_part;

#endif
