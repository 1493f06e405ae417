/*
 * etcd_connection.c - one call to an etcd of several members.
 *
 * A call begins at the endpoint that answered last, for whichever connection of this process.
 * One that refuses to connect, has no leader, or does not answer within its share of the time is
 * left for the next one, so that a stopped member costs a part of the deadline and not all of it.
 * One that ends a call, by its silence or an answer that cannot be, is left too: the next call
 * would fail there likewise.
 *
 * Revisions of another etcd mean nothing. Each answer must carry the cluster id that the first
 * one had, and no revision lower than one that was answered before the request was made: so an
 * etcd that was wiped, or restored from an older backup, is found out even under the same id.
 */
#include "store/etcd_connection.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTHENTICATE_PATH "/v3/auth/authenticate"
#define ANOTHER_HINT "restart the daemon, if that was meant"

static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;
static struct etcd_known *known_first;

static struct etcd_known *find_known(const char *text)
{
    pthread_mutex_lock(&known_lock);
    struct etcd_known *known = known_first;
    while (known && strcmp(known->text, text) != 0) {
        known = known->next;
    }
    if (!known && (known = calloc(1, sizeof *known)) != NULL) {
        known->text = strdup(text);
        if (known->text) {
            known->next = known_first;
            known_first = known;
        } else {
            free(known);
            known = NULL;
        }
    }
    pthread_mutex_unlock(&known_lock);
    return known;
}

static void name_keys(struct etcd_connection *connection)
{
    char uuid[UUID_TEXT_SIZE];
    const char *prefix = connection->address.prefix;
    uuid_make(uuid); /* of which half will do: it goes over the wire three times a commit */
    snprintf(connection->data_space, sizeof connection->data_space, "%.128s/:data", prefix);
    snprintf(connection->mark_space, sizeof connection->mark_space, "%.128s/:mark/", prefix);
    snprintf(connection->store_key, sizeof connection->store_key, "%.128s/:store", prefix);
    snprintf(connection->mark_key, sizeof connection->mark_key, "%.140s%.18s",
             connection->mark_space, uuid);
}

int etcd_connection_open(struct etcd_connection **connection, const char *text,
                         struct operation *operation)
{
    struct etcd_connection *made = calloc(1, sizeof *made);
    *connection = NULL;
    if (!made) {
        return operation_no_memory(operation, "store");
    }
    int status = etcd_address_parse(&made->address, text, &operation->error);
    if (status == VIOS_OK) {
        status = etcd_http_open(&made->http, &made->address, &operation->error);
    }
    if (status == VIOS_OK) {
        made->known = find_known(text);
        status = made->known ? VIOS_OK : operation_no_memory(operation, "store");
    }
    if (status != VIOS_OK) {
        etcd_connection_close(made);
        return status;
    }
    made->endpoint = atomic_load(&made->known->good_endpoint);
    name_keys(made);
    *connection = made;
    return VIOS_OK;
}

void etcd_connection_close(struct etcd_connection *connection)
{
    if (connection) {
        etcd_http_close(connection->http);
        etcd_address_clear(&connection->address);
        etcd_token_forget(connection);
        free(connection);
    }
}

int etcd_check_cluster(struct etcd_connection *connection, const struct etcd_header *header,
                       struct vios_error *error)
{
    uint64_t first = 0;
    if (header->cluster_id == 0) {
        return VIOS_OK;
    }
    if (atomic_compare_exchange_strong(&connection->known->cluster_id, &first,
                                       header->cluster_id) ||
        first == header->cluster_id) {
        return VIOS_OK;
    }
    return error_set(error, VIOS_E_CORRUPT, connection->address.endpoints[connection->endpoint],
                     ANOTHER_HINT,
                     "the VIOS DB behind this address is another one than before (etcd cluster "
                     "%llx, it was %llx)",
                     (unsigned long long)header->cluster_id, (unsigned long long)first);
}

/* `floor`: what was known before the request was sent. */
static int check_revision(struct etcd_connection *connection, const struct etcd_header *header,
                          int64_t floor, struct vios_error *error)
{
    int64_t highest = atomic_load(&connection->known->revision);
    if (header->revision == 0) {
        return VIOS_OK;
    }
    if (header->revision < floor) {
        return error_set(error, VIOS_E_CORRUPT, connection->address.endpoints[connection->endpoint],
                         ANOTHER_HINT,
                         "the VIOS DB behind this address is another one than before (at revision "
                         "%lld, it was at %lld)",
                         (long long)header->revision, (long long)floor);
    }
    while (
        highest < header->revision &&
        !atomic_compare_exchange_weak(&connection->known->revision, &highest, header->revision)) {
    }
    return VIOS_OK;
}

