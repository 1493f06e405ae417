/* sandbox.c - see sandbox.h. */
#include "lua/place/sandbox.h"

#include "base/utf8.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* --- the limits --- */

static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    size_t *used = context;
    size_t before = block ? old_size : 0; /* for a new one that is its type */
    if (size == 0) {
        free(block);
        *used -= before;
        return NULL;
    }
    if (size > before && size - before > SANDBOX_MEMORY_MAX - *used) {
        return NULL;
    }
    void *moved = realloc(block, size);
    if (moved) {
        *used += size - before;
    }
    return moved;
}

static void stop_it(lua_State *L, lua_Debug *activation)
{
    (void)activation;
    luaL_where(L, 0);
    lua_pushfstring(L, "more than %d instructions", SANDBOX_INSTRUCTIONS_MAX);
    lua_concat(L, 2);
    lua_error(L);
}

/* --- what the chunk sees --- */

static const char *const BASE[] = {"assert", "error",    "ipairs",   "next", "pairs",
                                   "select", "tonumber", "tostring", "type"};

static const luaL_Reg LIBRARIES[] = {
    {LUA_MATHLIBNAME, luaopen_math},
    {LUA_STRLIBNAME, luaopen_string},
    {LUA_TABLIBNAME, luaopen_table},
};

/* The globals become a new table: what is not put into it cannot be reached. */
static void make_globals(lua_State *L)
{
    lua_newtable(L);
    luaL_requiref(L, LUA_GNAME, luaopen_base, 0); // [globals, base]
    for (size_t i = 0; i < sizeof BASE / sizeof BASE[0]; i++) {
        lua_getfield(L, -1, BASE[i]);
        lua_setfield(L, -3, BASE[i]);
    }
    lua_pop(L, 1);
    for (size_t i = 0; i < sizeof LIBRARIES / sizeof LIBRARIES[0]; i++) {
        luaL_requiref(L, LIBRARIES[i].name, LIBRARIES[i].func, 0); // [globals, library]
        lua_pushnil(L);
        lua_setfield(L, -2, "dump"); /* also of the strings' metatable: it is the same table */
        lua_setfield(L, -2, LIBRARIES[i].name);
    }
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

static void push(lua_State *L, const json_t *value)
{
    size_t i;
    const char *key;
    json_t *member;
    luaL_checkstack(L, 4, NULL);
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        lua_newtable(L);
        json_object_foreach((json_t *)value, key, member)
        {
            push(L, member);
            lua_setfield(L, -2, key);
        }
        return;
    case JSON_ARRAY:
        lua_newtable(L);
        json_array_foreach(value, i, member)
        {
            push(L, member);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        return;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        return;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(value));
        return;
    default:
        lua_pushnil(L); /* the daemon sends nothing else */
    }
}

/* --- asking --- */

static bool is_among(const json_t *nodes, const char *name, size_t length)
{
    size_t i;
    const json_t *node;
    json_array_foreach(nodes, i, node)
    {
        const json_t *its = json_object_get(node, "node");
        if (json_string_length(its) == length &&
            memcmp(json_string_value(its), name, length) == 0) {
            return true;
        }
    }
    return false;
}

/* The result on the stack stays there, or is an error. */
static void check_result(lua_State *L, const json_t *nodes)
{
    size_t length;
    if (lua_isnil(L, -1)) {
        return;
    }
    if (lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "it returned a %s, not a node's name or nil", luaL_typename(L, -1));
    }
    const char *name = lua_tolstring(L, -1, &length);
    if (!is_among(nodes, name, length)) {
        luaL_error(L, "it returned \"%s\", which is none of the nodes", name);
    }
}

/* question -> the result */
static int run(lua_State *L)
{
    const json_t *question = lua_touserdata(L, 1);
    const json_t *text = json_object_get(question, "text"), *lpar, *nodes;
    make_globals(L);
    lua_sethook(L, stop_it, LUA_MASKCOUNT, SANDBOX_INSTRUCTIONS_MAX);
    if (luaL_loadbufferx(L, json_string_value(text), json_string_length(text), "=placement", "t") !=
        LUA_OK) {
        return lua_error(L);
    }
    lua_call(L, 0, 1);
    if (!lua_isfunction(L, -1)) {
        return luaL_error(L, "the chunk returns a %s, not a function", luaL_typename(L, -1));
    }
    lpar = json_object_get(question, "lpar");
    nodes = json_object_get(question, "nodes");
    if (!lpar) {
        lua_pushnil(L);
        return 1;
    }
    push(L, lpar);
    push(L, nodes); // [..., function, lpar, nodes]
    lua_call(L, 2, 1);
    check_result(L, nodes);
    return 1;
}

/* Whatever it is, as text for a line of a log. */
static json_t *error_answer(const char *text)
{
    char plain[SANDBOX_ERROR_SIZE];
    size_t at = 0, length;
    while (*text && at < sizeof plain - 4) {
        length = utf8_length(text);
        if (length == 0 || (unsigned char)*text < ' ' || *text == 0x7f) {
            plain[at++] = '?';
            text++;
        } else {
            memcpy(plain + at, text, length);
            at += length;
            text += length;
        }
    }
    plain[at] = '\0';
    return json_pack("{s:s}", "error", plain);
}

static json_t *answer_of(lua_State *L, int status)
{
    if (status == LUA_ERRMEM) {
        return json_pack("{s:o}", "error",
                         json_sprintf("more than %d MiB of memory", SANDBOX_MEMORY_MAX >> 20));
    }
    if (status != LUA_OK) {
        bool is_text = lua_type(L, -1) == LUA_TSTRING;
        return error_answer(is_text ? lua_tostring(L, -1) : "it raised an error that is no text");
    }
    return json_pack("{s:s?}", "node", lua_tostring(L, -1));
}

json_t *sandbox_answer(const json_t *question)
{
    size_t used = 0;
    if (!json_is_string(json_object_get(question, "text"))) {
        return error_answer("there is no text of a function");
    }
    lua_State *L = lua_newstate(allocate, &used);
    if (!L) {
        return NULL;
    }
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, (void *)question);
    json_t *answer = answer_of(L, lua_pcall(L, 1, 1, 0));
    lua_close(L);
    return answer;
}
