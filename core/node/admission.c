/*
 * admission.c - `node token` and `node.admit`, both on the node with the authority's key.
 *
 *     /token/ID {"v":1,"hash":"64 hex digits","expires":ms,"by":"uid:0"}
 *
 * A token is used up by the commit that makes the member: it compares the token's revision and
 * deletes it, so that of two that come with the same one only one gets in. Nothing is signed for a
 * name that is taken, nor without a valid token.
 */
#include "base/clock.h"
#include "base/log.h"
#include "net/crypto.h"
#include "node/credentials.h"
#include "node/members.h"
#include "node/membership.h"
#include "node/ports.h"

#include "base/json.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int take_authority(struct node *node, struct authority **authority,
                          struct operation *operation)
{
    int status = credentials_authority(node, authority, &operation->error);
    return status == VIOS_E_NOT_FOUND
               ? operation_fail(operation, VIOS_E_INVALID, "this node",
                                "run it on the node where the cluster was created",
                                "it does not have the key of the cluster's authority")
               : status;
}

/* --- node token --- */

static int fill_token(struct node *node, struct token *token, int64_t valid_ms,
                      struct operation *operation)
{
    struct authority *authority;
    int status = take_authority(node, &authority, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = token_make(token, &operation->error);
    if (status == VIOS_OK) {
        status = certificate_fingerprint(authority_certificate(authority), token->fingerprint,
                                         &operation->error);
    }
    ports_address(config_text(node->config, "address"), node->port, token->addresses[0],
                  sizeof token->addresses[0]);
    token->address_count = 1;
    token->expires_ms = (clock_wall_ms() + valid_ms) / 1000 * 1000;
    authority_free(authority);
    return status;
}

/* Those of them that are over. */
static size_t choose_expired(const struct store_list *list, struct store_change *changes)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count && count < MEMBERSHIP_TOKENS_PRUNED_MAX; i++) {
        json_t *record = json_loads(list->values[i].json, 0, NULL);
        if (json_get_integer(record, "expires") < clock_wall_ms()) {
            changes[count++] = (struct store_change){.key = list->values[i].key};
        }
        json_decref(record);
    }
    return count;
}

static int commit_token(struct store *store, const struct token *token, const char *actor,
                        struct operation *operation)
{
    char key[STORE_KEY_MAX], hash[DIGEST_TEXT_SIZE];
    struct store_change changes[MEMBERSHIP_TOKENS_PRUNED_MAX + 1];
    struct store_list list = {0};
    int status = token_hash(token, hash, &operation->error);
    if (status == VIOS_OK) {
        status = store_list(store, "/token/", &list, NULL, operation);
    }
    if (status != VIOS_OK) {
        return status;
    }
    size_t count = choose_expired(&list, changes);
    snprintf(key, sizeof key, "/token/%s", token->id);
    json_t *record = json_pack("{s:i, s:s, s:I, s:s}", "v", 1, "hash", hash, "expires",
                               (json_int_t)token->expires_ms, "by", actor);
    char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
    struct store_compare absent = {.kind = STORE_ABSENT, .key = key};
    changes[count++] = (struct store_change){.key = key, .json = text};
    status = text ? store_commit(store, &absent, 1, changes, count, NULL, operation)
                  : operation_no_memory(operation, NULL);
    free(text);
    json_decref(record);
    store_list_clear(&list);
    return status;
}

/* Nobody joins with the token of that id any more. */
static int revoke_token(struct node *node, const char *id, json_t **result,
                        struct operation *operation)
{
    uint8_t bytes[TOKEN_ID_BYTES];
    char key[STORE_KEY_MAX];
    struct store *store = NULL;
    if (!crypto_unhex(id, bytes, sizeof bytes)) {
        return operation_fail(operation, VIOS_E_USAGE, "revoke",
                              "\"vios node token --json\" shows it", "that is no token's id");
    }
    snprintf(key, sizeof key, "/token/%s", id);
    struct store_compare there = {.kind = STORE_EXISTS, .key = key};
    struct store_change change = {.key = key};
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = store_commit(store, &there, 1, &change, 1, NULL, operation);
    }
    node_store_return(node, store);
    if (status == VIOS_E_CONFLICT) {
        return operation_fail(operation, VIOS_E_NOT_FOUND, "token", NULL,
                              "there is none of that id: it was used, or revoked");
    }
    *result = status == VIOS_OK ? json_pack("{s:s}", "revoked", id) : NULL;
    return status;
}

