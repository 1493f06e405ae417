/* sampler.c - see sampler.h. What io counts is asked for once in a round. */
#include "alert/sampler.h"

#include "base/clock.h"
#include "base/histogram.h"
#include "base/json.h"
#include "node/driver.h"
#include "paging/device.h"
#include "paging/paging.h"
#include "paging/view.h"
#include "storage/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IO_ANSWER_MS 1000
#define PERCENT 100.0
#define US_PER_MS 1000.0
#define POOL_PREFIX "/pool/"

/* What io had counted of an LPAR's device when it was looked at last, for one metric. */
struct before {
    struct before *next;
    char lpar[NAME_MAX_LENGTH + 1];
    int64_t round; /* in which it was seen last */
    int64_t at_ms;
    int64_t errors;
    struct histogram in_us;
};

struct sampler {
    struct node *node;
    struct store *store;            /* of this round */
    json_t *statistics;             /* io's, of this round; NULL: not asked yet */
    int64_t round;                  /* from 1 */
    int64_t taken[SAMPLER_METRICS]; /* in which round last */
    struct before *before[SAMPLER_METRICS];
};

/* --- life --- */

struct sampler *sampler_new(struct node *node)
{
    struct sampler *sampler = calloc(1, sizeof *sampler);
    if (sampler) {
        sampler->node = node;
    }
    return sampler;
}

/* Those that were not seen in `round`; 0: all. */
static void forget(struct before **list, int64_t round)
{
    while (*list) {
        struct before *one = *list;
        if (round > 0 && one->round == round) {
            list = &one->next;
        } else {
            *list = one->next;
            free(one);
        }
    }
}

void sampler_free(struct sampler *sampler)
{
    for (size_t i = 0; sampler && i < SAMPLER_METRICS; i++) {
        forget(&sampler->before[i], 0);
    }
    if (sampler) {
        json_decref(sampler->statistics);
        free(sampler);
    }
}

void sampler_begin(struct sampler *sampler, struct store *store)
{
    sampler->store = store;
    sampler->round++;
    json_decref(sampler->statistics);
    sampler->statistics = NULL;
}

/* --- lists --- */

void sample_list_clear(struct sample_list *list)
{
    free(list->samples);
    *list = (struct sample_list){0};
}

static int add(struct sample_list *list, const char *object, bool known, double value,
               struct operation *operation)
{
    if (list->count == list->room) {
        size_t room = list->room > 0 ? 2 * list->room : 8;
        struct sample *more = reallocarray(list->samples, room, sizeof *more);
        if (!more) {
            return operation_no_memory(operation, "alerts");
        }
        list->samples = more;
        list->room = room;
    }
    struct sample *sample = &list->samples[list->count++];
    *sample = (struct sample){.known = known, .value = value};
    snprintf(sample->object, sizeof sample->object, "%s", object);
    return VIOS_OK;
}

static size_t number_of(const struct metric *metric)
{
    size_t count;
    return (size_t)(metric - metric_all(&count));
}

int sampler_take(struct sampler *sampler, const struct metric *metric, struct sample_list *list,
                 struct operation *operation)
{
    size_t number = number_of(metric);
    bool goes_on = sampler->round > 1 && sampler->taken[number] == sampler->round - 1;
    *list = (struct sample_list){0};
    if (!goes_on) {
        forget(&sampler->before[number], 0);
    }
    int status = metric->sample(sampler, list, operation);
    if (status != VIOS_OK) {
        sample_list_clear(list);
        return status;
    }
    sampler->taken[number] = sampler->round;
    forget(&sampler->before[number], sampler->round);
    for (size_t i = 0; metric->interval && !goes_on && i < list->count; i++) {
        list->samples[i].known = false;
    }
    return VIOS_OK;
}

/* --- pools --- */

static int add_pool(struct sampler *sampler, const struct store_value *value,
                    struct sample_list *list, struct operation *operation)
{
    struct pool pool;
    struct pool_space space = {0};
    const char *name = value->key + strlen(POOL_PREFIX);
    bool readable = pool_parse(name, value->json, &pool, NULL) == VIOS_OK;
    if (readable && pool.state != POOL_READY) {
        return VIOS_OK;
    }
    bool known = readable && pool_check(sampler->node, &pool, NULL) == VIOS_OK &&
                 pool_space(sampler->node, name, &space, NULL) == VIOS_OK && space.size_bytes > 0;
    double share = known ? (double)space.free_bytes / (double)space.size_bytes : 0;
    return add(list, name, known, PERCENT * share, operation);
}

int sample_pool_free(struct sampler *sampler, struct sample_list *list, struct operation *operation)
{
    struct store_list pools;
    int status = store_list(sampler->store, POOL_PREFIX, &pools, NULL, operation);
    if (status != VIOS_OK) {
        return status;
    }
    for (size_t i = 0; status == VIOS_OK && i < pools.count; i++) {
        status = add_pool(sampler, &pools.values[i], list, operation);
    }
    store_list_clear(&pools);
    return status;
}

/* --- what io says --- */

static int ask_io(struct sampler *sampler, struct operation *operation)
{
    struct operation asking;
    if (sampler->statistics) {
        return VIOS_OK;
    }
    operation_start(&asking, IO_ANSWER_MS, operation->cancel);
    int status = io_client_call(sampler->node->io, json_pack("{s:s}", "do", "statistics"), NULL, 0,
                                &sampler->statistics, &asking);
    if (status != VIOS_OK) {
        operation->error = asking.error;
    }
    return status;
}

