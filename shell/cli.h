/*
 * cli.h - runs commands, lines, expressions and scripts through lua/cli.lua. Each returns an exit
 * status (vios.1, "EXIT STATUS"); Ctrl-C ends it with 130, also one that came before the call: only
 * interrupt_begin() forgets it.
 */
#ifndef SHELL_CLI_H
#define SHELL_CLI_H

#include <lua.h>
#include <stdbool.h>

#define CLI_MORE (-1) /* of cli_line: the line is not complete */
#define CLI_INTERRUPTED 130

int cli_command(lua_State *L, int count, char *const *words);
/* `last`: no more lines will come, so that an incomplete one is an error. */
int cli_line(lua_State *L, const char *text, bool last);
/* 0: it is complete; CLI_MORE; or an exit status: Ctrl-C came meanwhile, which was reported. */
int cli_complete(lua_State *L, const char *text);
int cli_expression(lua_State *L, const char *code);
/* words[0] is the file. */
int cli_script(lua_State *L, int count, char *const *words);
int cli_stdin(lua_State *L);

/* Reads options before the mode (--socket P, --json, ...): how many words they are, or a negative
 * exit status when they are wrong. They hold for everything after. */
int cli_leading(lua_State *L, int count, char *const *words);
/* --json was one of them. */
bool cli_is_json(lua_State *L);

/* After Ctrl-C ended the waiting for a job, which goes on: when it was typed again, or is while
 * `linger` waits for that a moment, the job is cancelled. Forgets Ctrl-C. */
void cli_again(lua_State *L, bool linger);
/* Cancels that job, unless it was long ago. Forgets Ctrl-C. */
void cli_cancel_job(lua_State *L);

/* Calls MODULE.FUNCTION with the `arguments` on top of the stack, leaving `results`. False: it
 * raised, and the error was reported; `*status` is its exit status. */
bool cli_call(lua_State *L, const char *module, const char *function, int arguments, int results,
              int *status);

#endif
