/* repl.c - the prompt. What a line means is lua/cli.lua's; what may come next, completion.lua's. */
#include "shell/repl.h"

#include "base/error.h"
#include "lua/binding.h"
#include "shell/cli.h"
#include "shell/history.h"
#include "shell/rpc_pipe.h"

#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define NOTICE_POLL_MS 1000 /* between looks for news while nobody types */
#define PROMPT_MAX 160
#define PROMPT_TRIES 3

struct repl {
    lua_State *L;
    EditLine *edit;
    History *lines;                /* editline's list */
    struct shell_history *history; /* the file; NULL: none can be had */
    char prompt[PROMPT_MAX];
    char *pending; /* the lines of an incomplete command; NULL: none */
};

static bool quit_asked;

static void set_prompt(struct repl *repl, const char *text)
{
    snprintf(repl->prompt, sizeof repl->prompt, "%s", text);
}

static char *prompt(EditLine *edit)
{
    struct repl *repl = NULL;
    el_get(edit, EL_CLIENTDATA, &repl);
    return repl->prompt;
}

static void refresh_prompt(struct repl *repl)
{
    int status;
    if (repl->pending) {
        set_prompt(repl, "...> ");
        return;
    }
    set_prompt(repl, "vios> ");
    for (int i = 0; i < PROMPT_TRIES; i++) { /* Ctrl-C ends one */
        if (cli_call(repl->L, "vios.prompt", "text", 0, 1, &status)) {
            set_prompt(repl, lua_tostring(repl->L, -1));
            lua_pop(repl->L, 1);
            return;
        }
    }
}

/* Asks for news and shows them above the line, which stays as it was typed. */
static void show_notices(struct repl *repl)
{
    int status;
    if (!cli_call(repl->L, "vios.prompt", "poll", 0, 2, &status)) {
        raise(SIGINT); /* it can only have been Ctrl-C, which is for the line */
        return;
    }
    const char *text = lua_tostring(repl->L, -2);
    const char *next = lua_tostring(repl->L, -1);
    if (text) {
        printf("\r\033[K%s\r\n", text);
        fflush(stdout);
        if (next && !repl->pending) {
            set_prompt(repl, next);
        }
        el_set(repl->edit, EL_REFRESH);
    }
    lua_pop(repl->L, 2);
}

/* One character, from as many bytes as it takes. */
static int read_character(wchar_t *character)
{
    mbstate_t state = {0};
    for (;;) {
        char byte;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got <= 0) {
            return (int)got;
        }
        size_t used = mbrtowc(character, &byte, 1, &state);
        if (used == 0 || used == 1) {
            return 1;
        }
        if (used == (size_t)-1) { /* no such character: leave it out */
            memset(&state, 0, sizeof state);
        }
    }
}

/* As poll() for input, and no Ctrl-C is lost between the look at the flag and the wait. */
static int wait_input(void)
{
    sigset_t held, before;
    struct timespec limit = {.tv_sec = NOTICE_POLL_MS / 1000,
                             .tv_nsec = NOTICE_POLL_MS % 1000 * 1000000L};
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigprocmask(SIG_BLOCK, &held, &before);
    errno = EINTR;
    int ready = interrupt_pending() ? -1 : ppoll(&input, 1, &limit, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ready;
}

static int get_character(EditLine *edit, wchar_t *character)
{
    struct repl *repl = NULL;
    el_get(edit, EL_CLIENTDATA, &repl);
    for (;;) {
        int ready = wait_input();
        if (ready > 0) {
            return read_character(character);
        }
        if (ready == 0) {
            show_notices(repl);
        } else if (interrupt_pending() || errno != EINTR) {
            errno = EINTR;
            return -1;
        }
    }
}

/* --- completion --- */

static size_t common_size(lua_State *L, int list)
{
    lua_rawgeti(L, list, 1);
    const char *first = lua_tostring(L, -1);
    size_t size = strlen(first);
    for (lua_Integer i = 2; i <= (lua_Integer)lua_rawlen(L, list); i++) {
        lua_rawgeti(L, list, i);
        const char *other = lua_tostring(L, -1);
        size_t same = 0;
        while (same < size && first[same] == other[same]) {
            same++;
        }
        size = same;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return size;
}

/* The names of files may have control characters, which are not for the terminal. */
static void show_candidates(lua_State *L, int list)
{
    int status;
    printf("\r\n");
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, list); i++) {
        lua_rawgeti(L, list, i);
        if (cli_call(L, "vios.term", "escape", 1, 1, &status)) {
            printf("%s%s", i > 1 ? "  " : "", lua_tostring(L, -1));
            lua_pop(L, 1);
        }
    }
    printf("\r\n");
    fflush(stdout);
}

