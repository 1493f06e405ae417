/*
 * outgoing.c - see outgoing.h. When the target is ready QEMU begins. This thread carries what QEMU
 * gives; another one waits until the guest stands still, drains its exports, and lets QEMU give the
 * rest.
 */
#include "lpar/outgoing.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/json.h"
#include "base/thread.h"
#include "lpar/guest_exports.h"
#include "lpar/handoff.h"
#include "lpar/migration.h"
#include "lpar/saved_pages.h"
#include "net/rpc.h"
#include "node/node.h"
#include "node/others.h"
#include "paging/hand_over.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
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
    int input;      /* an epoll: readable when there is something to send */
    int descriptor; /* QEMU's stream, in it; -1 before the target is ready */
    bool given;     /* all of it */
    bool ended;     /* the handoff */
    bool has_pages; /* a paging device, whose state goes along */
    int pages;      /* that state; -1: not yet, or none; */
    off_t pages_at; /* its descriptor shares its position with those of others */
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

static int fail(struct outgoing *outgoing, const struct operation *operation, int status)
{
    if (status < 0 && outgoing->why.code == VIOS_OK) {
        outgoing->why = operation->error;
        outgoing->why.code = status;
    }
    return outgoing->why.code;
}

/* QEMU has closed it: it must have given all, while the exports were drained. */
static int check_given(struct outgoing *outgoing)
{
    struct operation asking;
    struct guest_status now;
    job_limit(outgoing->job, &asking, ASK_MS);
    runner_stop(&outgoing->switcher);
    int status = migration_sent(&outgoing->port, &asking);
    if (status == VIOS_OK && !outgoing->drained) {
        status = operation_fail(&asking, VIOS_E_IO, "guest", "try it again",
                                "its disks were not drained when QEMU had given all of it");
    }
    if (status == VIOS_OK && outgoing->has_pages) {
        guest_status(outgoing->guest, &now);
        status = paging_hand_over(job_node(outgoing->job), outgoing->lpar->uuid, now.start,
                                  &outgoing->pages, &asking);
    }
    outgoing->given = true;
    return fail(outgoing, &asking, status);
}

static void tell_progress(struct outgoing *outgoing, size_t count)
{
    uint64_t total = outgoing->lpar->memory_bytes;
    outgoing->sent_bytes += count;
    job_progress(outgoing->job, (int64_t)outgoing->sent_bytes,
                 (int64_t)(outgoing->sent_bytes > total ? outgoing->sent_bytes : total), "bytes");
}

static ssize_t failed(struct outgoing *outgoing)
{
    return error_set_errno(&outgoing->why, "guest", "its state cannot be read");
}

static ssize_t read_state(struct outgoing *outgoing, char *data, size_t size)
{
    ssize_t got;
    do {
        got = read(outgoing->descriptor, data, size);
    } while (got < 0 && errno == EINTR);
    tell_progress(outgoing, got > 0 ? (size_t)got : 0);
    return got < 0 ? failed(outgoing) : got;
}

static ssize_t read_pages(struct outgoing *outgoing, char *data, size_t size)
{
    ssize_t got = outgoing->pages >= 0 ? pread(outgoing->pages, data, size, outgoing->pages_at) : 0;
    outgoing->pages_at += got > 0 ? got : 0;
    return got < 0 ? failed(outgoing) : got;
}

static ssize_t behind_head(char *data, enum handoff_kind kind, ssize_t got)
{
    if (got < 0) {
        return got;
    }
    handoff_head((uint8_t *)data, kind, (size_t)got);
    return HANDOFF_HEAD + got;
}

/* The next piece, behind its head: first all of the state, then what there is of pages, then the
 * end. */
