/*
 * interrupt.c - Ctrl-C stops the command, not the shell.
 *
 * The signal handler sets a flag and triggers the command's cancel, which wakes blocking
 * calls. Lua code is stopped by a count hook that is always installed (coroutines inherit
 * it): on the flag it re-arms itself to every instruction and raises, so that a loop around
 * pcall is stopped too. The flag stays set until the next command.
 */
#include "lua/binding.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define HOOK_COUNT 10000 /* instructions between looks at the flag */

static volatile sig_atomic_t interrupted;
static struct cancel *_Atomic current;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
    cancel_trigger(current);
}

static void hook(lua_State *L, lua_Debug *debug)
{
    (void)debug;
    if (!interrupted) {
        lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_COUNT);
        return;
    }
    lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    struct vios_error error;
    error_set(&error, VIOS_E_CANCELLED, NULL, NULL, "interrupted");
    binding_push_error(L, &error);
    lua_error(L);
}

void interrupt_install(lua_State *L)
{
    struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: see FACTS */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_COUNT);
}

void interrupt_begin(lua_State *L)
{
    lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_COUNT);
    if (!interrupted) {
        return;
    }
    struct cancel *old = current;
    current = NULL;
    interrupted = 0;
    cancel_free(old);
}

bool interrupt_pending(void)
{
    return interrupted != 0;
}

struct cancel *interrupt_cancel(void)
{
    if (!current) {
        current = cancel_new();
        if (interrupted) {
            cancel_trigger(current);
        }
    }
    return current;
}
