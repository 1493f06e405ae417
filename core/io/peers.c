/* peers.c - see peers.h. */
#include "io/peers.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/certificate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define REFUSAL_WINDOW_MS 1000

struct peer {
    char node[NAME_MAX_LENGTH + 1];
    char serial[CERTIFICATE_SERIAL_SIZE];
};

struct peers {
    struct tls_context *tls;
    void (*refused)(void *context, const struct vios_error *why);
    void *context;
    pthread_rwlock_t lock; /* of the list */
    struct peer *list;
    size_t count;
    _Atomic uint64_t refusals;
    pthread_mutex_t window_lock; /* of what follows */
    int64_t window_ms;
    unsigned told;
};

/* --- the allow-list --- */

static int allowed(void *context, const char *node, const char *serial, struct vios_error *error)
{
    struct peers *peers = context;
    bool found = false, known = false;
    pthread_rwlock_rdlock(&peers->lock);
    for (size_t i = 0; i < peers->count && !found; i++) {
        bool same = strcmp(peers->list[i].node, node) == 0;
        known = known || same;
        found = same && strcmp(peers->list[i].serial, serial) == 0;
    }
    pthread_rwlock_unlock(&peers->lock);
    if (found) {
        return VIOS_OK;
    }
    return known ? error_set(error, VIOS_E_DENIED, node, NULL,
                             "node %s has another certificate now", node)
                 : error_set(error, VIOS_E_DENIED, node, NULL,
                             "node %s is not of the cluster, or was removed", node);
}

static int read_peer(const json_t *json, struct peer *peer, struct vios_error *error)
{
    const char *node, *serial;
    json_error_t json_error;
    if (json_unpack_ex((json_t *)json, &json_error, 0, "{s:s, s:s !}", "node", &node, "serial",
                       &serial) != 0) {
        return error_set(error, VIOS_E_USAGE, "peers", "see core/io/PROTOCOL.md", "%s",
                         json_error.text);
    }
    int status = parse_name(node, "node", error);
    if (status != VIOS_OK) {
        return status;
    }
    if (strlen(serial) != CERTIFICATE_SERIAL_SIZE - 1 ||
        strspn(serial, "0123456789abcdef") != CERTIFICATE_SERIAL_SIZE - 1) {
        return error_set(error, VIOS_E_USAGE, node, NULL, "its serial is not of 32 hex digits");
    }
    snprintf(peer->node, sizeof peer->node, "%s", node);
    snprintf(peer->serial, sizeof peer->serial, "%s", serial);
    return VIOS_OK;
}

int peers_allow(struct peers *peers, const json_t *json, struct vios_error *error)
{
    size_t count = json_array_size(json);
    if (!json_is_array(json) || count > PEERS_MAX) {
        return error_set(error, VIOS_E_USAGE, "peers", NULL,
                         "\"allowed\" is no array, or has more than %d", PEERS_MAX);
    }
    struct peer *list = calloc(count + 1, sizeof *list);
    if (!list) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the peers");
    }
    for (size_t i = 0; i < count; i++) {
        int status = read_peer(json_array_get(json, i), &list[i], error);
        if (status != VIOS_OK) {
            free(list);
            return status;
        }
    }
    pthread_rwlock_wrlock(&peers->lock);
    struct peer *old = peers->list;
    peers->list = list;
    peers->count = count;
    pthread_rwlock_unlock(&peers->lock);
    free(old);
    return VIOS_OK;
}

/* --- refusals --- */

/* Somebody who knocks all the time must not fill the log, nor the events' watchers. */
static bool may_tell(struct peers *peers)
{
    int64_t now_ms = clock_now_ms();
    pthread_mutex_lock(&peers->window_lock);
    if (now_ms - peers->window_ms >= REFUSAL_WINDOW_MS) {
        peers->window_ms = now_ms;
        peers->told = 0;
    }
    bool may = peers->told < PEERS_REFUSALS_MAX;
    peers->told += may;
    pthread_mutex_unlock(&peers->window_lock);
    return may;
}

void peers_refuse(void *context, const struct vios_error *why)
{
    struct peers *peers = context;
    atomic_fetch_add(&peers->refusals, 1);
    if (may_tell(peers)) {
        log_warning("io", "refused %s: %s", why->object, why->message);
        peers->refused(peers->context, why);
    }
}

/* --- the whole --- */

int peers_new(struct peers **out, void (*refused)(void *context, const struct vios_error *why),
              void *context, struct vios_error *error)
{
    struct peers *peers = calloc(1, sizeof *peers);
    if (!peers) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the peers");
    }
    int status = tls_context_new(&peers->tls, allowed, peers, error);
    if (status != VIOS_OK) {
        free(peers);
        return status;
    }
    peers->refused = refused;
    peers->context = context;
    pthread_rwlock_init(&peers->lock, NULL);
    pthread_mutex_init(&peers->window_lock, NULL);
    *out = peers;
    return VIOS_OK;
}

struct tls_context *peers_tls(struct peers *peers)
{
    return peers->tls;
}

json_t *peers_describe(struct peers *peers)
{
    pthread_rwlock_rdlock(&peers->lock);
    size_t count = peers->count;
    pthread_rwlock_unlock(&peers->lock);
    return json_pack("{s:b, s:I, s:I}", "ready", (int)tls_context_ready(peers->tls), "allowed",
                     (json_int_t)count, "refused", (json_int_t)atomic_load(&peers->refusals));
}
