/* hibernations.c - see hibernations.h. */
#include "lpar/hibernations.h"

#include "base/json.h"
#include "base/log.h"
#include "lpar/hibernate.h"
#include "lpar/hold.h"
#include "lpar/lookup.h"
#include "lpar/place.h"
#include "lpar/restart.h"
#include "lpar/saved.h"
#include "node/job_methods.h"
#include "node/node.h"
#include "node/others.h"

#include <stdio.h>
#include <string.h>

/* --- hibernate, restart --- */

int lpar_call_hibernate(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    struct lpar lpar;
    char object[96];
    int status = lpar_of_call(call, parameters, &lpar, operation);
    if (status < 0) {
        return status;
    }
    if (lpar_is_elsewhere(call->node, &lpar)) {
        return others_pass(call, lpar.owner, "lpar.hibernate", parameters, result, operation);
    }
    json_t *data = json_pack("{s:s, s:b}", "name", lpar.name, "encrypt",
                             json_is_true(json_object_get(parameters, "encrypt")));
    return call_job(call, &lpar_hibernate_job, lpar_object(lpar.name, object), data, parameters,
                    result, operation);
}

int lpar_call_restart(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    struct lpar lpar;
    char object[96], node[NAME_MAX_LENGTH + 1], why[96];
    int status = lpar_of_call(call, parameters, &lpar, operation);
    if (status == VIOS_OK) {
        status = place_of_call(call, &lpar, parameters, node, why, operation);
    }
    if (status < 0) {
        return status;
    }
    if (strcmp(node, call->node->name) != 0) {
        return others_pass(call, node, "lpar.restart", parameters, result, operation);
    }
    status = call_job(call, &lpar_restart_job, lpar_object(lpar.name, object),
                      json_pack("{s:s}", "name", lpar.name), parameters, result, operation);
    if (status == VIOS_OK && why[0]) {
        json_object_set_new(*result, "placed", json_string(why));
    }
    return status;
}

/* --- looking --- */

static const char *state_of(const struct lpar *lpar, const struct saved *saved)
{
    return saved_is_current(lpar, saved) ? "valid" : "stale";
}

static json_t *shown(const char *name, const char *state, const struct saved *saved)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:s, s:s, s:b, s:s}", "lpar", name, "lu",
                     saved->lu, "content", "memory", "size_bytes", (json_int_t)saved->size_bytes,
                     "generation", (json_int_t)saved->generation, "state", state, "memory_bytes",
                     (json_int_t)saved->memory_bytes, "node", saved->node, "time", saved->time,
                     "encrypted", (int)saved->encrypted, "file", saved->file);
}

/* One whose record is damaged is shown too: it must not vanish. */
static json_t *row_of(struct store *store, const struct store_value *value,
                      struct operation *operation)
{
    struct saved saved;
    struct lpar lpar;
    struct vios_error ignored;
    const char *name = value->key + strlen(SAVED_PREFIX), *state = "damaged";
    if (saved_parse(value, &saved, &ignored) == VIOS_OK) {
        state =
            lpar_load(store, name, &lpar, operation) == VIOS_OK ? state_of(&lpar, &saved) : "stale";
        operation->error = (struct vios_error){0};
    }
    return shown(name, state, &saved);
}

int hibernation_call_list(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation)
{
    struct store *store = NULL;
    struct store_list list = {0};
    (void)parameters;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = store_list(store, SAVED_PREFIX, &list, NULL, operation);
    }
    for (size_t i = 0; status == VIOS_OK && i < list.count; i++) {
        json_t *row = row_of(store, &list.values[i], operation);
        status = row ? call->operations->item(call, row, operation)
                     : operation_no_memory(operation, NULL);
    }
    store_list_clear(&list);
    node_store_return(call->node, store);
    *result = status == VIOS_OK ? json_object() : NULL;
    return status;
}