/* Replaces the last `typed` bytes before the cursor with `size` bytes of `text`. */
static bool replace_typed(struct repl *repl, const LineInfo *line, size_t typed, const char *text,
                          size_t size, bool command, bool unique)
{
    luaL_Buffer out;
    luaL_buffinit(repl->L, &out);
    for (size_t i = 0; i < size; i++) {
        if (command && strchr(" \t\"'\\#", text[i])) {
            luaL_addchar(&out, '\\');
        }
        luaL_addchar(&out, text[i]);
    }
    if (unique && command && size > 0 && text[size - 1] != '/') {
        luaL_addchar(&out, ' ');
    }
    luaL_pushresult(&out);
    const char *insert = lua_tostring(repl->L, -1);
    bool changed = strncmp(line->cursor - typed, insert, typed) != 0 || strlen(insert) != typed;
    if (changed) {
        int characters = 0;
        for (size_t i = 0; i < typed; i++) {
            characters += ((unsigned char)line->cursor[-(long)typed + (long)i] & 0xc0) != 0x80;
        }
        el_deletestr(repl->edit, characters);
        el_insertstr(repl->edit, insert);
    }
    lua_pop(repl->L, 1);
    return changed;
}

/* [found, start, command?] on the stack */
static unsigned char complete_from(struct repl *repl, const LineInfo *line)
{
    lua_State *L = repl->L;
    int list = lua_gettop(L) - 2;
    size_t typed_all = (size_t)(line->cursor - line->buffer);
    size_t start = (size_t)lua_tointeger(L, list + 1);
    size_t count = lua_istable(L, list) ? lua_rawlen(L, list) : 0;
    if (count == 0 || start == 0 || start - 1 > typed_all) {
        return CC_REFRESH_BEEP;
    }
    size_t size = common_size(L, list);
    lua_rawgeti(L, list, 1);
    bool changed = replace_typed(repl, line, typed_all - (start - 1), lua_tostring(L, -1), size,
                                 lua_toboolean(L, list + 2), count == 1);
    lua_pop(L, 1);
    if (changed || count == 1) {
        return CC_REFRESH;
    }
    show_candidates(L, list);
    return CC_REDISPLAY;
}

static unsigned char complete(EditLine *edit, int character)
{
    (void)character;
    struct repl *repl = NULL;
    int status;
    el_get(edit, EL_CLIENTDATA, &repl);
    const LineInfo *line = el_line(edit);
    lua_pushlstring(repl->L, line->buffer, (size_t)(line->cursor - line->buffer));
    if (!cli_call(repl->L, "vios.completion", "line", 1, 3, &status)) {
        return CC_REDISPLAY;
    }
    unsigned char action = complete_from(repl, el_line(edit));
    lua_pop(repl->L, 3);
    return action;
}

/* --- history --- */

static void enter_line(void *context, const char *line)
{
    struct repl *repl = context;
    HistEvent event;
    history(repl->lines, &event, H_ENTER, line);
}

/* The list; and unless the shell is restricted the file. */
static void open_history(struct repl *repl, bool restricted)
{
    struct vios_error error;
    HistEvent event;
    repl->lines = history_init();
    history(repl->lines, &event, H_SETSIZE, SHELL_HISTORY_MAX);
    history(repl->lines, &event, H_SETUNIQUE, 1);
    el_set(repl->edit, EL_HIST, history, repl->lines);
    if (restricted) {
        return;
    }
    int status = shell_history_open(&repl->history, &error);
    if (status == VIOS_OK) {
        status = shell_history_read(repl->history, enter_line, repl, &error);
    }
    if (status != VIOS_OK) {
        char text[800];
        fprintf(stderr, "vios: no history: %s\n", error_format(&error, text, sizeof text));
    }
}

static void keep_line(struct repl *repl, const char *line)
{
    struct vios_error error;
    if (!shell_history_keeps(line)) {
        return;
    }
    if (repl->history) {
        shell_history_add(repl->history, line, enter_line, repl, &error);
    }
    enter_line(repl, line);
}

/* --- the loop --- */

/* Editline's own commands can be typed behind ESC x: `bind -v` brings an editor mode from which v
 * starts vi. */
static void forbid_editor_commands(EditLine *edit)
{
    el_set(edit, EL_BIND, "^[x", "ed-unassigned", NULL);
    el_set(edit, EL_BIND, "\\370", "ed-unassigned", NULL); /* the same as one byte */
}

