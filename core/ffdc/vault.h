/*
 * vault.h - where captured data ends up: <repository>/ffdc/C/manifest.json, and
 * <repository>/ffdc/C/NODE/csnap_... for each node. The repository may be away or hang: each
 * of these is done as limited.h has it. Another cluster's repository, and a folder where none is
 * mounted, are refused.
 */
#ifndef FFDC_VAULT_H
#define FFDC_VAULT_H

#include "ffdc/bundle.h"
#include "ffdc/limited.h"
#include "ffdc/manifest.h"

#include "node/node.h"

#include <limits.h>

#define VAULT_FOLDER "ffdc"
#define VAULT_LIMIT_MS 30000

struct vault {
    char path[PATH_MAX]; /* of the repository */
    char cluster[NAME_MAX_LENGTH + 1];
    char uuid[UUID_TEXT_SIZE];
    bool make; /* no pool is in it yet: one without a marker gets it, as from `pool create` */
};

/* As the configuration and the VIOS DB say. */
int vault_find(struct node *node, struct vault *vault, struct operation *operation);

/* Copies the file `source`, which is there whole and under its name, or not at all. */
int vault_put(struct limited *limited, const struct vault *vault, const struct manifest *manifest,
              const char *node, const char *source, struct operation *operation);

int vault_put_manifest(struct limited *limited, const struct vault *vault,
                       const struct manifest *manifest, struct operation *operation);

/* Whether a node's bundle is there: its size and digest; VIOS_E_NOT_FOUND. */
int vault_look(struct limited *limited, const struct vault *vault, const struct manifest *manifest,
               const char *node, struct manifest_node *entry, struct operation *operation);

/* Removes all that is there of the incident. */
int vault_remove(struct limited *limited, const struct vault *vault, const char *correlator,
                 struct operation *operation);

#endif
