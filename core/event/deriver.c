/*
 * deriver.c - see deriver.h. A session goes on until something fails, and is then begun anew from
 * what /events says: so whatever the failure was, nothing is derived twice or left out.
 */
#include "event/deriver.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "event/derive.h"
#include "event/event_file.h"
#include "event/publish.h"
#include "event/retention.h"
#include "storage/repository.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_TIMEOUT_MS 10000
#define LOOK_MS 1000                    /* a watch waits so long, then the rest is looked at */
#define FLUSH_EVENTS PAYLOAD_EVENTS_MAX /* with that many, before another commit's are added */

struct deriver {
    struct node *node;
    struct event_index *index;
    int64_t primary;  /* revision of /primary */
    int64_t swept_ms; /* 0: not yet */
    struct runner runner;
};

struct session {
    struct deriver *deriver;
    struct store *store;
    struct store_watch *watch;
    struct derivation *derivation;
    struct event_progress progress;
    json_t *events; /* not committed yet */
    int64_t seen;   /* everything up to this revision is in them */
    bool is_first;  /* nothing is known from before */
    int64_t noted_ms;
    struct operation operation;
};

static struct operation *call(struct session *session)
{
    operation_start(&session->operation, CALL_TIMEOUT_MS, session->deriver->runner.cancel);
    return &session->operation;
}

/* --- /events --- */

/* Commits `progress`, with the record of a payload file unless `key` is NULL. */
static int commit(struct session *session, struct event_progress *progress, const char *key,
                  const char *json)
{
    int64_t known = session->progress.revision;
    char *text = event_progress_value(progress);
    const struct store_compare compares[] = {
        {.kind = STORE_REVISION_IS, .key = "/primary", .revision = session->deriver->primary},
        {.kind = known > 0 ? STORE_REVISION_IS : STORE_ABSENT,
         .key = EVENTS_KEY,
         .revision = known},
        {.kind = STORE_ABSENT, .key = key}};
    const struct store_change changes[] = {{.key = EVENTS_KEY, .json = text},
                                           {.key = key, .json = json}};
    int status = text ? store_commit(session->store, compares, key ? 3 : 2, changes, key ? 2 : 1,
                                     &progress->revision, call(session))
                      : operation_no_memory(&session->operation, EVENTS_KEY);
    free(text);
    return status;
}

/* Notes up to where everything is derived; takes over nothing. */
static int note(struct session *session, const char *key, const char *json)
{
    struct event_progress progress = session->progress;
    progress.derived = session->seen;
    progress.known = derivation_known(session->derivation);
    int status = progress.known ? commit(session, &progress, key, json)
                                : operation_no_memory(&session->operation, EVENTS_KEY);
    if (status == VIOS_OK) {
        event_progress_clear(&session->progress);
        session->progress = progress;
        session->noted_ms = clock_now_ms();
    } else {
        event_progress_clear(&progress);
    }
    return status;
}

/* --- beginning --- */

static void learn(struct session *session, const struct store_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct store_value *value = &list->values[i];
        if (session->is_first) {
            derivation_begin(session->derivation, value);
        } else if (value->revision <= session->progress.derived) {
            derivation_learn(session->derivation, value);
        }
    }
}

static int read_all(struct session *session, int64_t *revision)
{
    const char *prefixes[STORE_PREFIXES_MAX];
    struct store_list lists[STORE_PREFIXES_MAX];
    size_t count = derivation_prefixes(prefixes);
    int status = store_list_many(session->store, prefixes, count, lists, revision, call(session));
    if (status != VIOS_OK) {
        return status;
    }
    status =
        derivation_new(&session->derivation, session->progress.known, &session->operation.error);
    for (size_t i = 0; i < count; i++) {
        if (status == VIOS_OK) {
            learn(session, &lists[i]);
        }
        store_list_clear(&lists[i]);
    }
    return status;
}

/* Nobody derived anything yet: events begin here, and so does the repository. */
static int begin_first(struct session *session, int64_t revision)
{
    int status = repository_check(session->deriver->node, session->store, true, call(session));
    session->seen = revision;
    return status == VIOS_OK ? note(session, NULL, NULL) : status;
}