static void open_editor(struct repl *repl, bool restricted)
{
    repl->edit = el_init("vios", stdin, stdout, stderr);
    el_set(repl->edit, EL_CLIENTDATA, repl);
    el_set(repl->edit, EL_SIGNAL, 0);
    el_set(repl->edit, EL_PROMPT, prompt);
    el_set(repl->edit, EL_EDITOR, "emacs");
    el_set(repl->edit, EL_GETCFN, get_character);
    open_history(repl, restricted);
    /* el_set() would keep copies of the two texts that nothing frees */
    el_wset(repl->edit, EL_ADDFN, L"vios-complete", L"complete a word", complete);
    el_set(repl->edit, EL_BIND, "^I", "vios-complete", NULL);
    if (restricted) {
        forbid_editor_commands(repl->edit);
    } else {
        el_source(repl->edit, NULL);
    }
}

static void close_editor(struct repl *repl)
{
    el_end(repl->edit);
    history_end(repl->lines);
    shell_history_free(repl->history);
    free(repl->pending);
}

/* Puts a line behind those pending; false: no memory. */
static bool append_line(struct repl *repl, const char *line, int count)
{
    size_t before = repl->pending ? strlen(repl->pending) : 0;
    char *whole = realloc(repl->pending, before + (size_t)count + 1);
    if (!whole) {
        return false;
    }
    memcpy(whole + before, line, (size_t)count);
    whole[before + (size_t)count] = '\0';
    repl->pending = whole;
    return true;
}

/* Runs what is pending, if it is complete. A Ctrl-C since the line was ended is for the line. */
static void run_pending(struct repl *repl)
{
    int complete = cli_complete(repl->L, repl->pending);
    if (complete == CLI_MORE) {
        return;
    }
    char *line = repl->pending;
    size_t size = strlen(line);
    repl->pending = NULL;
    if (size > 0 && line[size - 1] == '\n') {
        line[size - 1] = '\0';
    }
    keep_line(repl, line);
    if (complete == 0) {
        cli_line(repl->L, line, true);
    }
    fflush(stdout);
    free(line);
}

/* As el_gets(), which shows the prompt first and only then takes the terminal: what is typed in
 * between would be the kernel's, which echoes it, and swallows ^R. */
static const char *read_line(struct repl *repl, int *count)
{
    refresh_prompt(repl);
    el_set(repl->edit, EL_PREP_TERM, 1);
    return el_gets(repl->edit, count);
}

int repl_run(lua_State *L, bool restricted)
{
    struct repl repl = {.L = L};
    int status;
    if (cli_call(L, "vios.prompt", "welcome", 0, 1, &status)) {
        if (lua_isstring(L, -1)) {
            printf("%s\n", lua_tostring(L, -1));
        }
        lua_pop(L, 1);
    }
    if (!restricted) {
        cli_call(L, "vios.startup", "run", 0, 0, &status);
    }
    open_editor(&repl, restricted);
    while (!quit_asked) {
        int count = 0;
        cli_again(L, false);
        const char *line = read_line(&repl, &count);
        if (line && count > 0) {
            if (append_line(&repl, line, count)) {
                run_pending(&repl);
            }
        } else if (interrupt_pending()) {
            free(repl.pending);
            repl.pending = NULL;
            printf("\r\n");
            cli_cancel_job(L);
            el_reset(repl.edit);
        } else {
            printf("\r\n");
            break;
        }
    }
    close_editor(&repl);
    return 0;
}

/* --- vios.shell --- */

struct listing {
    lua_State *L;
    int list;
};

static void push_line(void *context, const char *line)
{
    struct listing *listing = context;
    lua_pushstring(listing->L, line);
    lua_rawseti(listing->L, listing->list, (lua_Integer)lua_rawlen(listing->L, listing->list) + 1);
}

static int shell_history(lua_State *L)
{
    struct vios_error error;
    struct shell_history *history = NULL;
    lua_newtable(L);
    struct listing listing = {L, lua_gettop(L)};
    int status = shell_history_open(&history, &error);
    if (status == VIOS_OK) {
        status = shell_history_read(history, push_line, &listing, &error);
    }
    shell_history_free(history);
    return status == VIOS_OK ? 1 : binding_fail(L, &error);
}

static int shell_quit(lua_State *L)
{
    (void)L;
    quit_asked = true;
    return 0;
}

static int shell_quitting(lua_State *L)
{
    lua_pushboolean(L, quit_asked);
    return 1;
}

int luaopen_vios_shell(lua_State *L)
{
    static const luaL_Reg functions[] = {{"history", shell_history},
                                         {"quit", shell_quit},
                                         {"quitting", shell_quitting},
                                         {"rpc_pipe", shell_rpc_pipe},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
