/* version.c - what this program is, and what it was built with. */
#include "shell/version.h"

#include "base/version.h"
#include "shell/cli.h"

#include <jansson.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The library does not say it: what pkg-config said when this was built. */
#ifndef LIBEDIT_VERSION
#define LIBEDIT_VERSION "unknown"
#endif

#define STATUS_FAILED 1
#define STATUS_USAGE 2

int version_print(lua_State *L, int count, char *const *words)
{
    const struct version_library libraries[] = {
        {"lua", LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE},
        {"libedit", LIBEDIT_VERSION},
        {"jansson", jansson_version_str()},
        {NULL, NULL}};
    const struct version version = {"vios", VIOS_COMMIT, VIOS_VARIANT, libraries, 0};
    bool as_json = count == 2 && strcmp(words[1], "--json") == 0;
    if (count > 1 && !as_json) {
        fprintf(stderr, "vios: unexpected word \"%s\": use: vios --version [--json]\n", words[1]);
        return STATUS_USAGE;
    }
    char *text = version_text(&version, as_json || cli_is_json(L));
    bool said = text && fputs(text, stdout) != EOF && fflush(stdout) == 0;
    free(text);
    return said ? 0 : STATUS_FAILED;
}