/* The history between is gone: nobody knows what happened, so all who follow must look anew. */
static int begin_anew(struct session *session)
{
    int64_t revision = 0;
    derivation_free(session->derivation);
    session->derivation = NULL;
    session->is_first = true;
    int status = read_all(session, &revision);
    if (status != VIOS_OK) {
        return status;
    }
    log_error("event",
              "what was committed from revision %lld to %lld never became events: callers "
              "get RESYNC",
              (long long)session->seen, (long long)revision);
    session->seen = revision;
    session->progress.dropped = event_sequence(revision, PAYLOAD_EVENTS_MAX - 1);
    return note(session, NULL, NULL);
}

static int load_index(struct session *session)
{
    return event_index_load(session->deriver->index, session->store, call(session));
}

static int open_watch(struct session *session)
{
    return store_watch_open(&session->watch, session->store, "/", session->seen, call(session));
}

static int begin(struct session *session)
{
    int64_t revision = 0;
    int status = node_store(session->deriver->node, &session->store, call(session));
    if (status == VIOS_OK) {
        status = event_progress_read(session->store, &session->progress, call(session));
    }
    if (status == VIOS_OK) {
        session->is_first = session->progress.revision == 0;
        status = read_all(session, &revision);
    }
    if (status == VIOS_OK && session->is_first) {
        status = begin_first(session, revision);
    }
    session->seen = session->progress.derived;
    if (status == VIOS_OK) {
        status = load_index(session);
    }
    session->noted_ms = clock_now_ms();
    return status == VIOS_OK ? open_watch(session) : status;
}

static void end(struct session *session)
{
    store_watch_close(session->watch);
    node_store_return(session->deriver->node, session->store);
    derivation_free(session->derivation);
    event_progress_clear(&session->progress);
    json_decref(session->events);
}

/* --- events --- */

static void fill(struct session *session, struct payload *payload)
{
    size_t count = json_array_size(session->events);
    publish_begin(session->deriver->node, payload);
    payload->derived = session->seen;
    if (count > PAYLOAD_EVENTS_MAX) {
        log_error("event", "one commit of the VIOS DB made %zu events: some are lost", count);
        count = PAYLOAD_EVENTS_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        payload->events[payload->count++] = json_incref(json_array_get(session->events, i));
    }
}

/* Publishes what was gathered. After any failure the session is over. */
static int flush(struct session *session)
{
    struct node *node = session->deriver->node;
    struct payload payload;
    char key[EVENT_KEY_SIZE];
    if (json_array_size(session->events) == 0) {
        return VIOS_OK;
    }
    fill(session, &payload);
    event_record_key(node->name, payload.name, key);
    char *json = event_record_value(payload.count);
    int status = json ? publish_check(node, session->store, call(session))
                      : operation_no_memory(&session->operation, "events");
    if (status == VIOS_OK) {
        status = event_file_write(node, &payload, &session->operation.error);
    }
    if (status == VIOS_OK) {
        crash_at("derive:file:after");
        status = note(session, key, json);
        crash_at("derive:commit:after");
    }
    if (status != VIOS_OK && status != VIOS_E_UNKNOWN) {
        (void)event_file_remove(node, node->name, payload.name, NULL);
    }
    json_array_clear(session->events);
    payload_clear(&payload);
    free(json);
    return status;
}

static int take_record(struct session *session, const struct store_value *value)
{
    struct event_record record;
    struct vios_error error;
    if (!value->json || event_record_parse(value, &record, &error) != VIOS_OK) {
        return VIOS_OK;
    }
    return event_index_add(session->deriver->index, &record, &session->operation.error);
}

/* Whole commits at a time, since /events has a revision and no place within one. */
static int take_changes(struct session *session, const struct store_change_list *changes)
{
    int status = VIOS_OK;
    size_t room = FLUSH_EVENTS / 2;
    for (size_t i = 0; status == VIOS_OK && i < changes->count; i++) {
        const struct store_value *value = &changes->values[i];
        if (value->revision != session->seen && json_array_size(session->events) >= room) {
            status = flush(session);
        }
        session->seen = value->revision;
        if (strncmp(value->key, EVENT_PREFIX, strlen(EVENT_PREFIX)) == 0) {
            status = status == VIOS_OK ? take_record(session, value) : status;
        } else {
            derivation_change(session->derivation, value, clock_wall_ms(), session->events);
        }
    }
    return status == VIOS_OK ? flush(session) : status;
}

/* --- beside --- */

