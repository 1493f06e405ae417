/* place_function.c - see place_function.h. */
#include "node/place_function.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBJECT "placement"
#define PROGRAM "place"
#define ANSWER_MAX 4096

/* --- the process --- */

/* `fd` becomes its input and output. */
static int spawn(const char *program, int fd, pid_t *pid, struct vios_error *error)
{
    const char *const arguments[] = {program, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigfillset(&defaults);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    errno = posix_spawn(pid, program, &actions, &attributes, (char *const *)arguments, environ);
    int status = errno ? error_set_errno(error, program, "cannot start it") : VIOS_OK;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

static bool is_for_later(ssize_t moved)
{
    return moved < 0 && (errno == EAGAIN || errno == EINTR);
}

/* One that ended early does not read it all: what it wrote, and how it ended, say why. */
static int send_question(int fd, const char *text, struct operation *operation)
{
    size_t length = strlen(text);
    for (size_t at = 0; at < length;) {
        ssize_t sent = send(fd, text + at, length - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        int status = is_for_later(sent) ? operation_wait(operation, fd, POLLOUT) : VIOS_OK;
        if (status < 0) {
            return status;
        }
        if (sent < 0 && !is_for_later(sent)) {
            break;
        }
        at += sent > 0 ? (size_t)sent : 0;
    }
    shutdown(fd, SHUT_WR);
    return VIOS_OK;
}

static int receive_answer(int fd, char answer[ANSWER_MAX], size_t *size,
                          struct operation *operation)
{
    for (*size = 0; *size < ANSWER_MAX;) {
        int status = operation_wait(operation, fd, POLLIN);
        if (status < 0) {
            return status;
        }
        ssize_t got = recv(fd, answer + *size, ANSWER_MAX - *size, MSG_DONTWAIT);
        if (got > 0) {
            *size += (size_t)got;
        } else if (!is_for_later(got)) {
            break;
        }
    }
    return VIOS_OK;
}

static int end_of(pid_t pid)
{
    int ended = 0;
    while (waitpid(pid, &ended, 0) < 0 && errno == EINTR) {
    }
    return ended;
}

static int too_long(struct operation *operation)
{
    return operation_fail(operation, VIOS_E_TIMEOUT, OBJECT, NULL, "the function takes too long");
}

/* It ended without a word: at its own limit, by the kernel, or by a defect. */
static int judge_silence(int ended, struct operation *operation)
{
    if (WIFSIGNALED(ended) && (WTERMSIG(ended) == SIGXCPU || WTERMSIG(ended) == SIGKILL)) {
        return too_long(operation);
    }
    return operation_fail(operation, VIOS_E_IO, OBJECT, NULL,
                          WIFSIGNALED(ended) ? "what ran the function died of signal %d"
                                             : "what ran the function ended with status %d",
                          WIFSIGNALED(ended) ? WTERMSIG(ended) : WEXITSTATUS(ended));
}

/* Within the time of `operation`. */
static int converse(const char *program, const char *question, char answer[ANSWER_MAX],
                    size_t *size, struct operation *operation)
{
    int pair[2], ended;
    pid_t pid;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return error_set_errno(&operation->error, OBJECT, "cannot make a socket");
    }
    int status = spawn(program, pair[1], &pid, &operation->error);
    close(pair[1]);
    if (status < 0) {
        close(pair[0]);
        return status;
    }
    status = send_question(pair[0], question, operation);
    if (status == VIOS_OK) {
        status = receive_answer(pair[0], answer, size, operation);
    }
    if (status < 0) {
        kill(pid, SIGKILL);
    }
    close(pair[0]);
    ended = end_of(pid);
    if (status == VIOS_E_TIMEOUT) {
        return too_long(operation);
    }
    return status == VIOS_OK && *size == 0 ? judge_silence(ended, operation) : status;
}

/* --- questions and answers --- */

int place_function_answer(const char *text, size_t size, const json_t *nodes,
                          char chosen[NAME_MAX_LENGTH + 1], struct vios_error *error)
{
    size_t i;
    const json_t *node;
    json_t *answer = json_loadb(text, size, 0, NULL);
    const char *why = json_get_text(answer, "error"), *name = json_get_text(answer, "node");
    int status = why ? error_set(error, VIOS_E_INVALID, OBJECT, NULL, "%s", why) : VIOS_OK;
    bool is_one = !name && json_is_null(json_object_get(answer, "node"));
    chosen[0] = '\0';
    json_array_foreach(nodes, i, node)
    {
        if (name && strcmp(json_get_word(node, "node"), name) == 0) {
            snprintf(chosen, NAME_MAX_LENGTH + 1, "%s", name);
            is_one = true;
        }
    }
    if (status == VIOS_OK && !is_one) {
        status = error_set(error, VIOS_E_CORRUPT, OBJECT, NULL, "the answer is none");
    }
    json_decref(answer);
    if (status != VIOS_OK) {
        chosen[0] = '\0';
    }
    return status;
}

/* Takes over `question`. */
static int ask(const struct node *node, json_t *question, const json_t *nodes,
               char chosen[NAME_MAX_LENGTH + 1], struct operation *operation)
{
    char *program = NULL, *text = json_into_text(question), answer[ANSWER_MAX];
    size_t size = 0;
    struct operation asking;
    operation_start(&asking, PLACE_FUNCTION_MS, operation->cancel);
    if (asking.deadline_ms > operation->deadline_ms) {
        asking.deadline_ms = operation->deadline_ms;
    }
    int status = VIOS_OK;
    chosen[0] = '\0';
    if (!text || asprintf(&program, "%s/" PROGRAM, node->program_dir) < 0) {
        status = operation_no_memory(&asking, OBJECT);
    }
    if (status == VIOS_OK) {
        status = converse(program, text, answer, &size, &asking);
    }
    if (status == VIOS_OK) {
        status = place_function_answer(answer, size, nodes, chosen, &asking.error);
    }
    operation->error = asking.error;
    free(program);
    free(text);
    return status;
}

int place_function_check(const struct node *node, const char *text, struct operation *operation)
{
    char nobody[NAME_MAX_LENGTH + 1];
    size_t length = strlen(text);
    if (length > PLACE_FUNCTION_TEXT_MAX) {
        return operation_fail(operation, VIOS_E_INVALID, OBJECT, NULL,
                              "the function has %zu bytes; at most %d are kept", length,
                              PLACE_FUNCTION_TEXT_MAX);
    }
    return ask(node, json_pack("{s:s}", "text", text), NULL, nobody, operation);
}

int place_function_ask(const struct node *node, const char *text, json_t *lpar, json_t *nodes,
                       char chosen[NAME_MAX_LENGTH + 1], struct operation *operation)
{
    json_t *question = json_pack("{s:s, s:O, s:O}", "text", text, "lpar", lpar, "nodes", nodes);
    return ask(node, question, nodes, chosen, operation);
}

/* --- the record --- */

char *place_function_format(const char *text)
{
    char now[CLOCK_TEXT_SIZE];
    return json_into_text(json_pack("{s:i, s:s, s:s}", "v", 1, "text", text, "set",
                                    clock_format(clock_wall_ms(), now)));
}

int place_function_load(struct node *node, char **text, struct operation *operation)
{
    struct store *store = NULL;
    json_t *record = NULL;
    *text = NULL;
    int status = node_store(node, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = node_record(store, PLACE_FUNCTION_KEY, &record, NULL, operation);
    node_store_return(node, store);
    const char *kept = json_get_text(record, "text");
    if (status == VIOS_E_NOT_FOUND) {
        operation->error = (struct vios_error){0};
        status = VIOS_OK;
    } else if (status == VIOS_OK && kept && !(*text = strdup(kept))) {
        status = operation_no_memory(operation, OBJECT);
    }
    json_decref(record);
    return status;
}
