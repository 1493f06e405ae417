/* metric.c - see metric.h. */
#include "alert/metric.h"

#include "alert/sampler.h"
#include "base/parse.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define IN_A_ROW 3
#define DIGITS_MAX 12   /* before the point */
#define FRACTION_MAX 3  /* digits behind it */
#define CLEAR_SHARE 0.1 /* of the limit */
#define PERCENT_MAX 100.0
#define MS_PER_S 1000.0

/* What is measured once in a while and does not jitter counts at once. */
static const struct metric METRICS[] = {
    {"pool-free", "space of a pool that is free", METRIC_PERCENT, METRIC_POOL, true, false,
     IN_A_ROW, sample_pool_free},
    {"page-memory-free", "page memory of a node that is not granted", METRIC_PERCENT, METRIC_NODE,
     true, false, IN_A_ROW, sample_page_memory_free},
    {"paging-errors", "failed page requests of an LPAR", METRIC_PER_SECOND, METRIC_LPAR, false,
     true, IN_A_ROW, sample_paging_errors},
    {"paging-p99", "99 of 100 page-ins of an LPAR take no longer", METRIC_MS, METRIC_LPAR, false,
     true, IN_A_ROW, sample_paging_p99},
    {"keepalive-misses", "most keep-alives in a row that did not come from one neighbour",
     METRIC_COUNT, METRIC_NODE, false, true, IN_A_ROW, sample_keepalive_misses},
    {"commit-time", "longest commit of a node's liveness to the VIOS DB", METRIC_MS, METRIC_NODE,
     false, true, IN_A_ROW, sample_commit_time},
    {"election-time", "the last election of a primary, from the need to the commit", METRIC_MS,
     METRIC_CLUSTER, false, false, 1, sample_election_time},
};
#define METRIC_COUNT_ALL (sizeof METRICS / sizeof METRICS[0])

_Static_assert(METRIC_COUNT_ALL == SAMPLER_METRICS, "the sampler has a place for each");

const struct metric *metric_all(size_t *count)
{
    *count = METRIC_COUNT_ALL;
    return METRICS;
}

const struct metric *metric_find(const char *name)
{
    for (size_t i = 0; name && i < METRIC_COUNT_ALL; i++) {
        if (strcmp(METRICS[i].name, name) == 0) {
            return &METRICS[i];
        }
    }
    return NULL;
}

const struct metric *metric_need(const char *name, struct vios_error *error)
{
    const struct metric *metric = metric_find(name);
    const char *names[METRIC_COUNT_ALL];
    char hint[200], all[180] = "there are";
    for (size_t i = 0; i < METRIC_COUNT_ALL; i++) {
        size_t used = strlen(all);
        names[i] = METRICS[i].name;
        snprintf(all + used, sizeof all - used, "%s %s", i > 0 ? "," : "", names[i]);
    }
    if (!metric) {
        parse_hint(name, names, METRIC_COUNT_ALL, all, hint, sizeof hint);
        error_set(error, VIOS_E_USAGE, NULL, hint, "\"%.60s\" is not measured", name);
    }
    return metric;
}

const char *metric_unit_name(const struct metric *metric)
{
    static const char *const NAMES[] = {"%", "/s", "ms", ""};
    return NAMES[metric->unit];
}

const char *metric_object_name(const struct metric *metric)
{
    static const char *const NAMES[] = {"pool", "node", "lpar", NULL};
    return NAMES[metric->object];
}

bool metric_is_shared(const struct metric *metric)
{
    return metric->object == METRIC_POOL || metric->object == METRIC_CLUSTER;
}

bool metric_takes(const struct metric *metric, double value)
{
    return value >= 0 && value <= (metric->unit == METRIC_PERCENT ? PERCENT_MAX : METRIC_VALUE_MAX);
}

/* --- values as people write them --- */

/* Digits, and up to FRACTION_MAX behind a point; what follows. NULL: it is no number. Not strtod(),
 * which takes "inf", "0x1p3" and a comma. */
static const char *read_number(const char *text, double *value)
{
    int64_t whole = 0, fraction = 0, scale = 1;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < digits; i++) {
        whole = whole * 10 + (text[i] - '0');
    }
    text += digits;
    if (*text == '.') {
        digits = strspn(++text, "0123456789");
        for (size_t i = 0; i < digits && i < FRACTION_MAX; i++) {
            fraction = fraction * 10 + (text[i] - '0');
            scale *= 10;
        }
        if (digits == 0 || digits > FRACTION_MAX) {
            return NULL;
        }
        text += digits;
    }
    *value = (double)(whole * scale + fraction) / (double)scale;
    return text;
}

int metric_parse(const struct metric *metric, const char *text, const char *what, double *value,
                 struct vios_error *error)
{
    static const char *const EXAMPLES[] = {"10%", "5/s", "20ms", "3"};
    char hint[80];
    double number = 0;
    const char *unit = read_number(text, &number);
    bool fits = unit && (*unit == '\0' || strcmp(unit, metric_unit_name(metric)) == 0);
    snprintf(hint, sizeof hint, "give for example %s", EXAMPLES[metric->unit]);
    if (unit && metric->unit == METRIC_MS && strcmp(unit, "s") == 0) {
        number *= MS_PER_S;
        fits = true;
    }
    if (!fits) {
        return error_set(error, VIOS_E_USAGE, what, hint, "\"%.40s\" is no value of %s", text,
                         metric->name);
    }
    if (!metric_takes(metric, number)) {
        return error_set(error, VIOS_E_USAGE, what, hint, "\"%.40s\" is too large", text);
    }
    *value = number;
    return VIOS_OK;
}

char *metric_format(const struct metric *metric, double value, char text[METRIC_TEXT_SIZE])
{
    size_t length = (size_t)snprintf(text, METRIC_TEXT_SIZE, "%.3f", value);
    while (text[length - 1] == '0') {
        length--;
    }
    length -= text[length - 1] == '.';
    snprintf(text + length, METRIC_TEXT_SIZE - length, "%s", metric_unit_name(metric));
    return text;
}

/* --- where it is cleared --- */

double metric_clear_of(const struct metric *metric, double limit)
{
    double clear = limit * (metric->less_is_worse ? 1 + CLEAR_SHARE : 1 - CLEAR_SHARE);
    return metric->unit == METRIC_PERCENT && clear > PERCENT_MAX ? PERCENT_MAX : clear;
}

bool metric_clear_fits(const struct metric *metric, double limit, double clear)
{
    return metric->less_is_worse ? clear >= limit : clear <= limit;
}
