/* identity.c - see identity.h. */
#include "node/identity.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "node/credentials.h"
#include "node/driver.h"
#include "node/members.h"
#include "node/membership.h"
#include "node/ports.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MS 5000    /* for what io is told */
#define REFUSED_MS 2000 /* between two looks at what was refused */
#define KINDS 4
#define STRANGERS 3 /* of the kinds */

struct identity {
    struct node *node;
    struct tls_context *tls;
    struct credentials credentials;
    char serial[CERTIFICATE_SERIAL_SIZE];
    pthread_mutex_t lock; /* of nbd */
    char nbd[MEMBER_PORT_SIZE];
    struct runner runner;
    atomic_bool restored; /* io is new */
    /* the thread's own: */
    json_t *told; /* the allow-list that io has; NULL: none */
    int64_t looked_ms;
    int complained; /* of this failure last */
    json_int_t nbd_refused;
    json_int_t dropped[KINDS]; /* keep-alives, by the kinds that are told */
    bool strangers;            /* some were of unknown senders at the last look */
};

static int allowed(void *context, const char *name, const char *serial, struct vios_error *error)
{
    struct node *node = context;
    return node_allows(node, name, serial, error);
}

int identity_new(struct identity **identity, struct node *node, struct vios_error *error)
{
    struct identity *made = calloc(1, sizeof *made);
    *identity = NULL;
    if (!made) {
        return error_no_memory(error, NULL);
    }
    made->node = node;
    pthread_mutex_init(&made->lock, NULL);
    int status = credentials_read(node, &made->credentials, error);
    if (status == VIOS_OK) {
        status = credentials_check(node, &made->credentials, made->serial, error);
    }
    if (status == VIOS_OK) {
        status = tls_context_new(&made->tls, allowed, node, error);
    }
    if (status == VIOS_OK) {
        const struct tls_identity texts = {.certificate = made->credentials.certificate,
                                           .key = made->credentials.key,
                                           .authority = made->credentials.authority};
        status = tls_context_set(made->tls, &texts, error);
    }
    if (status != VIOS_OK) {
        identity_free(made);
        return status;
    }
    *identity = made;
    return VIOS_OK;
}

void identity_free(struct identity *identity)
{
    if (identity) {
        tls_context_free(identity->tls);
        credentials_clear(&identity->credentials);
        pthread_mutex_destroy(&identity->lock);
        json_decref(identity->told);
        free(identity);
    }
}

struct tls_context *identity_tls(struct identity *identity)
{
    return identity->tls;
}

const char *identity_serial(const struct identity *identity)
{
    return identity->serial;
}

void identity_nbd(struct identity *identity, char *text, size_t size)
{
    pthread_mutex_lock(&identity->lock);
    snprintf(text, size, "%s", identity->nbd);
    pthread_mutex_unlock(&identity->lock);
}

/* --- io --- */

static int call_io(struct identity *identity, json_t *request, json_t **answer)
{
    struct operation operation;
    operation_start(&operation, CALL_MS, identity->runner.cancel);
    int status = io_client_call(identity->node->io, request, NULL, 0, answer, &operation);
    if (status != VIOS_OK && status != VIOS_E_CANCELLED && status != identity->complained) {
        log_warning("identity", "io was not told: %s: %s", operation.error.object,
                    operation.error.message);
        identity->complained = status; /* once: it is tried again all the time */
    }
    return status;
}

static json_t *allow_list(struct node *node)
{
    struct member *members = NULL;
    size_t count = 0;
    if (node_members(node, &members, &count) != VIOS_OK) {
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (members[i].serial[0]) {
            json_array_append_new(list, json_pack("{s:s, s:s}", "node", members[i].name, "serial",
                                                  members[i].serial));
        }
    }
    free(members);
    return list;
}

/* Where io listens for peers already, from before this daemon; "" when it does not. */
static int find_listener(struct identity *identity, char *path, size_t size)
{
    json_t *answer = NULL, *one;
    size_t i;
    path[0] = '\0';
    int status = call_io(identity, json_pack("{s:s, s:i}", "do", "hello", "level", IO_CLIENT_LEVEL),
                         &answer);
    json_array_foreach(json_object_get(answer, "listeners"), i, one)
    {
        const char *as = json_get_text(one, "as");
        const char *at = json_get_text(one, "path");
        if (as && at && strcmp(as, "peer") == 0) {
            snprintf(path, size, "%s", at);
        }
    }
    json_decref(answer);
    return status;
}

