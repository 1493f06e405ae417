/*
 * recover.c - lpar.recover, see recover.h. A look at the records says what is in the way; that is
 * done, and the records are looked at again, until nothing is. Each thing is a commit of its own or
 * a job, so it does not matter where a recovery is interrupted.
 */
#include "lpar/recover.h"

#include "base/json.h"
#include "lpar/adopt.h"
#include "lpar/hold.h"
#include "lpar/lookup.h"
#include "lpar/restart_state.h"
#include "lpar/saved.h"
#include "lpar/takeover.h"
#include "lpar/view.h"
#include "node/others.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOOKS_MAX 8 /* each does something; somebody else who does as much is not waited for */

struct recovery {
    struct call *call;
    struct store *store;
    struct lpar lpar;
    struct lpar_work work;
    json_t *did; /* texts */
    bool again;  /* something was done: look again */
};

static void note(struct recovery *recovery, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note(struct recovery *recovery, const char *format, ...)
{
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_array_append_new(recovery->did, json_string(text));
    recovery->again = true;
}

static int must_wait(struct recovery *recovery, const char *node, const char *what,
                     struct operation *operation)
{
    char object[96];
    return operation_fail(operation, VIOS_E_LOCKED, lpar_object(recovery->lpar.name, object),
                          "wait a few seconds, and try again; or start its daemon",
                          "node \"%s\", %s, is down, and not fenced yet", node, what);
}

/* --- what may be in the way --- */

/* A job, until its end, whatever that is. */
static int await_work(struct recovery *recovery, struct operation *operation)
{
    struct vios_error ended;
    const struct lpar_work *work = &recovery->work;
    if (!recover_is_there(recovery->call->node, work->node)) {
        return must_wait(recovery, work->node, "which is at work on it", operation);
    }
    int status = recover_await(recovery->call, work, &ended, operation);
    if (status == VIOS_OK && ended.code == VIOS_OK) {
        note(recovery, "job %s, %s, came to its end", work->job, work->kind);
    } else if (status == VIOS_OK) {
        note(recovery, "job %s, %s, has ended: %s", work->job, work->kind, ended.message);
    } else if (status == VIOS_E_UNREACHABLE) {
        status = must_wait(recovery, work->node, "which is at work on it", operation);
    }
    return status;
}

/* The owner is another node. One that is there looks after it itself. */
static int ask_owner(struct recovery *recovery, struct operation *operation)
{
    json_t *answer = NULL;
    int status = others_call(recovery->call, recovery->lpar.owner, "daemon.settle",
                             json_pack("{s:s}", "name", recovery->lpar.name), &answer, operation);
    if (status == VIOS_OK && json_is_true(json_object_get(answer, "settled"))) {
        note(recovery, "its QEMU on node \"%s\" is gone: it is stopped", recovery->lpar.owner);
    }
    json_decref(answer);
    return status;
}

static int take_over(struct recovery *recovery, struct operation *operation)
{
    json_t *ignored = NULL;
    char key[STORE_KEY_MAX];
    struct store_value fence;
    const struct lpar *lpar = &recovery->lpar;
    if (!lpar->taken) {
        snprintf(key, sizeof key, "/fence/%s/%lld", lpar->owner,
                 (long long)lpar->owner_incarnation);
        int found = store_get(recovery->store, key, &fence, operation);
        if (found < 0) {
            return found == VIOS_E_NOT_FOUND
                       ? must_wait(recovery, lpar->owner, "which runs it", operation)
                       : found;
        }
        store_value_clear(&fence);
    }
    json_t *parameters = json_pack("{s:s}", "name", lpar->name);
    int status = lpar_call_takeover(recovery->call, parameters, &ignored, operation);
    json_decref(parameters);
    json_decref(ignored);
    recovery->call->job[0] = 0;
    if (status == VIOS_OK) {
        note(recovery, "it was taken over from node \"%s\": it is stopped", lpar->owner);
    }
    return status;
}

static int settle_here(struct recovery *recovery, struct operation *operation)
{
    int status = lpar_settle(recovery->call->node, recovery->store, recovery->lpar.name, operation);
    if (status == VIOS_OK) {
        note(recovery, "its QEMU is gone: it is stopped");
    }
    return status < 0 ? status : VIOS_OK;
}

/* Says `did`, unless somebody else changed it meanwhile: then it is just looked at again. */
static int save(struct recovery *recovery, struct lpar *lpar, const char *did,
                struct operation *operation)
{
    int status = lpar_save(recovery->store, lpar, operation);
    if (status == VIOS_OK) {
        note(recovery, "%s", did);
    } else if (status == VIOS_E_CONFLICT || status == VIOS_E_UNKNOWN) {
        operation->error = (struct vios_error){0};
        recovery->again = true;
        status = VIOS_OK;
    }
    return status;
}

static int free_of_job(struct recovery *recovery, struct operation *operation)
{
    char did[JOB_ID_SIZE + 40];
    struct lpar lpar = recovery->lpar;
    lpar.job[0] = 0;
    snprintf(did, sizeof did, "job %s holds it no more", recovery->lpar.job);
    return save(recovery, &lpar, did, operation);
}

/* No node owns it. A memory that no restart would take is none. */
static int check_memory(struct recovery *recovery, struct operation *operation)
{
    struct saved saved;
    struct lpar lpar = recovery->lpar;
    int status = saved_load(recovery->store, lpar.name, &saved, operation);
    if ((status < 0 && status != VIOS_E_NOT_FOUND) ||
        (status == VIOS_OK && saved_is_current(&lpar, &saved))) {
        return status;
    }
    operation->error = (struct vios_error){0};
    lpar.wanted = LPAR_STOPPED;
    return save(recovery, &lpar,
                status == VIOS_OK ? "its memory is void: it is stopped"
                                  : "its memory is gone: it is stopped",
                operation);
}

/* --- looking --- */

static int look(struct recovery *recovery, struct operation *operation)
{
    const struct lpar *lpar = &recovery->lpar;
    struct node *node = recovery->call->node;
    if (recovery->work.job[0]) {
        return await_work(recovery, operation);
    }
    if (lpar->taken) {
        return take_over(recovery, operation);
    }
    if (lpar_is_elsewhere(node, lpar)) {
        return recover_is_there(node, lpar->owner) ? ask_owner(recovery, operation)
                                                   : take_over(recovery, operation);
    }
    if (lpar->owner[0]) {
        return settle_here(recovery, operation);
    }
    if (lpar->job[0]) {
        return free_of_job(recovery, operation);
    }
    return lpar->wanted == LPAR_HIBERNATED ? check_memory(recovery, operation) : VIOS_OK;
}

static int recover(struct recovery *recovery, const char *name, struct operation *operation)
{
    int status = VIOS_OK;
    recovery->again = true;
    for (int looks = 0; status == VIOS_OK && recovery->again && looks < LOOKS_MAX; looks++) {
        recovery->again = false;
        status = lpar_load(recovery->store, name, &recovery->lpar, operation);
        if (status == VIOS_OK) {
            status = lpar_work(recovery->store, &recovery->lpar, &recovery->work, operation);
        }
        if (status == VIOS_OK) {
            status = look(recovery, operation);
        }
    }
    return status;
}

/* --- the answer --- */

static void say_next(struct recovery *recovery, json_t *shown, struct operation *operation)
{
    char next[NAME_MAX_LENGTH + 32] = "";
    struct restart_facts facts;
    const char *state = json_get_word(shown, "state"), *verb = "";
    restart_state_read(recovery->store, &recovery->lpar, recovery->call->node->name, &facts,
                       operation);
    if (restart_state(&facts) == RESTART_STORAGE_UPDATE_FAILED) {
        verb = "cleanup";
    } else if (strcmp(state, "hibernated") == 0) {
        verb = "restart";
    } else if (strcmp(state, "stopped") == 0) {
        verb = "start";
    } else if (strcmp(state, "panicked") == 0 || strcmp(state, "watchdog") == 0) {
        verb = "reset";
    }
    if (verb[0]) {
        snprintf(next, sizeof next, "lpar %s %s", verb, recovery->lpar.name);
    }
    json_object_set_new(shown, "next", json_string(next));
}

int lpar_call_recover(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    struct recovery recovery = {.call = call, .did = json_array()};
    const char *name = json_get_text(parameters, "name");
    int status = node_store(call->node, &recovery.store, operation);
    if (status == VIOS_OK) {
        status = recover(&recovery, name, operation);
    }
    if (status == VIOS_OK) {
        status = view_show(call->node, recovery.store, name, result, operation);
    }
    if (status == VIOS_OK) {
        say_next(&recovery, *result, operation);
        json_object_set(*result, "did", recovery.did);
    }
    node_store_return(call->node, recovery.store);
    json_decref(recovery.did);
    return status;
}

int lpar_call_settle(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = lpar_settle(call->node, store, json_get_text(parameters, "name"), operation);
        node_store_return(call->node, store);
    }
    if (status >= 0) {
        *result = json_pack("{s:b}", "settled", status == VIOS_OK);
        status = VIOS_OK;
    }
    return status;
}
