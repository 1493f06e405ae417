/*
 * repl.h - the interactive shell: editline with completion, history, continuation lines, and
 * notices above the prompt. Ctrl-C cancels the command, or the line that is being typed.
 */
#ifndef SHELL_REPL_H
#define SHELL_REPL_H

#include <lua.h>

/* Until `quit` or the end of the input. Returns an exit status. */
int repl_run(lua_State *L);

/* The module vios.shell: history(), quit(), quitting(), rpc_pipe(). */
int luaopen_vios_shell(lua_State *L);

#endif
