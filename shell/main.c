/*
 * main.c - the program `vios`, and its modes:
 *
 *     vios                      the shell; lines from stdin when that is no terminal
 *     vios NOUN VERB ...        one command
 *     vios -c LINE              one line, as typed in the shell
 *     vios -e CODE              Lua
 *     vios SCRIPT.lua ARG ...   a Lua script
 *     vios daemon ...           the daemon, a program of its own
 *     vios --version            what this program is
 *     vios --restricted ...     for people who come by SSH, see restricted.h; also as `rvios`
 */
#include "lua/binding.h"
#include "shell/cli.h"
#include "shell/repl.h"
#include "shell/restricted.h"
#include "shell/version.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS_FAILED 1
#define STATUS_USAGE 2

static int run_daemon(char **arguments)
{
    char path[PATH_MAX + 64];
    program_path("daemon", path, sizeof path);
    arguments[0] = path;
    execv(path, arguments);
    fprintf(stderr, "vios: %s: cannot be started: %s\n", path, strerror(errno));
    return STATUS_FAILED;
}

static bool is_script(const char *word)
{
    size_t size = strlen(word);
    return strchr(word, '/') || (size > 4 && strcmp(word + size - 4, ".lua") == 0);
}

static int missing_operand(const char *option)
{
    fprintf(stderr, "vios: option \"%s\" needs a value: use: vios %s %s\n", option, option,
            strcmp(option, "-c") == 0 ? "'LINE'" : "'CODE'");
    return STATUS_USAGE;
}

static int run_mode(lua_State *L, int count, char **words)
{
    if (count == 0) {
        return isatty(STDIN_FILENO) ? repl_run(L, false) : cli_stdin(L);
    }
    bool line = strcmp(words[0], "-c") == 0;
    if (line || strcmp(words[0], "-e") == 0) {
        if (count < 2) {
            return missing_operand(words[0]);
        }
        if (count > 2) {
            fprintf(stderr, "vios: unexpected word \"%s\": use: vios %s %s\n", words[2], words[0],
                    line ? "'LINE'" : "'CODE'");
            return STATUS_USAGE;
        }
        return line ? cli_line(L, words[1], true) : cli_expression(L, words[1]);
    }
    if (strcmp(words[0], "--version") == 0) {
        return version_print(L, count, words);
    }
    if (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0) {
        char help[] = "help";
        char *command[] = {help};
        return cli_command(L, 1, command);
    }
    return is_script(words[0]) ? cli_script(L, count, words) : cli_command(L, count, words);
}

static int run(lua_State *L, int argc, char **argv)
{
    int used = argc > 1 && argv[1][0] == '-' ? cli_leading(L, argc - 1, argv + 1) : 0;
    return used < 0 ? -used : run_mode(L, argc - 1 - used, argv + 1 + used);
}

int main(int argc, char **argv)
{
    bool restricted = restricted_is_wanted(argc, argv);
    if (restricted) {
        restricted_prepare();
    } else if (argc > 1 && strcmp(argv[1], "daemon") == 0) {
        return run_daemon(argv + 1);
    }
    interrupt_catch();
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1) {
        setlocale(LC_CTYPE, "C.UTF-8");
    }
    lua_State *L = state_new();
    if (!L) {
        return interrupt_release() ? CLI_INTERRUPTED : STATUS_FAILED;
    }
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_vios_shell);
    lua_setfield(L, -2, "vios.shell");
    lua_pop(L, 1);
    interrupt_install(L);
    int status = (restricted ? restricted_run : run)(L, argc, argv);
    if (status == CLI_INTERRUPTED) {
        cli_again(L, isatty(STDIN_FILENO) && isatty(STDERR_FILENO));
    }
    lua_close(L);
    return interrupt_release() ? CLI_INTERRUPTED : status;
}
