/* error_binding.c - errors as Lua values: tables with code, message, object, hint. */
#include "lua/binding.h"

#include <stdio.h>
#include <string.h>

#define ERROR_TYPE "vios.error"

static void set_text(lua_State *L, const char *key, const char *text)
{
    if (text[0]) {
        lua_pushstring(L, text);
        lua_setfield(L, -2, key);
    }
}

void binding_push_error(lua_State *L, const struct vios_error *error)
{
    lua_createtable(L, 0, 4); // [err]
    set_text(L, "code", error_name(error->code));
    set_text(L, "message", error->message);
    set_text(L, "object", error->object);
    set_text(L, "hint", error->hint);
    luaL_setmetatable(L, ERROR_TYPE);
}

int binding_fail(lua_State *L, const struct vios_error *error)
{
    lua_pushnil(L);
    binding_push_error(L, error); // [nil, err]
    return 2;
}

/* errors.new(code, message [, {object=, hint=}]) */
static int errors_new(lua_State *L)
{
    luaL_checkstring(L, 1);
    luaL_checkstring(L, 2);
    lua_createtable(L, 0, 4); // [err]
    int error = lua_gettop(L);
    lua_pushvalue(L, 1);
    lua_setfield(L, error, "code");
    lua_pushvalue(L, 2);
    lua_setfield(L, error, "message");
    if (lua_istable(L, 3)) {
        lua_getfield(L, 3, "object");
        lua_setfield(L, error, "object");
        lua_getfield(L, 3, "hint");
        lua_setfield(L, error, "hint");
    }
    luaL_setmetatable(L, ERROR_TYPE);
    return 1;
}

static int errors_exit_status(lua_State *L)
{
    lua_pushinteger(L, error_exit_status(error_code(luaL_checkstring(L, 1))));
    return 1;
}

static int errors_is(lua_State *L)
{
    bool same = false;
    if (lua_istable(L, 1) && lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, ERROR_TYPE);
        same = lua_rawequal(L, -1, -2);
    }
    lua_pushboolean(L, same);
    return 1;
}

static void add_field(lua_State *L, luaL_Buffer *line, const char *key, const char *separator)
{
    if (lua_getfield(L, 1, key) == LUA_TSTRING) {
        luaL_addvalue(line);
        luaL_addstring(line, separator);
    } else {
        lua_pop(L, 1);
    }
}

static int error_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    bool hint = lua_getfield(L, 1, "hint") == LUA_TSTRING;
    size_t length = 0;
    const char *message =
        lua_getfield(L, 1, "message") == LUA_TSTRING ? lua_tolstring(L, -1, &length) : "";
    bool asks = length > 0 && message[length - 1] == '?';
    lua_pop(L, 2);
    luaL_Buffer line;
    luaL_buffinit(L, &line);
    add_field(L, &line, "object", ": ");
    add_field(L, &line, "message", !hint ? "" : asks ? " " : ": ");
    add_field(L, &line, "hint", "");
    luaL_pushresult(&line);
    return 1;
}

int luaopen_vios_errors(lua_State *L)
{
    static const luaL_Reg methods[] = {{"__tostring", error_tostring}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"new", errors_new}, {"exit_status", errors_exit_status}, {"is", errors_is}, {NULL, NULL}};
    luaL_newmetatable(L, ERROR_TYPE);
    luaL_setfuncs(L, methods, 0);
    luaL_newlib(L, functions);
    return 1;
}
