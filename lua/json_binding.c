/*
 * json_binding.c - JSON values to and from Lua: vios.json.encode, decode, array, is_array, null.
 *
 * Objects are written with their keys sorted, after those of `order`, so that output is the
 * same byte for byte each time. Arrays carry a metatable, so that an empty one stays one.
 */
#include "lua/binding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_TYPE "vios.json.array"

static void push_value(lua_State *L, const json_t *json, int depth)
{
    luaL_checkstack(L, 4, "JSON nested too deeply");
    switch (depth > BINDING_JSON_DEPTH ? JSON_NULL : json_typeof(json)) {
    case JSON_OBJECT: {
        lua_createtable(L, 0, (int)json_object_size(json)); // [object]
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)json, key, value)
        {
            if (!json_is_null(value)) {
                push_value(L, value, depth + 1);
                lua_setfield(L, -2, key);
            }
        }
        break;
    }
    case JSON_ARRAY:
        lua_createtable(L, (int)json_array_size(json), 0); // [array]
        for (size_t i = 0; i < json_array_size(json); i++) {
            push_value(L, json_array_get(json, i), depth + 1);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        luaL_setmetatable(L, ARRAY_TYPE);
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(json));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(json));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(json));
        break;
    case JSON_NULL:
        lua_pushlightuserdata(L, NULL);
        break;
    }
}

void binding_push_json(lua_State *L, const json_t *json)
{
    if (json) {
        push_value(L, json, 0);
    } else {
        lua_pushnil(L);
    }
}

static json_t *to_value(lua_State *L, int index, int depth, struct vios_error *error);

static bool is_array(lua_State *L, int index)
{
    if (lua_getmetatable(L, index)) {
        luaL_getmetatable(L, ARRAY_TYPE);
        bool marked = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
        if (marked) {
            return true;
        }
    }
    return lua_rawlen(L, index) > 0;
}

static json_t *to_array(lua_State *L, int index, int depth, struct vios_error *error)
{
    json_t *array = json_array();
    size_t length = lua_rawlen(L, index);
    for (size_t i = 1; array && i <= length; i++) {
        lua_rawgeti(L, index, (lua_Integer)i); // [element]
        json_t *element = to_value(L, lua_gettop(L), depth + 1, error);
        lua_pop(L, 1);
        if (!element || json_array_append_new(array, element) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *to_object(lua_State *L, int index, int depth, struct vios_error *error)
{
    json_t *object = json_object();
    lua_pushnil(L);
    while (object && lua_next(L, index)) { // [key, value]
        json_t *value = NULL;
        if (lua_type(L, -2) != LUA_TSTRING) {
            error_set(error, VIOS_E_USAGE, NULL, NULL,
                      "a table with keys that are not text cannot become JSON");
        } else {
            value = to_value(L, lua_gettop(L), depth + 1, error);
        }
        if (!value || json_object_set_new(object, lua_tostring(L, -2), value) != 0) {
            lua_pop(L, 2);
            json_decref(object);
            return NULL;
        }
        lua_pop(L, 1);
    }
    return object;
}

static json_t *to_text(lua_State *L, int index, struct vios_error *error)
{
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    json_t *value = json_stringn(text, size);
    if (!value) {
        error_set(error, VIOS_E_USAGE, NULL, NULL, "text that is not UTF-8 cannot become JSON");
    }
    return value;
}

static json_t *to_number(lua_State *L, int index, struct vios_error *error)
{
    if (lua_isinteger(L, index)) {
        return json_integer(lua_tointeger(L, index));
    }
    json_t *value = json_real(lua_tonumber(L, index));
    if (!value) {
        error_set(error, VIOS_E_USAGE, NULL, NULL, "inf and nan cannot become JSON");
    }
    return value;
}

static json_t *to_value(lua_State *L, int index, int depth, struct vios_error *error)
{
    if (depth > BINDING_JSON_DEPTH || !lua_checkstack(L, 6)) {
        error_set(error, VIOS_E_USAGE, NULL, NULL, "more than %d levels of tables",
                  BINDING_JSON_DEPTH);
        return NULL;
    }
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return json_null();
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(L, index));
    case LUA_TNUMBER:
        return to_number(L, index, error);
    case LUA_TSTRING:
        return to_text(L, index, error);
    case LUA_TTABLE:
        return is_array(L, index) ? to_array(L, index, depth, error)
                                  : to_object(L, index, depth, error);
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L, index)) {
            return json_null();
        }
        break;
    default:
        break;
    }
    error_set(error, VIOS_E_USAGE, NULL, NULL, "a %s cannot become JSON",
              lua_typename(L, lua_type(L, index)));
    return NULL;
}

