/*
 * record.h - the records of thresholds in the VIOS DB, validated on reading.
 *
 * /alert/NAME is a threshold as it was set:
 *
 *     {"v":1,"metric":"pool-free","object":"p1","limit":10,"clear":11,"by":"uid:0",
 *      "set":"2026-..."}
 *
 * with "" for all objects; of a metric of nodes the object is a node. /alarm/NAME/NODE, and of an
 * LPAR's metric /alarm/NAME/NODE/LPAR, is there while that node sees it crossed; a shared metric
 * (metric.h) has ALARM_SHARED instead of a node, /alarm/NAME/-/POOL or /alarm/NAME/-, so that the
 * next primary goes on with it.
 *
 *     {"v":1,"metric":"pool-free","value":9.4,"limit":10,"since":"2026-..."}
 */
#ifndef ALERT_RECORD_H
#define ALERT_RECORD_H

#include "alert/metric.h"
#include "alert/threshold.h"
#include "base/parse.h"
#include "store/store.h"

#include <jansson.h>
#include <stdint.h>

#define ALERT_PREFIX "/alert/"
#define ALARM_PREFIX "/alarm/"
#define ALARM_SHARED "-" /* no name of a node */
#define ALERT_BY_SIZE 160
#define ALERT_TIME_SIZE 32

struct alert {
    char name[NAME_MAX_LENGTH + 1];
    const struct metric *metric;
    char object[NAME_MAX_LENGTH + 1]; /* "": all */
    double limit, clear;
    char by[ALERT_BY_SIZE], set[ALERT_TIME_SIZE];
    int64_t revision; /* of the record */
};

struct alarm {
    char name[NAME_MAX_LENGTH + 1];   /* of the alert */
    char scope[NAME_MAX_LENGTH + 1];  /* the node, or ALARM_SHARED */
    char object[NAME_MAX_LENGTH + 1]; /* an LPAR or a pool; "" */
    char metric[NAME_MAX_LENGTH + 1]; /* "" when the record is damaged */
    double value, limit;              /* when it was raised */
    char since[ALERT_TIME_SIZE];
    int64_t revision;
};

void alert_key(const char *name, char key[STORE_KEY_MAX]);
void alarm_key(const struct alarm *alarm, char key[STORE_KEY_MAX]);

/* Validates all of it. VIOS_E_CORRUPT, and `*alert` is empty. */
int alert_parse(const struct store_value *value, struct alert *alert, struct vios_error *error);
/* free() it; NULL: no memory. */
char *alert_format(const struct alert *alert);

/* VIOS_E_CORRUPT: its key is none of an alarm. What is wrong in the record itself is left out: that
 * it is there says that it is raised. */
int alarm_parse(const struct store_value *value, struct alarm *alarm, struct vios_error *error);
char *alarm_format(const struct alarm *alarm);

/* Where the alarm of this alert is that `node` sees on `object`, which is the node itself when the
 * metric is of nodes, and "" when it is the cluster's. */
void alarm_place(const struct alert *alert, const char *node, const char *object,
                 struct alarm *alarm);

/* Whether the alert is about that object, as a sampler names it. */
bool alert_covers(const struct alert *alert, const char *object);

/* Whether it is an alarm that this alert can have. */
bool alert_has(const struct alert *alert, const struct alarm *alarm);

struct threshold alert_threshold(const struct alert *alert);

/* To three digits behind the point, and whole numbers without one; the caller's. */
json_t *alert_number(double value);

#endif
