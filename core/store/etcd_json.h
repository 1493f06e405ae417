/*
 * etcd_json.h - the bodies of requests to etcd's JSON gateway, and its answers, validated
 * completely before anything of them is used. Pure: no I/O. Internal to core/store.
 *
 * Keys in etcd are a *space* ("/vios/:data") and behind it our key. In the gateway's JSON keys
 * and values are base64, 64-bit numbers are text, and what is zero, false or empty is left out.
 */
#ifndef STORE_ETCD_JSON_H
#define STORE_ETCD_JSON_H

#include "store/backend.h"

#include <jansson.h>

#define ETCD_SPACE_MAX 192 /* bytes of a space */
#define ETCD_MARK_MAX 31   /* bytes of the value of a mark */

/* Numbers of gRPC that the gateway's errors carry as "code". */
enum etcd_grpc {
    ETCD_GRPC_NONE = -1, /* the body was no error of etcd's */
    ETCD_GRPC_INVALID_ARGUMENT = 3,
    ETCD_GRPC_DENIED = 7,
    ETCD_GRPC_EXHAUSTED = 8,
    ETCD_GRPC_PRECONDITION = 9,
    ETCD_GRPC_OUT_OF_RANGE = 11,
    ETCD_GRPC_DATA_LOSS = 15,
    ETCD_GRPC_UNAUTHENTICATED = 16
};

struct etcd_refusal {
    int grpc;          /* an enum etcd_grpc, or another number of gRPC's */
    char message[200]; /* printable */
};

struct etcd_header {
    uint64_t cluster_id; /* 0: the answer has none */
    int64_t revision;    /* of the whole etcd; 0: the answer has none */
};

/* --- requests: text to be freed, NULL without memory --- */

struct etcd_range {
    const char *space;
    const char *key;          /* or what the keys begin with */
    bool prefix;              /* all keys that begin so */
    const char *after;        /* of those the ones behind this key; NULL: from the first */
    int64_t revision;         /* 0: the newest */
    int64_t max_mod_revision; /* 0: any */
    unsigned limit;           /* 0: all */
    bool keys_only;
};
char *etcd_json_range(const struct etcd_range *range);
/* All of one snapshot: a txn. */
char *etcd_json_ranges(const struct etcd_range *ranges, size_t count);

/* See etcd_commit.c for the mark. */
struct etcd_txn {
    const char *space;
    const struct store_compare *compares;
    size_t compare_count;
    const struct store_change *changes;
    size_t change_count;
    const char *mark_key; /* whole; NULL: without a mark */
    int64_t mark_revision;
    const char *mark_done; /* its value when the changes are made */
    bool look;             /* a failure tells what was seen */
    const char *mark_void; /* with `look`: when they are not; NULL: leave the mark alone then */
};
char *etcd_json_txn(const struct etcd_txn *txn);

/* Puts `value` at the whole key `key` if there is none. */
char *etcd_json_make(const char *key, const char *value);

/* Deletes the whole key `key` if it was written last at `revision`. */
char *etcd_json_remove(const char *key, int64_t revision);

char *etcd_json_watch(const char *space, const char *prefix, int64_t start_revision);
char *etcd_json_compaction(int64_t revision);
char *etcd_json_authenticate(const char *user, const char *password);

/* --- answers; VIOS_E_CORRUPT with what is wrong --- */

/* The JSON object of an answer, to be given back by json_decref(), and its header. */
int etcd_json_answer(const char *text, size_t size, json_t **answer, struct etcd_header *header,
                     struct vios_error *error);

/* What an answer with an HTTP status other than 200, or an error within a stream, says. */
void etcd_json_refusal(const char *text, size_t size, struct etcd_refusal *refusal);

/* Adds the values of a range; keys outside of `space` are wrong. `*more`: there are others. */
int etcd_json_values(const json_t *answer, const char *space, bool keys_only,
                     struct store_gather *gather, bool *more, struct operation *operation);

/* The parts of the answer to etcd_json_ranges(), each for etcd_json_values(); the answer's. */
int etcd_json_ranges_answer(const json_t *answer, size_t count, const json_t **parts,
                            struct vios_error *error);

/* What a failed txn saw: mod_revision 0 for a key that is absent. */
struct etcd_seen {
    int64_t mod_revision;
    char value[ETCD_MARK_MAX + 1]; /* of the mark only */
};

/* `*succeeded`, else, with `look`, `seen`: of the mark, if there is one, and of each compare's
 * key. */
int etcd_json_txn_answer(const json_t *answer, const struct etcd_txn *txn, bool *succeeded,
                         struct etcd_seen *seen, struct vios_error *error);

/* As above, of a txn that is not a commit of ours. */
int etcd_json_succeeded(const json_t *answer, bool *succeeded, struct vios_error *error);

int etcd_json_token(const json_t *answer, char **token, struct vios_error *error);

/* One message of a watch's stream. Changes at or before `after` are left out. */
struct etcd_watch_message {
    bool created;             /* the watch begins */
    bool canceled;            /* by the server */
    int64_t compact_revision; /* not 0: the history is gone up to here */
    struct etcd_header header;
    struct etcd_refusal refusal; /* grpc is ETCD_GRPC_NONE when there is none */
    int64_t revision;            /* of the newest change in it; 0: none */
};
int etcd_json_watch_message(const char *text, size_t size, const char *space, int64_t after,
                            struct etcd_watch_message *message, struct store_gather *gather,
                            struct operation *operation);

/* The state of one member; `trouble` is "" or what it says is wrong. */
struct etcd_status {
    bool has_leader;
    bool corrupt; /* its data differ from the others' */
    char trouble[200];
};
int etcd_json_status(const json_t *answer, struct etcd_status *status, struct vios_error *error);

#endif
