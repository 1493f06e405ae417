/* restricted.c - see restricted.h. */
#include "shell/restricted.h"

#include "lua/words.h"
#include "shell/cli.h"
#include "shell/repl.h"
#include "shell/rpc_pipe.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM_NAME "rvios"
#define ORIGINAL_COMMAND "SSH_ORIGINAL_COMMAND"
#define NO_FOLDER "/nonexistent"
#define STATUS_FAILED 1
#define STATUS_USAGE 2
#define ADDRESS_SIZE 64

/* What was asked for. The texts are argv's, the environment's or `line`'s. */
struct request {
    const char *role;   /* the lowest that was said, a constant; NULL: none was */
    const char *socket; /* NULL: the usual one */
    const char *text;   /* of -c, or what SSH was asked for; NULL: neither */
    struct words line;  /* `text`, split */
    char **words;       /* the command; owned, its texts are not */
    int count;
    bool is_given; /* there is a command, be it empty */
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool restricted_is_wanted(int argc, char *const *argv)
{
    const char *name = argc > 0 ? base_name(argv[0]) : "";
    if (name[0] == '-') { /* a login shell */
        name++;
    }
    return strcmp(name, PROGRAM_NAME) == 0 || (argc > 1 && strcmp(argv[1], "--restricted") == 0);
}

/* --- the environment --- */

/* No path, and nothing that a library takes for one. */
static bool is_plain(const char *text)
{
    for (; *text; text++) {
        if (!isalnum((unsigned char)*text) && !strchr("._@+-", *text)) {
            return false;
        }
    }
    return true;
}

void restricted_prepare(void)
{
    static const char *const kept[] = {"TERM",     "LANG",           "LC_ALL",        "LC_CTYPE",
                                       "NO_COLOR", "SSH_CONNECTION", ORIGINAL_COMMAND};
    enum { KEPT = sizeof kept / sizeof kept[0], PLAIN = 5 };
    char *values[KEPT];
    for (size_t i = 0; i < KEPT; i++) {
        const char *value = getenv(kept[i]);
        values[i] = value && (i >= PLAIN || is_plain(value)) ? strdup(value) : NULL;
    }
    clearenv();
    for (size_t i = 0; i < KEPT; i++) {
        if (values[i]) {
            setenv(kept[i], values[i], 1);
        }
        free(values[i]);
    }
    setenv("PATH", NO_FOLDER, 1); /* editline has a command that looks for vi */
    setenv("LESSSECURE", "1", 1);
    if (chdir("/") != 0) {
        perror("vios: /");
    }
}

/* --- what is asked for --- */

static int usage(const char *object, const char *message)
{
    fprintf(stderr, "vios: %s%s%s\n", object ? object : "", object ? ": " : "", message);
    return STATUS_USAGE;
}

/* The lower of what was said before and this one counts. False: it is no role. */
static bool take_role(struct request *request, const char *role)
{
    static const char *const roles[] = {"viewer", "operator", "admin"};
    const char *lower = NULL;
    bool known = false;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        bool same = strcmp(roles[i], role) == 0;
        known = known || same;
        if (!lower && (same || request->role == roles[i])) {
            lower = roles[i];
        }
    }
    request->role = known ? lower : request->role;
    return known;
}

/* One option with its value at words[0]; how many words it takes, 0: it is none of ours, or a
 * negative exit status. `by_sshd`: the words are not the user's. */
static int take_option(struct request *request, int count, char *const *words, bool by_sshd)
{
    if (strcmp(words[0], "--restricted") == 0) {
        return 1;
    }
    bool role = strcmp(words[0], "--role") == 0;
    bool line = by_sshd && strcmp(words[0], "-c") == 0;
    if (!role && !line && !(by_sshd && strcmp(words[0], "--socket") == 0)) {
        return 0;
    }
    if (count < 2 || (line && request->text)) {
        return -usage(words[0], count < 2 ? "it needs a value" : "it is given twice");
    }
    if (role) {
        return take_role(request, words[1]) ? 2
                                            : -usage("--role", "give viewer, operator or admin");
    }
    *(line ? &request->text : &request->socket) = words[1];
    return 2;
}

/* Options, and the words behind them as the command. An exit status. */
static int take_words(struct request *request, int count, char *const *words, bool by_sshd)
{
    int at = 0, used = 1;
    while (at < count && used > 0) {
        used = take_option(request, count - at, words + at, by_sshd);
        if (used < 0) {
            return -used;
        }
        at += used;
    }
    free(request->words);
    request->words = calloc((size_t)(count - at) + 1, sizeof *request->words);
    if (!request->words) {
        return usage(NULL, "no memory");
    }
    request->count = count - at;
    for (int i = 0; i < request->count; i++) {
        request->words[i] = words[at + i];
    }
    return 0;
}

