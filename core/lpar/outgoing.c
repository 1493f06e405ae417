/*
 * outgoing.c - see outgoing.h. This thread carries what QEMU gives; another one waits until the
 * guest stands still, drains its exports, and lets QEMU give the rest.
 */
#include "lpar/outgoing.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/json.h"
#include "base/thread.h"
#include "lpar/guest_exports.h"
#include "lpar/handoff.h"
#include "lpar/migration.h"
#include "net/rpc.h"
#include "node/node.h"
#include "node/others.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define ASK_MS 5000    /* QEMU */
#define DRAIN_MS 60000 /* for what the guest had written to reach its disks */
#define LOOK_MS 5      /* whether it stands still; it is down meanwhile */
#define LOOK_ALL_MS 1000

struct outgoing {
    struct job *job;
    const struct lpar *lpar;
    struct guest *guest;
    struct migration_port port;
    int descriptor; /* QEMU's stream */
    bool ended;     /* it is at its end, and so is the handoff */
    uint64_t sent_bytes;
    struct runner switcher;
    atomic_bool drained;
    struct vios_error why; /* what failed here, if anything */
};

/* --- the switch --- */

/* What is asked of QEMU is not broken off: the connection would be lost with it. */
static int ask_state(struct outgoing *outgoing, char state[MIGRATION_STATE_SIZE],
                     struct operation *operation)
{
    struct operation asking;
    operation_start(&asking, ASK_MS, NULL);
    int status = migration_state(&outgoing->port, state, &asking);
    operation->error = asking.error;
    return status;
}

/* Asks QEMU only where that could be news: now and then it may have failed. */
static int await_standstill(struct outgoing *outgoing, struct operation *operation)
{
    char state[MIGRATION_STATE_SIZE] = "";
    struct guest_status now;
    int64_t asked_ms = clock_now_ms();
    int status = VIOS_OK;
    while (status == VIOS_OK && strcmp(state, "pre-switchover") != 0) {
        guest_status(outgoing->guest, &now);
        if (strcmp(now.state, "paused") == 0 || clock_now_ms() - asked_ms >= LOOK_ALL_MS) {
            asked_ms = clock_now_ms();
            status = ask_state(outgoing, state, operation);
        }
        if (status == VIOS_OK && strcmp(state, "pre-switchover") != 0) {
            status = operation_sleep(operation, LOOK_MS);
        }
    }
    return status;
}

/* It stands still, and so does QEMU, until nothing is in flight. */
static int drain(struct outgoing *outgoing, struct operation *operation)
{
    struct guest_status now;
    guest_status(outgoing->guest, &now);
    return guest_exports_serve(job_node(outgoing->job), outgoing->lpar, now.start, "drain",
                               operation);
}

static void *switch_over(void *context)
{
    struct outgoing *outgoing = context;
    struct operation operation;
    operation_start(&operation, OPERATION_NO_DEADLINE, outgoing->switcher.cancel);
    int status = await_standstill(outgoing, &operation);
    if (status == VIOS_OK) {
        operation_start(&operation, DRAIN_MS, outgoing->switcher.cancel);
        status = drain(outgoing, &operation);
        outgoing->drained = status == VIOS_OK;
        crash_at("outgoing:drain:after");
    }
    if (status == VIOS_OK) {
        operation_start(&operation, ASK_MS, NULL);
        status = migration_switch_over(&outgoing->port, &operation);
    }
    if (status < 0 && status != VIOS_E_CANCELLED) { /* QEMU ends its stream then */
        outgoing->why = operation.error;
        outgoing->why.code = status;
        operation_start(&operation, ASK_MS, NULL);
        (void)migration_end(&outgoing->port, &operation);
    }
    return NULL;
}

/* --- the stream --- */

/* QEMU has closed it: it must have given all, while the exports were drained. */
static int check_end(struct outgoing *outgoing)
{
    struct operation asking;
    job_limit(outgoing->job, &asking, ASK_MS);
    runner_stop(&outgoing->switcher);
    int status = migration_sent(&outgoing->port, &asking);
    if (status == VIOS_OK && !outgoing->drained) {
        status = operation_fail(&asking, VIOS_E_IO, "guest", "try it again",
                                "its disks were not drained when QEMU had given all of it");
    }
    if (status < 0 && outgoing->why.code == VIOS_OK) {
        outgoing->why = asking.error;
        outgoing->why.code = status;
    }
    return outgoing->why.code;
}

