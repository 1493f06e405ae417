/*
 * term_binding.c - vios.term: what a terminal is, how wide text is on it, safe text, and other
 * programs that show it.
 *
 *   is_tty(fd); text_width(text); escape(text); ask(question)
 *   size() -> lines and columns of the terminal at stdout; nil when it does not say
 *   page(command, file) -> status      a pager reads the file from its start; Ctrl-C is its own
 */
#include "lua/binding.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#define ANSWER_SIZE 256

static int term_is_tty(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

struct glyph {
    size_t bytes;
    int width; /* -1: a control character or not text */
};

static struct glyph next_glyph(const char *text, size_t size)
{
    wchar_t wide;
    mbstate_t state = {0};
    size_t bytes = mbrtowc(&wide, text, size, &state);
    if (bytes == 0 || bytes == (size_t)-1 || bytes == (size_t)-2) {
        return (struct glyph){1, -1};
    }
    return (struct glyph){bytes, wcwidth(wide)};
}

/* Cells that the text takes; a byte that is escaped counts as its four cells. */
static int term_text_width(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    lua_Integer width = 0;
    for (size_t at = 0; at < size;) {
        struct glyph glyph = next_glyph(text + at, size - at);
        width += glyph.width >= 0 ? glyph.width : 4 * (lua_Integer)glyph.bytes;
        at += glyph.bytes;
    }
    lua_pushinteger(L, width);
    return 1;
}

/* The text with control characters and bytes that are not text as \xNN. */
static int term_escape(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (size_t at = 0; at < size;) {
        struct glyph glyph = next_glyph(text + at, size - at);
        for (size_t i = 0; glyph.width < 0 && i < glyph.bytes; i++) {
            char escaped[5];
            snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned char)text[at + i]);
            luaL_addstring(&out, escaped);
        }
        if (glyph.width >= 0) {
            luaL_addlstring(&out, text + at, glyph.bytes);
        }
        at += glyph.bytes;
    }
    luaL_pushresult(&out);
    return 1;
}

static void set_echo(int fd, bool on)
{
    struct termios terminal;
    if (tcgetattr(fd, &terminal) == 0) {
        terminal.c_lflag = on ? terminal.c_lflag | ECHO : terminal.c_lflag & ~(tcflag_t)ECHO;
        tcsetattr(fd, TCSAFLUSH, &terminal);
    }
}

/* ask(question [, secret]): answered on the terminal and not on stdin: the line, or nil. What is
 * secret is not shown while it is typed. */
static int term_ask(lua_State *L)
{
    const char *question = luaL_checkstring(L, 1);
    bool secret = lua_toboolean(L, 2);
    char answer[ANSWER_SIZE];
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    ssize_t size = -1;
    if (fd >= 0 && secret) {
        set_echo(fd, false);
    }
    if (fd >= 0 && write(fd, question, strlen(question)) >= 0) {
        size = read(fd, answer, sizeof answer);
    }
    if (fd >= 0 && secret) {
        set_echo(fd, true);
        (void)!write(fd, "\n", 1);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (size <= 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushlstring(L, answer, (size_t)size - (answer[size - 1] == '\n'));
    explicit_bzero(answer, sizeof answer);
    return 1;
}

static int term_size(lua_State *L)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, size.ws_row);
    lua_pushinteger(L, size.ws_col);
    return 2;
}

int luaopen_vios_term(lua_State *L)
{
    static const luaL_Reg functions[] = {{"is_tty", term_is_tty},
                                         {"text_width", term_text_width},
                                         {"escape", term_escape},
                                         {"ask", term_ask},
                                         {"size", term_size},
                                         {"page", interrupt_page},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
