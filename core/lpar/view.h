/*
 * view.h - what `lpar list` and `lpar show` say. The state of a guest of this node comes from
 * its supervisor, of another node's from what that published; "unknown" while that node is
 * not up. `restart_state` is what restart_state.h says.
 */
#ifndef LPAR_VIEW_H
#define LPAR_VIEW_H

#include "lpar/record.h"
#include "node/node.h"

#include <jansson.h>

#define VIEW_STATE_SIZE 24
#define VIEW_NAMES_MAX 1000

/* What the guest does: "running" and the like. What cannot be read is left out of account. */
void view_state(struct node *node, struct store *store, const struct lpar *lpar,
                char state[VIEW_STATE_SIZE], struct operation *operation);

/* One object (`node` is "" and `qemu_pid` 0 when it does not run); VIOS_E_NOT_FOUND with the
 * nearest names. */
int view_show(struct node *node, struct store *store, const char *name, json_t **shown,
              struct operation *operation);

/* The names that begin with `prefix`, in order, VIEW_NAMES_MAX at most: for completion, which has
 * no time to look at what each of many does. None begin with what is no part of a name. */
int view_names(struct store *store, const char *prefix, json_t **names,
               struct operation *operation);

/* All LPARs of the cluster, by name. */
int view_list(struct node *node, struct store *store, json_t **list, struct operation *operation);

#endif
