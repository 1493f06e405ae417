/*
 * watcher.c - see watcher.h.
 *
 * A round begins with the records of alerts and alarms, from one snapshot: an alarm that is there
 * is raised, whoever raised it, so a commit whose outcome is not known needs no more than the next
 * round. What is counted between two rounds is a track, which begins anew with its alert's record.
 * A commit compares the alert's record, so none is made for one that was unset or set anew.
 */
#include "alert/watcher.h"

#include "alert/record.h"
#include "alert/sampler.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "node/driver.h"
#include "node/members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPARES_MAX 4

struct track {
    struct track *next;
    char key[STORE_KEY_MAX]; /* of its alarm */
    int64_t alert;           /* revision of its alert's record */
    int64_t round;           /* in which it was seen last */
    struct threshold_state state;
    int absent; /* rounds in a row without its object */
};

struct watcher {
    struct node *node;
    struct sampler *sampler;
    struct track *tracks;
    int64_t rounds;
    struct runner runner;
};

struct round {
    struct watcher *watcher;
    struct store *store;
    struct operation *operation;
    struct alert *alerts;
    size_t alert_count;
    struct alarm *alarms;
    size_t alarm_count;
    bool primary;
    struct driver_term term;
    /* Of each metric that was needed. */
    struct sample_list samples[SAMPLER_METRICS];
    bool asked[SAMPLER_METRICS];
    int status[SAMPLER_METRICS];
};

/* --- what is set, and what is raised --- */

static int parse_alerts(struct round *round, const struct store_list *list)
{
    struct vios_error error;
    round->alerts = calloc(list->count + 1, sizeof *round->alerts);
    for (size_t i = 0; round->alerts && i < list->count; i++) {
        struct alert *alert = &round->alerts[round->alert_count];
        if (alert_parse(&list->values[i], alert, &error) != VIOS_OK) {
            if (round->watcher->rounds == 1) {
                log_warning("alert", "%s: %s", error.object, error.message);
            }
            /* Its alarms stay as they are: nobody knows what it wants. */
            snprintf(alert->name, sizeof alert->name, "%.*s", NAME_MAX_LENGTH,
                     list->values[i].key + strlen(ALERT_PREFIX));
        }
        round->alert_count++;
    }
    return round->alerts ? VIOS_OK : operation_no_memory(round->operation, "alerts");
}

static int parse_alarms(struct round *round, const struct store_list *list)
{
    round->alarms = calloc(list->count + 1, sizeof *round->alarms);
    for (size_t i = 0; round->alarms && i < list->count; i++) {
        round->alarm_count +=
            alarm_parse(&list->values[i], &round->alarms[round->alarm_count], NULL) == VIOS_OK;
    }
    return round->alarms ? VIOS_OK : operation_no_memory(round->operation, "alerts");
}

