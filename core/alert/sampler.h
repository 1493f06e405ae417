/*
 * sampler.h - how each metric is measured on this node. What is counted since the beginning of time
 * becomes what happened since the sample before, by remembering that one. Of one thread; blocks.
 */
#ifndef ALERT_SAMPLER_H
#define ALERT_SAMPLER_H

#include "alert/metric.h"
#include "base/parse.h"
#include "node/node.h"

#define SAMPLER_METRICS 7

struct sampler;

struct sample {
    char object[NAME_MAX_LENGTH + 1]; /* a pool, a node or an LPAR; "": the cluster */
    double value;
    bool known; /* it is there, but nobody can say how much it is now */
};

struct sample_list { /* all objects there are for this node to measure */
    struct sample *samples;
    size_t count, room;
};

/* NULL: no memory. */
struct sampler *sampler_new(struct node *node);
void sampler_free(struct sampler *sampler);

/* A new round: nothing is measured twice in one. `store` is of the caller's thread, and used until
 * the next round begins. */
void sampler_begin(struct sampler *sampler, struct store *store);

/* Measures once. After a failure nothing is known of any object, not even which there are. A metric
 * of an interval that was not measured in the round before knows no values in this one.
 * sample_list_clear() it, in any case. */
int sampler_take(struct sampler *sampler, const struct metric *metric, struct sample_list *list,
                 struct operation *operation);
void sample_list_clear(struct sample_list *list);

/* --- for the table of metrics --- */

int sample_pool_free(struct sampler *sampler, struct sample_list *list,
                     struct operation *operation);
int sample_page_memory_free(struct sampler *sampler, struct sample_list *list,
                            struct operation *operation);
int sample_paging_errors(struct sampler *sampler, struct sample_list *list,
                         struct operation *operation);
int sample_paging_p99(struct sampler *sampler, struct sample_list *list,
                      struct operation *operation);
int sample_keepalive_misses(struct sampler *sampler, struct sample_list *list,
                            struct operation *operation);
int sample_commit_time(struct sampler *sampler, struct sample_list *list,
                       struct operation *operation);
int sample_election_time(struct sampler *sampler, struct sample_list *list,
                         struct operation *operation);

#endif
