/*
 * record.h - /paging/NAME in the VIOS DB: which remote nodes hold which part of an LPAR's
 * extended memory (MISSION §1.1: the assignment is a record, not an anonymous pool).
 *
 * The device is cut into regions; each region lies on one node (single), on two (mirror), or in
 * a local file (disk). A region's number grows whenever its set of replicas changes, and a
 * page server refuses an older one.
 */
#ifndef PAGING_RECORD_H
#define PAGING_RECORD_H

#include "base/error.h"
#include "base/parse.h"
#include "paging/page.h"

#include <jansson.h>
#include <stdint.h>

#define PAGING_REGIONS_MAX 64
#define PAGING_REPLICAS_MAX 2
#define PAGING_REGION_BYTES (UINT64_C(1) << 30) /* all but a device's last region */
#define PAGING_DEVICE_BYTES_MAX (PAGING_REGIONS_MAX * PAGING_REGION_BYTES)
#define PAGING_PATH_SIZE 1024
#define PAGING_KEY_SIZE (sizeof "/paging-run/" + NAME_MAX_LENGTH)

enum paging_policy { PAGING_MIRROR, PAGING_SINGLE, PAGING_DISK };

struct paging_region {
    int64_t number; /* grows with each change of its replicas; from 1 */
    uint64_t offset;
    uint64_t size_bytes;
    size_t replica_count; /* 0 for disk */
    char replicas[PAGING_REPLICAS_MAX][NAME_MAX_LENGTH + 1];
};

/* What a job of lpar's is about to make of the LPAR (plan.h). */
struct paging_plan {
    char job[48];                     /* "": there is none */
    char node[NAME_MAX_LENGTH + 1];   /* that the LPAR will belong to */
    int64_t generation;               /* under which it will */
    int64_t start;                    /* whose export has its pages then */
    char target[NAME_MAX_LENGTH + 1]; /* or to this one, whose QEMU starts then; "": to no other */
};

struct paging_record {
    char lpar[NAME_MAX_LENGTH + 1];
    char uuid[UUID_TEXT_SIZE]; /* of the LPAR */
    int64_t generation;        /* of the LPAR, under which the region numbers hold */
    int64_t start;             /* the one in which its QEMU started, that the export has */
    struct paging_plan plan;
    char job[48];                   /* that made it; "" when unknown */
    char host[NAME_MAX_LENGTH + 1]; /* the node that serves it while the LPAR has no owner */
    char disk[PAGING_PATH_SIZE];    /* policy disk: absolute path; else "" */
    char created[32];               /* RFC 3339 */
    enum paging_policy policy;
    uint64_t size_bytes;
    size_t region_count;
    struct paging_region regions[PAGING_REGIONS_MAX];
};

/* The key of an LPAR's record: "/paging/NAME". Returns `key`. */
char *paging_record_key(const char *lpar, char key[PAGING_KEY_SIZE]);

/* Of what the hosting node publishes for the others to show: "/paging-run/NAME". Returns `key`. */
char *paging_run_key(const char *lpar, char key[PAGING_KEY_SIZE]);

/* Takes a record only whole and consistent: regions without gaps that cover the size, distinct
 * replicas, as many as the policy says. VIOS_E_CORRUPT names the LPAR and what is wrong. */
int paging_record_parse(const char *json, struct paging_record *record, struct vios_error *error);

/* Compact JSON; free() it. */
char *paging_record_format(const struct paging_record *record);

/* "mirror" and the like; the inverse refuses other words (VIOS_E_USAGE). */
const char *paging_policy_name(enum paging_policy policy);
int paging_policy_parse(const char *text, enum paging_policy *policy, struct vios_error *error);

/* How many nodes each region of this policy lies on. */
size_t paging_policy_replicas(enum paging_policy policy);

/* The region's replica on `node`: its index, or -1. */
int paging_region_find(const struct paging_region *region, const char *node);

/* For io's `grant`: [{index, number, size_bytes}] of the regions that lie on `node`. */
json_t *paging_record_grants(const struct paging_record *record, const char *node);

/* For io's pager: [{index, number, offset, size_bytes, replicas: [{node, address}]}]; `address`
 * finds a node's page server. A new reference. */
typedef const char *(*paging_address)(void *context, const char *node, char *text, size_t size);
json_t *paging_record_regions(const struct paging_record *record, paging_address address,
                              void *context);

#endif
