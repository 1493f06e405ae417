/* control.c - see control.h. */
#include "lpar/control.h"

#include "base/json.h"
#include "lpar/guest.h"
#include "lpar/hold.h"
#include "lpar/jobs.h"
#include "lpar/lookup.h"
#include "lpar/place.h"
#include "lpar/view.h"
#include "node/node.h"
#include "node/others.h"

#include <stdio.h>
#include <string.h>

#define STOP_TIMEOUT_MS 30000 /* how long a guest may take to power down */
#define RESET_TIMEOUT_MS 5000 /* QEMU's own part of it, and until its state is seen */
#define RESET_POLL_MS 10
#define FIRMWARE_MS 10000      /* until the firmware resets itself, if it does */
#define FIRMWARE_QUIET_MS 2000 /* until it would again */
#define FIRMWARE_RESETS_MAX 8

static int start_here(struct call *call, const struct lpar *lpar, const json_t *parameters,
                      json_t **result, struct operation *operation)
{
    char object[96];
    return call_job(call, &lpar_start_job, lpar_object(lpar->name, object),
                    json_pack("{s:s, s:b}", "name", lpar->name, "from_storage",
                              json_is_true(json_object_get(parameters, "from_storage"))),
                    parameters, result, operation);
}

int lpar_call_start(struct call *call, const json_t *parameters, json_t **result,
                    struct operation *operation)
{
    struct lpar lpar;
    char node[NAME_MAX_LENGTH + 1] = "", why[96] = "";
    int status = lpar_of_call(call, parameters, &lpar, operation);
    if (status == VIOS_OK) {
        status = place_of_call(call, &lpar, parameters, node, why, operation);
    }
    if (status < 0) {
        return status;
    }
    status = strcmp(node, call->node->name) == 0
                 ? start_here(call, &lpar, parameters, result, operation)
                 : others_pass(call, node, "lpar.start", parameters, result, operation);
    if (status == VIOS_OK && why[0]) {
        json_object_set_new(*result, "placed", json_string(why));
    }
    return status;
}

int lpar_call_stop(struct call *call, const json_t *parameters, json_t **result,
                   struct operation *operation)
{
    struct lpar lpar;
    char object[96];
    const json_t *timeout = json_object_get(parameters, "timeout");
    int status = lpar_of_call(call, parameters, &lpar, operation);
    if (status < 0) {
        return status;
    }
    if (lpar_is_elsewhere(call->node, &lpar)) {
        return others_pass(call, lpar.owner, "lpar.stop", parameters, result, operation);
    }
    json_t *data = json_pack("{s:s, s:I, s:b}", "name", lpar.name, "timeout_ms",
                             timeout ? json_integer_value(timeout) : (json_int_t)STOP_TIMEOUT_MS,
                             "force", json_is_true(json_object_get(parameters, "force")));
    return call_job(call, &lpar_stop_job, lpar_object(lpar.name, object), data, parameters, result,
                    operation);
}

/* --- reset --- */

/* QEMU answers before it resets. One that stood still is at "prelaunch" then, and waits for `cont`;
 * one that ran just runs. */
static int await_reset(struct guest *guest, bool *stands, struct operation *operation)
{
    for (;;) {
        json_t *answer = NULL;
        int status = guest_call(guest, "query-status", NULL, &answer, operation);
        const char *state = json_get_text(answer, "status");
        *stands = state && strcmp(state, "prelaunch") == 0;
        bool done = *stands || (state && strcmp(state, "running") == 0);
        json_decref(answer);
        if (status < 0 || done) {
            return status;
        }
        status = operation_sleep(operation, RESET_POLL_MS);
        if (status < 0) {
            return status;
        }
    }
}

/* What a reset does to QEMU: it ends (-no-reboot), but for the one that we ask for. */
static int set_reboot(struct guest *guest, const char *action, struct operation *operation)
{
    return guest_call(guest, "set-action", json_pack("{s:s}", "reboot", action), NULL, operation);
}

/* Resets it and lets it go on. */
static int reset_once(struct guest *guest, struct operation *operation)
{
    bool stands = false;
    int status = guest_call(guest, "system_reset", NULL, NULL, operation);
    if (status == VIOS_OK) {
        status = await_reset(guest, &stands, operation);
    }
    return status == VIOS_OK && stands ? guest_call(guest, "cont", NULL, NULL, operation) : status;
}

/* The firmware resets the machine once more when it finds that it ran before, sometimes more than
 * once; QEMU does not tell these from the guest's own, at which it is to end. It is past them when
 * none follows for a while. Not cancelled: the guest would end. */
static void await_firmware(struct guest *guest, uint64_t resets)
{
    struct operation waiting;
    operation_start(&waiting, RESET_TIMEOUT_MS, NULL);
    (void)guest_await_running(guest, &waiting); /* who sees it done sees it run */
    operation_start(&waiting, FIRMWARE_MS, NULL);
    for (int i = 0;
         i < FIRMWARE_RESETS_MAX && guest_await_own_reset(guest, resets, &waiting) == VIOS_OK;
         i++) {
        resets = guest_own_resets(guest);
        operation_start(&waiting, FIRMWARE_QUIET_MS, NULL);
    }
}

static int reset(struct guest *guest, struct operation *operation)
{
    struct operation resetting, restoring;
    uint64_t resets = guest_own_resets(guest);
    operation_start(&resetting, RESET_TIMEOUT_MS, operation->cancel);
    int status = set_reboot(guest, "reset", &resetting);
    if (status == VIOS_OK) {
        status = reset_once(guest, &resetting);
        if (status == VIOS_OK) {
            await_firmware(guest, resets);
        }
        operation_start(&restoring, RESET_TIMEOUT_MS, NULL);
        (void)set_reboot(guest, "shutdown", &restoring);
    }
    operation->error = resetting.error;
    return status;
}

static int reset_here(struct call *call, struct store *store, const struct lpar *lpar,
                      json_t **result, struct operation *operation)
{
    char object[96], hint[128];
    int status = lpar_check_lock(store, lpar, NULL, operation);
    if (status < 0) {
        return status;
    }
    struct guest *guest = lpars_find(call->node->lpars, lpar->name);
    if (guest && guest_is_connected(guest)) {
        status = reset(guest, operation);
    } else {
        snprintf(hint, sizeof hint, "start it: lpar start %s", lpar->name);
        status = operation_fail(operation, VIOS_E_CONFLICT, lpar_object(lpar->name, object), hint,
                                "it does not run");
    }
    guest_release(guest);
    return status == VIOS_OK ? view_show(call->node, store, lpar->name, result, operation) : status;
}

int lpar_call_reset(struct call *call, const json_t *parameters, json_t **result,
                    struct operation *operation)
{
    struct lpar lpar;
    struct store *store = NULL;
    int status = lpar_of_call(call, parameters, &lpar, operation);
    if (status < 0) {
        return status;
    }
    if (lpar_is_elsewhere(call->node, &lpar)) {
        return others_pass(call, lpar.owner, "lpar.reset", parameters, result, operation);
    }
    status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = reset_here(call, store, &lpar, result, operation);
        node_store_return(call->node, store);
    }
    return status;
}
