/* host.c - see host.h. */
#include "ssh/host.h"

#include "base/clock.h"
#include "ssh/host_internal.h"
#include "ssh/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void pipe_hold(struct pipe_hold *hold)
{
    sigset_t pipe, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    hold->was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe, &hold->before);
}

void pipe_release(const struct pipe_hold *hold)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    while (!hold->was_pending && sigtimedwait(&pipe, NULL, &(struct timespec){0}) < 0 &&
           errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &hold->before, NULL);
}

/* libssh has closed its end: there is nothing to wait for any more, whatever it said. */
static bool is_closed(const struct ssh_host *host)
{
    return ssh_get_fd(host->session) == SSH_INVALID_SOCKET;
}

int host_wait(struct ssh_host *host, struct operation *operation)
{
    if (is_closed(host)) {
        return host_fail(host, VIOS_E_UNREACHABLE, "the ssh connection broke", NULL,
                         &operation->error);
    }
    int flags = ssh_get_poll_flags(host->session);
    int events =
        (flags & SSH_READ_PENDING ? POLLIN : 0) | (flags & SSH_WRITE_PENDING ? POLLOUT : 0);
    return operation_wait(operation, ssh_get_fd(host->session), (short)(events ? events : POLLIN));
}

int host_fail(const struct ssh_host *host, int code, const char *what, const char *hint,
              struct vios_error *error)
{
    const char *why = ssh_get_error(host->session);
    return error_set(error, code, host->name, hint, "%s%s%.300s", what, why && *why ? ": " : "",
                     why ? why : "");
}

bool host_ask(struct ssh_host *host, const char *prompt, bool echo, char *text, size_t size)
{
    if (!host->questions) {
        return false;
    }
    int64_t began_ms = clock_now_ms();
    bool answered = host->questions->ask(host->questions->context, prompt, echo, text, size);
    host->was_asked = host->was_asked || answered;
    if (host->operation->deadline_ms != OPERATION_NO_DEADLINE) {
        host->operation->deadline_ms += clock_now_ms() - began_ms;
    }
    return answered;
}

/* --- options --- */

static int set_option(struct ssh_host *host, enum ssh_options_e option, const void *value,
                      struct vios_error *error)
{
    return ssh_options_set(host->session, option, value) == SSH_OK
               ? VIOS_OK
               : host_fail(host, VIOS_E_USAGE, "it is no name of a host", NULL, error);
}

static int set_options(struct ssh_host *host, const char *config, struct vios_error *error)
{
    int status = set_option(host, SSH_OPTIONS_HOST, host->name, error);
    if (status != VIOS_OK) {
        return status;
    }
    if (ssh_options_parse_config(host->session, config) != SSH_OK) {
        return host_fail(host, VIOS_E_INVALID, "its ssh configuration cannot be read",
                         config ? "see VIOS_SSH_CONFIG" : "see ~/.ssh/config", error);
    }
    /* Its LogLevel is for ssh, which may write to the terminal. */
    return set_option(host, SSH_OPTIONS_LOG_VERBOSITY, &(int){SSH_LOG_NOLOG}, error);
}

static bool has_proxy(const struct ssh_host *host)
{
    char *proxy = NULL;
    bool has = ssh_options_get(host->session, SSH_OPTIONS_PROXYCOMMAND, &proxy) == SSH_OK;
    ssh_string_free_char(proxy);
    return has;
}

/* A name that the address book lacks is better told before it is tried. With a command for a proxy
 * the name is the proxy's business. */
static int check_name(struct ssh_host *host, struct operation *operation)
{
    char *target = NULL;
    int status = VIOS_OK;
    if (!has_proxy(host) && ssh_options_get(host->session, SSH_OPTIONS_HOST, &target) == SSH_OK) {
        status = resolve_check(target, host->name, operation);
    }
    ssh_string_free_char(target);
    return status;
}

/* --- connecting --- */

/* Begins to connect. libssh starts a proxy's command with a pair of sockets that any other child
 * would get too, when another thread starts one at that moment; and then nobody would see the end
 * of the first. */
static int begin_connect(struct ssh_host *host)
{
    static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
    bool starts = has_proxy(host);
    if (starts) {
        pthread_mutex_lock(&starting);
    }
    int said = ssh_connect(host->session);
    if (!is_closed(host)) {
        (void)fcntl(ssh_get_fd(host->session), F_SETFD, FD_CLOEXEC);
    }
    if (starts) {
        pthread_mutex_unlock(&starting);
    }
    return said;
}

static int connect_session(struct ssh_host *host, struct operation *operation)
{
    int said = begin_connect(host);
    while (said == SSH_AGAIN && !is_closed(host)) {
        int status = host_wait(host, operation);
        if (status == VIOS_E_TIMEOUT) {
            return operation_fail(operation, status, host->name, "give a longer --timeout",
                                  "no answer by ssh in time");
        }
        if (status != VIOS_OK) {
            return status;
        }
        said = ssh_connect(host->session);
    }
    return said == SSH_OK
               ? VIOS_OK
               : host_fail(host, VIOS_E_UNREACHABLE, "ssh cannot connect", NULL, &operation->error);
}

static int open_session(struct ssh_host *host, const char *config, struct operation *operation)
{
    int status = set_options(host, config, &operation->error);
    if (status == VIOS_OK) {
        status = check_name(host, operation);
    }
    if (status == VIOS_OK) {
        ssh_set_blocking(host->session, 0);
        status = connect_session(host, operation);
    }
    if (status == VIOS_OK) {
        status = host_check_key(host, &operation->error);
    }
    return status == VIOS_OK ? host_log_in(host, operation) : status;
}

int ssh_host_open(struct ssh_host **host, const char *name, const char *config,
                  const struct ssh_questions *questions, struct operation *operation)
{
    *host = NULL;
    if (strlen(name) > SSH_HOST_NAME_MAX || !*name || *name == '-') {
        return operation_fail(operation, VIOS_E_USAGE, NULL, "give [USER@]HOST",
                              "\"%.80s\" is no name of a host", name);
    }
    struct ssh_host *made = calloc(1, sizeof *made);
    if (!made || !(made->session = ssh_new())) {
        free(made);
        return operation_no_memory(operation, name);
    }
    snprintf(made->name, sizeof made->name, "%s", name);
    made->questions = questions;
    made->operation = operation;
    struct pipe_hold hold;
    pipe_hold(&hold);
    int status = open_session(made, config, operation);
    pipe_release(&hold);
    made->questions = NULL;
    made->operation = NULL;
    if (status != VIOS_OK) {
        ssh_host_close(made);
        return status;
    }
    *host = made;
    return VIOS_OK;
}

void ssh_host_close(struct ssh_host *host)
{
    if (!host) {
        return;
    }
    struct pipe_hold hold;
    pipe_hold(&hold);
    ssh_silent_disconnect(host->session); /* no farewell that could block */
    ssh_free(host->session);
    pipe_release(&hold);
    free(host->callbacks);
    free(host);
}

bool ssh_host_alive(const struct ssh_host *host)
{
    return ssh_is_connected(host->session) != 0;
}

const char *ssh_host_name(const struct ssh_host *host)
{
    return host->name;
}
