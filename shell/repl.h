/*
 * repl.h - the interactive shell: editline with completion, history, continuation lines, and
 * notices above the prompt. Ctrl-C cancels the command, or the line that is being typed.
 */
#ifndef SHELL_REPL_H
#define SHELL_REPL_H

#include <lua.h>
#include <stdbool.h>

/* Until `quit` or the end of the input. Returns an exit status. `restricted` (restricted.h): no
 * file is read or written, and the editor has no commands that could. */
int repl_run(lua_State *L, bool restricted);

/* The module vios.shell: history(), quit(), quitting(), rpc_pipe(). */
int luaopen_vios_shell(lua_State *L);

#endif