static int load(struct round *round)
{
    static const char *const PREFIXES[] = {ALERT_PREFIX, ALARM_PREFIX};
    struct store_list lists[2];
    int status = store_list_many(round->store, PREFIXES, 2, lists, NULL, round->operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = parse_alerts(round, &lists[0]);
    if (status == VIOS_OK) {
        status = parse_alarms(round, &lists[1]);
    }
    store_list_clear(&lists[0]);
    store_list_clear(&lists[1]);
    return status;
}

static const struct alert *find_alert(const struct round *round, const char *name)
{
    for (size_t i = 0; i < round->alert_count; i++) {
        if (strcmp(round->alerts[i].name, name) == 0) {
            return &round->alerts[i];
        }
    }
    return NULL;
}

static const struct alarm *find_alarm(const struct round *round, const struct alarm *place)
{
    for (size_t i = 0; i < round->alarm_count; i++) {
        const struct alarm *alarm = &round->alarms[i];
        if (strcmp(alarm->name, place->name) == 0 && strcmp(alarm->scope, place->scope) == 0 &&
            strcmp(alarm->object, place->object) == 0) {
            return alarm;
        }
    }
    return NULL;
}

/* NULL: no memory. */
static struct track *track_of(struct watcher *watcher, const struct alarm *alarm,
                              const struct alert *alert)
{
    char key[STORE_KEY_MAX];
    struct track *track = watcher->tracks;
    alarm_key(alarm, key);
    while (track && strcmp(track->key, key) != 0) {
        track = track->next;
    }
    if (!track) {
        track = calloc(1, sizeof *track);
        if (!track) {
            return NULL;
        }
        memcpy(track->key, key, sizeof key);
        track->next = watcher->tracks;
        watcher->tracks = track;
    }
    if (track->alert != alert->revision) {
        track->alert = alert->revision;
        track->state.count = track->absent = 0;
    }
    track->round = watcher->rounds;
    return track;
}

/* All that were not seen in this round; with `all`, those too. */
static void forget_tracks(struct watcher *watcher, bool all)
{
    struct track **place = &watcher->tracks;
    while (*place) {
        struct track *track = *place;
        if (!all && track->round == watcher->rounds) {
            place = &track->next;
        } else {
            *place = track->next;
            free(track);
        }
    }
}

/* --- commits --- */

struct keys {
    char alarm[STORE_KEY_MAX], alert[STORE_KEY_MAX], fence[STORE_KEY_MAX];
    struct store_compare compares[COMPARES_MAX];
    size_t count;
};

static void compare(struct keys *keys, enum store_compare_kind kind, const char *key,
                    int64_t revision)
{
    keys->compares[keys->count++] =
        (struct store_compare){.kind = kind, .key = key, .revision = revision};
}

/* `alert` NULL: there is none. What is not this node's own only a primary commits. */
static void make_keys(const struct round *round, const struct alarm *alarm,
                      const struct alert *alert, struct keys *keys)
{
    const struct node *node = round->watcher->node;
    keys->count = 0;
    alarm_key(alarm, keys->alarm);
    alert_key(alarm->name, keys->alert);
    snprintf(keys->fence, sizeof keys->fence, "/fence/%s/%lld", node->name,
             (long long)node->incarnation);
    compare(keys, alarm->revision > 0 ? STORE_REVISION_IS : STORE_ABSENT, keys->alarm,
            alarm->revision);
    compare(keys, STORE_ABSENT, keys->fence, 0);
    if (alert) {
        compare(keys, STORE_REVISION_IS, keys->alert, alert->revision);
    }
    if (strcmp(alarm->scope, node->name) != 0) {
        compare(keys, STORE_REVISION_IS, "/primary", round->term.revision);
    }
}

/* A conflict, or an outcome that is not known, is for the next round. */
static int commit(struct round *round, const struct keys *keys, const char *json, bool *done)
{
    const struct store_change change = {.key = keys->alarm, .json = json};
    int status =
        store_commit(round->store, keys->compares, keys->count, &change, 1, NULL, round->operation);
    *done = status == VIOS_OK;
    return status == VIOS_E_CONFLICT || status == VIOS_E_UNKNOWN ? VIOS_OK : status;
}

/* Of what it is, for the log. */
static const char *subject(const struct alarm *alarm)
{
    bool shared = strcmp(alarm->scope, ALARM_SHARED) == 0;
    return alarm->object[0] ? alarm->object : shared ? "the cluster" : alarm->scope;
}

/* `alarm` is where it belongs, by alarm_place(). */
static int raise_alarm(struct round *round, const struct alert *alert, struct alarm *alarm,
                       double value)
{
    struct keys keys;
    bool done;
    char text[METRIC_TEXT_SIZE];
    alarm->value = value;
    clock_format(clock_wall_ms(), alarm->since);
    char *json = alarm_format(alarm);
    if (!json) {
        return operation_no_memory(round->operation, "alerts");
    }
    make_keys(round, alarm, alert, &keys);
    int status = commit(round, &keys, json, &done);
    free(json);
    if (done) {
        log_warning("alert", "%s is crossed: %s of %s is %s", alert->name, alert->metric->name,
                    subject(alarm), metric_format(alert->metric, value, text));
    }
    return status;
}

static int clear_alarm(struct round *round, const struct alert *alert, const struct alarm *alarm,
                       const char *why)
{
    struct keys keys;
    bool done;
    make_keys(round, alarm, alert, &keys);
    int status = commit(round, &keys, NULL, &done);
    if (done) {
        log_notice("alert", "%s is over, of %s: %s", alarm->name, subject(alarm), why);
    }
    return status;
}

/* --- samples --- */

static struct sample_list *take(struct round *round, const struct metric *metric, int *status)
{
    size_t count, number = (size_t)(metric - metric_all(&count));
    if (!round->asked[number]) {
        round->asked[number] = true;
        round->status[number] = sampler_take(round->watcher->sampler, metric,
                                             &round->samples[number], round->operation);
    }
    *status = round->status[number];
    return &round->samples[number];
}

static int judge(struct round *round, const struct alert *alert, const struct sample *sample)
{
    struct alarm place;
    const struct threshold threshold = alert_threshold(alert);
    alarm_place(alert, round->watcher->node->name, sample->object, &place);
    const struct alarm *raised = find_alarm(round, &place);
    struct track *track = track_of(round->watcher, &place, alert);
    if (!track) {
        return operation_no_memory(round->operation, "alerts");
    }
    track->absent = 0;
    if (raised && !alert_has(alert, raised)) {
        return VIOS_OK; /* of another metric, before it was set anew: it goes first */
    }
    threshold_settle(&track->state, raised != NULL);
    switch (sample->known ? threshold_step(&threshold, &track->state, sample->value)
                          : THRESHOLD_STAYS) {
    case THRESHOLD_RAISES:
        return raise_alarm(round, alert, &place, sample->value);
    case THRESHOLD_CLEARS:
        return clear_alarm(round, alert, raised, "it is back within its limits");
    case THRESHOLD_STAYS:
        break;
    }
    return VIOS_OK;
}

static bool is_ours(const struct round *round, const struct metric *metric)
{
    return metric && (round->primary || !metric_is_shared(metric));
}

static int judge_all(struct round *round, const struct alert *alert)
{
    int status;
    const struct sample_list *list = take(round, alert->metric, &status);
    if (status != VIOS_OK) {
        return VIOS_OK; /* nobody knows */
    }
    for (size_t i = 0; status == VIOS_OK && i < list->count; i++) {
        if (alert_covers(alert, list->samples[i].object)) {
            status = judge(round, alert, &list->samples[i]);
        }
    }
    return status;
}

/* --- alarms that nothing is measured for --- */

static bool is_sampled(const struct round *round, const struct alert *alert,
                       const struct alarm *alarm, const struct sample_list *list)
{
    const char *object =
        alert->metric->object == METRIC_NODE ? round->watcher->node->name : alarm->object;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->samples[i].object, object) == 0) {
            return true;
        }
    }
    return false;
}