int node_token(struct call *call, const json_t *parameters, json_t **result,
               struct operation *operation)
{
    const json_t *valid = json_object_get(parameters, "valid");
    const char *revoked = json_get_text(parameters, "revoke");
    int64_t valid_ms = valid ? json_integer_value(valid) : MEMBERSHIP_TOKEN_VALID_MS;
    char text[TOKEN_TEXT_SIZE], expires[CLOCK_TEXT_SIZE];
    struct token token = {0};
    struct store *store = NULL;
    if (revoked) {
        return revoke_token(call->node, revoked, result, operation);
    }
    if (valid_ms > MEMBERSHIP_TOKEN_VALID_MAX_MS) {
        return operation_fail(operation, VIOS_E_USAGE, "valid", "make a new one when it is needed",
                              "a token is valid for a week at most");
    }
    int status = fill_token(call->node, &token, valid_ms, operation);
    if (status == VIOS_OK) {
        status = token_format(&token, text, &operation->error);
    }
    if (status == VIOS_OK) {
        status = node_store(call->node, &store, operation);
    }
    if (status == VIOS_OK) {
        status = commit_token(store, &token, call->actor, operation);
    }
    node_store_return(call->node, store);
    if (status == VIOS_OK) {
        *result = json_pack("{s:s, s:s, s:s}", "token", text, "id", token.id, "expires",
                            clock_format(token.expires_ms, expires));
        OPENSSL_cleanse(text, sizeof text);
    }
    token_forget(&token);
    return status;
}

/* --- node.admit --- */

static int refuse_token(struct operation *operation)
{
    return operation_fail(operation, VIOS_E_DENIED, "token",
                          "make a new one with \"vios node token\"",
                          "it was used already, or it has expired, or it never was");
}

int membership_read_applicant(const json_t *parameters, struct applicant *applicant,
                              struct operation *operation)
{
    struct sockaddr_storage unused;
    socklen_t size;
    *applicant = (struct applicant){
        .node = json_get_word(parameters, "node"),
        .request = json_get_word(parameters, "request"),
        .address = json_get_word(parameters, "address"),
        .run_dir = json_get_word(parameters, "run_dir"),
        .role = json_is_true(json_object_get(parameters, "witness")) ? "witness" : "member",
        .level = json_get_integer(parameters, "level")};
    const char *id = json_get_word(parameters, "id"), *secret = json_get_word(parameters, "secret");
    uint8_t id_bytes[TOKEN_ID_BYTES];
    if (!crypto_unhex(id, id_bytes, sizeof id_bytes) ||
        !crypto_unhex(secret, applicant->token.secret, TOKEN_SECRET_BYTES)) {
        return refuse_token(operation);
    }
    snprintf(applicant->token.id, sizeof applicant->token.id, "%s", id);
    snprintf(applicant->key, sizeof applicant->key, "/token/%s", id);
    if (strlen(applicant->run_dir) >= MEMBER_ADDRESS_SIZE ||
        strncmp(applicant->run_dir, "unix:/", 6) != 0) {
        return operation_fail(operation, VIOS_E_INVALID, "run_dir", NULL, "it is no folder");
    }
    return ports_parse(applicant->address, 0, &unused, &size, &operation->error);
}

static int check_token(struct store *store, struct applicant *applicant,
                       struct operation *operation)
{
    json_t *record;
    int status = node_record(store, applicant->key, &record, &applicant->revision, operation);
    if (status != VIOS_OK) {
        return status == VIOS_E_NOT_FOUND ? refuse_token(operation) : status;
    }
    const char *hash = json_get_text(record, "hash");
    bool matches = hash && token_matches(&applicant->token, hash);
    bool over = json_get_integer(record, "expires") < clock_wall_ms();
    json_decref(record);
    return matches && !over ? VIOS_OK : refuse_token(operation);
}

