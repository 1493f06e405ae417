/*
 * etcd.h - the store in an etcd (v3.4 or later), for nodes on several machines; internal to
 * core/store. etcd.c tells the design.
 */
#ifndef STORE_ETCD_H
#define STORE_ETCD_H

#include "store/store.h"

#define ETCD_ATTEMPT_MS 1000 /* for an answer of one endpoint; each round of them twice as long */
#define ETCD_ATTEMPT_LEAST_MS 50
#define ETCD_ROUNDS_DOUBLED 3     /* then the limit of an attempt stays */
#define ETCD_PATIENCE_MS 10000    /* after this a call gives up, whatever its deadline */
#define ETCD_ROUND_NAP_MS 100     /* between two rounds of the endpoints */
#define ETCD_REFUSED_ROUNDS_MAX 3 /* rounds in which nobody could be talked to at all */
#define ETCD_PAGE_KEYS 512        /* of a list, asked for at once */
#define ETCD_LIST_BYTES_MAX (1024L * 1024 * 1024)
#define ETCD_LIST_ANEW_MAX 3 /* times that a list begins anew because of a compaction */
#define ETCD_REQUEST_MAX (1536 * 1024 - 16 * 1024) /* bytes; etcd's own default is 1.5 MiB */
#define ETCD_MARKED_MAX 125       /* compares or changes; etcd's own default is 128 */
#define ETCD_LOG_REVISIONS 10000  /* history kept for watches */
#define ETCD_COMPACT_EVERY 256    /* revisions between two compactions */
#define ETCD_COMPACT_LIMIT_MS 300 /* what a commit may wait for the compaction that it causes */
#define ETCD_CLOSE_LIMIT_MS 300   /* what closing may wait */
#define ETCD_SILENCE_MS 2000      /* of a watch, then its endpoint is asked whether it lives */
#define ETCD_TOKENS_MAX 3         /* asked for in one call */

#define ETCD_STORE_VALUE "{\"v\":1}" /* of the key that says that a store was made */

/* See store_open(); `text` is what stands behind "etcd:", see etcd_address.h. */
int etcd_store_open(struct store **store, const char *text, bool create,
                    struct operation *operation);

/* The parts of replace.h for an etcd. */
struct store_reading;
int etcd_store_read(const char *text, const char *prefix, struct store_reading *reading,
                    struct operation *operation);
int etcd_store_replace(const char *text, const struct store_list *list,
                       struct operation *operation);

#endif
