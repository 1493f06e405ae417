/*
 * os_binding.c - vios.os: the few things of the operating system that the lab and scripts
 * need and Lua lacks.
 *
 *   spawn{program, args..., [stdout=PATH, stderr=PATH, cwd=PATH, detached=true]} -> pid
 *       stdin is /dev/null; a path is appended to, made 0600; `detached`: a session of its
 *       own. Fails when the program cannot be executed.
 *   wait(pid [, seconds]) -> status of a child (128 + signal when killed); nil, err(timeout)
 *   kill(pid [, signal]) -> true       signal: "TERM", "KILL", "INT", "STOP", "CONT", "HUP", 0
 *   start_time(pid) -> ticks since boot, nil when there is no such process (zombies are none)
 *   command_line(pid) -> list of words; executable(pid) -> path; pids() -> list
 *   mkdir(path [, mode]) -> true       with the folders above it; an existing one is fine
 *   remove_tree(path) -> true
 *   read_dir(path) -> sorted names; read_file(path) -> text; write_file(path, text [, mode])
 *   kind(path) -> "file" | "folder" | "socket" | "link" | "other", nil when absent
 *   owner(path) -> its user id, of a link its own
 *   connectable(path) -> true when somebody listens on the unix socket
 *   sleep(seconds) -> true; nil, err(cancelled) on Ctrl-C
 *   now_ms() -> boot-time clock; uid(); pid(); real_path(path)
 *   program(name) -> path of libexec/vios/NAME
 *   setenv(name, value) -> true
 *
 *   finally(work, cleanup)
 *       calls work(), and then cleanup() whatever happened; returns what work() returned, or
 *       raises what it raised. Ctrl-C (within it SIGTERM and SIGHUP too) stops work() only.
 *
 * All fail as nil, err.
 */
#include "base/clock.h"
#include "base/file.h"
#include "lua/binding.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPAWN_WORDS_MAX 256
#define FILE_READ_MAX (64 * 1024 * 1024)

static int fail_errno(lua_State *L, const char *object, const char *what)
{
    struct vios_error error;
    error_set_errno(&error, object, "%s", what);
    return binding_fail(L, &error);
}