/* A file that cannot be removed, or a folder that cannot be read, is for the next time. */
static int tolerate(struct session *session, int status)
{
    if (status == VIOS_OK || status == VIOS_E_CONFLICT || status == VIOS_E_STALE ||
        status == VIOS_E_CANCELLED) {
        return status;
    }
    log_warning("event", "old events are not removed: %s", session->operation.error.message);
    return VIOS_OK;
}

static int let_go(struct session *session)
{
    struct node *node = session->deriver->node;
    struct event_index *index = session->deriver->index;
    int64_t dropped = retention_choose(index, clock_wall_ms());
    if (dropped <= event_index_dropped(index)) {
        return VIOS_OK;
    }
    session->progress.dropped = dropped;
    int status = note(session, NULL, NULL);
    if (status == VIOS_OK) {
        event_index_drop(index, dropped);
        status = tolerate(session, retention_remove(node, session->store, dropped,
                                                    session->deriver->primary, call(session)));
    }
    return status;
}

static int sweep(struct session *session)
{
    struct deriver *deriver = session->deriver;
    json_t *known = derivation_known(session->derivation);
    int status = retention_remove(deriver->node, session->store, session->progress.dropped,
                                  deriver->primary, call(session));
    if (status == VIOS_OK) {
        status = retention_sweep(deriver->node, deriver->index, json_object_get(known, "up"),
                                 clock_wall_ms(), call(session));
    }
    json_decref(known);
    return status;
}

static int look_beside(struct session *session)
{
    int64_t now_ms = clock_now_ms();
    int status = let_go(session);
    if (status == VIOS_OK && session->seen > session->progress.revision &&
        now_ms - session->noted_ms > DERIVER_NOTE_MS) {
        status = note(session, NULL, NULL);
    }
    if (status == VIOS_OK && (session->deriver->swept_ms == 0 ||
                              now_ms - session->deriver->swept_ms > DERIVER_SWEEP_MS)) {
        session->deriver->swept_ms = now_ms;
        status = tolerate(session, sweep(session));
    }
    return status;
}

/* --- the thread --- */

static int follow(struct session *session)
{
    struct store_change_list changes;
    operation_start(&session->operation, LOOK_MS, session->deriver->runner.cancel);
    int status = store_watch_next(session->watch, &changes, &session->operation);
    if (status == VIOS_OK) {
        status = take_changes(session, &changes);
        store_change_list_clear(&changes);
    } else if (status == VIOS_E_TIMEOUT) {
        status = VIOS_OK;
    } else if (status == VIOS_E_COMPACTED) {
        store_watch_close(session->watch);
        session->watch = NULL;
        status = begin_anew(session);
        status = status == VIOS_OK ? load_index(session) : status;
        status = status == VIOS_OK ? open_watch(session) : status;
    }
    return status == VIOS_OK ? look_beside(session) : status;
}

static void run_session(struct deriver *deriver, struct vios_error *said)
{
    struct session session = {.deriver = deriver, .events = json_array()};
    int status = session.events ? begin(&session) : VIOS_E_NO_SPACE;
    while (status == VIOS_OK) {
        status = follow(&session);
        *said = status == VIOS_OK ? (struct vios_error){0} : *said;
    }
    if (status != VIOS_E_CANCELLED && said->code != status) {
        log_warning("event", "what is committed does not become events: %s",
                    session.operation.error.message);
        *said = session.operation.error;
    }
    end(&session);
}

static void *run(void *argument)
{
    struct deriver *deriver = argument;
    struct operation pause;
    struct vios_error said = {0};
    do {
        run_session(deriver, &said);
        operation_start(&pause, OPERATION_NO_DEADLINE, deriver->runner.cancel);
    } while (operation_sleep(&pause, DERIVER_RETRY_MS) == VIOS_OK);
    return NULL;
}

int deriver_start(struct deriver **deriver, struct node *node, struct event_index *index,
                  int64_t revision, struct vios_error *error)
{
    struct deriver *made = calloc(1, sizeof *made);
    *deriver = NULL;
    if (!made) {
        return error_no_memory(error, "events");
    }
    *made = (struct deriver){.node = node, .index = index, .primary = revision};
    int status = runner_start(&made->runner, "derive", run, made, "events", error);
    if (status != VIOS_OK) {
        free(made);
        return status;
    }
    *deriver = made;
    return VIOS_OK;
}

void deriver_stop(struct deriver *deriver)
{
    if (deriver) {
        runner_stop(&deriver->runner);
        free(deriver);
    }
}
