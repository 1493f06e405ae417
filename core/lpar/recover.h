/*
 * recover.h - the methods lpar.cancel and lpar.recover, for hibernations and restarts that are
 * under way, or were interrupted. Either may be called on any node.
 */
#ifndef LPAR_RECOVER_H
#define LPAR_RECOVER_H

#include "lpar/hold.h"
#include "node/method.h"

/*
 * Has the hibernation or restart that is at work on an LPAR undone, wherever its job runs, and
 * waits for that: what lpar.show says then, and "cancelled", the job. When its node is not there
 * the record is marked, "waits_for" names the node, and it is undone when that is back.
 * VIOS_E_CONFLICT: there is none, it is behind its commit point, or it was done first.
 */
int lpar_call_cancel(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation);

/*
 * Brings an LPAR into a state from which it can be used: waits for the job that is at work on it,
 * frees it of one that is void, takes it over from a node that is fenced, records the end of a QEMU
 * that is gone, and of a memory that is void. What lpar.show says then, "did", what was done, as
 * texts for people, and "next", the command that is next; "": none. Fine, and nothing is done, when
 * nothing is wrong. VIOS_E_LOCKED: a node that has to do with it is down, and not fenced yet.
 */
int lpar_call_recover(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation);

/* daemon.settle: lpar_settle() on the node that is called, {"settled"}. */
int lpar_call_settle(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation);

/* For both. A node that is not known to be down. */
bool recover_is_there(struct node *node, const char *name);

/* Waits, showing progress, until the job has ended: VIOS_OK, and `ended` is its error, or VIOS_OK
 * when it was done. VIOS_E_UNREACHABLE: its node is down. */
int recover_await(struct call *call, const struct lpar_work *work, struct vios_error *ended,
                  struct operation *operation);

#endif
