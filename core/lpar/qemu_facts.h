/*
 * qemu_facts.h - what the QEMU that is installed on this node can be: its version, its machine
 * types and its CPU models. It is asked over QMP, of a process without a guest that ends at once,
 * and again when another QEMU is installed. Any thread may ask.
 */
#ifndef LPAR_QEMU_FACTS_H
#define LPAR_QEMU_FACTS_H

#include "base/operation.h"
#include "lpar/record.h"

struct qemu_facts;

struct qemu_facts *qemu_facts_new(void); /* NULL: no memory */
void qemu_facts_free(struct qemu_facts *facts);

/*
 * That this QEMU has the LPAR's machine type and CPU model, and is not older than `version` (as
 * "7.2.22", whose last number does not matter; "": none), whose state it is to load: a QEMU loads
 * what older ones wrote, not newer ones. VIOS_E_INVALID; VIOS_E_NOT_FOUND: there is none here.
 */
int qemu_facts_check(struct qemu_facts *facts, const struct lpar *lpar, const char *version,
                     struct operation *operation);

#endif
