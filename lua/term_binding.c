/*
 * term_binding.c - vios.term: what a terminal is, how wide text is on it, safe text, and what a
 * full-screen view needs of it.
 *
 *   is_tty(fd); text_width(text); escape(text); ask(question [, secret])
 *   size() -> lines and columns of the terminal at stdout; nil when it does not say
 *   raw(true) -> true; nil, err        keys come at once and unseen, Ctrl-Z too; Ctrl-C interrupts
 *   raw(false)                         undoes it, and may come twice
 *   wait(timeout_ms) -> "keys", text   what was typed
 *                       "resize"       the terminal has another size
 *                       "interrupt"    Ctrl-C, which is forgotten with this
 *                       "end"          no terminal any more
 *                       nil            nothing, for so long
 *   write(text) -> true; nil, err      to stdout, past the buffer of io.write, in one piece
 *   page(command, file) -> status      a pager reads the file from its start; Ctrl-C is its own
 */
#include "lua/binding.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#define ANSWER_SIZE 256
#define KEYS_MAX 64 /* bytes of one wait; the next has what is left */

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

/* --- a full-screen view --- */

static struct termios cooked; /* as the terminal was before raw(true) */
static struct sigaction winch_before;
static bool is_raw;
static volatile sig_atomic_t resized;

static void on_resize(int signal)
{
    (void)signal;
    resized = 1;
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

static int go_raw(lua_State *L)
{
    struct sigaction action = {.sa_handler = on_resize};
    struct vios_error error;
    struct termios raw;
    if (!is_raw && tcgetattr(STDIN_FILENO, &cooked) != 0) {
        error_set_errno(&error, NULL, "the terminal");
        return binding_fail(L, &error);
    }
    raw = cooked;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    raw.c_cc[VSUSP] = raw.c_cc[VQUIT] = _POSIX_VDISABLE; /* they would end a view half-way */
    sigemptyset(&action.sa_mask);
    if (!is_raw) {
        sigaction(SIGWINCH, &action, &winch_before);
    }
    is_raw = true;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    lua_pushboolean(L, 1);
    return 1;
}

static int term_raw(lua_State *L)
{
    if (lua_toboolean(L, 1)) {
        return go_raw(L);
    }
    if (is_raw) {
        tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
        sigaction(SIGWINCH, &winch_before, NULL);
        is_raw = false;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* As poll() for input; a signal that came before the wait ends it, too. */
static int wait_input(lua_Integer timeout_ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    struct timespec limit = {.tv_sec = timeout_ms / 1000,
                             .tv_nsec = (long)(timeout_ms % 1000 * 1000000)};
    static const int ENDING[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    sigset_t held, before;
    sigemptyset(&held);
    for (size_t i = 0; i < sizeof ENDING / sizeof ENDING[0]; i++) {
        sigaddset(&held, ENDING[i]);
    }
    sigprocmask(SIG_BLOCK, &held, &before);
    int ready = interrupt_pending() || resized ? -1 : ppoll(&input, 1, &limit, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ready;
}

static int term_wait(lua_State *L)
{
    lua_Integer timeout_ms = luaL_checkinteger(L, 1);
    luaL_argcheck(L, timeout_ms >= 0, 1, "not a time");
    char keys[KEYS_MAX];
    int ready = wait_input(timeout_ms);
    if (interrupt_pending()) {
        interrupt_begin(L);
        lua_pushliteral(L, "interrupt");
        return 1;
    }
    if (resized) {
        resized = 0;
        lua_pushliteral(L, "resize");
        return 1;
    }
    if (ready <= 0) { /* or another signal: its caller knows what time it is */
        lua_pushnil(L);
        return 1;
    }
    ssize_t got = read(STDIN_FILENO, keys, sizeof keys);
    if (got <= 0) {
        lua_pushliteral(L, "end");
        return 1;
    }
    lua_pushliteral(L, "keys");
    lua_pushlstring(L, keys, (size_t)got);
    return 2;
}

static int term_write(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    while (size > 0) {
        struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
        ssize_t written = write(STDOUT_FILENO, text, size);
        if (written < 0 && errno == EINTR && interrupt_pending()) {
            break; /* the next wait() tells it */
        } else if (written < 0 && errno == EAGAIN) {
            poll(&output, 1, -1);
        } else if (written < 0 && errno != EINTR) {
            struct vios_error error;
            error_set_errno(&error, NULL, "the terminal");
            return binding_fail(L, &error);
        } else if (written > 0) {
            text += written;
            size -= (size_t)written;
        }
    }
    lua_pushboolean(L, 1);
    return 1;
}

int luaopen_vios_term(lua_State *L)
{
    static const luaL_Reg functions[] = {{"is_tty", term_is_tty},  {"text_width", term_text_width},
                                         {"escape", term_escape},  {"ask", term_ask},
                                         {"size", term_size},      {"raw", term_raw},
                                         {"wait", term_wait},      {"write", term_write},
                                         {"page", interrupt_page}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
