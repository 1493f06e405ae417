/*
 * rpc_pipe.h - the daemon's socket as standard input and output: what comes in goes to the daemon,
 * and what it says comes out, unread. So other programs speak RPC (core/net/rpc.h) through SSH.
 */
#ifndef SHELL_RPC_PIPE_H
#define SHELL_RPC_PIPE_H

#include <lua.h>

/* Until either side ends. `role` (may be NULL) and `from` ("": unknown) limit it
 * first, by rpc.limit: when the daemon does not agree, nothing is passed. Returns an exit status,
 * having said on stderr what went wrong. */
int rpc_pipe(const char *socket_path, const char *role, const char *from);

/* The same for Lua, without a role: rpc_pipe(socket_path) -> an exit status. */
int shell_rpc_pipe(lua_State *L);

#endif