json_t *binding_to_json(lua_State *L, int index, struct vios_error *error)
{
    error_no_memory(error, NULL);
    return to_value(L, lua_absindex(L, index), 0, error);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool add_ordered(json_t *out, const json_t *in, const json_t *order);

/* Sorted copies: `order` is for this level and for objects in arrays of it. */
static json_t *ordered(const json_t *in, const json_t *order)
{
    if (json_is_array(in)) {
        json_t *out = json_array();
        for (size_t i = 0; i < json_array_size(in); i++) {
            json_array_append_new(out, ordered(json_array_get(in, i), order));
        }
        return out;
    }
    if (json_is_object(in)) {
        json_t *out = json_object();
        if (!add_ordered(out, in, order)) {
            json_decref(out);
            return NULL;
        }
        return out;
    }
    return json_incref((json_t *)in);
}

static bool add_ordered(json_t *out, const json_t *in, const json_t *order)
{
    for (size_t i = 0; i < json_array_size(order); i++) {
        const char *key = json_string_value(json_array_get(order, i));
        const json_t *value = key ? json_object_get(in, key) : NULL;
        if (value) {
            json_object_set_new(out, key, ordered(value, NULL));
        }
    }
    size_t count = 0;
    const char **keys = malloc((json_object_size(in) + 1) * sizeof *keys);
    if (!keys) {
        return false;
    }
    for (void *at = json_object_iter((json_t *)in); at;
         at = json_object_iter_next((json_t *)in, at)) {
        keys[count++] = json_object_iter_key(at);
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 0; i < count; i++) {
        if (!json_object_get(out, keys[i])) {
            json_object_set_new(out, keys[i], ordered(json_object_get(in, keys[i]), NULL));
        }
    }
    free((void *)keys);
    return true;
}

/* json.encode(value [, {indent = true, order = {keys}}]) */
static int json_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    struct vios_error error;
    json_t *order = NULL;
    size_t flags = JSON_ENCODE_ANY | JSON_COMPACT;
    if (lua_istable(L, 2)) {
        lua_getfield(L, 2, "indent");
        flags = lua_toboolean(L, -1) ? JSON_ENCODE_ANY | JSON_INDENT(2) : flags;
        lua_getfield(L, 2, "order");
        order = lua_istable(L, -1) ? binding_to_json(L, -1, &error) : NULL;
    }
    json_t *value = binding_to_json(L, 1, &error);
    json_t *sorted = value ? ordered(value, order) : NULL;
    char *text = sorted ? json_dumps(sorted, flags) : NULL;
    json_decref(sorted);
    json_decref(value);
    json_decref(order);
    if (!text) {
        return binding_fail(L, &error);
    }
    lua_pushstring(L, text); /* may raise on no memory: then `text` is lost with the process */
    free(text);
    return 1;
}

static int json_decode(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    json_error_t why;
    json_t *value = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
    if (!value) {
        struct vios_error error;
        error_set(&error, VIOS_E_CORRUPT, NULL, NULL, "not JSON: line %d: %s", why.line, why.text);
        return binding_fail(L, &error);
    }
    binding_push_json(L, value);
    json_decref(value);
    return 1;
}

/* json.array(table): marks it, so that it is an array even when empty. */
static int json_array_mark(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    luaL_setmetatable(L, ARRAY_TYPE);
    return 1;
}

static int json_is_array_table(lua_State *L)
{
    lua_pushboolean(L, lua_istable(L, 1) && is_array(L, 1));
    return 1;
}

int luaopen_vios_json(lua_State *L)
{
    static const luaL_Reg functions[] = {{"encode", json_encode},
                                         {"decode", json_decode},
                                         {"array", json_array_mark},
                                         {"is_array", json_is_array_table},
                                         {NULL, NULL}};
    luaL_newmetatable(L, ARRAY_TYPE);
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
