/* caller_methods.c - see caller_methods.h. Who is registered is in the VIOS DB, so that any node
 * can change it; who is connected knows only the primary. */
#include "event/caller_methods.h"

#include "base/json.h"
#include "event/caller.h"
#include "event/caller_primary.h"
#include "event/callers.h"
#include "node/credentials.h"
#include "node/node.h"
#include "node/others.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

/* --- event.register --- */

/* What a caller needs to connect: where to, and the certificate to trust there. */
static int add_connection(struct node *node, json_t *result, struct vios_error *error)
{
    char fingerprint[DIGEST_TEXT_SIZE];
    struct credentials credentials = {0};
    int status = credentials_read(node, &credentials, error);
    if (status == VIOS_OK) {
        status = certificate_fingerprint(credentials.authority, fingerprint, error);
    }
    if (status == VIOS_OK) {
        json_object_set_new(result, "addresses", caller_addresses(node));
        json_object_set_new(result, "authority", json_string(credentials.authority));
        json_object_set_new(result, "fingerprint", json_string(fingerprint));
    }
    credentials_clear(&credentials);
    return status;
}

int event_register(struct call *call, const json_t *parameters, json_t **result,
                   struct operation *operation)
{
    struct event_filter filter;
    struct store *store = NULL;
    char token[CALLER_TOKEN_SIZE] = "";
    const char *id = json_get_text(parameters, "id");
    json_t *made = json_pack("{s:s}", "id", id);
    int status =
        event_filter_parse(json_get_text(parameters, "class"), json_get_text(parameters, "object"),
                           &filter, &operation->error);
    if (status == VIOS_OK) {
        status = add_connection(call->node, made, &operation->error);
    }
    if (status == VIOS_OK) {
        status = node_store(call->node, &store, operation);
    }
    if (status == VIOS_OK) {
        status = caller_register(store, id, &filter, call->actor, token, operation);
        json_object_set_new(made, "token", json_string(token));
    }
    node_store_return(call->node, store);
    event_filter_clear(&filter);
    OPENSSL_cleanse(token, sizeof token);
    if (status == VIOS_OK) {
        *result = made;
    } else {
        json_decref(made);
    }
    return status;
}

/* --- event.unregister --- */

int event_unregister(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct store *store = NULL;
    const char *id = json_get_text(parameters, "id");
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = caller_unregister(store, id, operation);
    }
    node_store_return(call->node, store);
    if (status == VIOS_OK) {
        *result = json_pack("{s:s}", "id", id);
    }
    return status;
}

/* --- event.callers --- */

static json_t *join_words(char *const *words, size_t count)
{
    char text[FILTER_WORDS_MAX * (FILTER_WORD_MAX + 1) + 1] = "";
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? "," : "", words[i]);
    }
    return json_string(text);
}

/* One that is not connected; its connection, if it has one, is laid over. */
static json_t *row_of(const struct caller *caller, const json_t *connection)
{
    json_t *row =
        json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:I}", "id", caller->id, "state", "away", "class",
                  join_words(caller->filter.classes, caller->filter.class_count), "object",
                  join_words(caller->filter.objects, caller->filter.object_count), "registered",
                  caller->registered, "by", caller->by, "seen", (json_int_t)caller->seen.sequence);
    if (row && connection) {
        json_object_update(row, (json_t *)connection);
        json_object_set_new(row, "retries",
                            json_integer(json_get_integer(connection, "connects") - 1));
    }
    return row;
}

/* By id. */
static json_t *list_connections(struct node *node)
{
    struct callers *callers = atomic_load(&node->callers);
    json_t *array = callers ? callers_show(callers) : NULL, *by_id = json_object(), *one;
    size_t index;
    json_array_foreach(array, index, one)
    {
        json_object_set(by_id, json_get_word(one, "id"), one);
    }
    json_decref(array);
    return by_id;
}

static int send_rows(struct call *call, const struct store_list *list, struct operation *operation)
{
    json_t *connections = list_connections(call->node);
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < list->count; i++) {
        struct caller caller;
        if (caller_parse(&list->values[i], &caller, &operation->error) == VIOS_OK) {
            json_t *row = row_of(&caller, json_object_get(connections, caller.id));
            status = row ? call->operations->item(call, row, operation)
                         : operation_no_memory(operation, NULL);
        } else { /* it is not served either: the log of the primary says why */
            operation->error = (struct vios_error){0};
        }
        caller_clear(&caller);
    }
    json_decref(connections);
    return status;
}

int event_callers(struct call *call, const json_t *parameters, json_t **result,
                  struct operation *operation)
{
    char primary[NAME_MAX_LENGTH + 1];
    struct store *store = NULL;
    struct store_list list = {0};
    others_primary(call->node, primary);
    if (primary[0]) {
        return others_stream(call, primary, "event.callers", json_deep_copy(parameters), result,
                             operation);
    }
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = store_list(store, CALLER_PREFIX, &list, NULL, operation);
    }
    node_store_return(call->node, store);
    if (status == VIOS_OK) {
        status = send_rows(call, &list, operation);
    }
    store_list_clear(&list);
    *result = status == VIOS_OK ? json_object() : NULL;
    return status;
}
