/*
 * spec.h - an LPAR from the words of an administrator: defaults filled in, everything
 * validated in this one place, before anything is written.
 */
#ifndef LPAR_SPEC_H
#define LPAR_SPEC_H

#include "lpar/record.h"
#include "storage/lu.h"

/* The i-th text of a parameter that is a text or a list of texts; NULL behind the last. What is no
 * text gives "", which nothing accepts. */
const char *spec_word(const json_t *parameters, const char *key, size_t i);

/* Whether this word of `disk` is a file of the node; else it is an LU. */
bool spec_is_path(const char *word);

/*
 * Builds a new LPAR from the parameters of lpar.create: {name, memory, cpus?, kernel?,
 * initrd?, append?, disk?, nic?, accel?, cpu?, autostart?}; `disk` and `nic` are a text or a
 * list of texts. `lus` are the LUs that the words of `disk` mean which are no paths, in their
 * order; those left over are its last disks. A MAC is made up for each network card. Its uuid is
 * new. VIOS_E_USAGE for words of the wrong form, VIOS_E_INVALID for those that do not hold here.
 */
int spec_build(const json_t *parameters, const struct lu *lus, size_t lu_count, struct lpar *lpar,
               struct vios_error *error);

/* That the files of this node that it needs are there and readable; again before each start. LUs
 * are not looked at. VIOS_E_INVALID. */
int spec_check_files(const struct lpar *lpar, struct vios_error *error);

/* That its accelerator works on this machine; again before each start. VIOS_E_INVALID. */
int spec_check_accel(const struct lpar *lpar, struct vios_error *error);

#endif
