/* state.c - a Lua state with the bindings and the embedded files of vios. */
#include "lua/binding.h"

#include <lualib.h>
#include <stdio.h>
#include <string.h>

static const struct embedded_file *find_file(const char *name)
{
    for (size_t i = 0; i < EMBEDDED_FILE_COUNT; i++) {
        if (strcmp(EMBEDDED_FILES[i].name, name) == 0) {
            return &EMBEDDED_FILES[i];
        }
    }
    return NULL;
}

static int load_file(lua_State *L, const struct embedded_file *file)
{
    char chunk[96];
    snprintf(chunk, sizeof chunk, "@lua/%s.lua", file->name);
    return luaL_loadbufferx(L, file->begin, (size_t)(file->end - file->begin), chunk, "t");
}

/* package.searchers: "vios.X" is lua/X.lua, whatever files are in package.path. */
static int search_embedded(lua_State *L)
{
    const char *module = luaL_checkstring(L, 1);
    const struct embedded_file *file =
        strncmp(module, "vios.", 5) == 0 ? find_file(module + 5) : NULL;
    if (!file) {
        lua_pushfstring(L, "no embedded file for '%s'", module);
        return 1;
    }
    if (load_file(L, file) != LUA_OK) {
        return lua_error(L);
    }
    return 1;
}

static void add_bindings(lua_State *L)
{
    static const luaL_Reg bindings[] = {{"vios.errors", luaopen_vios_errors},
                                        {"vios.json", luaopen_vios_json},
                                        {"vios.term", luaopen_vios_term},
                                        {"vios.words", luaopen_vios_words},
                                        {"vios.os", luaopen_vios_os},
                                        {"vios.rpc", luaopen_vios_rpc},
                                        {"vios.parse", luaopen_vios_parse},
                                        {"vios.tasks", luaopen_vios_tasks},
                                        {NULL, NULL}};
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    luaL_setfuncs(L, bindings, 0);
    lua_pop(L, 1);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers"); // [package, searchers]
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i > 1; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushcfunction(L, search_embedded);
    lua_rawseti(L, -2, 2); // behind package.preload, which has the bindings
    lua_pop(L, 2);
}

lua_State *state_new(void)
{
    lua_State *L = luaL_newstate();
    if (!L) {
        return NULL;
    }
    luaL_openlibs(L);
    lua_getglobal(L, "os");
    lua_pushcfunction(L, interrupt_execute);
    lua_setfield(L, -2, "execute");
    lua_pop(L, 1);
    add_bindings(L);
    luaL_requiref(L, "vios.json", luaopen_vios_json, 0);
    lua_pop(L, 1);
    luaL_requiref(L, "vios.errors", luaopen_vios_errors, 0); /* others make errors */
    lua_pop(L, 1);
    const struct embedded_file *start = find_file("vios");
    if (!start || load_file(L, start) != LUA_OK || lua_pcall(L, 0, 0, 0) != LUA_OK) {
        fprintf(stderr, "vios: %s\n", start ? lua_tostring(L, -1) : "lua/vios.lua is missing");
        lua_close(L);
        return NULL;
    }
    return L;
}
