/*
 * caller_primary.h - where the primary is, for callers: only it posts events.
 */
#ifndef EVENT_CALLER_PRIMARY_H
#define EVENT_CALLER_PRIMARY_H

#include "base/parse.h"
#include "node/node.h"

#include <jansson.h>

#define CALLER_ADDRESS_SIZE 96 /* of "HOST:PORT" */

/* Its name and address, or two times "" when none is known. Never waits for the VIOS DB. */
void caller_primary(struct node *node, char name[NAME_MAX_LENGTH + 1],
                    char address[CALLER_ADDRESS_SIZE]);

/* Where a caller may try: the primary's address first, when it is known, then the other members'.
 * An array of texts, the caller's. */
json_t *caller_addresses(struct node *node);

#endif
