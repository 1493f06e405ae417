/* words.c - the command line splitter, and its binding vios.words.split. */
#include "lua/words.h"
#include "lua/binding.h"

#include <stdlib.h>
#include <string.h>

struct scan {
    const char *line;
    size_t size, position;
    size_t used; /* of words->text */
    struct words *words;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void put(struct scan *scan, char c)
{
    scan->words->text[scan->used++] = c;
}

/* Behind a backslash: within double quotes it only takes \ and ". */
static void take_escaped(struct scan *scan, bool quoted)
{
    if (scan->position == scan->size) {
        scan->words->open = true;
        return;
    }
    char c = scan->line[scan->position++];
    if (quoted && c != '"' && c != '\\') {
        put(scan, '\\');
    }
    put(scan, c);
}

static void take_quoted(struct scan *scan, char quote)
{
    while (scan->position < scan->size) {
        char c = scan->line[scan->position++];
        if (c == quote) {
            return;
        }
        if (c == '\\' && quote == '"') {
            take_escaped(scan, true);
        } else {
            put(scan, c);
        }
    }
    scan->words->open = true;
}

static void take_word(struct scan *scan)
{
    struct words *words = scan->words;
    words->last_start = scan->position;
    words->in_word = true;
    words->spans[words->count].begin = scan->position;
    words->at[words->count++] = scan->used;
    while (scan->position < scan->size && !is_blank(scan->line[scan->position])) {
        char c = scan->line[scan->position++];
        if (c == '\'' || c == '"') {
            take_quoted(scan, c);
        } else if (c == '\\') {
            take_escaped(scan, false);
        } else {
            put(scan, c);
        }
    }
    words->spans[words->count - 1].end = scan->position;
    put(scan, '\0');
}

static int split(struct scan *scan, struct vios_error *error)
{
    struct words *words = scan->words;
    while (scan->position < scan->size) {
        if (is_blank(scan->line[scan->position])) {
            scan->position++;
            words->in_word = false;
            words->last_start = scan->position;
            continue;
        }
        if (scan->line[scan->position] == '#') {
            words->in_word = false;
            words->last_start = scan->size;
            return VIOS_OK;
        }
        if (words->count == WORDS_MAX) {
            return error_set(error, VIOS_E_USAGE, NULL, NULL, "more than %d words", WORDS_MAX);
        }
        take_word(scan);
    }
    return VIOS_OK;
}

int words_split(struct words *words, const char *line, size_t size, struct vios_error *error)
{
    *words = (struct words){0};
    if (size > WORDS_LINE_MAX) {
        return error_set(error, VIOS_E_USAGE, NULL, NULL, "a line of more than %d bytes",
                         WORDS_LINE_MAX);
    }
    if (memchr(line, '\0', size)) {
        return error_set(error, VIOS_E_USAGE, NULL, NULL, "a NUL byte in the line");
    }
    words->text = malloc(2 * size + 1); /* a word of n bytes takes at most n + 1, one blank aside */
    words->at = malloc(WORDS_MAX * sizeof *words->at);
    words->spans = malloc(WORDS_MAX * sizeof *words->spans);
    if (!words->text || !words->at || !words->spans) {
        words_free(words);
        return error_no_memory(error, NULL);
    }
    struct scan scan = {.line = line, .size = size, .words = words};
    int status = split(&scan, error);
    if (status != VIOS_OK) {
        words_free(words);
    }
    return status;
}

void words_free(struct words *words)
{
    if (words) {
        free(words->text);
        free(words->at);
        free(words->spans);
        *words = (struct words){0};
    }
}

/* Makes `words` belong to the Lua state, so that an error while pushing frees them. */
static int words_gc(lua_State *L)
{
    words_free(luaL_checkudata(L, 1, "vios.words"));
    return 0;
}

/* A list of where the words begin, or of their last bytes, both counted from 1. */
static void push_positions(lua_State *L, const struct words *words, bool ends)
{
    lua_createtable(L, (int)words->count, 0);
    for (size_t i = 0; i < words->count; i++) {
        lua_pushinteger(L, (lua_Integer)(ends ? words->spans[i].end : words->spans[i].begin + 1));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* words.split(line) -> list, {open =, in_word =, start =, begins = {}, ends = {}}: `start` is where
 * the last word begins, `begins` and `ends` are the first and the last byte of each, from 1 */
static int split_line(lua_State *L)
{
    size_t size;
    const char *line = luaL_checklstring(L, 1, &size);
    struct words *words = lua_newuserdatauv(L, sizeof *words, 0);
    *words = (struct words){0};
    luaL_setmetatable(L, "vios.words");
    struct vios_error error;
    if (words_split(words, line, size, &error) != VIOS_OK) {
        return binding_fail(L, &error);
    }
    lua_createtable(L, (int)words->count, 0); // [words, list]
    for (size_t i = 0; i < words->count; i++) {
        lua_pushstring(L, words->text + words->at[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_createtable(L, 0, 5); // [words, list, info]
    lua_pushboolean(L, words->open);
    lua_setfield(L, -2, "open");
    lua_pushboolean(L, words->in_word);
    lua_setfield(L, -2, "in_word");
    lua_pushinteger(L, (lua_Integer)words->last_start + 1);
    lua_setfield(L, -2, "start");
    push_positions(L, words, false);
    lua_setfield(L, -2, "begins");
    push_positions(L, words, true);
    lua_setfield(L, -2, "ends");
    words_free(words);
    return 2;
}

int luaopen_vios_words(lua_State *L)
{
    static const luaL_Reg methods[] = {{"__gc", words_gc}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"split", split_line}, {NULL, NULL}};
    luaL_newmetatable(L, "vios.words");
    luaL_setfuncs(L, methods, 0);
    luaL_newlib(L, functions);
    return 1;
}
