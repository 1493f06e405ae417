/*
 * tasks_binding.c - vios.tasks: calls to many clients at once.
 *
 *   local tasks <close> = vios.tasks.new()
 *   tasks:start{ client =, method =, parameters =, timeout_ms =, open_ms =,
 *                items = true, progress = true }          -> number, or nil, err
 *   tasks:start{ client =, command = "uptime", ... }      by the login shell there
 *   tasks:next()      waits: number, "done", result | nil, err
 *                            number, "item", value
 *                            number, "progress", table
 *                            number, "ask", prompt, echo  -> tasks:answer(number, text or nil)
 *                     nil when none runs
 *   tasks:count()     how many run
 *
 * Ctrl-C cancels them all, which next() then tells one by one. The clients are busy meanwhile.
 */
#include "lua/tasks.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define TASKS_TYPE "vios.tasks"
#define OPEN_MS_DEFAULT 10000

struct handle {
    struct tasks *tasks; /* NULL: closed */
};

static int tasks_binding_new(lua_State *L)
{
    struct handle *handle = lua_newuserdatauv(L, sizeof *handle, 1);
    handle->tasks = NULL;
    luaL_setmetatable(L, TASKS_TYPE);
    lua_newtable(L); /* number -> client, so that it is not collected */
    lua_setiuservalue(L, -2, 1);
    handle->tasks = tasks_new();
    return handle->tasks ? 1 : luaL_error(L, "no memory");
}

static struct tasks *check_tasks(lua_State *L)
{
    struct handle *handle = luaL_checkudata(L, 1, TASKS_TYPE);
    luaL_argcheck(L, handle->tasks != NULL, 1, "it is closed");
    return handle->tasks;
}

static const char *text_field(lua_State *L, const char *key)
{
    lua_getfield(L, 2, key); // stays on the stack, and so its text stays valid
    return lua_isnil(L, -1) ? NULL : luaL_checkstring(L, -1);
}

static int64_t integer_field(lua_State *L, const char *key, int64_t otherwise)
{
    lua_getfield(L, 2, key);
    int64_t value = luaL_optinteger(L, -1, otherwise);
    lua_pop(L, 1);
    return value;
}

static bool flag_field(lua_State *L, const char *key)
{
    lua_getfield(L, 2, key);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

static int tasks_binding_start(lua_State *L)
{
    struct tasks *tasks = check_tasks(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_getiuservalue(L, 1, 1);
    lua_getfield(L, 2, "client"); // [tasks, request, kept, client]
    struct client *client = luaL_checkudata(L, 4, CLIENT_TYPE);
    luaL_argcheck(L, !client->busy, 2, "the client is in use by a call");
    struct task_request request = {
        .client = client,
        .method = text_field(L, "method"),
        .command = text_field(L, "command"),
        .open_ms = integer_field(L, "open_ms", OPEN_MS_DEFAULT),
        .timeout_ms = integer_field(L, "timeout_ms", OPERATION_NO_DEADLINE),
        .wants_items = flag_field(L, "items"),
        .wants_progress = flag_field(L, "progress"),
    };
    luaL_argcheck(L, !request.method != !request.command, 2, "give a method or a command");
    lua_getfield(L, 2, "parameters");
    request.parameters = client_parameters(L, -1);
    struct vios_error error;
    int number = tasks_start(tasks, &request, &error);
    if (number < 0) {
        return binding_fail(L, &error);
    }
    lua_pushvalue(L, 4);
    lua_rawseti(L, 3, number);
    lua_pushinteger(L, number);
    return 1;
}

/* Waits for news; Ctrl-C cancels the tasks, whose ends are news too. */
static void wait_for_news(struct tasks *tasks)
{
    bool interrupted = interrupt_pending();
    if (interrupted) {
        tasks_cancel(tasks);
    }
    struct pollfd polls[2] = {
        {.fd = tasks_descriptor(tasks), .events = POLLIN},
        {.fd = interrupted ? -1 : cancel_descriptor(interrupt_cancel()), .events = POLLIN}};
    (void)poll(polls, 2, -1); /* a signal is as good a reason to look again */
}

static void push_output(lua_State *L, struct ssh_output *output)
{
    lua_createtable(L, 0, 4);
    lua_pushlstring(L, output->out ? output->out : "", output->out_size);
    lua_setfield(L, -2, "out");
    lua_pushlstring(L, output->err ? output->err : "", output->err_size);
    lua_setfield(L, -2, "err");
    lua_pushinteger(L, output->status);
    lua_setfield(L, -2, "status");
    lua_pushboolean(L, output->cut);
    lua_setfield(L, -2, "cut");
    ssh_output_free(output);
    free(output);
}

static void push_value(lua_State *L, json_t *value)
{
    binding_push_json(L, value);
    json_decref(value);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
    }
}

/* [number] -> [number, kind, values...]; how many there are then. */
static int push_told(lua_State *L, struct task_told *told)
{
    static const char *const kinds[] = {"done", "item", "progress", "ask"};
    lua_pushstring(L, kinds[told->news]);
    if (told->news == TASK_ASK) {
        lua_pushstring(L, told->prompt);
        lua_pushboolean(L, told->echo);
        return 4;
    }
    if (told->error.code != VIOS_OK) {
        return 2 + binding_fail(L, &told->error);
    }
    if (told->output) {
        push_output(L, told->output);
    } else {
        push_value(L, told->value);
    }
    return 3;
}

static int tasks_binding_next(lua_State *L)
{
    struct tasks *tasks = check_tasks(L);
    struct task_told told;
    lua_settop(L, 1);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    while (!tasks_take(tasks, &told)) {
        if (tasks_count(tasks) == 0) {
            return 0;
        }
        wait_for_news(tasks);
    }
    if (told.news == TASK_DONE) {
        lua_getiuservalue(L, 1, 1);
        lua_pushnil(L);
        lua_rawseti(L, -2, told.task);
    }
    lua_settop(L, 0);
    lua_pushinteger(L, told.task);
    return push_told(L, &told);
}

static int tasks_binding_answer(lua_State *L)
{
    struct tasks *tasks = check_tasks(L);
    tasks_answer(tasks, (int)luaL_checkinteger(L, 2), luaL_optstring(L, 3, NULL));
    return 0;
}

static int tasks_binding_count(lua_State *L)
{
    lua_pushinteger(L, tasks_count(check_tasks(L)));
    return 1;
}

static int tasks_binding_close(lua_State *L)
{
    struct handle *handle = luaL_checkudata(L, 1, TASKS_TYPE);
    tasks_free(handle->tasks);
    handle->tasks = NULL;
    return 0;
}

int luaopen_vios_tasks(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"start", tasks_binding_start},   {"next", tasks_binding_next},
        {"answer", tasks_binding_answer}, {"count", tasks_binding_count},
        {"close", tasks_binding_close},   {"__gc", tasks_binding_close},
        {"__close", tasks_binding_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"new", tasks_binding_new}, {NULL, NULL}};
    luaL_newmetatable(L, TASKS_TYPE);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    luaL_newlib(L, functions);
    return 1;
}
