/*
 * etcd_watch.c - changes as they come: one answer of etcd that streams a line of JSON for each
 * batch of whole revisions.
 *
 * A stream that ends, or whose endpoint is found dead, is opened anew at the next one, from the
 * last revision that was handed out: nothing is lost, and what comes twice is left out. A stream
 * may be silent for long; after ETCD_SILENCE_MS its endpoint is asked, over another connection, to
 * read with its majority, which a stopped, cut-off or leaderless member cannot answer. A path that
 * swallows the stream alone is seen by TCP's keep-alive.
 *
 * etcd's history at a compaction's own revision R is kept in part only (a delete at R is not), and
 * a watch from R is not refused. So a watch asks for one revision more than it needs: then etcd
 * says "compacted" exactly when something that was not seen may be gone.
 */
#include "store/etcd_connection.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_PATH "/v3/watch"
#define FIRST_REVISION 1 /* of an empty etcd; 0 would mean "from now on" */

struct etcd_watch {
    struct etcd_connection *connection;
    char prefix[STORE_KEY_MAX + 1];
    int64_t revision;  /* all changes up to here were handed out */
    int64_t newest;    /* of the etcd when the watch was opened */
    bool created;      /* the stream has begun */
    bool denied;       /* once already, so that a new token did not help */
    int64_t quiet_ms;  /* when something was heard last, of the stream or its endpoint */
    int64_t lost_ms;   /* when contact was lost; 0: it was not */
    unsigned failures; /* in a row */
};

static int gone(struct etcd_watch *watch, const char *why, struct operation *operation)
{
    return operation_fail(
        operation, VIOS_E_COMPACTED, "VIOS DB", "list again, and watch from there",
        "the history after revision %lld is not kept (%s)", (long long)watch->revision, why);
}

/* A read of nothing that needs the majority. */
static char *probe_body(const struct etcd_connection *connection)
{
    struct etcd_range range = {.space = connection->store_key, .key = "", .keys_only = true};
    return etcd_json_range(&range);
}

int etcd_watch_open(void *state, void **watch, const char *prefix, int64_t revision,
                    struct operation *operation)
{
    struct etcd_connection *from = state;
    struct etcd_header header;
    json_t *answer;
    struct etcd_watch *made = calloc(1, sizeof *made);
    if (!made) {
        return operation_no_memory(operation, "store");
    }
    snprintf(made->prefix, sizeof made->prefix, "%s", prefix);
    made->revision = revision;
    int status = etcd_connection_open(&made->connection, from->known->text, operation);
    if (status == VIOS_OK) {
        status = etcd_call(made->connection, ETCD_RANGE_PATH, probe_body(from), &answer, &header,
                           NULL, operation);
        json_decref(answer);
        made->newest = status == VIOS_OK ? header.revision : 0;
    }
    if (status != VIOS_OK) {
        etcd_watch_close(made);
        return status;
    }
    *watch = made;
    return VIOS_OK;
}

static void lose(struct etcd_watch *watch, const char *why)
{
    struct etcd_connection *connection = watch->connection;
    snprintf(connection->why, sizeof connection->why, "%.120s: %.250s",
             connection->address.endpoints[connection->endpoint], why);
    etcd_http_stream_close(connection->http);
    connection->endpoint =
        (connection->endpoint + 1) % (unsigned)connection->address.endpoint_count;
    watch->created = false;
    watch->failures++;
    if (watch->lost_ms == 0) {
        watch->lost_ms = clock_now_ms();
    }
}

/* The server ended the watch, or refused to begin it. */
static int take_refusal(struct etcd_watch *watch, const struct etcd_watch_message *message,
                        struct operation *operation)
{
    struct etcd_connection *connection = watch->connection;
    bool denied = etcd_token_refused(&message->refusal) ||
                  message->refusal.grpc == ETCD_GRPC_DENIED ||
                  strstr(message->refusal.message, "permission denied") != NULL;
    if (message->compact_revision > 0) {
        return gone(watch, "it was compacted", operation);
    }
    if (denied && (watch->denied || !connection->address.user)) {
        return operation_fail(operation, VIOS_E_DENIED,
                              connection->address.endpoints[connection->endpoint],
                              "grant the etcd user its prefix (etcdctl role)",
                              "the watch is refused: %s", message->refusal.message);
    }
    if (denied) { /* perhaps only because the token has expired */
        watch->denied = true;
        etcd_token_forget(connection);
    }
    lose(watch, message->refusal.message[0] ? message->refusal.message : "the watch was ended");
    return VIOS_OK;
}

static int take_message(struct etcd_watch *watch, const struct etcd_watch_message *message,
                        struct operation *operation)
{
    int status = etcd_check_cluster(watch->connection, &message->header, &operation->error);
    if (status != VIOS_OK) {
        return status;
    }
    if (message->refusal.grpc != ETCD_GRPC_NONE || message->canceled) {
        return take_refusal(watch, message, operation);
    }
    watch->created = true;
    watch->quiet_ms = clock_now_ms();
    watch->lost_ms = 0;
    watch->failures = 0;
    watch->denied = false;
    if (message->revision > watch->revision) {
        watch->revision = message->revision;
    }
    return VIOS_OK;
}

/* After a line that is no good: what came before it is handed out, and the stream is opened anew
 * from there, so that the trouble is met again by the next call. */
static void drop_from(struct etcd_watch *watch, struct store_gather *gather, size_t count)
{
    while (gather->count > count) {
        store_value_clear(&gather->values[--gather->count]);
    }
    lose(watch, "a message was not valid");
}

