/* audit.c - see audit.h. */
#include "daemon/audit.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/parse.h"
#include "daemon/change.h"
#include "daemon/parameters.h"
#include "node/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUDIT_TIMEOUT_MS 5000
#define REFUSAL_MARK "-refused-"
#define AUDIT_PRUNE_EVERY 64 /* records of this daemon between two looks */

static json_t *bounded_parameters(const struct method *method, const json_t *parameters)
{
    json_t *shown = parameters_shown(method->parameters, method->flags, parameters);
    if (json_dumpb(shown, NULL, 0, JSON_COMPACT) <= AUDIT_PARAMETERS_MAX) {
        return shown;
    }
    json_decref(shown);
    return json_pack("{s:b}", "left_out", 1);
}

/* Left out when there is nothing to say. */
static void add_text(json_t *record, const char *key, const char *text)
{
    if (text && text[0]) {
        json_object_set_new(record, key, json_string(text));
    }
}

static char *audit_record(const struct call *call, const struct method *method,
                          const json_t *parameters, int status, int64_t wall_ms, json_t *changes)
{
    char time[CLOCK_TEXT_SIZE], object[128];
    parameters_object(method->parameters, parameters, object, sizeof object);
    json_t *record = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:o, s:s}", "v", 1, "time",
                               clock_format(wall_ms, time), "actor", call->actor, "node",
                               call->node->name, "method", method->name, "object", object,
                               "parameters", bounded_parameters(method, parameters), "outcome",
                               status == VIOS_OK ? "ok" : error_name(status));
    add_text(record, "user", call->user);
    add_text(record, "from", call->from);
    if (changes) {
        json_object_set_new(record, "changes", changes);
    }
    return json_into_text(record);
}

static bool is_refusal(const char *key)
{
    return strstr(key, REFUSAL_MARK) != NULL;
}

/* The oldest refusals beyond their limit, then the oldest of all. */
static size_t choose_old(const struct store_list *list, struct store_change *changes)
{
    size_t refusals = 0, count = 0;
    for (size_t i = 0; i < list->count; i++) {
        refusals += is_refusal(list->values[i].key);
    }
    for (size_t i = 0;
         i < list->count && refusals > AUDIT_REFUSALS_KEPT && count < STORE_CHANGES_MAX; i++) {
        if (is_refusal(list->values[i].key)) {
            changes[count++] = (struct store_change){.key = list->values[i].key};
            refusals--;
        }
    }
    if (count == 0 && list->count > AUDIT_KEPT) {
        count = list->count - AUDIT_KEPT;
        count = count < STORE_CHANGES_MAX ? count : STORE_CHANGES_MAX;
        for (size_t i = 0; i < count; i++) {
            changes[i] = (struct store_change){.key = list->values[i].key};
        }
    }
    return count;
}

/* As many as one commit may. */
static int audit_prune(struct store *store, struct operation *operation)
{
    struct store_list list;
    struct store_change changes[STORE_CHANGES_MAX];
    int status = store_list(store, "/audit/", &list, NULL, operation);
    if (status != VIOS_OK) {
        return status;
    }
    size_t count = choose_old(&list, changes);
    if (count > 0) {
        status = store_commit(store, NULL, 0, changes, count, NULL, operation);
    }
    store_list_clear(&list);
    return status;
}

static int audit_commit(struct node *node, int64_t wall_ms, const char *mark, const char *record,
                        struct operation *operation)
{
    static atomic_uint written;
    char uuid[UUID_TEXT_SIZE], key[96];
    struct store *store;
    int status = node_store(node, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    uuid_make(uuid);
    snprintf(key, sizeof key, "/audit/%013lld%s%s", (long long)wall_ms, mark, uuid);
    struct store_compare absent = {.kind = STORE_ABSENT, .key = key};
    struct store_change change = {.key = key, .json = record};
    status = store_commit(store, &absent, 1, &change, 1, NULL, operation);
    if (status == VIOS_OK && atomic_fetch_add(&written, 1) % AUDIT_PRUNE_EVERY == 0) {
        status = audit_prune(store, operation);
    }
    node_store_return(node, store);
    return status;
}

void audit_write(const struct call *call, const struct method *method, const json_t *parameters,
                 int status, const json_t *before)
{
    struct operation operation;
    json_t *after = before ? change_look(call->node, method, parameters) : NULL;
    json_t *changes = change_between(before, after);
    json_decref(after);
    operation_start(&operation, AUDIT_TIMEOUT_MS, NULL);
    int64_t wall_ms = clock_wall_ms();
    char *record = audit_record(call, method, parameters, status, wall_ms, changes);
    int written = record ? audit_commit(call->node, wall_ms, "-", record, &operation)
                         : error_set(&operation.error, VIOS_E_NO_SPACE, NULL, NULL, "no memory");
    if (written != VIOS_OK) {
        log_error("audit", "%s by %s (%s) is not recorded: %s", method->name, call->actor,
                  status == VIOS_OK ? "ok" : error_name(status), operation.error.message);
    }
    free(record);
}

void audit_refusal(struct node *node, const char *port, const char *who, const char *why,
                   int64_t untold, int64_t wall_ms)
{
    struct operation operation;
    char time[CLOCK_TEXT_SIZE], object[32];
    snprintf(object, sizeof object, "port \"%.8s\"", port);
    operation_start(&operation, AUDIT_TIMEOUT_MS, NULL);
    json_t *reason = json_string(why); /* NULL when it has bytes of theirs that are no text */
    json_t *record = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:{s:o, s:I}, s:s}", "v", 1, "time",
                               clock_format(wall_ms, time), "actor", who, "node", node->name,
                               "method", "refused", "object", object, "parameters", "why",
                               reason ? reason : json_string("?"), "untold", (json_int_t)untold,
                               "outcome", "denied");
    char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
    if (!text || audit_commit(node, wall_ms, REFUSAL_MARK, text, &operation) != VIOS_OK) {
        log_error("audit", "a refusal at the %s port is not recorded", port);
    }
    json_decref(record);
    free(text);
}
