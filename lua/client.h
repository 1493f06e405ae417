/*
 * client.h - a client as Lua has it (rpc_binding.c), for the bindings that use one on threads.
 *
 * It is a daemon's socket on this machine, or a daemon on another one by ssh; then it is the ssh
 * session too, which also runs plain commands. One call at a time; on which thread is no matter.
 */
#ifndef LUA_CLIENT_H
#define LUA_CLIENT_H

#include "lua/binding.h"
#include "net/rpc.h"
#include "ssh/library.h"

#define CLIENT_TYPE "vios.rpc_client"
#define CLIENT_ADDRESS_SIZE 512 /* with its NUL */
#define CLIENT_COMMAND_SIZE 512 /* likewise */

struct client {
    char address[CLIENT_ADDRESS_SIZE]; /* "unix:/path", "ssh:[USER@]HOST" */
    char command[CLIENT_COMMAND_SIZE]; /* there, the pipe to its daemon; "": the usual one */
    const struct ssh_library *ssh;     /* of the latter, once it was connected */
    struct ssh_host *host;             /* likewise; NULL: not connected */
    struct rpc_client *rpc;            /* NULL: closed */
    bool busy;                         /* within a call: no second one, no close */
};

/* Connects the ssh session, when it has one that is not. */
int client_connect(struct client *client, const struct ssh_questions *questions,
                   struct operation *operation);

/* Connects and says hello, unless it has. */
int client_open(struct client *client, const struct ssh_questions *questions,
                struct operation *operation);

/* Whether it is open and nobody has closed it at the other end. */
bool client_is_alive(struct client *client);

/* The parameters of a call, at `index`, as an object; nil gives an empty one. Raises on misuse,
 * before anything is held. */
json_t *client_parameters(lua_State *L, int index);

/* Closes whatever is open, session and all. */
void client_close_all(struct client *client);

#endif
