/* damage.h - why a file has no trailer: where it ends, or what lies behind its end. */
#ifndef HIBERNATION_DAMAGE_H
#define HIBERNATION_DAMAGE_H

#include "base/error.h"

#include <stdint.h>

/* Walks over the heads of the blocks, and believes none of them: it refuses in any case, with
 * VIOS_E_CORRUPT. The header was found good. */
int hibernation_damage_explain(int fd, uint64_t size_bytes, struct vios_error *error);

#endif