int sample_page_memory_free(struct sampler *sampler, struct sample_list *list,
                            struct operation *operation)
{
    int status = ask_io(sampler, operation);
    if (status != VIOS_OK) {
        return status;
    }
    const json_t *memory = json_object_get(sampler->statistics, "page_memory");
    int64_t size = json_get_integer(memory, "size_bytes");
    int64_t free_bytes = json_get_integer(memory, "free_bytes");
    bool known = size > 0 && free_bytes >= 0; /* else it lends none */
    return add(list, sampler->node->name, known,
               known ? PERCENT * (double)free_bytes / (double)size : 0, operation);
}

static struct before *find_before(struct before *list, const char *lpar)
{
    while (list && strcmp(list->lpar, lpar) != 0) {
        list = list->next;
    }
    return list;
}

/* What this metric makes of the two; false: they are not one after the other, as after io ended.
 * `now` is of no use afterwards. */
typedef bool (*measuring)(struct before *now, const struct before *before, double *value);

/* Takes over `now`. */
static int add_device(struct sampler *sampler, size_t number, struct before *now, measuring measure,
                      struct sample_list *list, struct operation *operation)
{
    struct before *kept = find_before(sampler->before[number], now->lpar);
    double value = 0;
    struct before copy = *now;
    bool known = kept && measure(&copy, kept, &value);
    int status = add(list, now->lpar, known, value, operation);
    if (kept) {
        now->next = kept->next;
        *kept = *now;
        free(now);
    } else {
        now->next = sampler->before[number];
        sampler->before[number] = now;
    }
    return status;
}

static int add_view(struct sampler *sampler, size_t number, const struct paging_view *view,
                    measuring measure, struct sample_list *list, struct operation *operation)
{
    char name[160];
    struct before *now;
    paging_export_name(view->record.uuid, view->generation, name, sizeof name);
    const json_t *export = paging_find_export(sampler->statistics, name);
    const json_t *counts = json_object_get(export, "in_us_counts");
    if (!export) { /* it is about to be served */
        return add(list, view->record.lpar, false, 0, operation);
    }
    now = calloc(1, sizeof *now);
    if (!now) {
        return operation_no_memory(operation, "alerts");
    }
    snprintf(now->lpar, sizeof now->lpar, "%s", view->record.lpar);
    now->round = sampler->round;
    now->at_ms = clock_now_ms();
    now->errors = json_get_integer(export, "errors");
    if (!histogram_from_json(counts, &now->in_us)) {
        memset(&now->in_us, 0, sizeof now->in_us);
    }
    return add_device(sampler, number, now, measure, list, operation);
}

static int sample_devices(struct sampler *sampler, const char *metric, measuring measure,
                          struct sample_list *list, struct operation *operation)
{
    struct paging_view *views = NULL;
    size_t count = 0, number = number_of(metric_find(metric));
    int status = ask_io(sampler, operation);
    if (status == VIOS_OK) {
        status = paging_views_list(sampler->store, &views, &count, NULL, operation);
    }
    for (size_t i = 0; status == VIOS_OK && i < count; i++) {
        if (strcmp(views[i].owner, sampler->node->name) == 0) {
            status = add_view(sampler, number, &views[i], measure, list, operation);
        }
    }
    free(views);
    return status;
}

static bool errors_per_second(struct before *now, const struct before *before, double *value)
{
    int64_t took_ms = now->at_ms - before->at_ms;
    *value = took_ms > 0 ? 1000.0 * (double)(now->errors - before->errors) / (double)took_ms : 0;
    return took_ms > 0 && now->errors >= before->errors;
}

/* Without a page-in nobody waits. */
static bool p99_ms(struct before *now, const struct before *before, double *value)
{
    bool follows = histogram_subtract(&now->in_us, &before->in_us);
    *value = follows ? (double)histogram_percentile(&now->in_us, 990) / US_PER_MS : 0;
    return follows;
}

int sample_paging_errors(struct sampler *sampler, struct sample_list *list,
                         struct operation *operation)
{
    return sample_devices(sampler, "paging-errors", errors_per_second, list, operation);
}

int sample_paging_p99(struct sampler *sampler, struct sample_list *list,
                      struct operation *operation)
{
    return sample_devices(sampler, "paging-p99", p99_ms, list, operation);
}

/* --- what the agent knows --- */

int sample_keepalive_misses(struct sampler *sampler, struct sample_list *list,
                            struct operation *operation)
{
    int64_t now_ms;
    struct driver *driver = sampler->node->driver;
    struct agent *agent = driver_lock(driver, &now_ms);
    int64_t missed = agent_take_missed(agent, now_ms);
    driver_unlock(driver);
    return add(list, sampler->node->name, true, (double)missed, operation);
}

int sample_commit_time(struct sampler *sampler, struct sample_list *list,
                       struct operation *operation)
{
    int64_t commit_us = driver_take_commit_us(sampler->node->driver);
    return add(list, sampler->node->name, commit_us >= 0, (double)commit_us / US_PER_MS, operation);
}

/* Only who won an election knows how long it took, and says so in the history. */
int sample_election_time(struct sampler *sampler, struct sample_list *list,
                         struct operation *operation)
{
    int64_t now_ms;
    struct driver *driver = sampler->node->driver;
    json_t *history = agent_show_history(driver_lock(driver, &now_ms));
    driver_unlock(driver);
    size_t count = json_array_size(history);
    const json_t *last = count > 0 ? json_array_get(history, count - 1) : NULL;
    int64_t took_ms = json_get_integer(last, "took_ms");
    bool known = json_is_integer(json_object_get(last, "took_ms")) && took_ms >= 0;
    json_decref(history);
    return add(list, "", known, (double)took_ms, operation);
}
