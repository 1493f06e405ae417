/*
 * joining.c - `node join TOKEN`, on the node that is to become a member.
 *
 * It trusts nobody but the authority whose fingerprint is in the token. Its key never leaves it.
 * The node with the authority's key makes it a member and answers with the certificate; only then
 * are files written. When that answer is lost the cluster has a member without a certificate, which
 * `node remove` takes out again.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "net/crypto.h"
#include "net/rpc.h"
#include "net/tls.h"
#include "net/token.h"
#include "node/credentials.h"
#include "node/members.h"
#include "node/membership.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_MS 10000 /* to one of the token's addresses */

struct joining {
    struct node *node;
    bool witness;
    struct token token;
    struct credentials credentials;
    char *request;
};

/* --- before anybody is asked --- */

static int check_token(const struct token *token, struct operation *operation)
{
    return token->expires_ms < clock_wall_ms()
               ? operation_fail(operation, VIOS_E_DENIED, "token",
                                "make a new one with \"vios node token\"", "it has expired")
               : VIOS_OK;
}

/* A node that founded a cluster would be unable to admit others, and never say why. */
static int check_founder(const struct node *node, struct operation *operation)
{
    char hint[200];
    if (faccessat(node->state_dir_fd, CREDENTIALS_AUTHORITY_KEY, F_OK, 0) != 0) {
        return VIOS_OK;
    }
    snprintf(hint, sizeof hint, "if that cluster is no more, remove %.120s/%s", node->state_dir,
             CREDENTIALS_AUTHORITY_KEY);
    return operation_fail(operation, VIOS_E_EXISTS, "this node", hint,
                          "it has the key of a cluster's authority");
}

static int refuse_store(const char *address, struct operation *operation)
{
    return operation_fail(operation, VIOS_E_INVALID, address,
                          "set \"store\" in its configuration to the cluster's, or to none",
                          "the VIOS DB that this node is configured for is not the token's "
                          "cluster's");
}

/* A store that is configured must be the cluster's: better known before the token is used up. */
static int check_store(struct joining *joining, struct operation *operation)
{
    const char *configured = config_text(joining->node->config, "store");
    char fingerprint[DIGEST_TEXT_SIZE];
    struct store *store = NULL;
    json_t *cluster = NULL;
    if (!configured || !configured[0]) {
        return VIOS_OK;
    }
    int status = node_store(joining->node, &store, operation);
    if (status == VIOS_OK) {
        status = node_record(store, "/cluster", &cluster, NULL, operation);
        status = status == VIOS_E_NOT_FOUND ? refuse_store(configured, operation) : status;
    }
    if (status == VIOS_OK) {
        const char *authority = json_get_text(cluster, "ca");
        bool same = authority && certificate_fingerprint(authority, fingerprint, NULL) == VIOS_OK &&
                    strcmp(fingerprint, joining->token.fingerprint) == 0;
        status = same ? VIOS_OK : refuse_store(configured, operation);
    }
    json_decref(cluster);
    node_store_return(joining->node, store);
    return status;
}

/* --- asking --- */

static json_t *application(const struct joining *joining)
{
    const struct node *node = joining->node;
    char secret[2 * TOKEN_SECRET_BYTES + 1], run_dir[MEMBER_ADDRESS_SIZE];
    crypto_hex(joining->token.secret, TOKEN_SECRET_BYTES, secret);
    membership_run_dir(node, run_dir, sizeof run_dir);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b}", "id", joining->token.id, "secret",
                     secret, "request", joining->request, "node", node->name, "address",
                     config_text(node->config, "address"), "run_dir", run_dir, "level",
                     (json_int_t)node_level(), "witness", (int)joining->witness);
}

static int ask_at(const struct joining *joining, const char *address, struct tls_context *tls,
                  json_t **answer, struct operation *operation)
{
    struct transport *transport;
    struct rpc_client *client;
    struct operation connecting;
    operation_start(&connecting, CONNECT_MS, operation->cancel);
    int status = transport_tls_connect(&transport, address, tls, TLS_JOIN, NULL, &connecting);
    if (status == VIOS_OK) {
        status = rpc_client_open_on(&client, transport, address, &connecting);
    }
    operation->error = connecting.error;
    if (status != VIOS_OK) {
        return status;
    }
    status = rpc_client_call(client, "node.admit", application(joining), NULL, answer, operation);
    rpc_client_close(client);
    return status;
}