static ssize_t give(void *context, char *data, size_t size)
{
    struct outgoing *outgoing = context;
    char *piece = data + HANDOFF_HEAD;
    if (outgoing->ended) {
        return 0;
    }
    if (!outgoing->given) {
        ssize_t got = read_state(outgoing, piece, size - HANDOFF_HEAD);
        int status = got == 0 ? check_given(outgoing) : VIOS_OK;
        if (got != 0 || status < 0) {
            return got != 0 ? behind_head(data, HANDOFF_STATE, got) : status;
        }
    }
    ssize_t got = read_pages(outgoing, piece, size - HANDOFF_HEAD);
    outgoing->ended = got == 0;
    return behind_head(data, got == 0 ? HANDOFF_END : HANDOFF_PAGES, got);
}

/*
 * QEMU 7.2 with tcg loses some of what changes in a guest's memory while it sends that: Linux
 * guests that were swapping crashed after one migration in ten, and never when they stood still. A
 * build with VIOS_TEST_HOOKS takes the other way, which kvm takes, where VIOS_MIGRATE_LIVE is set.
 */
static bool can_run_meanwhile(const struct lpar *lpar)
{
#ifdef VIOS_TEST_HOOKS
    if (getenv("VIOS_MIGRATE_LIVE")) {
        return true;
    }
#endif
    return strcmp(lpar->accel, "tcg") != 0;
}

static int begin(struct outgoing *outgoing, struct operation *operation)
{
    struct epoll_event event = {.events = EPOLLIN};
    int status = VIOS_OK;
    operation_start(operation, DRAIN_MS, outgoing->job->operation.cancel);
    if (!can_run_meanwhile(outgoing->lpar)) {
        status = guest_call(outgoing->guest, "stop", NULL, NULL, operation);
    }
    if (status == VIOS_OK) {
        status = migration_begin(&outgoing->port, &outgoing->descriptor, operation);
    }
    if (status == VIOS_OK &&
        epoll_ctl(outgoing->input, EPOLL_CTL_ADD, outgoing->descriptor, &event) != 0) {
        status = error_set_errno(&operation->error, "guest", "its state cannot be watched");
    }
    return status == VIOS_OK ? runner_start(&outgoing->switcher, "switch-over", switch_over,
                                            outgoing, "guest", &operation->error)
                             : status;
}

/* The target says that it is ready. */
static bool begin_when_ready(void *context, const json_t *item)
{
    struct outgoing *outgoing = context;
    struct operation operation;
    if (!json_is_true(json_object_get(item, "ready")) || outgoing->descriptor >= 0) {
        return true;
    }
    return fail(outgoing, &operation, begin(outgoing, &operation)) == VIOS_OK;
}

static int exchange(struct outgoing *outgoing, const char *target, int64_t *incarnation)
{
    struct job *job = outgoing->job;
    json_t *answer = NULL;
    const struct rpc_handlers handlers = {.item = begin_when_ready,
                                          .input_fd = outgoing->input,
                                          .receive = give,
                                          .context = outgoing};
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
    const int descriptors[] = {outgoing->input, outgoing->descriptor, outgoing->pages};
    for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++) {
        if (descriptors[i] >= 0) {
            close(descriptors[i]);
        }
    }
    runner_stop(&outgoing->switcher);
    if (!good) {
        operation_start(&ending, ASK_MS, NULL);
        (void)migration_end(&outgoing->port, &ending);
    }
}

int outgoing_send(struct job *job, const struct lpar *lpar, struct guest *guest, const char *target,
                  int64_t *incarnation)
{
    uint64_t paging_bytes = 0;
    struct outgoing outgoing = {.job = job,
                                .lpar = lpar,
                                .guest = guest,
                                .port = guest_port(guest),
                                .input = epoll_create1(EPOLL_CLOEXEC),
                                .descriptor = -1,
                                .pages = -1};
    _Static_assert(RPC_INPUT_MAX <= HANDOFF_PIECE_MAX, "what is read at once is a piece");
    int status =
        outgoing.input >= 0
            ? saved_pages_size(job_node(job), lpar, &paging_bytes, &job->operation)
            : error_set_errno(&job->operation.error, "guest", "no descriptor for its state");
    outgoing.has_pages = paging_bytes > 0;
    if (status == VIOS_OK) {
        status = exchange(&outgoing, target, incarnation);
    }
    end(&outgoing, status == VIOS_OK);
    return status;
}
