/*
 * restricted.h - the shell for people who come by SSH and are to have the commands, and nothing
 * else of the machine: `vios --restricted` (for sshd's ForceCommand, and command= of
 * authorized_keys), and the program name `rvios` (a login shell).
 *
 *     vios --restricted [--role ROLE] [--socket PATH] [-c LINE | WORD ...]
 *
 * What is to be done is, in this order: the words, LINE, $SSH_ORIGINAL_COMMAND, or else the shell,
 * on a terminal or reading lines. A line is split by lua/words.h, and no other shell ever sees it;
 * it may begin with `vios`, `rvios` or `ioscli`. When sshd runs a forced command with the login
 * shell `rvios`, LINE is `vios --restricted ...` once more: of its options only --role counts,
 * which never gives more than the others said.
 *
 * `rpc` hands standard input and output to the daemon (rpc_pipe.h). What commands there are,
 * lua/restricted.lua says; what they may do, the daemon does.
 */
#ifndef SHELL_RESTRICTED_H
#define SHELL_RESTRICTED_H

#include <lua.h>
#include <stdbool.h>

/* By the program's name, or by its first argument. */
bool restricted_is_wanted(int argc, char *const *argv);

/* Before anything else: leaves the folder, and of the environment only what cannot name a file or a
 * program. */
void restricted_prepare(void);

/* The whole of it; an exit status. */
int restricted_run(lua_State *L, int argc, char **argv);

#endif
