/* rpc_pipe.h - `vios rpc`: the daemon's socket on standard input and output, so that another
 * machine's vios speaks to it through ssh. */
#ifndef SHELL_RPC_PIPE_H
#define SHELL_RPC_PIPE_H

#include "base/operation.h"

#include <lua.h>

/* Carries bytes both ways until the daemon closes its side, or standard input has ended and all
 * was answered. `address` as for transport_connect(). */
int rpc_pipe(const char *address, struct operation *operation);

/* The same for Lua: rpc_pipe(address) -> true, or nil, err. */
int shell_rpc_pipe(lua_State *L);

#endif
