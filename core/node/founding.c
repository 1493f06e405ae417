/*
 * founding.c - `cluster create`.
 *
 * The files come first and the commit last, so what a crash leaves is a set of files without a
 * cluster. A second try goes on with the authority that it finds, and makes the rest anew; it is
 * known as ours in the DB by that authority's certificate, also when the first commit's outcome was
 * unknown.
 */
#include "base/clock.h"
#include "net/crypto.h"
#include "node/credentials.h"
#include "node/driver.h"
#include "node/members.h"
#include "node/membership.h"
#include "node/ring.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PRIMARY_MS 5000
#define RECORDS_MAX 4

struct founding {
    struct node *node;
    const char *name;       /* of the cluster */
    const char *passphrase; /* NULL: no copy of the authority's key in the DB */
    struct authority *authority;
    char uuid[UUID_TEXT_SIZE];
    char serial[CERTIFICATE_SERIAL_SIZE];
    char *cluster, *member, *ring, *key; /* the records; key: NULL without a passphrase */
};

/* --- the authority --- */

static int other_begun(const struct founding *founding, const char *begun,
                       struct operation *operation)
{
    char hint[200];
    snprintf(hint, sizeof hint, "go on with it, or remove %.120s/%s", founding->node->state_dir,
             CREDENTIALS_AUTHORITY_KEY);
    return operation_fail(operation, VIOS_E_EXISTS, "this node", hint,
                          "it has the key of a cluster \"%s\" already", begun);
}

/* What an earlier try left. VIOS_E_NOT_FOUND: nothing. */
static int take_up_authority(struct founding *founding, struct operation *operation)
{
    char begun[NAME_MAX_LENGTH + 1];
    int status = credentials_authority(founding->node, &founding->authority, &operation->error);
    if (status == VIOS_OK) {
        status = authority_names(authority_certificate(founding->authority), begun, founding->uuid,
                                 &operation->error);
    }
    if (status == VIOS_OK && strcmp(begun, founding->name) != 0) {
        status = other_begun(founding, begun, operation);
    }
    return status;
}

static int make_authority(struct founding *founding, struct operation *operation)
{
    int status = take_up_authority(founding, operation);
    if (status != VIOS_E_NOT_FOUND) {
        return status;
    }
    memset(&operation->error, 0, sizeof operation->error);
    uuid_make(founding->uuid);
    status =
        authority_make(&founding->authority, founding->name, founding->uuid, &operation->error);
    return status == VIOS_OK
               ? credentials_save_authority(founding->node, founding->authority, &operation->error)
               : status;
}

static int make_credentials(struct founding *founding, struct operation *operation)
{
    struct credentials made = {0};
    char *request = NULL;
    struct vios_error *error = &operation->error;
    const char *name = founding->node->name;
    int status = certificate_request(name, &made.key, &request, error);
    if (status == VIOS_OK) {
        status = authority_sign(founding->authority, request, name, &made.certificate,
                                founding->serial, error);
    }
    if (status == VIOS_OK) {
        made.authority = strdup(authority_certificate(founding->authority));
        status = made.authority ? credentials_write(founding->node, &made, error)
                                : operation_no_memory(operation, NULL);
    }
    free(request);
    credentials_clear(&made);
    return status;
}

/* --- the records --- */

static int make_key_record(struct founding *founding, struct operation *operation)
{
    char *encrypted = NULL;
    if (!founding->passphrase) {
        return VIOS_OK;
    }
    int status =
        authority_encrypt(founding->authority, founding->passphrase, &encrypted, &operation->error);
    if (status == VIOS_OK) {
        founding->key = json_into_text(json_pack("{s:i, s:s}", "v", 1, "key", encrypted));
        status = founding->key ? VIOS_OK : operation_no_memory(operation, NULL);
    }
    free(encrypted);
    return status;
}

static int make_records(struct founding *founding, struct operation *operation)
{
    char created[CLOCK_TEXT_SIZE], run_dir[MEMBER_ADDRESS_SIZE];
    struct node *node = founding->node;
    struct ring ring;
    int status = ring_make(&ring, &operation->error);
    if (status != VIOS_OK) {
        return status;
    }
    founding->ring = ring_format(&ring);
    ring_forget(&ring);
    founding->cluster = json_into_text(
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:I}", "v", 1, "name", founding->name, "uuid",
                  founding->uuid, "created", clock_format(clock_wall_ms(), created), "ca",
                  authority_certificate(founding->authority), "level", (json_int_t)node_level()));
    membership_run_dir(node, run_dir, sizeof run_dir);
    founding->member = membership_record(node->name, config_text(node->config, "address"), run_dir,
                                         "member", node_level(), founding->serial);
    return founding->ring && founding->cluster && founding->member
               ? make_key_record(founding, operation)
               : operation_no_memory(operation, NULL);
}