void etcd_turn_start(struct etcd_turn *turn)
{
    memset(turn, 0, sizeof *turn);
    turn->end_ms = clock_now_ms() + ETCD_PATIENCE_MS;
}

/* An endpoint's share of the time: a second, doubled each round, but so that all have a turn. */
static int64_t limit_ms(const struct etcd_connection *connection, const struct etcd_turn *turn,
                        const struct operation *operation)
{
    size_t count = connection->address.endpoint_count;
    unsigned round = turn->attempts / (unsigned)count;
    int64_t limit = (int64_t)ETCD_ATTEMPT_MS
                    << (round < ETCD_ROUNDS_DOUBLED ? round : ETCD_ROUNDS_DOUBLED);
    int left_ms = operation_remaining_ms(operation);
    if (left_ms >= 0 && count > 1 && limit > left_ms / (int64_t)count) {
        limit = left_ms / (int64_t)count;
    }
    return limit < ETCD_ATTEMPT_LEAST_MS ? ETCD_ATTEMPT_LEAST_MS : limit;
}

static void next_endpoint(struct etcd_connection *connection, const char *why)
{
    const char *endpoint = connection->address.endpoints[connection->endpoint];
    unsigned failed = connection->endpoint;
    snprintf(connection->why, sizeof connection->why, "%.120s: %.250s", endpoint, why);
    connection->endpoint =
        (connection->endpoint + 1) % (unsigned)connection->address.endpoint_count;
    atomic_compare_exchange_strong(&connection->known->good_endpoint, &failed,
                                   connection->endpoint);
}

int etcd_turn_next(struct etcd_connection *connection, struct etcd_turn *turn,
                   struct operation *operation)
{
    unsigned count = (unsigned)connection->address.endpoint_count;
    int status = operation_check(operation);
    bool nobody = turn->failed >= ETCD_REFUSED_ROUNDS_MAX * count && !turn->persist;
    if (status == VIOS_OK && (nobody || clock_now_ms() >= turn->end_ms)) {
        return operation_fail(operation, VIOS_E_UNREACHABLE, "VIOS DB",
                              "see whether etcd runs there, and has a majority", "%s",
                              connection->why);
    }
    if (status == VIOS_OK && turn->attempts % count == 0) {
        status = operation_sleep(operation, ETCD_ROUND_NAP_MS);
    }
    if (status == VIOS_E_TIMEOUT) {
        operation_fail(operation, VIOS_E_TIMEOUT, "VIOS DB",
                       "see whether etcd runs there, and has a majority",
                       "no answer before the deadline; %s", connection->why);
    }
    return status;
}

/* What etcd refused for good, so that no other endpoint would help. VIOS_OK: none of these. */
static int refused_for_good(const struct etcd_connection *connection,
                            const struct etcd_refusal *refusal, struct vios_error *error)
{
    const char *endpoint = connection->address.endpoints[connection->endpoint];
    static const struct {
        int grpc;
        int code;
        const char *hint;
    } table[] = {
        {ETCD_GRPC_INVALID_ARGUMENT, VIOS_E_INVALID, NULL},
        {ETCD_GRPC_DENIED, VIOS_E_DENIED, "grant the etcd user its prefix (etcdctl role)"},
        {ETCD_GRPC_PRECONDITION, VIOS_E_INVALID, NULL},
        {ETCD_GRPC_OUT_OF_RANGE, VIOS_E_COMPACTED, NULL},
        {ETCD_GRPC_DATA_LOSS, VIOS_E_CORRUPT, "see the log of etcd"},
        {ETCD_GRPC_UNAUTHENTICATED, VIOS_E_DENIED, "see user and password_file of the store"},
    };
    if (refusal->grpc == ETCD_GRPC_EXHAUSTED && strstr(refusal->message, "space exceeded")) {
        return error_set(error, VIOS_E_NO_SPACE, endpoint,
                         "raise etcd's quota or defragment it, then \"etcdctl alarm disarm\"", "%s",
                         refusal->message);
    }
    if (strstr(refusal->message, "user name is empty") ||
        strstr(refusal->message, "authentication failed")) {
        return error_set(error, VIOS_E_DENIED, endpoint, "see user and password_file of the store",
                         "%s", refusal->message);
    }
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].grpc == refusal->grpc) {
            return error_set(error, table[i].code, endpoint, table[i].hint, "%s", refusal->message);
        }
    }
    return VIOS_OK;
}

