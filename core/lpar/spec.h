/*
 * spec.h - an LPAR from the words of an administrator: defaults filled in, everything
 * validated in this one place, before anything is written.
 */
#ifndef LPAR_SPEC_H
#define LPAR_SPEC_H

#include "lpar/record.h"

/*
 * Builds a new LPAR from the parameters of lpar.create: {name, memory, cpus?, kernel?,
 * initrd?, append?, disk?, nic?, accel?, cpu?, autostart?}; `disk` and `nic` are a text or a
 * list of texts. A MAC is made up for each network card. Its uuid is new.
 * VIOS_E_USAGE for words of the wrong form, VIOS_E_INVALID for those that do not hold here.
 */
int spec_build(const json_t *parameters, struct lpar *lpar, struct vios_error *error);

/* That what it boots from is there and readable; again before each start. VIOS_E_INVALID. */
int spec_check_files(const struct lpar *lpar, struct vios_error *error);

/* That its accelerator works on this machine; again before each start. VIOS_E_INVALID. */
int spec_check_accel(const struct lpar *lpar, struct vios_error *error);

#endif
