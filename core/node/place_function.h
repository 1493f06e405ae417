/*
 * place_function.h - the administrators' Lua function that says to which node a guest goes: where
 * its text is, and how it is asked. What it is called with and may return: vios(1), "PLACEMENT".
 *
 * Each question is answered by a process of its own, libexec/vios/place (lua/place/sandbox.h), for
 * that is the one bound that holds whatever the function does. Within one instruction, where no
 * hook of Lua is called, string.find can take exponential time, and string.rep or table.move can
 * count to 2^62; a process that is late is killed. And what a defect of the interpreter ends is
 * that process, not the daemon. It costs some milliseconds for each guest that is moved.
 */
#ifndef NODE_PLACE_FUNCTION_H
#define NODE_PLACE_FUNCTION_H

#include "base/parse.h"
#include "node/node.h"

#define PLACE_FUNCTION_KEY "/placement"
#define PLACE_FUNCTION_TEXT_MAX 8192 /* bytes of the chunk */
#define PLACE_FUNCTION_MS 5000       /* for one answer; it computes for one second at most */

/* The record of that key, for a chunk that was checked; free() it. NULL: no memory. */
char *place_function_format(const char *text);

/* Whether the chunk compiles and returns a function. VIOS_E_INVALID: why not, in Lua's words. */
int place_function_check(const struct node *node, const char *text, struct operation *operation);

/* The text that is set, which the caller frees; NULL: none is. */
int place_function_load(struct node *node, char **text, struct operation *operation);

/*
 * Calls it with `lpar` and `nodes`, an array of objects with "node". VIOS_OK: `chosen` is one of
 * those, or "" when the function leaves it to the built-in rule. VIOS_E_TIMEOUT: it is so slow that
 * it should not be asked again soon. Other errors are the function's, or of the process.
 */
int place_function_ask(const struct node *node, const char *text, json_t *lpar, json_t *nodes,
                       char chosen[NAME_MAX_LENGTH + 1], struct operation *operation);

/* What the process wrote, validated: the same as of place_function_ask(). */
int place_function_answer(const char *text, size_t size, const json_t *nodes,
                          char chosen[NAME_MAX_LENGTH + 1], struct vios_error *error);

#endif