static int check_name(struct store *store, const struct applicant *applicant,
                      struct operation *operation)
{
    char key[STORE_KEY_MAX], object[96], hint[160];
    bool taken;
    snprintf(key, sizeof key, "/node/%s", applicant->node);
    snprintf(object, sizeof object, "node \"%.63s\"", applicant->node);
    snprintf(hint, sizeof hint, "take another name, or run \"vios node remove %.63s\" first",
             applicant->node);
    int status = node_has_record(store, key, &taken, operation);
    return status == VIOS_OK && taken ? operation_fail(operation, VIOS_E_EXISTS, object, hint,
                                                       "the cluster has a node of this name")
                                      : status;
}

static int check_level(const json_t *cluster, const struct applicant *applicant,
                       struct operation *operation)
{
    json_int_t level = json_get_integer(cluster, "level");
    return applicant->level >= level
               ? VIOS_OK
               : operation_fail(operation, VIOS_E_INVALID, applicant->node,
                                "install the version that the other nodes have",
                                "its software is of level %lld, the cluster's is %lld",
                                (long long)applicant->level, (long long)level);
}

static int commit_member(struct store *store, const struct applicant *applicant, const char *serial,
                         struct operation *operation)
{
    char key[STORE_KEY_MAX];
    snprintf(key, sizeof key, "/node/%s", applicant->node);
    char *record = membership_record(applicant->node, applicant->address, applicant->run_dir,
                                     applicant->role, applicant->level, serial);
    const struct store_compare compares[] = {
        {.kind = STORE_REVISION_IS, .key = applicant->key, .revision = applicant->revision},
        {.kind = STORE_ABSENT, .key = key},
        {.kind = STORE_EXISTS, .key = "/cluster"}};
    const struct store_change changes[] = {{.key = applicant->key}, {.key = key, .json = record}};
    int status = record ? store_commit(store, compares, 3, changes, 2, NULL, operation)
                        : operation_no_memory(operation, NULL);
    free(record);
    return status == VIOS_E_CONFLICT
               ? operation_fail(operation, VIOS_E_CONFLICT, "token", "try again with a new token",
                                "another node joined with this token, or under this name")
               : status;
}

/* Signs, and makes it a member. */
static int admit(struct node *node, struct store *store, const struct applicant *applicant,
                 const json_t *cluster, json_t **result, struct operation *operation)
{
    struct authority *authority;
    char serial[CERTIFICATE_SERIAL_SIZE], *certificate = NULL;
    int status = take_authority(node, &authority, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = authority_sign(authority, applicant->request, applicant->node, &certificate, serial,
                            &operation->error);
    if (status == VIOS_OK) {
        status = commit_member(store, applicant, serial, operation);
    }
    if (status == VIOS_OK) {
        log_notice("cluster", "node %s joined", applicant->node);
        *result =
            json_pack("{s:s, s:s, s:s, s:s, s:s}", "certificate", certificate, "authority",
                      authority_certificate(authority), "cluster", json_get_text(cluster, "name"),
                      "uuid", json_get_text(cluster, "uuid"), "store", store_address(store));
    }
    free(certificate);
    authority_free(authority);
    return status;
}

int node_admit(struct call *call, const json_t *parameters, json_t **result,
               struct operation *operation)
{
    struct applicant applicant;
    struct store *store = NULL;
    json_t *cluster = NULL;
    int status = membership_read_applicant(parameters, &applicant, operation);
    if (status == VIOS_OK) {
        status = node_store(call->node, &store, operation);
    }
    if (status == VIOS_OK) {
        status = check_token(store, &applicant, operation);
    }
    if (status == VIOS_OK) {
        status = check_name(store, &applicant, operation);
    }
    if (status == VIOS_OK) {
        status = node_record(store, "/cluster", &cluster, NULL, operation);
    }
    if (status == VIOS_OK) {
        status = check_level(cluster, &applicant, operation);
    }
    if (status == VIOS_OK) {
        status = admit(call->node, store, &applicant, cluster, result, operation);
    }
    json_decref(cluster);
    node_store_return(call->node, store);
    token_forget(&applicant.token);
    return status;
}
