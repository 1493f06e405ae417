/*
 * parameters.h - the parameters of a method, checked against its row before it runs (the small
 * language of node/method.h).
 */
#ifndef DAEMON_PARAMETERS_H
#define DAEMON_PARAMETERS_H

#include "base/error.h"

#include <jansson.h>

#define PARAMETERS_MAX 24
#define PARAMETER_TEXT_MAX 8192 /* bytes of one text */

/*
 * On VIOS_OK `*checked` is a new object with exactly the parameters that were given, sizes and
 * durations as integers. `given` may be NULL: none. Otherwise VIOS_E_USAGE, which names the
 * parameter and shows the right form. METHOD_JOB in `flags` also allows wait and operation.
 */
int parameters_check(const char *specification, unsigned flags, const json_t *given,
                     json_t **checked, struct vios_error *error);

/* A copy for the audit, without what is in parameters of type secret. */
json_t *parameters_shown(const char *specification, unsigned flags, const json_t *checked);

/* [{"name","type","optional"}, ...], for rpc.describe. Aborts for a malformed specification. */
json_t *parameters_describe(const char *specification, unsigned flags);

/* What a call is about, for the audit: `lpar "web1"`; "" when no parameter names an object. */
void parameters_object(const char *specification, const json_t *checked, char *object, size_t size);

#endif