/* Splits the text into the words of the command. An exit status. */
static int split(struct request *request, const char *text)
{
    struct vios_error error = {0};
    for (const char *at = text; *at; at++) {
        if (iscntrl((unsigned char)*at) && *at != '\t') {
            return usage(NULL, "there are control characters in the command: give one line");
        }
    }
    words_free(&request->line);
    if (words_split(&request->line, text, strlen(text), &error) != VIOS_OK) {
        return usage(NULL, error.message);
    }
    if (request->line.open) {
        return usage(NULL, "the command ends within quotes");
    }
    char **words = calloc(request->line.count + 1, sizeof *words);
    if (!words) {
        return usage(NULL, "no memory");
    }
    for (size_t i = 0; i < request->line.count; i++) {
        words[i] = request->line.text + request->line.at[i];
    }
    free(request->words);
    request->words = words;
    request->count = (int)request->line.count;
    request->is_given = true;
    return 0;
}

static bool is_vios(const char *word)
{
    const char *name = base_name(word);
    return strcmp(name, "vios") == 0 || strcmp(name, PROGRAM_NAME) == 0;
}

/* The line is a forced command that sshd runs with the login shell. */
static bool is_forced(const struct request *request)
{
    return request->count > 1 && is_vios(request->words[0]) &&
           strcmp(request->words[1], "--restricted") == 0;
}

/* What SSH was asked for, when nothing else says what to do. */
static int take_original(struct request *request)
{
    const char *original = getenv(ORIGINAL_COMMAND);
    return original && request->count == 0 ? split(request, original) : 0;
}

static int read_request(struct request *request, int argc, char *const *argv)
{
    int status = take_words(request, argc - 1, argv + 1, true);
    if (status != 0) {
        return status;
    }
    request->is_given = request->count > 0;
    if (!request->text) {
        return take_original(request);
    }
    if (request->count > 0) {
        return usage(request->words[0], "no word may follow -c LINE");
    }
    status = split(request, request->text);
    if (status != 0 || !is_forced(request)) {
        return status;
    }
    char **words = request->words;
    request->words = NULL;
    status = take_words(request, request->count - 1, words + 1, false);
    request->is_given = request->count > 0;
    free(words);
    return status == 0 ? take_original(request) : status;
}

/* --- doing it --- */

/* Programs that SSH clients ask for to transfer files. */
static bool transfers_files(const char *name)
{
    static const char *const programs[] = {"scp", "sftp-server", "internal-sftp", "sftp", "rsync"};
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        if (strcmp(programs[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The first word of $SSH_CONNECTION; "": there is none. */
static void read_from(char from[ADDRESS_SIZE])
{
    const char *connection = getenv("SSH_CONNECTION");
    size_t size = connection ? strcspn(connection, " ") : 0;
    snprintf(from, ADDRESS_SIZE, "%.*s", (int)size, size > 0 ? connection : "");
}

static int run_rpc(lua_State *L, const struct request *request)
{
    char from[ADDRESS_SIZE];
    int status;
    lua_newtable(L);
    if (!cli_call(L, "vios.connection", "socket", 1, 1, &status)) {
        return status;
    }
    read_from(from);
    status = rpc_pipe(lua_tostring(L, -1), request->role, from);
    lua_pop(L, 1);
    return status;
}

static int run_words(lua_State *L, const struct request *request)
{
    int skip = request->count > 0 &&
               (is_vios(request->words[0]) || strcmp(base_name(request->words[0]), "ioscli") == 0);
    char *const *words = request->words + skip;
    int count = request->count - skip;
    if (count == 0) {
        return usage(NULL, "no command: see \"help\"");
    }
    if (transfers_files(base_name(words[0]))) {
        fprintf(stderr, "vios: no files are transferred here: this account has the commands of "
                        "vios only\n");
        return STATUS_FAILED;
    }
    return count == 1 && strcmp(words[0], "rpc") == 0 ? run_rpc(L, request)
                                                      : cli_command(L, count, words);
}

/* Tells lua/restricted.lua. */
static bool begin(lua_State *L, const struct request *request, int *status)
{
    lua_pushstring(L, request->role); /* NULL: nil */
    lua_pushstring(L, request->socket);
    return cli_call(L, "vios.restricted", "begin", 2, 0, status);
}

int restricted_run(lua_State *L, int argc, char **argv)
{
    struct request request = {0};
    int status = read_request(&request, argc, argv);
    if (status == 0 && begin(L, &request, &status)) {
        if (request.is_given) {
            status = run_words(L, &request);
        } else {
            status = isatty(STDIN_FILENO) ? repl_run(L, true) : cli_stdin(L);
        }
    }
    free(request.words);
    words_free(&request.line);
    return status;
}
