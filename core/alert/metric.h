/*
 * metric.h - what a threshold can be set on: a row of a table for each metric. Pure, but for the
 * functions that measure, which are in sampler.c.
 */
#ifndef ALERT_METRIC_H
#define ALERT_METRIC_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define METRIC_VALUE_MAX 1e9 /* of what is set; a percentage has 100 */
#define METRIC_TEXT_SIZE 40

struct sampler;
struct sample_list;
struct operation;

enum metric_unit { METRIC_PERCENT, METRIC_PER_SECOND, METRIC_MS, METRIC_COUNT };

/* What has a value of its own. */
enum metric_object {
    METRIC_POOL,   /* every pool; the primary measures them, for all nodes share them */
    METRIC_NODE,   /* every node, itself */
    METRIC_LPAR,   /* every LPAR with a paging device, on the node that serves it */
    METRIC_CLUSTER /* there is one value; the primary's */
};

struct metric {
    const char *name;
    const char *words; /* what it is, for people */
    enum metric_unit unit;
    enum metric_object object;
    bool less_is_worse;
    bool interval; /* of the time since it was measured last: the first value says nothing */
    int samples;   /* in a row beyond a limit, until that counts */
    int (*sample)(struct sampler *sampler, struct sample_list *list, struct operation *operation);
};

const struct metric *metric_all(size_t *count);

/* NULL: there is none. */
const struct metric *metric_find(const char *name);

/* The same; the error names the near ones, or all. */
const struct metric *metric_need(const char *name, struct vios_error *error);

/* "%", "/s", "ms", "". */
const char *metric_unit_name(const struct metric *metric);

/* "pool", "node", "lpar"; NULL: it has none. */
const char *metric_object_name(const struct metric *metric);

/* The primary measures it. */
bool metric_is_shared(const struct metric *metric);

/* Whether a threshold may be set on this value: not negative, and not too large. */
bool metric_takes(const struct metric *metric, double value);

/* "10", "10%", "2.5/s", "20ms", "1.5s", with the metric's unit or without one. `what` says which
 * value it is, for the error: "limit". */
int metric_parse(const struct metric *metric, const char *text, const char *what, double *value,
                 struct vios_error *error);

/* "10%", "2.5/s"; returns `text`. */
char *metric_format(const struct metric *metric, double value, char text[METRIC_TEXT_SIZE]);

/* Where a threshold is cleared when nobody says: a tenth of the limit away, on the good side. */
double metric_clear_of(const struct metric *metric, double limit);

/* Whether `clear` is not on the bad side of `limit`. */
bool metric_clear_fits(const struct metric *metric, double limit, double clear);

#endif
