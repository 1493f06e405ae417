/* client.c - see client.h. */
#include "lua/client.h"

#include "lua/ssh_library.h"

#include <stdlib.h>
#include <string.h>

#define SSH_SCHEME "ssh:"
/* Of the other machine: the program that is a pipe to its daemon. */
#define REMOTE_COMMAND "vios rpc"

static const char *ssh_name(const struct client *client)
{
    size_t size = strlen(SSH_SCHEME);
    return strncmp(client->address, SSH_SCHEME, size) == 0 ? client->address + size : NULL;
}

static const char *setting(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

int client_connect(struct client *client, const struct ssh_questions *questions,
                   struct operation *operation)
{
    const char *name = ssh_name(client);
    if (!name) {
        return operation_fail(operation, VIOS_E_USAGE, client->address, NULL,
                              "it is not reached by ssh");
    }
    if (client->host && client->ssh->host_alive(client->host)) {
        return VIOS_OK;
    }
    client_close_all(client);
    client->ssh = ssh_library(&operation->error);
    return client->ssh
               ? client->ssh->host_open(&client->host, name, setting("VIOS_SSH_CONFIG", NULL),
                                        questions, operation)
               : operation->error.code;
}

static int open_by_ssh(struct client *client, const struct ssh_questions *questions,
                       struct operation *operation)
{
    struct transport *transport;
    const char *command =
        client->command[0] ? client->command : setting("VIOS_REMOTE", REMOTE_COMMAND);
    int status = client_connect(client, questions, operation);
    if (status == VIOS_OK) {
        status = client->ssh->channel_transport(&transport, client->host, command, operation);
    }
    return status == VIOS_OK ? rpc_client_open_on(&client->rpc, transport,
                                                  client->ssh->host_name(client->host), operation)
                             : status;
}

int client_open(struct client *client, const struct ssh_questions *questions,
                struct operation *operation)
{
    if (client->rpc && rpc_client_alive(client->rpc)) {
        return VIOS_OK;
    }
    rpc_client_close(client->rpc);
    client->rpc = NULL;
    return ssh_name(client) ? open_by_ssh(client, questions, operation)
                            : rpc_client_open(&client->rpc, client->address, operation);
}

bool client_is_alive(struct client *client)
{
    return client->rpc && rpc_client_alive(client->rpc);
}

json_t *client_parameters(lua_State *L, int index)
{
    struct vios_error error;
    if (lua_isnoneornil(L, index)) {
        return json_object();
    }
    luaL_checktype(L, index, LUA_TTABLE);
    json_t *parameters = binding_to_json(L, index, &error);
    if (!parameters) {
        lua_pushfstring(L, "parameters: %s", error.message);
        lua_error(L);
    }
    if (json_is_array(parameters) && json_array_size(parameters) == 0) {
        json_decref(parameters);
        parameters = json_object();
    }
    return parameters;
}

void client_close_all(struct client *client)
{
    rpc_client_close(client->rpc);
    if (client->host) {
        client->ssh->host_close(client->host);
    }
    client->rpc = NULL;
    client->host = NULL;
}
