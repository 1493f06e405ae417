/*
 * rpc_binding.c - vios.rpc: a connection to a daemon.
 *
 *   local client <close> = assert(vios.rpc.open(address [, timeout_ms [, ask]]))
 *       address: "unix:/run/vios/vios.sock", or "ssh:[USER@]HOST" for the daemon there;
 *       ask(prompt, echo) -> text or nil, for what ssh wants to know
 *   vios.rpc.client(address [, command]) the same, not open yet: for vios.tasks, or for `open`;
 *                                        `command` is the pipe to the daemon there, if not the
 *                                        usual one
 *   client:open([timeout_ms [, ask]])    -> true, or nil, err; nothing when it is open
 *   client:busy()                        whether a call runs
 *   client:hello()                       what the daemon said: node, cluster, role, level
 *   client:alive()                       false once it is closed, from either end
 *   client:call(method, parameters [, {timeout_ms =, progress = function(table),
 *               item = function(value) return false to stop end, bytes = function(text, last),
 *               input = true (standard input is sent behind it)}])
 *       -> result, or nil, err
 *   client:console(method, parameters)   stdin and stdout are the other end's, raw when a
 *                                        terminal, until it ends or Ctrl-] is typed;
 *                                        when it is no terminal SIGINT ends it too
 *   client:close()
 *
 * An error has `job` when the call waits for one that goes on without it, as it does after Ctrl-C
 * and a time-out.
 *
 * Ctrl-C cancels a running call. A callback that fails ends its call, and its error is raised
 * once the connection is in order again.
 */
#include "lua/client.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define CONSOLE_ESCAPE 0x1d /* Ctrl-] */
#define OPEN_MS_DEFAULT 5000
#define JOB_SIZE 64
#define CALLBACK_STACK 16 /* slots that a callback and its values may take */

/* One running call, as its callbacks see it. */
struct running {
    lua_State *L;
    int progress, item, bytes; /* stack indices; 0: none */
    bool failed;               /* a callback raised: its error is on top of the stack */
    bool escaped;              /* Ctrl-] was typed */
    struct cancel *cancel;     /* of the call */
    char job[JOB_SIZE];        /* that the daemon waits for; "": none that it told */
};

static struct client *new_client(lua_State *L)
{
    size_t size;
    const char *address = luaL_checklstring(L, 1, &size);
    luaL_argcheck(L, size < CLIENT_ADDRESS_SIZE, 1, "the address is too long");
    struct client *client = lua_newuserdatauv(L, sizeof *client, 0);
    *client = (struct client){0};
    memcpy(client->address, address, size + 1);
    luaL_setmetatable(L, CLIENT_TYPE);
    return client;
}

static int rpc_client(lua_State *L)
{
    size_t size;
    const char *command = luaL_optlstring(L, 2, "", &size);
    luaL_argcheck(L, size < CLIENT_COMMAND_SIZE, 2, "the command is too long");
    memcpy(new_client(L)->command, command, size + 1);
    return 1;
}

/* The questions of ssh, to the Lua function at index 3. An error that it raises is no answer. */
static bool ask_function(void *context, const char *prompt, bool echo, char *text, size_t size)
{
    lua_State *L = context;
    int below = lua_gettop(L);
    lua_pushvalue(L, 3);
    lua_pushstring(L, prompt);
    lua_pushboolean(L, echo);
    bool answered = lua_pcall(L, 2, 1, 0) == LUA_OK && lua_type(L, -1) == LUA_TSTRING &&
                    lua_rawlen(L, -1) < size;
    if (answered) {
        memcpy(text, lua_tostring(L, -1), lua_rawlen(L, -1) + 1);
    }
    lua_settop(L, below);
    return answered;
}

