/*
 * interrupt.c - Ctrl-C stops the command, not the shell.
 *
 * The signal handler sets a flag and triggers the command's cancel, which wakes blocking
 * calls. Lua code is stopped by a count hook that is always installed (coroutines inherit
 * it): on the flag it re-arms itself to every instruction and raises, so that a loop around
 * pcall is stopped too. The flag stays set until the next command.
 *
 * A signal may come after the last look at the flag and before a call that waits without a cancel,
 * as io.read() does. So as long as the flag is set a timer interrupts such calls again and again.
 */
#include "lua/binding.h"

#include <errno.h>
#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOOK_COUNT 10000    /* instructions between looks at the flag */
#define SHELL_NOT_RUN 127   /* what a shell says of a command it cannot run */
#define SHELL_SIGNALLED 128 /* and, plus the signal's number, of one that was killed */
#define COUNT_MAX 100
#define NUDGE_INTERVAL_NS (100 * 1000000) /* between two SIGALRM while the flag is set */

static volatile sig_atomic_t interrupted; /* how often */
static struct cancel *_Atomic current;
static timer_t nudge;
static const char said; /* its address is the registry's key of what interrupt_says() was given */
static bool has_nudge;

static void on_nudge(int signal)
{
    (void)signal; /* what it is for, interrupting a system call, has been done */
}

/* Async-signal-safe. */
static void set_nudge(bool on)
{
    struct itimerspec every = {0};
    if (on) {
        every.it_interval.tv_nsec = every.it_value.tv_nsec = NUDGE_INTERVAL_NS;
    }
    if (has_nudge) {
        timer_settime(nudge, 0, &every, NULL);
    }
}

static void on_interrupt(int signal)
{
    int saved = errno;
    (void)signal;
    interrupted = interrupted < COUNT_MAX ? interrupted + 1 : COUNT_MAX;
    cancel_trigger(current);
    set_nudge(true);
    errno = saved;
}

static void hook(lua_State *L, lua_Debug *debug)
{
    (void)debug;
    if (!interrupted) {
        lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_COUNT);
        return;
    }
    lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &said) == LUA_TNIL) {
        struct vios_error error;
        error_set(&error, VIOS_E_CANCELLED, NULL, NULL, "interrupted");
        binding_push_error(L, &error);
    }
    lua_error(L);
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_nudge};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    sigset_t wanted;
    sigemptyset(&action.sa_mask); /* and no SA_RESTART, with which editline loses a Ctrl-C */
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGALRM);
    sigaction(SIGALRM, &action, NULL);
    has_nudge = timer_create(CLOCK_MONOTONIC, &event, &nudge) == 0;
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, NULL);
    sigaddset(&wanted, SIGINT); /* who started us may have held it back */
    pthread_sigmask(SIG_UNBLOCK, &wanted, NULL);
}

bool interrupt_release(void)
{
    signal(SIGINT, SIG_DFL); /* the next one ends us: then, too, the status is 130 */
    set_nudge(false);
    return interrupt_pending();
}

void interrupt_install(lua_State *L)
{
    lua_sethook(L, hook, LUA_MASKCOUNT, interrupted ? 1 : HOOK_COUNT);
}

void interrupt_begin(lua_State *L)
{
    lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_COUNT);
    if (!interrupted) {
        return;
    }
    struct cancel *old = current;
    set_nudge(false);
    current = NULL;
    interrupted = 0;
    cancel_free(old);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &said);
}

void interrupt_says(lua_State *L)
{
    if (interrupted) {
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &said);
        lua_sethook(L, hook, LUA_MASKCOUNT, 1); /* now, and not some instructions later */
    }
}

bool interrupt_pending(void)
{
    return interrupted != 0;
}

int interrupt_count(void)
{
    return interrupted;
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
    set_nudge(false);
    current = NULL;
    interrupted = 0;
    lua_sethook(L, NULL, 0, 0);
    lua_pushvalue(L, 2); // [..., cleanup]
    int outcome = lua_pcall(L, 0, 0, 0);
    cancel_free(current);
    current = cancel;
    interrupted = was;
    set_nudge(was != 0);
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

/* --- other programs that have the terminal --- */

/* With `input` as its standard input; an errno. */
static int start_shell(const char *command, int input, pid_t *pid)
{
    char shell[] = "/bin/sh", option[] = "-c", name[] = "sh";
    char *words[] = {name, option, (char *)(uintptr_t)command, NULL};
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    sigset_t none, standard;
    sigemptyset(&none);
    sigemptyset(&standard);
    sigaddset(&standard, SIGINT);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &standard);
    posix_spawn_file_actions_init(&files);
    if (input != STDIN_FILENO) {
        posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    }
    int number = posix_spawn(pid, shell, &files, &attributes, words, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return number;
}

/* 0, or -1 with errno set. */
static int wait_shell(pid_t pid, int *status)
{
    while (waitpid(pid, status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

int interrupt_execute(lua_State *L)
{
    const char *command = luaL_optstring(L, 1, NULL);
    pid_t pid;
    if (!command) {
        lua_pushboolean(L, access("/bin/sh", X_OK) == 0);
        return 1;
    }
    int status;
    errno = start_shell(command, STDIN_FILENO, &pid);
    if (errno != 0 || wait_shell(pid, &status) != 0) {
        return luaL_fileresult(L, 0, NULL);
    }
    return luaL_execresult(L, status);
}

int interrupt_page(lua_State *L)
{
    const char *command = luaL_checkstring(L, 1);
    const luaL_Stream *stream = luaL_checkudata(L, 2, LUA_FILEHANDLE);
    luaL_argcheck(L, stream->closef != NULL, 2, "the file is closed");
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    int status = 0;
    pid_t pid;
    fflush(stdout);
    fflush(stream->f);
    lseek(fileno(stream->f), 0, SEEK_SET);
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGINT, &ignore, &before);
    bool ended =
        start_shell(command, fileno(stream->f), &pid) == 0 && wait_shell(pid, &status) == 0;
    sigaction(SIGINT, &before, NULL);
    lua_pushinteger(L, !ended              ? SHELL_NOT_RUN
                       : WIFEXITED(status) ? WEXITSTATUS(status)
                                           : SHELL_SIGNALLED + WTERMSIG(status));
    return 1;
}
