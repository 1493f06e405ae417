/* fuzz_node_set.c - a set of nodes as typed: names within their limits, each once, or an error
 * value; and what they fold to means the same names again. */
#include "lua/binding.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Groups within groups, and one that is none. */
static const char CHECK[] =
    "local set = require('vios.node_set')\n"
    "local groups = { all = 'n[1-3]', a = '@b,x', b = '@a', c = '@all,!n2', list = { 'n7' } }\n"
    "local function group(name)\n"
    "  return groups[name], vios.error('not_found', 'none')\n"
    "end\n"
    "local function sorted(names)\n"
    "  local copy = table.move(names, 1, #names, 1, {})\n"
    "  table.sort(copy)\n"
    "  return table.concat(copy, ' ')\n"
    "end\n"
    "return function(text)\n"
    "  local names, err = set.expand(text, group)\n"
    "  if not names then\n"
    "    assert(type(err.message) == 'string' and err.code)\n"
    "    return\n"
    "  end\n"
    "  local seen = {}\n"
    "  for _, name in ipairs(names) do\n"
    "    assert(not seen[name] and #name <= 255)\n"
    "    seen[name] = true\n"
    "  end\n"
    "  assert(#names <= 4096)\n"
    "  if #names > 0 then\n"
    "    local again = assert(set.expand(set.fold(names), group))\n"
    "    assert(sorted(again) == sorted(names), set.fold(names))\n"
    "  end\n"
    "end\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lua_State *L;
    if (!L) {
        L = state_new();
        assert(L);
        assert(luaL_dostring(L, CHECK) == LUA_OK);
    }
    lua_pushvalue(L, 1); // [check, check]
    lua_pushlstring(L, (const char *)data, size);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
        abort();
    }
    return 0;
}