static int ask(const struct joining *joining, json_t **answer, struct operation *operation)
{
    struct tls_context *tls;
    int status = tls_context_new_joining(&tls, joining->token.fingerprint, &operation->error);
    if (status != VIOS_OK) {
        return status;
    }
    status = VIOS_E_UNREACHABLE;
    for (size_t i = 0; i < joining->token.address_count && status == VIOS_E_UNREACHABLE; i++) {
        status = ask_at(joining, joining->token.addresses[i], tls, answer, operation);
    }
    tls_context_free(tls);
    return status;
}

/* --- what was answered --- */

/* Where the cluster's DB is, for a node that was not told. */
static int take_store(struct joining *joining, const json_t *answer, struct operation *operation)
{
    struct node *node = joining->node;
    const char *configured = config_text(node->config, "store");
    const char *address = json_get_text(answer, "store");
    if (configured && configured[0]) {
        return VIOS_OK;
    }
    if (!address) {
        return operation_fail(operation, VIOS_E_INVALID, "node.admit", NULL,
                              "the answer names no VIOS DB");
    }
    if (strncmp(address, "sqlite:", 7) == 0 && access(address + 7, R_OK) != 0) {
        return operation_fail(operation, VIOS_E_UNREACHABLE, address,
                              "for nodes on several machines, put the VIOS DB on etcd",
                              "the cluster's VIOS DB is a file that is not on this machine; the "
                              "cluster has this node as a member now: take it out again");
    }
    int status = file_replace(node->state_dir_fd, CREDENTIALS_STORE, address, strlen(address), 0600,
                              &operation->error);
    return status == VIOS_OK ? node->hooks->use_store(node, address, operation) : status;
}

static int take_answer(struct joining *joining, const json_t *answer, struct operation *operation)
{
    char serial[CERTIFICATE_SERIAL_SIZE], fingerprint[DIGEST_TEXT_SIZE];
    struct credentials *credentials = &joining->credentials;
    const char *certificate = json_get_text(answer, "certificate");
    const char *authority = json_get_text(answer, "authority");
    if (!certificate || !authority) {
        return operation_fail(operation, VIOS_E_INVALID, "node.admit", NULL,
                              "the answer has no certificate");
    }
    credentials->certificate = strdup(certificate);
    credentials->authority = strdup(authority);
    if (!credentials->certificate || !credentials->authority) {
        return operation_no_memory(operation, NULL);
    }
    int status = credentials_check(joining->node, credentials, serial, &operation->error);
    if (status == VIOS_OK) {
        status = certificate_fingerprint(authority, fingerprint, &operation->error);
    }
    if (status == VIOS_OK && strcmp(fingerprint, joining->token.fingerprint) != 0) {
        status = operation_fail(operation, VIOS_E_INVALID, "node.admit", NULL,
                                "the answer is of another authority than the token");
    }
    return status == VIOS_OK ? credentials_write(joining->node, credentials, &operation->error)
                             : status;
}

static int join(struct joining *joining, struct operation *operation)
{
    json_t *answer = NULL;
    int status = check_founder(joining->node, operation);
    if (status == VIOS_OK) {
        status = check_store(joining, operation);
    }
    if (status == VIOS_OK) {
        status = certificate_request(joining->node->name, &joining->credentials.key,
                                     &joining->request, &operation->error);
    }
    if (status == VIOS_OK) {
        status = ask(joining, &answer, operation);
    }
    if (status == VIOS_OK) {
        status = take_answer(joining, answer, operation);
    }
    if (status == VIOS_OK) {
        status = take_store(joining, answer, operation);
    }
    json_decref(answer);
    return status == VIOS_OK ? joining->node->hooks->activate(joining->node, operation) : status;
}

/* --- the method --- */

int node_join(struct call *call, const json_t *parameters, json_t **result,
              struct operation *operation)
{
    struct node *node = call->node;
    struct joining joining = {.node = node,
                              .witness = json_is_true(json_object_get(parameters, "witness"))};
    const char *text = json_get_text(parameters, "token");
    if (atomic_load(&node->active)) {
        return operation_fail(operation, VIOS_E_EXISTS, "this node", NULL,
                              "it is a member of cluster \"%s\" already", node->cluster);
    }
    int status = membership_begin(node, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = token_parse(text, &joining.token, &operation->error);
    if (status == VIOS_OK) {
        status = check_token(&joining.token, operation);
    }
    if (status == VIOS_OK) {
        status = join(&joining, operation);
    }
    credentials_clear(&joining.credentials);
    token_forget(&joining.token);
    free(joining.request);
    membership_end(node);
    if (status == VIOS_OK) {
        *result = json_pack("{s:s, s:s}", "cluster", node->cluster, "node", node->name);
    }
    return status;
}