static int done(lua_State *L, int status, const struct vios_error *error)
{
    if (status != VIOS_OK) {
        return binding_fail(L, error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* --- processes --- */

struct spawn {
    char *words[SPAWN_WORDS_MAX + 1];
    const char *output, *errors, *folder;
    bool detached;
};

static int open_log(const char *path)
{
    return open(path ? path : "/dev/null", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* In the child: no return. The parent learns of a failure through `report`. */
static void run_child(const struct spawn *spawn, int report)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (spawn->detached) {
        setsid();
    }
    int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int output = open_log(spawn->output);
    int errors = open_log(spawn->errors);
    bool ready = input >= 0 && output >= 0 && errors >= 0 && dup2(input, 0) >= 0 &&
                 dup2(output, 1) >= 0 && dup2(errors, 2) >= 0 &&
                 (!spawn->folder || chdir(spawn->folder) == 0);
    if (ready && spawn->words[0]) {
        execv(spawn->words[0], spawn->words);
    }
    int number = errno;
    if (write(report, &number, sizeof number) < 0) {
        _exit(126);
    }
    _exit(127);
}

static const char *text_field(lua_State *L, const char *key)
{
    lua_getfield(L, 1, key); /* stays on the stack, so that the text lives */
    return lua_tostring(L, -1);
}

static void read_spawn(lua_State *L, struct spawn *spawn)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    size_t count = lua_rawlen(L, 1);
    luaL_argcheck(L, count > 0 && count <= SPAWN_WORDS_MAX, 1,
                  "needs a program, at most 256 words");
    luaL_checkstack(L, (int)count + 8, NULL);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        spawn->words[i] = (char *)(uintptr_t)luaL_checkstring(L, -1);
    }
    spawn->words[count] = NULL;
    spawn->output = text_field(L, "stdout");
    spawn->errors = text_field(L, "stderr");
    spawn->folder = text_field(L, "cwd");
    lua_getfield(L, 1, "detached");
    spawn->detached = lua_toboolean(L, -1);
}

static int os_spawn(lua_State *L)
{
    struct spawn spawn;
    read_spawn(L, &spawn);
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        return fail_errno(L, spawn.words[0], "pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        run_child(&spawn, report[1]);
    }
    close(report[1]);
    int number = 0;
    ssize_t size = 0;
    do {
        size = pid > 0 ? read(report[0], &number, sizeof number) : 0;
    } while (size < 0 && errno == EINTR);
    close(report[0]);
    if (pid < 0 || size == (ssize_t)sizeof number) {
        errno = pid < 0 ? errno : number;
        if (pid > 0) {
            waitpid(pid, NULL, 0);
        }
        return fail_errno(L, spawn.words[0], "cannot be started");
    }
    lua_pushinteger(L, pid);
    return 1;
}

static int push_status(lua_State *L, int status)
{
    lua_pushinteger(L, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    return 1;
}

static int os_wait(lua_State *L)
{
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);
    lua_Number seconds = luaL_optnumber(L, 2, -1);
    struct operation operation;
    operation_start(&operation, seconds < 0 ? OPERATION_NO_DEADLINE : (int64_t)(seconds * 1000),
                    interrupt_cancel());
    for (;;) {
        int status;
        pid_t ended = waitpid(pid, &status, WNOHANG);
        if (ended == pid) {
            return push_status(L, status);
        }
        if (ended < 0 && errno != EINTR) {
            return fail_errno(L, NULL, "wait");
        }
        if (operation_sleep(&operation, 10) != VIOS_OK) {
            return binding_fail(L, &operation.error);
        }
    }
}

static int signal_number(lua_State *L, int index)
{
    static const char *const names[] = {"TERM", "KILL", "INT", "STOP", "CONT", "HUP", NULL};
    static const int numbers[] = {SIGTERM, SIGKILL, SIGINT, SIGSTOP, SIGCONT, SIGHUP};
    if (lua_type(L, index) == LUA_TNUMBER) {
        return (int)luaL_checkinteger(L, index);
    }
    return numbers[luaL_checkoption(L, index, "TERM", names)];
}

static int os_kill(lua_State *L)
{
    lua_Integer pid = luaL_checkinteger(L, 1);
    luaL_argcheck(L, pid > 1 && pid <= INT_MAX, 1, "not the id of a process");
    if (kill((pid_t)pid, signal_number(L, 2)) != 0) {
        return fail_errno(L, NULL, "kill");
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* Reads a small file of /proc; the size, or -1. */
static ssize_t read_proc(lua_Integer pid, const char *name, char *data, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%lld/%s", (long long)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t used = read(fd, data, size - 1);
    close(fd);
    if (used >= 0) {
        data[used] = '\0';
    }
    return used;
}

static int os_start_time(lua_State *L)
{
    char text[1024], state = 'X';
    unsigned long long ticks = 0;
    const char *behind = NULL; /* the name in parentheses may hold anything */
    if (read_proc(luaL_checkinteger(L, 1), "stat", text, sizeof text) > 0) {
        behind = strrchr(text, ')');
    }
    if (behind &&
        sscanf(behind,
               ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
               "%*d %*d %llu",
               &state, &ticks) == 2 &&
        state != 'Z' && state != 'X') {
        lua_pushinteger(L, (lua_Integer)ticks);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int os_command_line(lua_State *L)
{
    static char text[64 * 1024];
    ssize_t size = read_proc(luaL_checkinteger(L, 1), "cmdline", text, sizeof text);
    if (size < 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_newtable(L); // [words]
    lua_Integer count = 0;
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(text + at) + 1) {
        lua_pushstring(L, text + at);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

static int os_executable(lua_State *L)
{
    char path[64], target[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%lld/exe", (long long)luaL_checkinteger(L, 1));
    ssize_t size = readlink(path, target, sizeof target);
    if (size < 0) {
        return fail_errno(L, path, "cannot be read");
    }
    lua_pushlstring(L, target, (size_t)size);
    return 1;
}

static int os_pids(lua_State *L)
{
    DIR *folder = opendir("/proc");
    if (!folder) {
        return fail_errno(L, "/proc", "cannot be read");
    }
    lua_newtable(L);
    lua_Integer count = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (isdigit((unsigned char)entry->d_name[0])) {
            lua_pushinteger(L, strtol(entry->d_name, NULL, 10));
            lua_rawseti(L, -2, ++count);
        }
    }
    closedir(folder);
    return 1;
}

/* --- files --- */

static int os_mkdir(lua_State *L)
{
    struct vios_error error;
    const char *path = luaL_checkstring(L, 1);
    return done(L, file_make_folders(path, (mode_t)luaL_optinteger(L, 2, 0700), &error), &error);
}

static int os_remove_tree(lua_State *L)
{
    struct vios_error error;
    return done(L, file_remove_tree(luaL_checkstring(L, 1), &error), &error);
}

static int os_read_dir(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        return fail_errno(L, path, "cannot be read");
    }
    lua_createtable(L, count, 0);
    lua_Integer used = 0;
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            lua_pushstring(L, name);
            lua_rawseti(L, -2, ++used);
        }
        free(entries[i]);
    }
    free((void *)entries);
    return 1;
}

static int os_read_file(lua_State *L)
{
    struct vios_error error;
    char *data;
    size_t size;
    if (file_read(AT_FDCWD, luaL_checkstring(L, 1), FILE_READ_MAX, &data, &size, &error) !=
        VIOS_OK) {
        return binding_fail(L, &error);
    }
    lua_pushlstring(L, data, size);
    free(data);
    return 1;
}

static int os_write_file(lua_State *L)
{
    size_t size;
    const char *path = luaL_checkstring(L, 1);
    const char *text = luaL_checklstring(L, 2, &size);
    mode_t mode = (mode_t)luaL_optinteger(L, 3, 0644);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0) {
        return fail_errno(L, path, "cannot be opened");
    }
    struct vios_error error;
    int status = file_write_all(fd, text, size, &error);
    close(fd);
    return done(L, status, &error);
}

static int os_kind(lua_State *L)
{
    struct stat info;
    if (lstat(luaL_checkstring(L, 1), &info) != 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, S_ISREG(info.st_mode)    ? "file"
                      : S_ISDIR(info.st_mode)  ? "folder"
                      : S_ISSOCK(info.st_mode) ? "socket"
                      : S_ISLNK(info.st_mode)  ? "link"
                                               : "other");
    return 1;
}

static int os_owner(lua_State *L)
{
    struct stat info;
    const char *path = luaL_checkstring(L, 1);
    if (lstat(path, &info) != 0) {
        return fail_errno(L, path, "cannot be read");
    }
    lua_pushinteger(L, info.st_uid);
    return 1;
}

static int os_real_path(lua_State *L)
{
    char resolved[PATH_MAX];
    const char *path = luaL_checkstring(L, 1);
    if (!realpath(path, resolved)) {
        return fail_errno(L, path, "cannot be resolved");
    }
    lua_pushstring(L, resolved);
    return 1;
}

/* Through a descriptor of its folder: sun_path has 108 bytes only. */
static bool connects(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int node = open(path, O_PATH | O_CLOEXEC);
    int fd = node >= 0 ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", node);
    bool connected = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) {
        close(fd);
    }
    if (node >= 0) {
        close(node);
    }
    return connected;
}

static int os_connectable(lua_State *L)
{
    lua_pushboolean(L, connects(luaL_checkstring(L, 1)));
    return 1;
}

/* --- time and identity --- */

static int os_sleep(lua_State *L)
{
    struct operation operation;
    lua_Number seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 1, "not a time");
    operation_start(&operation, OPERATION_NO_DEADLINE, interrupt_cancel());
    return done(L, operation_sleep(&operation, (int64_t)(seconds * 1000)), &operation.error);
}

static int os_now_ms(lua_State *L)
{
    lua_pushinteger(L, clock_now_ms());
    return 1;
}

static int os_uid(lua_State *L)
{
    lua_pushinteger(L, getuid());
    return 1;
}

static int os_pid(lua_State *L)
{
    lua_pushinteger(L, getpid());
    return 1;
}

void program_path(const char *name, char *path, size_t size)
{
    char self[PATH_MAX];
    ssize_t used = readlink("/proc/self/exe", self, sizeof self - 1);
    self[used > 0 ? used : 0] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(self, '/');
        if (slash) {
            *slash = '\0';
        }
    }
    snprintf(path, size, "%s/libexec/vios/%s", self, name);
}

static int os_program(lua_State *L)
{
    char path[PATH_MAX + 64];
    program_path(luaL_checkstring(L, 1), path, sizeof path);
    lua_pushstring(L, path);
    return 1;
}

static int os_setenv(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    if (setenv(name, luaL_checkstring(L, 2), 1) != 0) {
        return fail_errno(L, name, "cannot be set");
    }
    lua_pushboolean(L, 1);
    return 1;
}

int luaopen_vios_os(lua_State *L)
{
    static const luaL_Reg functions[] = {{"spawn", os_spawn},
                                         {"wait", os_wait},
                                         {"kill", os_kill},
                                         {"start_time", os_start_time},
                                         {"command_line", os_command_line},
                                         {"executable", os_executable},
                                         {"pids", os_pids},
                                         {"mkdir", os_mkdir},
                                         {"remove_tree", os_remove_tree},
                                         {"read_dir", os_read_dir},
                                         {"read_file", os_read_file},
                                         {"write_file", os_write_file},
                                         {"kind", os_kind},
                                         {"owner", os_owner},
                                         {"finally", interrupt_finally},
                                         {"real_path", os_real_path},
                                         {"connectable", os_connectable},
                                         {"sleep", os_sleep},
                                         {"now_ms", os_now_ms},
                                         {"uid", os_uid},
                                         {"pid", os_pid},
                                         {"program", os_program},
                                         {"setenv", os_setenv},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
