/* cli.c - the calls into lua/cli.lua, and the one place that reports what they raise. */
#include "shell/cli.h"

#include "lua/binding.h"

#include <stdio.h>
#include <string.h>

#define AGAIN_MS 2000 /* as lua/detached.lua has it */

static int typed; /* how often Ctrl-C was, before report() had to forget it */

/* [..., function arguments...] -> require(module)[function](arguments...) */
static int call_protected(lua_State *L)
{
    const char *module = lua_touserdata(L, 1);
    const char *function = lua_touserdata(L, 2);
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, function);
    lua_replace(L, 2); // [module name, function, arguments..., module]
    lua_pop(L, 1);
    lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
    return lua_gettop(L) - 1;
}

/* [error] -> [status], by lua/cli.lua */
static int report_protected(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, "vios.cli");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "report");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/*
 * The error on top, to stderr; pops it. Ctrl-C must be forgotten before, since reporting is Lua
 * too; when it is typed again meanwhile, there is only one thing left to say.
 */
static int report(lua_State *L)
{
    bool was_interrupted = interrupt_pending();
    int status = 1, below = lua_gettop(L) - 1;
    typed += interrupt_count();
    interrupt_begin(L);
    lua_pushcfunction(L, report_protected);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
        status = (int)lua_tointeger(L, -1);
    } else {
        fprintf(stderr, "vios: %s\n",
                interrupt_pending() ? "interrupted" : luaL_tolstring(L, -1, NULL));
        was_interrupted = was_interrupted || interrupt_pending();
    }
    lua_settop(L, below);
    return was_interrupted ? CLI_INTERRUPTED : status;
}

bool cli_call(lua_State *L, const char *module, const char *function, int arguments, int results,
              int *status)
{
    lua_pushcfunction(L, call_protected);
    lua_insert(L, -arguments - 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)module);
    lua_insert(L, -arguments - 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)function);
    lua_insert(L, -arguments - 1);
    if (lua_pcall(L, arguments + 2, results, 0) == LUA_OK) {
        return true;
    }
    *status = report(L);
    return false;
}

/* A call whose result is a status, or "more". */
static int run(lua_State *L, const char *function, int arguments)
{
    int status;
    if (cli_call(L, "vios.cli", function, arguments, 1, &status)) {
        status = lua_isinteger(L, -1) ? (int)lua_tointeger(L, -1) : CLI_MORE;
        lua_pop(L, 1);
    }
    if (fflush(stdout) != 0 && status == 0) {
        perror("vios: stdout");
        status = 1;
    }
    return interrupt_pending() ? CLI_INTERRUPTED : status;
}

static void push_words(lua_State *L, int count, char *const *words)
{
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushstring(L, words[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

int cli_command(lua_State *L, int count, char *const *words)
{
    push_words(L, count, words);
    return run(L, "command", 1);
}

int cli_line(lua_State *L, const char *text, bool last)
{
    lua_pushstring(L, text);
    lua_pushstring(L, "=vios");
    lua_pushboolean(L, last);
    return run(L, "line", 3);
}

int cli_complete(lua_State *L, const char *text)
{
    int status;
    lua_pushstring(L, text);
    if (cli_call(L, "vios.cli", "is_complete", 1, 1, &status)) {
        status = lua_toboolean(L, -1) ? 0 : CLI_MORE;
        lua_pop(L, 1);
    }
    return status;
}

int cli_expression(lua_State *L, const char *code)
{
    lua_pushstring(L, code);
    return run(L, "expression", 1);
}

int cli_script(lua_State *L, int count, char *const *words)
{
    lua_pushstring(L, words[0]);
    push_words(L, count - 1, words + 1);
    lua_pushstring(L, words[0]);
    lua_rawseti(L, -2, 0);
    return run(L, "script", 2);
}

int cli_stdin(lua_State *L)
{
    lua_getglobal(L, "io");
    lua_getfield(L, -1, "stdin");
    lua_remove(L, -2);
    lua_pushstring(L, "stdin");
    return run(L, "lines", 2);
}

void cli_cancel_job(lua_State *L)
{
    int status;
    interrupt_begin(L);
    cli_call(L, "vios.detached", "cancel", 0, 0, &status);
    typed = 0;
}

void cli_again(lua_State *L, bool linger)
{
    int status;
    bool again = typed + interrupt_count() > 1;
    typed = 0;
    interrupt_begin(L);
    if (!again && linger && cli_call(L, "vios.detached", "is_recent", 0, 1, &status)) {
        struct operation operation;
        operation_start(&operation, lua_toboolean(L, -1) ? AGAIN_MS : 0, interrupt_cancel());
        lua_pop(L, 1);
        again = operation_wait(&operation, -1, 0) == VIOS_E_CANCELLED;
    }
    if (again) {
        cli_cancel_job(L);
    }
}

int cli_leading(lua_State *L, int count, char *const *words)
{
    int status;
    push_words(L, count, words);
    if (!cli_call(L, "vios.cli", "leading", 1, 2, &status)) {
        return -status;
    }
    int used = (int)lua_tointeger(L, -2);
    int failed = (int)lua_tointeger(L, -1);
    lua_pop(L, 2);
    return failed ? -failed : used;
}

bool cli_is_json(lua_State *L)
{
    int status;
    if (!cli_call(L, "vios.cli", "is_json", 0, 1, &status)) {
        return false;
    }
    bool json = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return json;
}
