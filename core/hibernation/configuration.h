/*
 * configuration.h - what a hibernated LPAR was made of, as the footer of its file has it, so that
 * it can be restarted when its node is dead:
 *
 *     {"v":1,"hash":"64 hex digits","spec":{...}}
 *
 * `spec` is the one of the LPAR's record, `hash` its adapter hash (lpar/record.h), which is
 * compared once the spec is read. Members that are not known are refused. No I/O.
 */
#ifndef HIBERNATION_CONFIGURATION_H
#define HIBERNATION_CONFIGURATION_H

#include "base/error.h"
#include "hibernation/file_format.h"

#include <jansson.h>

#define HIBERNATION_HASH_SIZE 65 /* as lower-case hex, with its NUL */

struct hibernation_configuration {
    char hash[HIBERNATION_HASH_SIZE];
    json_t *spec; /* an object */
};

/* Compact text; free() it. `spec` stays the caller's. VIOS_E_INVALID: no reader would take it. */
int hibernation_configuration_format(const json_t *spec, const char *hash, char **text,
                                     struct vios_error *error);

/* Validates all but what is in the spec; hibernation_configuration_clear() it. VIOS_E_CORRUPT. */
int hibernation_configuration_parse(const char *text, size_t size,
                                    struct hibernation_configuration *configuration,
                                    struct vios_error *error);

void hibernation_configuration_clear(struct hibernation_configuration *configuration);

#endif