/* All lines that are there. */
static int take_lines(struct etcd_watch *watch, struct store_gather *gather,
                      struct operation *operation)
{
    struct etcd_http *http = watch->connection->http;
    struct etcd_watch_message message;
    const char *line;
    size_t size;
    bool whole;
    while (etcd_http_stream_state(http) != ETCD_STREAM_NONE &&
           (line = etcd_http_stream_line(http, &size, &whole)) != NULL) {
        size_t before = gather->count;
        int status = size == 0
                         ? VIOS_OK
                         : etcd_json_watch_message(line, size, watch->connection->data_space,
                                                   watch->revision, &message, gather, operation);
        if (status == VIOS_OK && size > 0) {
            status = take_message(watch, &message, operation);
        }
        if (status != VIOS_OK) {
            drop_from(watch, gather, before);
            return whole ? status : VIOS_OK; /* cut off in the middle: it comes again */
        }
    }
    return VIOS_OK;
}

static int begin(struct etcd_watch *watch, struct operation *operation)
{
    struct etcd_connection *connection = watch->connection;
    unsigned count = (unsigned)connection->address.endpoint_count;
    if (watch->lost_ms != 0 && clock_now_ms() - watch->lost_ms >= ETCD_PATIENCE_MS) {
        watch->lost_ms = clock_now_ms();
        return operation_fail(operation, VIOS_E_UNREACHABLE, "VIOS DB",
                              "see whether etcd runs there, and has a majority", "%s",
                              connection->why);
    }
    int status = VIOS_OK;
    if (watch->failures > 0 && watch->failures % count == 0) {
        status = operation_sleep(operation, ETCD_ROUND_NAP_MS);
    }
    if (status == VIOS_OK) {
        status = etcd_authenticate(connection, operation);
    }
    if (status != VIOS_OK) {
        return status;
    }
    int64_t start = watch->revision > FIRST_REVISION ? watch->revision : FIRST_REVISION;
    char *body = etcd_json_watch(connection->data_space, watch->prefix, start);
    status = body ? etcd_http_stream_open(connection->http,
                                          connection->address.endpoints[connection->endpoint],
                                          WATCH_PATH, body, connection->token, &operation->error)
                  : operation_no_memory(operation, "store");
    free(body);
    watch->created = false;
    watch->quiet_ms = clock_now_ms();
    return status;
}

/* Asks the stream's own endpoint, once. */
static int probe(struct etcd_watch *watch, struct operation *operation)
{
    struct etcd_connection *connection = watch->connection;
    unsigned endpoint = connection->endpoint;
    struct etcd_attempt attempt;
    struct etcd_turn turn;
    char *body = probe_body(connection);
    if (!body) {
        return operation_no_memory(operation, "store");
    }
    etcd_turn_start(&turn);
    enum etcd_outcome outcome =
        etcd_attempt(connection, &turn, ETCD_RANGE_PATH, body, &attempt, operation);
    free(body);
    json_decref(attempt.answer);
    connection->endpoint = endpoint;
    if (outcome == ETCD_ANSWERED) {
        watch->quiet_ms = clock_now_ms();
        return VIOS_OK;
    }
    /* Callers with short deadlines may never see one attempt to its end. */
    bool silent = clock_now_ms() - watch->quiet_ms > ETCD_SILENCE_MS + ETCD_ATTEMPT_MS;
    if (outcome == ETCD_NOT_SENT || outcome == ETCD_OPEN || (outcome == ETCD_ENDED && silent)) {
        lose(watch, "it does not answer");
    }
    return outcome == ETCD_NOT_SENT || outcome == ETCD_OPEN ? VIOS_OK
           : outcome == ETCD_ENDED                          ? operation_check(operation)
                                                            : operation->error.code;
}

/* Waits until there may be something to take. */
static int advance(struct etcd_watch *watch, struct operation *operation)
{
    struct etcd_http *http = watch->connection->http;
    if (etcd_http_stream_too_large(http)) {
        return gone(watch, "there is too much of it to be sent at once", operation);
    }
    if (etcd_http_stream_state(http) == ETCD_STREAM_ENDED) {
        lose(watch, watch->created ? "the watch was cut off" : "a watch cannot be opened");
    }
    if (etcd_http_stream_state(http) == ETCD_STREAM_NONE) {
        return begin(watch, operation);
    }
    bool moved = false;
    int64_t limit_ms = watch->created ? ETCD_SILENCE_MS : ETCD_ATTEMPT_MS;
    int64_t left_ms = watch->quiet_ms + limit_ms - clock_now_ms();
    /* Looked at once also when the time is over: it may have passed between two calls. */
    int status = etcd_http_stream_wait(http, left_ms > 0 ? left_ms : 0, &moved, operation);
    if (status != VIOS_OK || moved) {
        return status;
    }
    if (watch->created) {
        return probe(watch, operation);
    }
    lose(watch, "a watch cannot be opened in time");
    return VIOS_OK;
}

int etcd_watch_next(void *state, struct store_change_list *changes, struct operation *operation)
{
    struct etcd_watch *watch = state;
    struct store_gather gather = {0};
    int status = operation_check(operation);
    if (status == VIOS_OK && watch->revision > watch->newest) {
        return gone(watch, "it is yet to come", operation);
    }
    while (status == VIOS_OK && gather.count == 0) {
        status = take_lines(watch, &gather, operation);
        if (status == VIOS_OK && gather.count == 0) {
            status = advance(watch, operation);
        }
    }
    if (gather.count == 0) {
        store_gather_clear(&gather);
        return status;
    }
    changes->values = gather.values;
    changes->count = gather.count;
    changes->revision = gather.values[gather.count - 1].revision;
    watch->newest = changes->revision > watch->newest ? changes->revision : watch->newest;
    return VIOS_OK;
}

void etcd_watch_close(void *state)
{
    struct etcd_watch *watch = state;
    if (watch) {
        etcd_connection_close(watch->connection);
        free(watch);
    }
}