/* Its object is gone, or served elsewhere. */
static int look_for_object(struct round *round, const struct alert *alert,
                           const struct alarm *alarm)
{
    int status;
    const struct sample_list *list = take(round, alert->metric, &status);
    struct track *track = track_of(round->watcher, alarm, alert);
    if (!track) {
        return operation_no_memory(round->operation, "alerts");
    }
    if (status != VIOS_OK || is_sampled(round, alert, alarm, list)) {
        return VIOS_OK;
    }
    track->absent++;
    return track->absent < alert->metric->samples
               ? VIOS_OK
               : clear_alarm(round, alert, alarm, "its object is not here any more");
}

static int look_after(struct round *round, const struct alarm *alarm)
{
    const struct alert *alert = find_alert(round, alarm->name);
    if (!alert) {
        return clear_alarm(round, NULL, alarm, "it is not set any more");
    }
    if (!alert->metric) {
        return VIOS_OK;
    }
    return alert_has(alert, alarm) ? look_for_object(round, alert, alarm)
                                   : clear_alarm(round, alert, alarm, "it was set anew");
}

/* Of a node that was removed. */
static int look_after_removed(struct round *round, const struct alarm *alarm,
                              const struct member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(members[i].name, alarm->scope) == 0) {
            return VIOS_OK;
        }
    }
    return count > 0 ? clear_alarm(round, NULL, alarm, "its node was removed") : VIOS_OK;
}

