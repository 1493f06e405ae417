/* version.h - `vios --version`. */
#ifndef SHELL_VERSION_H
#define SHELL_VERSION_H

#include <lua.h>

/* words[0] is --version; "--json" may follow, or have been given before. An exit status. */
int version_print(lua_State *L, int count, char *const *words);

#endif