/* Idempotent, as io has it. A port that is taken is tried again. */
static void listen_for_peers(struct identity *identity)
{
    const struct config *config = identity->node->config;
    char path[MEMBER_PORT_SIZE];
    json_t *answer = NULL;
    if (find_listener(identity, path, sizeof path) != VIOS_OK) {
        return;
    }
    if (!path[0]) { /* where it was before, so that others find it again */
        identity_nbd(identity, path, sizeof path);
    }
    if (!path[0]) {
        ports_address(config_text(config, "address"), (int)config_integer(config, "nbd_port"), path,
                      sizeof path);
    }
    if (call_io(identity, json_pack("{s:s, s:s, s:s}", "do", "listen", "path", path, "as", "peer"),
                &answer) == VIOS_OK) {
        const char *bound = json_get_text(answer, "path");
        pthread_mutex_lock(&identity->lock);
        snprintf(identity->nbd, sizeof identity->nbd, "%s", bound ? bound : "");
        pthread_mutex_unlock(&identity->lock);
    }
    json_decref(answer);
}

static void introduce(struct identity *identity)
{
    const struct credentials *credentials = &identity->credentials;
    if (call_io(identity,
                json_pack("{s:s, s:s, s:s, s:s}", "do", "identity", "certificate",
                          credentials->certificate, "key", credentials->key, "authority",
                          credentials->authority),
                NULL) != VIOS_OK) {
        atomic_store(&identity->restored, true); /* again */
    }
}

static void tell_peers(struct identity *identity)
{
    json_t *list = allow_list(identity->node);
    if (!list || (identity->told && json_equal(identity->told, list))) {
        json_decref(list);
        return;
    }
    identity->node->hooks->peers_changed(identity->node);
    if (call_io(identity, json_pack("{s:s, s:O}", "do", "peers", "allowed", list), NULL) ==
        VIOS_OK) {
        json_decref(identity->told);
        identity->told = list;
    } else {
        json_decref(list);
    }
}

/* --- what was refused --- */

static void look_at_nbd(struct identity *identity)
{
    char why[80];
    json_t *answer = NULL;
    if (call_io(identity, json_pack("{s:s}", "do", "statistics"), &answer) != VIOS_OK) {
        return;
    }
    json_int_t refused = json_get_integer(json_object_get(answer, "peers"), "refused");
    if (refused > identity->nbd_refused) {
        snprintf(why, sizeof why, "%lld connections; io's log says who and why",
                 (long long)(refused - identity->nbd_refused));
        identity->node->hooks->refused(identity->node, "NBD", identity->nbd, why);
    }
    identity->nbd_refused = refused; /* a new io begins at 0 */
    json_decref(answer);
}

/* Of a node that joins, or was removed a moment ago, unknown packets come for less than two looks.
 */
static void look_at_keepalives(struct identity *identity)
{
    static const char *const kinds[KINDS] = {"forged", "replayed", "truncated", "unknown_sender"};
    char why[160];
    size_t used = 0;
    json_t *counts = driver_keepalives(identity->node->driver);
    why[0] = '\0';
    for (size_t i = 0; i < KINDS; i++) {
        json_int_t count = json_get_integer(counts, kinds[i]);
        bool more = count > identity->dropped[i];
        bool told = more && (i != STRANGERS || identity->strangers);
        identity->strangers = i == STRANGERS ? more : identity->strangers;
        if (told && used < sizeof why) {
            used += (size_t)snprintf(why + used, sizeof why - used, "%s%lld packets %s",
                                     used > 0 ? ", " : "",
                                     (long long)(count - identity->dropped[i]), kinds[i]);
        }
        identity->dropped[i] = count;
    }
    json_decref(counts);
    if (why[0]) {
        identity->node->hooks->refused(identity->node, "UDP", "somebody", why);
    }
}

static void look(struct identity *identity)
{
    if (clock_now_ms() - identity->looked_ms >= REFUSED_MS) {
        identity->looked_ms = clock_now_ms();
        if (!identity->nbd[0]) {
            listen_for_peers(identity);
        }
        look_at_nbd(identity);
        look_at_keepalives(identity);
    }
}

/* --- the part --- */

static void *run(void *argument)
{
    struct identity *identity = argument;
    struct operation waiting;
    uint64_t seen = 0;
    do {
        if (atomic_exchange(&identity->restored, false)) {
            json_decref(identity->told);
            identity->told = NULL;
            introduce(identity);
            listen_for_peers(identity);
        }
        tell_peers(identity);
        look(identity);
        operation_start(&waiting, OPERATION_NO_DEADLINE, identity->runner.cancel);
    } while (driver_await_change(identity->node->driver, &seen, &waiting) == VIOS_OK);
    return NULL;
}

static int start(struct node *node, struct vios_error *error)
{
    struct identity *identity = node->identity;
    atomic_store(&identity->restored, true);
    return runner_start(&identity->runner, "identity", run, identity, "identity", error);
}

static void restored(struct node *node)
{
    atomic_store(&node->identity->restored, true);
}

static void stop(struct node *node, bool stop_guests)
{
    (void)stop_guests;
    runner_stop(&node->identity->runner);
}

static const struct job_kind *const JOB_KINDS[] = {&node_remove_job, NULL};

const struct part identity_part = {
    .name = "identity", .start = start, .restored = restored, .stop = stop, .job_kinds = JOB_KINDS};