static int look_after_alarms(struct round *round)
{
    struct node *node = round->watcher->node;
    struct member *members = NULL;
    size_t count = 0;
    int status = round->primary ? node_members(node, &members, &count) : VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < round->alarm_count; i++) {
        const struct alarm *alarm = &round->alarms[i];
        bool shared = strcmp(alarm->scope, ALARM_SHARED) == 0;
        if (strcmp(alarm->scope, node->name) == 0 || (shared && round->primary)) {
            status = look_after(round, alarm);
        } else if (!shared && round->primary) {
            status = look_after_removed(round, alarm, members, count);
        }
    }
    free(members);
    return status;
}

/* --- a round --- */

static int run(struct round *round)
{
    struct watcher *watcher = round->watcher;
    int status = load(round);
    round->primary = watcher->node->driver && driver_term(watcher->node->driver, &round->term);
    for (size_t i = 0; status == VIOS_OK && i < round->alert_count; i++) {
        if (is_ours(round, round->alerts[i].metric)) {
            status = judge_all(round, &round->alerts[i]);
        }
    }
    if (status == VIOS_OK) {
        status = look_after_alarms(round);
    }
    if (status == VIOS_OK) {
        forget_tracks(watcher, false);
    }
    return status;
}

int watcher_round(struct watcher *watcher, struct operation *operation)
{
    struct round round = {.watcher = watcher, .operation = operation};
    operation_start(operation, WATCHER_CALL_MS, watcher->runner.cancel);
    int status = node_store(watcher->node, &round.store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    watcher->rounds++;
    sampler_begin(watcher->sampler, round.store);
    status = run(&round);
    node_store_return(watcher->node, round.store);
    for (size_t i = 0; i < SAMPLER_METRICS; i++) {
        sample_list_clear(&round.samples[i]);
    }
    free(round.alerts);
    free(round.alarms);
    return status;
}

/* --- the thread --- */

static void *run_watcher(void *argument)
{
    struct watcher *watcher = argument;
    struct operation operation;
    int before = VIOS_OK;
    do {
        int status = watcher_round(watcher, &operation);
        if (status != VIOS_OK && status != VIOS_E_CANCELLED && status != before) {
            log_warning("alert", "thresholds are not watched: %s", operation.error.message);
        } else if (status == VIOS_OK && before != VIOS_OK) {
            log_notice("alert", "thresholds are watched again");
        }
        before = status;
        operation_start(&operation, OPERATION_NO_DEADLINE, watcher->runner.cancel);
    } while (operation_sleep(&operation, WATCHER_PERIOD_MS) == VIOS_OK);
    return NULL;
}

/* --- life --- */

struct watcher *watcher_new(struct node *node)
{
    struct watcher *watcher = calloc(1, sizeof *watcher);
    if (!watcher) {
        return NULL;
    }
    watcher->node = node;
    watcher->sampler = sampler_new(node);
    if (!watcher->sampler) {
        watcher_free(watcher);
        return NULL;
    }
    return watcher;
}

void watcher_free(struct watcher *watcher)
{
    if (watcher) {
        forget_tracks(watcher, true);
        sampler_free(watcher->sampler);
        free(watcher);
    }
}

int watcher_start(struct watcher **watcher, struct node *node, struct vios_error *error)
{
    struct watcher *made = watcher_new(node);
    *watcher = NULL;
    if (!made) {
        return error_no_memory(error, "alerts");
    }
    int status = runner_start(&made->runner, "alert", run_watcher, made, "alerts", error);
    if (status != VIOS_OK) {
        watcher_free(made);
        return status;
    }
    *watcher = made;
    return VIOS_OK;
}

void watcher_stop(struct watcher *watcher)
{
    if (watcher) {
        runner_stop(&watcher->runner);
        watcher_free(watcher);
    }
}
