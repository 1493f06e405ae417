/*
 * manifest.h - what is known of one incident: the record /incident/C in the VIOS DB, and the same
 * text as manifest.json beside the captured data (MISSION §5.5).
 *
 *     {"v":1,"correlator":"7","time":"...","last":"...","count":1,"trigger":"...",
 *      "component":"...","priority":"high","signature":"...","node":"n1","state":"done",
 *      "left_out":0,"nodes":[{"node":"n1","state":"ok","why":"","size_bytes":4711,
 *      "digest":"<sha256>","clock_offset_ms":0,"epoch":3}]}
 *
 * Every member of the cluster is in `nodes`, whatever became of its part: "ok", "missing" (why says
 * the reason), or "late" (why says what it was missing for); those for which a record has no room
 * are counted in `left_out`. `clock_offset_ms` is by how much its clock is ahead of that of the
 * node that was signalled, as its keep-alives told. `state` is "capturing" until all were asked,
 * "done", or "deleting".
 *
 * Pure: no I/O. A text comes from a store or a file that anybody may have damaged: it is validated
 * wholly, or VIOS_E_CORRUPT says what of it is wrong.
 */
#ifndef FFDC_MANIFEST_H
#define FFDC_MANIFEST_H

#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_NAME "manifest.json"
#define MANIFEST_TEXT_MAX (64 * 1024) /* a value of the VIOS DB */
#define MANIFEST_NODES_MAX 128
#define MANIFEST_CORRELATOR_SIZE 32 /* [a-z0-9]: a number, or "x..." made while there was no DB */
#define MANIFEST_TRIGGER_SIZE 128
#define MANIFEST_COMPONENT_SIZE 32 /* [a-z][a-z0-9-]* */
#define MANIFEST_SIGNATURE_SIZE 200
#define MANIFEST_WHY_SIZE 128
#define MANIFEST_FILE_SIZE 160

enum manifest_priority { PRIORITY_HIGH, PRIORITY_MEDIUM, PRIORITY_LOW };
enum manifest_state { MANIFEST_CAPTURING, MANIFEST_DONE, MANIFEST_DELETING };
enum part_state { PART_OK, PART_MISSING, PART_LATE };

struct manifest_node {
    char node[NAME_MAX_LENGTH + 1];
    enum part_state state;
    char why[MANIFEST_WHY_SIZE];
    uint64_t size_bytes; /* of its bundle; 0 while it is missing */
    char digest[65];     /* SHA-256 of its bundle; "" while it is missing */
    int64_t clock_offset_ms;
    int64_t epoch; /* that it knew when it captured */
};

struct manifest {
    char correlator[MANIFEST_CORRELATOR_SIZE];
    char time[CLOCK_TEXT_SIZE]; /* when it was signalled */
    char last[CLOCK_TEXT_SIZE]; /* when it was seen last */
    int64_t count;              /* how often it was seen */
    char trigger[MANIFEST_TRIGGER_SIZE];
    char component[MANIFEST_COMPONENT_SIZE];
    char signature[MANIFEST_SIGNATURE_SIZE];
    char node[NAME_MAX_LENGTH + 1]; /* that was signalled */
    enum manifest_priority priority;
    enum manifest_state state;
    int64_t left_out; /* nodes beyond MANIFEST_NODES_MAX */
    size_t node_count;
    struct manifest_node nodes[MANIFEST_NODES_MAX]; /* by name, each once */
};

/* VIOS_OK, or VIOS_E_CORRUPT. */
int manifest_parse(const char *text, size_t size, struct manifest *manifest,
                   struct vios_error *error);

/* Compact JSON; free() it. NULL: no memory. Texts that are not printable are written with "?". */
char *manifest_format(const struct manifest *manifest);

/* One entry alone: what a node answers that was asked for its part. */
json_t *manifest_node_json(const struct manifest_node *node);
/* False: it is none. */
bool manifest_node_read(const json_t *json, struct manifest_node *node);

/* One of 0-9, a-z, at most MANIFEST_CORRELATOR_SIZE - 1. VIOS_E_USAGE. */
int manifest_check_correlator(const char *text, struct vios_error *error);

/* "high", "medium", "low". */
const char *manifest_priority_name(enum manifest_priority priority);
/* The inverse; VIOS_E_USAGE. */
int manifest_priority_parse(const char *text, enum manifest_priority *priority,
                            struct vios_error *error);
/* VIOS_E_USAGE. */
int manifest_check_component(const char *text, struct vios_error *error);

/* "ok", "missing", "late". */
const char *manifest_part_name(enum part_state state);

/* Its bundles' name: csnap_<date>_<time>_by_<component>_<priority>_c<correlator>.tar.zst */
char *manifest_file(const struct manifest *manifest, char name[MANIFEST_FILE_SIZE]);

/* A time as clock_format() writes it in milliseconds since 1970; -1 when it is none. */
int64_t manifest_parse_time(const char *text);

/* `time` likewise. */
int64_t manifest_time_ms(const struct manifest *manifest);

/* The entry of a node, or NULL. */
struct manifest_node *manifest_find(struct manifest *manifest, const char *node);

/* A new entry in its place, missing for `why`; NULL when there is no room for it: it is counted. */
struct manifest_node *manifest_add(struct manifest *manifest, const char *node, const char *why);

/* Bytes of all parts. */
uint64_t manifest_size_bytes(const struct manifest *manifest);

#endif
