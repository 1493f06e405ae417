/*
 * credentials.h - the files in STATE_DIR that say who this node is: its certificate and key, the
 * authority's certificate, and on the node that made the cluster the authority's key. Keys are
 * 0600.
 */
#ifndef NODE_CREDENTIALS_H
#define NODE_CREDENTIALS_H

#include "net/authority.h"
#include "node/node.h"

#define CREDENTIALS_AUTHORITY_KEY "authority.key"
#define CREDENTIALS_STORE "store" /* the VIOS DB's address, when joining brought it */

struct credentials {
    char *certificate, *key, *authority; /* PEM */
};

/* VIOS_E_NOT_FOUND: one of them is not there. credentials_clear() it in any case. */
int credentials_read(const struct node *node, struct credentials *credentials,
                     struct vios_error *error);

/* Durably; a start in between finds them incomplete, or not fitting together. */
int credentials_write(const struct node *node, const struct credentials *credentials,
                      struct vios_error *error);

/* Wipes and frees them. */
void credentials_clear(struct credentials *credentials);

/* Whether the three fit together and are of this node; its serial. */
int credentials_check(const struct node *node, const struct credentials *credentials,
                      char serial[CERTIFICATE_SERIAL_SIZE], struct vios_error *error);

/* The authority, on the node with its key. VIOS_E_NOT_FOUND: this is not the node. */
int credentials_authority(const struct node *node, struct authority **authority,
                          struct vios_error *error);

/* Makes the authority's files; the key first. */
int credentials_save_authority(const struct node *node, const struct authority *authority,
                               struct vios_error *error);

#endif
