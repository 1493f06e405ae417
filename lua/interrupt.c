/*
 * interrupt.c - Ctrl-C stops the command, not the shell.
 *
 * The signal handler sets a flag and triggers the command's cancel, which wakes blocking
 * calls. Lua code is stopped by a count hook that is always installed (coroutines inherit
 * it): on the flag it re-arms itself to every instruction and raises, so that a loop around
 * pcall is stopped too. The flag stays set until the next command.
 */
#include "lua/binding.h"

#include <pthread.h>
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

void interrupt_renew_cancel(void)
{
    struct cancel *old = current;
    if (!interrupted) {
        current = NULL;
        cancel_free(old);
    }
}

/* --- finally --- */

#define ENDING_SIGNALS 2
static const int ENDING[ENDING_SIGNALS] = {SIGTERM, SIGHUP};

/* Calls the function at index 1, its results from index 3 on; SIGTERM and SIGHUP act as Ctrl-C. */
static int call_work(lua_State *L)
{
    struct sigaction action = {.sa_handler = on_interrupt}, before[ENDING_SIGNALS];
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < ENDING_SIGNALS; i++) {
        sigaction(ENDING[i], &action, &before[i]);
    }
    lua_pushvalue(L, 1); // [work, cleanup, work]
    int outcome = lua_pcall(L, 0, LUA_MULTRET, 0);
    for (int i = 0; i < ENDING_SIGNALS; i++) {
        sigaction(ENDING[i], &before[i], NULL);
    }
    return outcome;
}

/* Calls the function at index 2 as if no Ctrl-C had been typed; one that comes now waits. */
static int call_cleanup(lua_State *L)
{
    sigset_t held, before;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    pthread_sigmask(SIG_BLOCK, &held, &before);
    struct cancel *cancel = current; /* triggered, so that nothing could wait with it */
    sig_atomic_t was = interrupted;
    current = NULL;
    interrupted = 0;
    lua_sethook(L, NULL, 0, 0);
    lua_pushvalue(L, 2); // [..., cleanup]
    int outcome = lua_pcall(L, 0, 0, 0);
    cancel_free(current);
    current = cancel;
    interrupted = was;
    lua_sethook(L, hook, LUA_MASKCOUNT, was ? 1 : HOOK_COUNT);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return outcome;
}

int interrupt_finally(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    int outcome = call_work(L);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    int cleaned = call_cleanup(L);
    if (outcome != LUA_OK && cleaned != LUA_OK) {
        lua_pop(L, 1); /* the first error counts */
    }
    if (outcome != LUA_OK || cleaned != LUA_OK) {
        return lua_error(L);
    }
    return lua_gettop(L) - 2;
}
