/*
 * adapters.h - what each guest's virtual adapters are mapped to, one row a mapping: the cluster's
 * `lsmap`. All from one snapshot of the VIOS DB.
 */
#ifndef LPAR_ADAPTERS_H
#define LPAR_ADAPTERS_H

#include "node/method.h"

/*
 * The methods adapter.list {lpar?} and adapter.show {lpar}. A row is {lpar, id, kind: "disk",
 * "network" or "paging", slot, backing, serial, mac, size_bytes, read_only, node, state}: what does
 * not fit its kind is "" or null; `size_bytes` is null too for a file of another node; node and
 * state are those of the guest. adapter.show gives {lpar, node, state, adapter_hash, adapters}.
 */
int adapters_call_list(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation);
int adapters_call_show(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation);

/* Puts the rows of one LPAR into what lpar.show says of it, as "adapters". */
int adapters_add(struct node *node, const char *name, json_t *shown, struct operation *operation);

#endif
