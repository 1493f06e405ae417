/* caller_methods.h - event.register, event.unregister and event.callers; their rows are in
 * methods.c. */
#ifndef EVENT_CALLER_METHODS_H
#define EVENT_CALLER_METHODS_H

#include "node/method.h"

int event_register(struct call *call, const json_t *parameters, json_t **result,
                   struct operation *operation);
int event_unregister(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation);
int event_callers(struct call *call, const json_t *parameters, json_t **result,
                  struct operation *operation);

#endif
