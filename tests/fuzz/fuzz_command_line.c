/* fuzz_command_line.c - a typed line: split into words within its limits, and parsed by the
 * command rows. Whatever it is, it is a command or an error value: nothing raises. */
#include "lua/binding.h"
#include "lua/words.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(const struct words *words, size_t size)
{
    assert(words->count <= WORDS_MAX);
    assert(words->last_start <= size);
    for (size_t i = 0; i < words->count; i++) {
        assert(strlen(words->text + words->at[i]) <= 2 * size);
        assert(words->spans[i].begin < words->spans[i].end && words->spans[i].end <= size);
    }
}

/* parser.parse(words) -> a parse with its globals, or nil and an error with a message */
static void parse(lua_State *L, const struct words *words)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, "vios.parser");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "parse");
    lua_createtable(L, (int)words->count, 0);
    for (size_t i = 0; i < words->count; i++) {
        lua_pushstring(L, words->text + words->at[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    if (lua_pcall(L, 1, 2, 0) != LUA_OK) {
        fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
        abort();
    }
    if (lua_istable(L, -2)) {
        assert(lua_getfield(L, -2, "globals") == LUA_TTABLE);
    } else {
        assert(lua_getfield(L, -1, "message") == LUA_TSTRING);
    }
    lua_settop(L, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lua_State *L;
    if (!L) {
        L = state_new();
        assert(L);
    }
    struct words words;
    struct vios_error error;
    if (words_split(&words, (const char *)data, size, &error) != VIOS_OK) {
        assert(error.code == VIOS_E_USAGE && error.message[0]);
        return 0;
    }
    check_words(&words, size);
    parse(L, &words);
    words_free(&words);
    return 0;
}
