/*
 * missing.h - the error for an object that is not in the VIOS DB, with the nearest that are.
 */
#ifndef STORE_MISSING_H
#define STORE_MISSING_H

#include "store/store.h"

/*
 * Fills the error: `NOUN "NAME": MESSAGE: did you mean "a", "b"?`, from the keys below `prefix`
 * ("/lpar/"; of "/lu-name/POOL/NAME" the name); when none is near, or the store is away, the hint
 * is `NOUN list`. Always VIOS_E_NOT_FOUND.
 */
int store_missing(struct store *store, const char *prefix, const char *noun, const char *name,
                  const char *message, struct operation *operation);

#endif