bool etcd_token_refused(const struct etcd_refusal *refusal)
{
    return refusal->grpc == ETCD_GRPC_UNAUTHENTICATED ||
           strstr(refusal->message, "auth token") != NULL ||
           strstr(refusal->message, "auth store is old") != NULL;
}

void etcd_token_forget(struct etcd_connection *connection)
{
    free(connection->token);
    connection->token = NULL;
}

/* The answer, whatever it is, of an endpoint that has answered. */
static enum etcd_outcome take_reply(struct etcd_connection *connection, struct etcd_turn *turn,
                                    const struct etcd_reply *reply, int64_t floor,
                                    struct etcd_attempt *attempt, struct operation *operation)
{
    if (reply->status == 200) {
        int status = etcd_json_answer(reply->body, reply->size, &attempt->answer, &attempt->header,
                                      &operation->error);
        if (status == VIOS_OK) {
            status = etcd_check_cluster(connection, &attempt->header, &operation->error);
        }
        if (status == VIOS_OK) {
            status = check_revision(connection, &attempt->header, floor, &operation->error);
        }
        if (status == VIOS_OK) {
            atomic_store(&connection->known->good_endpoint, connection->endpoint);
            return ETCD_ANSWERED;
        }
        json_decref(attempt->answer);
        attempt->answer = NULL;
        next_endpoint(connection, operation->error.message); /* the other members may be right */
        return ETCD_UNUSABLE;
    }
    etcd_json_refusal(reply->body, reply->size, &attempt->refusal);
    if (turn->tokens < ETCD_TOKENS_MAX && connection->token &&
        etcd_token_refused(&attempt->refusal)) {
        etcd_token_forget(connection);
        turn->renew = true;
        return ETCD_NOT_SENT;
    }
    if (refused_for_good(connection, &attempt->refusal, &operation->error) != VIOS_OK) {
        return ETCD_REFUSED;
    }
    next_endpoint(connection, attempt->refusal.message);
    return ETCD_OPEN;
}

static const char KV_PATHS[] = "/v3/kv/";

/* One exchange with the endpoint in use. */
static enum etcd_outcome exchange(struct etcd_connection *connection, struct etcd_turn *turn,
                                  const char *path, const char *body, struct etcd_attempt *attempt,
                                  struct operation *operation)
{
    struct etcd_reply reply;
    /* Only these answers are the members' common word; one that lags says so of itself. */
    bool common = strncmp(path, KV_PATHS, sizeof KV_PATHS - 1) == 0;
    int64_t floor = common ? atomic_load(&connection->known->revision) : 0;
    int64_t limit = limit_ms(connection, turn, operation);
    memset(attempt, 0, sizeof *attempt);
    attempt->refusal.grpc = ETCD_GRPC_NONE;
    int status =
        etcd_http_post(connection->http, connection->address.endpoints[connection->endpoint], path,
                       body, connection->token, limit, &reply, operation);
    attempt->sent = reply.sent;
    turn->attempts++;
    turn->failed = status == VIOS_E_UNREACHABLE && !reply.late ? turn->failed + 1 : 0;
    if (status == VIOS_OK) {
        enum etcd_outcome outcome = take_reply(connection, turn, &reply, floor, attempt, operation);
        free(reply.body);
        return outcome;
    }
    if (reply.too_large) {
        operation_fail(operation, VIOS_E_NO_SPACE,
                       connection->address.endpoints[connection->endpoint], NULL,
                       "an answer has more than %ld bytes", ETCD_ANSWER_MAX);
        return ETCD_UNUSABLE;
    }
    if (status == VIOS_E_UNREACHABLE) {
        next_endpoint(connection, reply.why);
        return reply.sent ? ETCD_OPEN : ETCD_NOT_SENT;
    }
    /* The caller's time may be too short for another attempt each time that it asks. */
    next_endpoint(connection, "it did not answer");
    return ETCD_ENDED;
}