static void tell_progress(struct outgoing *outgoing, size_t count)
{
    uint64_t total = outgoing->lpar->memory_bytes;
    outgoing->sent_bytes += count;
    job_progress(outgoing->job, (int64_t)outgoing->sent_bytes,
                 (int64_t)(outgoing->sent_bytes > total ? outgoing->sent_bytes : total), "bytes");
}

/* The next piece, with its head; `size` is larger than that. */
static ssize_t give(void *context, char *data, size_t size)
{
    struct outgoing *outgoing = context;
    uint8_t *head = (uint8_t *)data;
    ssize_t got;
    if (outgoing->ended) {
        return 0;
    }
    do {
        got = read(outgoing->descriptor, data + HANDOFF_HEAD, size - HANDOFF_HEAD);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return error_set_errno(&outgoing->why, "guest", "its state cannot be read");
    }
    if (got == 0) {
        int status = check_end(outgoing);
        outgoing->ended = true;
        handoff_head(head, HANDOFF_END, 0);
        return status < 0 ? status : HANDOFF_HEAD;
    }
    tell_progress(outgoing, (size_t)got);
    handoff_head(head, HANDOFF_STATE, (size_t)got);
    return HANDOFF_HEAD + got;
}

static int exchange(struct outgoing *outgoing, const char *target, int64_t *incarnation)
{
    struct job *job = outgoing->job;
    json_t *answer = NULL;
    const struct rpc_handlers handlers = {
        .input_fd = outgoing->descriptor, .receive = give, .context = outgoing};
    json_t *parameters = json_pack("{s:s, s:s, s:I}", "name", outgoing->lpar->name, "job", job->id,
                                   "generation", (json_int_t)outgoing->lpar->generation + 1);
    int status = others_exchange(job_node(job), target, "daemon.incoming", parameters, &handlers,
                                 &answer, &job->operation);
    *incarnation = json_get_integer(answer, "incarnation");
    json_decref(answer);
    if (outgoing->why.code < 0) { /* it is why the call was cancelled */
        job->operation.error = outgoing->why;
        status = outgoing->why.code;
    } else if (status < 0 && cancel_triggered(job->operation.cancel)) {
        status = operation_check(&job->operation); /* whatever the other node says to that */
    } else if (status == VIOS_OK && (!outgoing->ended || *incarnation < 1)) {
        status = operation_fail(&job->operation, VIOS_E_INVALID, target, "look at its log",
                                "it answered before it had all of the guest");
    }
    return status;
}

/* Whatever came of it, nothing of the migration goes on when this returns. */
static void end(struct outgoing *outgoing, bool good)
{
    struct operation ending;
    close(outgoing->descriptor);
    runner_stop(&outgoing->switcher);
    if (!good) {
        operation_start(&ending, ASK_MS, NULL);
        (void)migration_end(&outgoing->port, &ending);
    }
}

int outgoing_send(struct job *job, const struct lpar *lpar, struct guest *guest, const char *target,
                  int64_t *incarnation)
{
    struct outgoing outgoing = {
        .job = job, .lpar = lpar, .guest = guest, .port = guest_port(guest), .descriptor = -1};
    struct operation asking;
    _Static_assert(RPC_INPUT_MAX <= HANDOFF_PIECE_MAX, "what is read at once is a piece");
    job_limit(job, &asking, ASK_MS);
    int status =
        job_keep(job, &asking, migration_begin(&outgoing.port, &outgoing.descriptor, &asking));
    if (status < 0) {
        return status;
    }
    status = runner_start(&outgoing.switcher, "switch-over", switch_over, &outgoing, "guest",
                          &job->operation.error);
    if (status == VIOS_OK) {
        status = exchange(&outgoing, target, incarnation);
    }
    end(&outgoing, status == VIOS_OK);
    return status;
}
