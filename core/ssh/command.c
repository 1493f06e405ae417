/*
 * command.c - plain commands on another machine, see channel.h. libssh hands over what comes as it
 * comes, by callbacks, within ssh_event_dopoll().
 *
 * A command without a terminal outlives its session, and signals for it are refused by the sshd of
 * root. So it runs beside a watcher that holds its standard input, which is ours: when that ends,
 * because we say so or are gone, the watcher ends the command and all that it started.
 */
#include "ssh/channel.h"

#include "ssh/channel_internal.h"

#include <libssh/callbacks.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define INTERRUPT_MS 1000 /* for a command that was interrupted to end by itself */

/* $1 is the command, which everybody there can see: it is no place for secrets. A session of its
 * own is also a process group, whose number is its own. */
static const char WATCHER[] =
    "sh -c 'exec 3<&0 </dev/null; setsid \"${SHELL:-sh}\" -c \"$1\" 3<&- & command=$!; "
    "{ read -r line <&3; kill -INT -$command; sleep 1; kill -KILL -$command; } "
    ">/dev/null 2>&1 & watcher=$!; exec 3<&-; wait $command; status=$?; "
    "kill $watcher 2>/dev/null; exit $status' vios ";
#define SIGNAL_STATUS 128

struct run {
    struct ssh_host *host;
    struct ssh_output *output;
    ssh_channel channel;
    ssh_event event;
    bool has_status, closed, no_memory;
};

static bool keep(char **text, size_t *size, const void *data, size_t count)
{
    char *longer = realloc(*text, *size + count + 1);
    if (!longer) {
        return false;
    }
    memcpy(longer + *size, data, count);
    *text = longer;
    *size += count;
    longer[*size] = '\0';
    return true;
}

/* All of it counts as taken, also what is not kept. */
static int on_data(ssh_session session, ssh_channel channel, void *data, uint32_t count,
                   int is_stderr, void *context)
{
    (void)session;
    (void)channel;
    struct run *run = context;
    struct ssh_output *output = run->output;
    size_t *size = is_stderr ? &output->err_size : &output->out_size;
    size_t room = SSH_OUTPUT_MAX - *size, kept = count < room ? count : room;
    output->cut = output->cut || kept < count;
    if (!keep(is_stderr ? &output->err : &output->out, size, data, kept)) {
        run->no_memory = true;
    }
    return (int)count;
}

static void on_status(ssh_session session, ssh_channel channel, int status, void *context)
{
    (void)session;
    (void)channel;
    struct run *run = context;
    run->output->status = status;
    run->has_status = true;
}

/* The numbers that a shell adds to 128, of the names that ssh has for signals. */
static int signal_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"HUP", 1},   {"INT", 2},   {"QUIT", 3},  {"ILL", 4},   {"ABRT", 6},
                   {"FPE", 8},   {"KILL", 9},  {"USR1", 10}, {"SEGV", 11}, {"USR2", 12},
                   {"PIPE", 13}, {"ALRM", 14}, {"TERM", 15}};
    for (size_t i = 0; name && i < sizeof signals / sizeof signals[0]; i++) {
        if (strcmp(signals[i].name, name) == 0) {
            return signals[i].number;
        }
    }
    return 0;
}

static void on_signal(ssh_session session, ssh_channel channel, const char *name, int core,
                      const char *message, const char *language, void *context)
{
    (void)core;
    (void)message;
    (void)language;
    on_status(session, channel, SIGNAL_STATUS + signal_number(name), context);
}

static void on_close(ssh_session session, ssh_channel channel, void *context)
{
    (void)session;
    (void)channel;
    ((struct run *)context)->closed = true;
}

static int on_cancel(socket_t fd, int events, void *context)
{
    (void)fd;
    (void)events;
    (void)context;
    return 0; /* that it ends the waiting is all */
}

/* Until the channel is closed at the other end. */
static int wait_for_end(struct run *run, struct operation *operation)
{
    while (!run->closed && ssh_host_alive(run->host)) {
        int status = operation_check(operation);
        if (status != VIOS_OK) {
            return status;
        }
        if (ssh_event_dopoll(run->event, operation_remaining_ms(operation)) == SSH_ERROR) {
            break;
        }
    }
    return run->no_memory ? operation_no_memory(operation, run->host->name) : VIOS_OK;
}

/* SIGINT there, and some time to follow it. */
static void interrupt(struct run *run)
{
    struct operation after;
    operation_start(&after, INTERRUPT_MS, NULL);
    if (ssh_channel_send_eof(run->channel) != SSH_ERROR) {
        wait_for_end(run, &after);
    }
}

/* The watcher with `command` as a word of a shell; NULL: no memory. free() it. */
static char *watched(const char *command)
{
    static const char quoted[] = "'\\''";
    char *whole = malloc(sizeof WATCHER + strlen(command) * strlen(quoted) + 2);
    if (!whole) {
        return NULL;
    }
    char *to = stpcpy(whole, WATCHER);
    *to++ = '\'';
    for (; *command; command++) {
        if (*command == '\'') {
            to = stpcpy(to, quoted);
        } else {
            *to++ = *command;
        }
    }
    stpcpy(to, "'");
    return whole;
}

static int follow(struct run *run, struct operation *operation)
{
    int cancel = cancel_descriptor(operation->cancel);
    if (cancel >= 0) {
        ssh_event_add_fd(run->event, cancel, POLLIN, on_cancel, NULL);
    }
    int status = wait_for_end(run, operation);
    if (cancel >= 0) { /* it stays readable: waiting with it again would be no waiting */
        ssh_event_remove_fd(run->event, cancel);
    }
    if (status != VIOS_OK) {
        interrupt(run);
    } else if (!run->has_status) {
        status = host_fail(run->host, VIOS_E_UNREACHABLE, "the ssh connection broke", NULL,
                           &operation->error);
    }
    return status;
}

/* In a channel that is open. */
static int run_in(struct run *run, const char *command, struct operation *operation)
{
    struct ssh_channel_callbacks_struct callbacks = {
        .userdata = run,
        .channel_data_function = on_data,
        .channel_close_function = on_close,
        .channel_exit_status_function = on_status,
        .channel_exit_signal_function = on_signal,
    };
    ssh_callbacks_init(&callbacks);
    ssh_set_channel_callbacks(run->channel, &callbacks);
    int status = channel_start(run->host, run->channel, command, operation);
    if (status == VIOS_OK && ssh_event_add_session(run->event, run->host->session) == SSH_OK) {
        status = follow(run, operation);
        ssh_event_remove_session(run->event, run->host->session);
    }
    ssh_remove_channel_callbacks(run->channel, &callbacks);
    return status;
}

int ssh_command_run(struct ssh_host *host, const char *command, struct ssh_output *output,
                    struct operation *operation)
{
    struct run run = {.host = host, .output = output, .event = ssh_event_new()};
    struct pipe_hold hold;
    char *whole = watched(command);
    *output = (struct ssh_output){0};
    pipe_hold(&hold);
    int status = whole && run.event ? VIOS_OK : operation_no_memory(operation, host->name);
    run.channel = status == VIOS_OK ? channel_open(host, operation) : NULL;
    status = run.channel ? run_in(&run, whole, operation) : operation->error.code;
    ssh_channel_free(run.channel);
    ssh_event_free(run.event);
    pipe_release(&hold);
    free(whole);
    if (status != VIOS_OK) {
        ssh_output_free(output);
    }
    return status;
}