/* Asks for a token if there is a user and none is at hand. ETCD_ANSWERED: go on. */
static enum etcd_outcome get_token(struct etcd_connection *connection, struct etcd_turn *turn,
                                   struct operation *operation)
{
    char password[ETCD_PASSWORD_MAX + 1];
    struct etcd_attempt attempt;
    if (!connection->address.user || connection->token) {
        return ETCD_ANSWERED;
    }
    if (etcd_address_password(&connection->address, password, &operation->error) != VIOS_OK) {
        return ETCD_REFUSED;
    }
    char *body = etcd_json_authenticate(connection->address.user, password);
    explicit_bzero(password, sizeof password);
    if (!body) {
        operation_no_memory(operation, "store");
        return ETCD_REFUSED;
    }
    turn->tokens++;
    enum etcd_outcome outcome =
        exchange(connection, turn, AUTHENTICATE_PATH, body, &attempt, operation);
    explicit_bzero(body, strlen(body));
    free(body);
    if (outcome == ETCD_ANSWERED &&
        etcd_json_token(attempt.answer, &connection->token, &operation->error) != VIOS_OK) {
        outcome = ETCD_REFUSED;
    }
    json_decref(attempt.answer);
    return outcome == ETCD_OPEN       ? ETCD_NOT_SENT /* the call itself was not sent */
           : outcome == ETCD_UNUSABLE ? ETCD_REFUSED
                                      : outcome;
}

enum etcd_outcome etcd_attempt(struct etcd_connection *connection, struct etcd_turn *turn,
                               const char *path, const char *body, struct etcd_attempt *attempt,
                               struct operation *operation)
{
    enum etcd_outcome outcome;
    memset(attempt, 0, sizeof *attempt);
    do {
        turn->renew = false;
        outcome = get_token(connection, turn, operation);
        if (outcome == ETCD_ANSWERED) {
            outcome = exchange(connection, turn, path, body, attempt, operation);
        }
    } while (turn->renew); /* at most ETCD_TOKENS_MAX times */
    return outcome;
}

int etcd_authenticate(struct etcd_connection *connection, struct operation *operation)
{
    struct etcd_turn turn;
    etcd_turn_start(&turn);
    for (;;) {
        enum etcd_outcome outcome = get_token(connection, &turn, operation);
        if (outcome == ETCD_ANSWERED) {
            return VIOS_OK;
        }
        int status = outcome == ETCD_NOT_SENT ? etcd_turn_next(connection, &turn, operation)
                                              : operation->error.code;
        if (status != VIOS_OK) {
            return status;
        }
    }
}

int etcd_call(struct etcd_connection *connection, const char *path, char *body, json_t **answer,
              struct etcd_header *header, struct etcd_refusal *refusal, struct operation *operation)
{
    struct etcd_turn turn;
    struct etcd_attempt attempt;
    int status = VIOS_OK;
    *answer = NULL;
    if (!body) {
        return operation_no_memory(operation, "store");
    }
    etcd_turn_start(&turn);
    for (bool again = true; status == VIOS_OK && again;) {
        enum etcd_outcome outcome =
            etcd_attempt(connection, &turn, path, body, &attempt, operation);
        again = outcome == ETCD_NOT_SENT || outcome == ETCD_OPEN;
        if (again || outcome == ETCD_ENDED) {
            status = etcd_turn_next(connection, &turn, operation);
        } else if (outcome != ETCD_ANSWERED) {
            status = operation->error.code;
        }
    }
    *answer = attempt.answer;
    if (header) {
        *header = attempt.header;
    }
    if (refusal) {
        *refusal = attempt.refusal;
    }
    free(body);
    return status;
}

int etcd_call_range(struct etcd_connection *connection, const struct etcd_range *range,
                    struct store_gather *gather, bool *more, struct operation *operation)
{
    json_t *answer;
    bool unused = false;
    int status = etcd_call(connection, ETCD_RANGE_PATH, etcd_json_range(range), &answer, NULL, NULL,
                           operation);
    if (status == VIOS_OK) {
        status = etcd_json_values(answer, range->space, range->keys_only, gather,
                                  more ? more : &unused, operation);
    }
    json_decref(answer);
    return status;
}
