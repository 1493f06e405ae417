/*
 * host_login.c - who we are to a host: the agent and keys first, and where somebody can be asked,
 * what the host asks for (keyboard-interactive), and a password.
 */
#include "ssh/host_internal.h"

#include <libssh/callbacks.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_SIZE 256
#define ROUNDS_MAX 10  /* of questions by a host */
#define PROMPTS_MAX 10 /* in one of them */
#define TRIES_MAX 3

/* A key with a passphrase. */
static int ask_passphrase(const char *prompt, char *text, size_t size, int echo, int verify,
                          void *context)
{
    (void)verify;
    struct ssh_host *host = context;
    char question[SSH_HOST_NAME_MAX + 120];
    snprintf(question, sizeof question,
             "%.80s (for %s): ", prompt && *prompt ? prompt : "Passphrase", host->name);
    return host_ask(host, question, echo != 0, text, size) ? 0 : -1;
}

static int set_callbacks(struct ssh_host *host)
{
    host->callbacks = calloc(1, sizeof *host->callbacks);
    if (!host->callbacks) {
        return VIOS_E_NO_SPACE;
    }
    host->callbacks->userdata = host;
    host->callbacks->auth_function = ask_passphrase;
    ssh_callbacks_init(host->callbacks);
    return ssh_set_callbacks(host->session, host->callbacks) == SSH_OK ? VIOS_OK : VIOS_E_SYSTEM;
}

typedef int (*attempt)(ssh_session session, void *argument);

/* One way of logging in, to its end: *said is libssh's verdict. */
static int try(struct ssh_host *host, attempt way, void *argument, struct operation *operation,
               int *said)
{
    while ((*said = way(host->session, argument)) == SSH_AUTH_AGAIN) {
        int status = host_wait(host, operation);
        if (status != VIOS_OK) {
            return status;
        }
    }
    return VIOS_OK;
}

static int with_nothing(ssh_session session, void *argument)
{
    (void)argument;
    return ssh_userauth_none(session, NULL);
}

static int with_keys(ssh_session session, void *argument)
{
    (void)argument;
    return ssh_userauth_publickey_auto(session, NULL, NULL);
}

static int with_answers(ssh_session session, void *argument)
{
    (void)argument;
    return ssh_userauth_kbdint(session, NULL, NULL);
}

static int with_password(ssh_session session, void *password)
{
    return ssh_userauth_password(session, NULL, password);
}

/* The questions of one round, answered; false when nobody answers. */
static bool answer_round(struct ssh_host *host)
{
    char answer[SECRET_SIZE];
    int count = ssh_userauth_kbdint_getnprompts(host->session);
    bool good = count <= PROMPTS_MAX;
    for (int i = 0; i < count && good; i++) {
        char echo = 0, question[SSH_HOST_NAME_MAX + 120];
        const char *prompt = ssh_userauth_kbdint_getprompt(host->session, (unsigned)i, &echo);
        snprintf(question, sizeof question, "%s: %.100s", host->name, prompt ? prompt : "");
        good = host_ask(host, question, echo != 0, answer, sizeof answer) &&
               ssh_userauth_kbdint_setanswer(host->session, (unsigned)i, answer) >= 0;
    }
    explicit_bzero(answer, sizeof answer);
    return good;
}

/* The rounds of one try; `*answered` is false when somebody was needed and nobody answered. */
static int try_answers(struct ssh_host *host, struct operation *operation, int *said,
                       bool *answered)
{
    int status = try(host, with_answers, NULL, operation, said);
    for (int i = 0; status == VIOS_OK && *said == SSH_AUTH_INFO && i < ROUNDS_MAX; i++) {
        *answered = answer_round(host);
        if (!*answered) {
            *said = SSH_AUTH_DENIED;
            return VIOS_OK;
        }
        status = try(host, with_answers, NULL, operation, said);
    }
    return status;
}

static int log_in_by_answers(struct ssh_host *host, struct operation *operation, int *said)
{
    int status = VIOS_OK;
    bool answered = true;
    *said = SSH_AUTH_DENIED;
    for (int i = 0; status == VIOS_OK && answered && *said == SSH_AUTH_DENIED && i < TRIES_MAX;
         i++) {
        status = try_answers(host, operation, said, &answered);
    }
    return status;
}

static int log_in_by_password(struct ssh_host *host, struct operation *operation, int *said)
{
    char question[SSH_HOST_NAME_MAX + 32], password[SECRET_SIZE];
    int status = VIOS_OK;
    *said = SSH_AUTH_DENIED;
    snprintf(question, sizeof question, "%s: password: ", host->name);
    for (int i = 0; status == VIOS_OK && *said == SSH_AUTH_DENIED && i < TRIES_MAX; i++) {
        if (!host_ask(host, question, false, password, sizeof password)) {
            break;
        }
        status = try(host, with_password, password, operation, said);
    }
    explicit_bzero(password, sizeof password);
    return status;
}

static int denied(struct ssh_host *host, int said, struct vios_error *error)
{
    if (said == SSH_AUTH_ERROR && !ssh_host_alive(host)) {
        return host_fail(host, VIOS_E_UNREACHABLE, "the connection broke while logging in", NULL,
                         error);
    }
    return error_set(error, VIOS_E_DENIED, host->name,
                     "give a key to ssh-agent, or name one in ~/.ssh/config", "%s",
                     host->was_asked ? "no key lets you in, and what you typed does not either"
                                     : "no key lets you in, and nobody was there to be asked");
}

int host_log_in(struct ssh_host *host, struct operation *operation)
{
    int said, status = set_callbacks(host);
    if (status != VIOS_OK) {
        return operation_fail(operation, status, host->name, NULL, "no memory");
    }
    status = try(host, with_nothing, NULL, operation, &said);
    if (status == VIOS_OK && said != SSH_AUTH_SUCCESS) {
        status = try(host, with_keys, NULL, operation, &said);
    }
    int methods = host->questions ? ssh_userauth_list(host->session, NULL) : 0;
    if (status == VIOS_OK && said != SSH_AUTH_SUCCESS && (methods & SSH_AUTH_METHOD_INTERACTIVE)) {
        status = log_in_by_answers(host, operation, &said);
    }
    if (status == VIOS_OK && said != SSH_AUTH_SUCCESS && (methods & SSH_AUTH_METHOD_PASSWORD)) {
        status = log_in_by_password(host, operation, &said);
    }
    if (status != VIOS_OK || said == SSH_AUTH_SUCCESS) {
        return status;
    }
    return denied(host, said, &operation->error);
}