static int commit_records(struct founding *founding, struct store *store,
                          struct operation *operation)
{
    char key[STORE_KEY_MAX];
    snprintf(key, sizeof key, "/node/%s", founding->node->name);
    const struct store_compare compares[] = {{.kind = STORE_ABSENT, .key = "/cluster"},
                                             {.kind = STORE_ABSENT, .key = key}};
    const struct store_change changes[RECORDS_MAX] = {
        {.key = key, .json = founding->member},
        {.key = "/cluster", .json = founding->cluster},
        {.key = RING_KEY, .json = founding->ring},
        {.key = "/secret/authority", .json = founding->key}};
    return store_commit(store, compares, 2, changes, founding->key ? RECORDS_MAX : RECORDS_MAX - 1,
                        NULL, operation);
}

static int refuse_second(const char *name, struct operation *operation)
{
    char object[96];
    snprintf(object, sizeof object, "cluster \"%.63s\"", name ? name : "");
    return operation_fail(operation, VIOS_E_EXISTS, object,
                          "run \"vios node token\" there, and join with it here",
                          "the VIOS DB has a cluster already");
}

/* VIOS_OK when the cluster in the DB is not there, or ours (`*ours`). */
static int look(struct founding *founding, struct store *store, bool *ours,
                struct operation *operation)
{
    json_t *record = NULL;
    *ours = false;
    int status = node_record(store, "/cluster", &record, NULL, operation);
    if (status == VIOS_E_NOT_FOUND) {
        memset(&operation->error, 0, sizeof operation->error);
        return VIOS_OK;
    }
    const char *name = json_get_text(record, "name");
    const char *authority = json_get_text(record, "ca");
    if (status == VIOS_OK) {
        *ours = founding->authority && authority &&
                strcmp(authority, authority_certificate(founding->authority)) == 0;
        status = *ours ? VIOS_OK : refuse_second(name, operation);
    }
    json_decref(record);
    return status;
}

static int found(struct founding *founding, struct store *store, struct operation *operation)
{
    bool ours = false;
    int status = make_authority(founding, operation);
    if (status == VIOS_OK) {
        status = look(founding, store, &ours, operation);
    }
    if (status != VIOS_OK || ours) {
        return status;
    }
    status = make_credentials(founding, operation);
    if (status == VIOS_OK) {
        status = make_records(founding, operation);
    }
    if (status == VIOS_OK) {
        status = commit_records(founding, store, operation);
    }
    if (status == VIOS_E_CONFLICT || status == VIOS_E_UNKNOWN) {
        struct vios_error failed = operation->error;
        int looked = look(founding, store, &ours, operation);
        operation->error = ours || looked != VIOS_OK ? operation->error : failed;
        status = ours ? VIOS_OK : looked != VIOS_OK ? looked : status;
    }
    return status;
}

/* --- the method --- */

/* So that what is done next finds one; a cluster without is no failure of its making. */
static void await_first_primary(struct node *node, struct operation *operation)
{
    struct operation wait;
    operation_start(&wait, FIRST_PRIMARY_MS, operation->cancel);
    (void)driver_await_primary(node->driver, NULL, &wait);
}

static int begin(struct founding *founding, struct operation *operation)
{
    struct store *store = NULL;
    bool ours;
    int status = node_store_create(founding->node, &store, operation);
    if (status == VIOS_OK) { /* before a file is made: it may be an accident */
        status = look(founding, store, &ours, operation);
    }
    if (status == VIOS_E_EXISTS && take_up_authority(founding, &(struct operation){0}) == VIOS_OK) {
        status = VIOS_OK; /* of our own, perhaps: found() looks again */
    }
    authority_free(founding->authority);
    founding->authority = NULL;
    if (status == VIOS_OK) {
        status = found(founding, store, operation);
    }
    store_close(store);
    return status;
}

static void forget(struct founding *founding)
{
    authority_free(founding->authority);
    free(founding->cluster);
    free(founding->member);
    crypto_forget(founding->ring);
    crypto_forget(founding->key);
}

int cluster_create(struct call *call, const json_t *parameters, json_t **result,
                   struct operation *operation)
{
    struct node *node = call->node;
    struct founding founding = {.node = node,
                                .name = json_get_text(parameters, "name"),
                                .passphrase = json_get_text(parameters, "passphrase")};
    if (atomic_load(&node->active)) {
        return refuse_second(node->cluster, operation);
    }
    int status = membership_begin(node, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = begin(&founding, operation);
    forget(&founding);
    if (status == VIOS_OK) {
        status = node->hooks->activate(node, operation);
    }
    membership_end(node);
    if (status == VIOS_OK) {
        await_first_primary(node, operation);
        *result = json_pack("{s:s, s:s}", "name", node->cluster, "node", node->name);
    }
    return status;
}
