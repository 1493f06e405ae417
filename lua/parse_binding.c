/*
 * parse_binding.c - vios.parse: the words of users, checked by the same code as in the core.
 * size (in bytes), duration (in ms) and integer [, minimum, maximum] give the value, or nil, err.
 */
#include "base/parse.h"
#include "lua/binding.h"

static int parse_size_text(lua_State *L)
{
    struct vios_error error;
    uint64_t bytes;
    if (parse_size(luaL_checkstring(L, 1), &bytes, &error) != VIOS_OK) {
        return binding_fail(L, &error);
    }
    lua_pushinteger(L, (lua_Integer)bytes);
    return 1;
}

static int parse_duration_text(lua_State *L)
{
    struct vios_error error;
    int64_t ms;
    if (parse_duration(luaL_checkstring(L, 1), &ms, &error) != VIOS_OK) {
        return binding_fail(L, &error);
    }
    lua_pushinteger(L, ms);
    return 1;
}

static int parse_integer_text(lua_State *L)
{
    struct vios_error error;
    int64_t value;
    if (parse_integer(luaL_checkstring(L, 1), luaL_optinteger(L, 2, INT64_MIN),
                      luaL_optinteger(L, 3, INT64_MAX), &value, &error) != VIOS_OK) {
        return binding_fail(L, &error);
    }
    lua_pushinteger(L, value);
    return 1;
}

int luaopen_vios_parse(lua_State *L)
{
    static const luaL_Reg functions[] = {{"size", parse_size_text},
                                         {"duration", parse_duration_text},
                                         {"integer", parse_integer_text},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