/* client:open([timeout_ms [, ask]]) -> true, or nil, err */
static int client_open_now(lua_State *L)
{
    struct client *client = luaL_checkudata(L, 1, CLIENT_TYPE);
    luaL_argcheck(L, !client->busy, 1, "the connection is in use by a call");
    lua_Integer timeout_ms = luaL_optinteger(L, 2, OPEN_MS_DEFAULT);
    lua_settop(L, 3);
    struct ssh_questions questions = {ask_function, L};
    struct operation operation;
    operation_start(&operation, timeout_ms, interrupt_cancel());
    if (client_open(client, lua_isfunction(L, 3) ? &questions : NULL, &operation) != VIOS_OK) {
        return binding_fail(L, &operation.error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int rpc_open(lua_State *L)
{
    lua_settop(L, 3);
    new_client(L);
    lua_pushvalue(L, 4);
    lua_replace(L, 1); // [client, timeout_ms, ask, client]
    int count = client_open_now(L);
    if (count == 1) {
        lua_pushvalue(L, 1);
    }
    return count;
}

static struct client *check_client(lua_State *L)
{
    struct client *client = luaL_checkudata(L, 1, CLIENT_TYPE);
    luaL_argcheck(L, client->rpc != NULL, 1, "the connection is closed");
    luaL_argcheck(L, !client->busy, 1, "the connection is in use by a call");
    return client;
}

/* Whether the call may go on, and there is room for a callback. */
static bool may_call_back(const struct running *running)
{
    return !running->failed && !interrupt_pending() && lua_checkstack(running->L, CALLBACK_STACK);
}

/* Calls the function at `index` with the `count` values on top; false when it raised, or said so:
 * then the call is to end. */
static bool run_callback(struct running *running, int index, int count)
{
    lua_State *L = running->L;
    lua_pushvalue(L, index);
    lua_insert(L, -count - 1);
    if (lua_pcall(L, count, 1, 0) != LUA_OK) {
        running->failed = true; // [..., error]
        return false;
    }
    bool stops = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    lua_pop(L, 1);
    return !stops;
}

static void on_progress(void *context, const json_t *parameters)
{
    struct running *running = context;
    const char *job = json_get_text(parameters, "job");
    if (job && job[0]) {
        snprintf(running->job, sizeof running->job, "%s", job);
    }
    if (running->progress && may_call_back(running)) {
        binding_push_json(running->L, parameters);
        run_callback(running, running->progress, 1);
    }
}

static bool on_item(void *context, const json_t *value)
{
    struct running *running = context;
    if (!may_call_back(running)) {
        return false;
    }
    if (!running->item) {
        return true;
    }
    binding_push_json(running->L, value);
    return run_callback(running, running->item, 1);
}

static bool on_bytes(void *context, const void *data, size_t size, bool end)
{
    struct running *running = context;
    if (!may_call_back(running)) {
        return false;
    }
    if (!running->bytes) {
        return true;
    }
    lua_pushlstring(running->L, data, size);
    lua_pushboolean(running->L, end);
    return run_callback(running, running->bytes, 2);
}

static int callback_index(lua_State *L, int options, const char *key)
{
    if (lua_getfield(L, options, key) == LUA_TFUNCTION) {
        return lua_gettop(L);
    }
    luaL_argcheck(L, lua_isnil(L, -1), options, "a callback that is not a function");
    lua_pop(L, 1);
    return 0;
}

static int64_t timeout_of(lua_State *L, int options)
{
    int64_t timeout_ms = OPERATION_NO_DEADLINE;
    if (lua_getfield(L, options, "timeout_ms") != LUA_TNIL) {
        timeout_ms = luaL_checkinteger(L, -1);
    }
    lua_pop(L, 1);
    return timeout_ms;
}

/* Standard input goes to the method as bytes. */
static bool takes_input(lua_State *L, int options)
{
    lua_getfield(L, options, "input");
    bool takes = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return takes;
}

/* nil, err. One by Ctrl-C is also what is said when that ends all other Lua. */
static int fail_call(lua_State *L, const struct running *running, const struct operation *operation)
{
    int code = operation->error.code;
    bool left = (code == VIOS_E_CANCELLED && interrupt_pending()) ||
                (code == VIOS_E_TIMEOUT && operation_remaining_ms(operation) == 0);
    binding_fail(L, &operation->error); // [nil, err]
    if (left && running->job[0]) {
        lua_pushstring(L, running->job);
        lua_setfield(L, -2, "job");
        interrupt_says(L);
    }
    return 2;
}

static int client_call(lua_State *L)
{
    struct client *client = check_client(L);
    const char *method = luaL_checkstring(L, 2);
    lua_settop(L, 4);
    if (lua_isnil(L, 4)) {
        lua_newtable(L);
        lua_replace(L, 4);
    }
    struct operation operation;
    operation_start(&operation, timeout_of(L, 4), interrupt_cancel());
    struct running running = {.L = L, .cancel = operation.cancel};
    running.progress = callback_index(L, 4, "progress");
    running.item = callback_index(L, 4, "item");
    running.bytes = callback_index(L, 4, "bytes");
    struct rpc_handlers handlers = {.progress = on_progress,
                                    .item = on_item,
                                    .bytes = on_bytes,
                                    .input_fd = takes_input(L, 4) ? STDIN_FILENO : -1,
                                    .context = &running};
    json_t *parameters = client_parameters(L, 3), *result = NULL;
    client->busy = true;
    int status = rpc_client_call(client->rpc, method, parameters, &handlers, &result, &operation);
    client->busy = false;
    bool left = status == VIOS_E_CANCELLED && running.job[0] && interrupt_pending();
    if (running.failed && !left) { /* a callback that Ctrl-C ended is not what there is to tell */
        json_decref(result);
        return lua_error(L);
    }
    if (status != VIOS_OK) {
        return fail_call(L, &running, &operation);
    }
    binding_push_json(L, result);
    json_decref(result);
    if (lua_isnil(L, -1)) {
        lua_newtable(L);
    }
    return 1;
}

/* --- the console --- */

static bool console_bytes(void *context, const void *data, size_t size, bool end)
{
    (void)context;
    (void)end;
    const char *next = data;
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, next, size);
        if (written <= 0) {
            return false;
        }
        next += written;
        size -= (size_t)written;
    }
    return !interrupt_pending();
}

/* Ends the call at Ctrl-], sending what was typed before it to nobody. */
static ssize_t console_input(void *context, char *data, size_t size)
{
    struct running *running = context;
    if (memchr(data, CONSOLE_ESCAPE, size)) {
        running->escaped = true;
        cancel_trigger(running->cancel);
        return -1;
    }
    return (ssize_t)size;
}

static bool go_raw(struct termios *saved)
{
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, saved) != 0) {
        return false;
    }
    struct termios raw = *saved;
    cfmakeraw(&raw);
    return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static int client_console(lua_State *L)
{
    struct client *client = check_client(L);
    const char *method = luaL_checkstring(L, 2);
    json_t *parameters = client_parameters(L, 3), *result = NULL;
    struct running running = {.L = L, .cancel = interrupt_cancel()};
    struct rpc_handlers handlers = {.bytes = console_bytes,
                                    .input_fd = STDIN_FILENO,
                                    .input = console_input,
                                    .context = &running};
    struct operation operation;
    operation_start(&operation, OPERATION_NO_DEADLINE, running.cancel);
    struct termios saved;
    bool raw = go_raw(&saved);
    handlers.input = raw ? console_input : NULL;
    client->busy = true;
    int status = rpc_client_call(client->rpc, method, parameters, &handlers, &result, &operation);
    client->busy = false;
    if (raw) {
        console_bytes(&running, "\r\n", running.escaped ? 2 : 0, true);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
    }
    json_decref(result);
    if (running.escaped) {
        interrupt_renew_cancel();
    } else if (status != VIOS_OK) {
        return binding_fail(L, &operation.error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int client_hello(lua_State *L)
{
    struct client *client = check_client(L);
    binding_push_json(L, rpc_client_hello(client->rpc));
    return 1;
}

static int client_alive(lua_State *L)
{
    struct client *client = luaL_checkudata(L, 1, CLIENT_TYPE);
    lua_pushboolean(L, client->busy || client_is_alive(client));
    return 1;
}

static int client_busy(lua_State *L)
{
    struct client *client = luaL_checkudata(L, 1, CLIENT_TYPE);
    lua_pushboolean(L, client->busy);
    return 1;
}

static int client_close(lua_State *L)
{
    struct client *client = luaL_checkudata(L, 1, CLIENT_TYPE);
    if (!client->busy) {
        client_close_all(client);
    }
    return 0;
}

static int client_tostring(lua_State *L)
{
    struct client *client = luaL_checkudata(L, 1, CLIENT_TYPE);
    lua_pushfstring(L, "%s (%s)", CLIENT_TYPE, client->rpc ? "open" : "closed");
    return 1;
}

int luaopen_vios_rpc(lua_State *L)
{
    static const luaL_Reg methods[] = {{"call", client_call},
                                       {"console", client_console},
                                       {"hello", client_hello},
                                       {"open", client_open_now},
                                       {"busy", client_busy},
                                       {"alive", client_alive},
                                       {"close", client_close},
                                       {"__gc", client_close},
                                       {"__close", client_close},
                                       {"__tostring", client_tostring},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"open", rpc_open}, {"client", rpc_client}, {NULL, NULL}};
    luaL_newmetatable(L, CLIENT_TYPE);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    luaL_newlib(L, functions);
    return 1;
}