/* Both records of the LPAR that is named. */
static int load_both(struct store *store, const json_t *parameters, struct lpar *lpar,
                     struct saved *saved, struct operation *operation)
{
    const char *name = json_get_text(parameters, "lpar");
    int status = lpar_load(store, name, lpar, operation);
    return status == VIOS_OK ? saved_load(store, name, saved, operation) : status;
}

/* Shows it, after `look` (NULL: nothing) has found no fault. */
static int look_at(struct call *call, const json_t *parameters, json_t **result,
                   int (*look)(struct node *node, struct store *store, const struct lpar *lpar,
                               const struct saved *saved, struct operation *operation),
                   struct operation *operation)
{
    struct lpar lpar;
    struct saved saved;
    struct store *store = NULL;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = load_both(store, parameters, &lpar, &saved, operation);
    }
    if (status == VIOS_OK && look) {
        status = look(call->node, store, &lpar, &saved, operation);
    }
    node_store_return(call->node, store);
    if (status == VIOS_OK) {
        *result = shown(lpar.name, state_of(&lpar, &saved), &saved);
    }
    return status;
}

int hibernation_call_show(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation)
{
    return look_at(call, parameters, result, NULL, operation);
}

static int verify(struct node *node, struct store *store, const struct lpar *lpar,
                  const struct saved *saved, struct operation *operation)
{
    struct hibernation_reader *reader;
    int status = saved_open(node, store, lpar, saved, &reader, operation);
    if (status == VIOS_OK) {
        status = hibernation_reader_verify(reader, operation);
        hibernation_reader_close(reader);
    }
    return status;
}

int hibernation_call_verify(struct call *call, const json_t *parameters, json_t **result,
                            struct operation *operation)
{
    return look_at(call, parameters, result, verify, operation);
}

/* --- remove --- */

/* In one commit: it is not hibernated any more. */
static int forget(struct store *store, struct lpar *lpar, const struct saved *saved,
                  struct operation *operation)
{
    char lpar_key[STORE_KEY_MAX], key[STORE_KEY_MAX], *json = NULL;
    snprintf(lpar_key, sizeof lpar_key, "/lpar/%s", lpar->name);
    snprintf(key, sizeof key, SAVED_PREFIX "%s", lpar->name);
    if (lpar->wanted == LPAR_HIBERNATED) {
        lpar->wanted = LPAR_STOPPED;
        lpar->job[0] = 0;
        json = lpar_format(lpar);
        if (!json) {
            return operation_no_memory(operation, NULL);
        }
    }
    const struct store_compare compares[] = {
        {.kind = STORE_REVISION_IS, .key = lpar_key, .revision = lpar->revision},
        {.kind = STORE_REVISION_IS, .key = key, .revision = saved->revision}};
    const struct store_change changes[] = {{.key = key}, {.key = lpar_key, .json = json}};
    int status = store_commit(store, compares, 2, changes, json ? 2 : 1, NULL, operation);
    free(json);
    return status;
}

static int remove_it(struct store *store, const json_t *parameters, struct saved *saved,
                     struct operation *operation)
{
    struct lpar lpar;
    struct store_tries tries = {0};
    int status;
    do {
        status = load_both(store, parameters, &lpar, saved, operation);
        if (status == VIOS_OK) {
            status = lpar_check_lock(store, &lpar, NULL, operation);
        }
        if (status < 0) {
            return status;
        }
        status = forget(store, &lpar, saved, operation);
    } while (store_try_again(&tries, &status));
    return status;
}

int hibernation_call_remove(struct call *call, const json_t *parameters, json_t **result,
                            struct operation *operation)
{
    struct saved saved;
    struct store *store = NULL;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = remove_it(store, parameters, &saved, operation);
    }
    if (status == VIOS_OK) {
        status = saved_remove(call->node, store, saved.lu, operation);
    }
    node_store_return(call->node, store);
    if (status == VIOS_OK) {
        *result =
            json_pack("{s:s, s:s}", "lpar", json_get_text(parameters, "lpar"), "lu", saved.lu);
    }
    return status;
}
