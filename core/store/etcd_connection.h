/*
 * etcd_connection.h - calls to an etcd: which endpoint, for how long, with which token, and
 * whether the answer comes from the etcd we know; internal to core/store. One thread at a time.
 */
#ifndef STORE_ETCD_CONNECTION_H
#define STORE_ETCD_CONNECTION_H

#include "base/parse.h"
#include "store/etcd.h"
#include "store/etcd_address.h"
#include "store/etcd_http.h"
#include "store/etcd_json.h"

#include <stdatomic.h>

#define ETCD_KEY_SIZE (ETCD_SPACE_MAX + 64)
#define ETCD_RANGE_PATH "/v3/kv/range"
#define ETCD_TXN_PATH "/v3/kv/txn"

/* What this process knows of the etcd behind one address, shared by all its connections, and
 * kept until it ends. */
struct etcd_known {
    struct etcd_known *next;
    char *text;
    _Atomic uint64_t cluster_id;    /* of the first answer; 0: none yet */
    _Atomic int64_t revision;       /* the highest that was answered; never goes back */
    _Atomic int64_t made;           /* the revision that made our store in it; 0: not seen yet */
    _Atomic int64_t compacted;      /* by this process, up to here */
    _Atomic unsigned good_endpoint; /* the index of one that answered last */
};

struct etcd_connection {
    struct etcd_address address;
    struct etcd_known *known;
    struct etcd_http *http;
    unsigned endpoint; /* the index of the one in use */
    char *token;       /* NULL: none, or to be renewed */
    char data_space[ETCD_SPACE_MAX];
    char mark_space[ETCD_SPACE_MAX];
    char store_key[ETCD_KEY_SIZE];
    char mark_key[ETCD_KEY_SIZE];
    int64_t mark_revision; /* of the mark's last known change; 0: there is none */
    uint64_t sequence;     /* of the last commit that carried the mark */
    char why[400];         /* why the last attempt brought no answer */
};

int etcd_connection_open(struct etcd_connection **connection, const char *text,
                         struct operation *operation);
void etcd_connection_close(struct etcd_connection *connection);

/* How an attempt ended. */
enum etcd_outcome {
    ETCD_ANSWERED, /* `answer` is set */
    ETCD_REFUSED,  /* for good, nothing was done; the operation's error is set */
    ETCD_UNUSABLE, /* an answer that cannot be: the operation's error is set */
    ETCD_NOT_SENT, /* nothing was sent; another endpoint may do */
    ETCD_OPEN,     /* sent, or perhaps sent, and no answer that says what came of it */
    ETCD_ENDED     /* by the operation's deadline or cancel, whose error is set */
};

struct etcd_attempt {
    json_t *answer; /* json_decref() it */
    struct etcd_header header;
    struct etcd_refusal refusal; /* when it was refused */
    unsigned sent;               /* how often this attempt sent the request */
};

/* Where a call stands: make it by etcd_turn_start(). */
struct etcd_turn {
    int64_t end_ms;    /* ETCD_PATIENCE_MS from the start */
    unsigned attempts; /* since then */
    unsigned failed;   /* of these the last ones, that found nobody to talk to */
    bool persist;      /* something was sent: goes on though nobody is there */
    unsigned tokens;   /* asked for */
    bool renew;        /* the last attempt was refused for its token */
};
void etcd_turn_start(struct etcd_turn *turn);

/* One attempt at the endpoint in use; after a failure the next one is in use. */
enum etcd_outcome etcd_attempt(struct etcd_connection *connection, struct etcd_turn *turn,
                               const char *path, const char *body, struct etcd_attempt *attempt,
                               struct operation *operation);

/* After ETCD_NOT_SENT or ETCD_OPEN: naps between rounds. VIOS_OK: try again. Otherwise the
 * call is over: VIOS_E_UNREACHABLE, or the operation's own end, with why in the error. */
int etcd_turn_next(struct etcd_connection *connection, struct etcd_turn *turn,
                   struct operation *operation);

/* Attempts until there is an answer, for calls that may be repeated freely. Takes `body` over;
 * NULL is VIOS_E_NO_SPACE. `*answer` is to be given back by json_decref(). `header` and
 * `refusal` may be NULL. */
int etcd_call(struct etcd_connection *connection, const char *path, char *body, json_t **answer,
              struct etcd_header *header, struct etcd_refusal *refusal,
              struct operation *operation);

/* One page of a range, whose keys must lie in its space: into `gather`, without the space. `*more`
 * (may be NULL): there are keys behind them. */
int etcd_call_range(struct etcd_connection *connection, const struct etcd_range *range,
                    struct store_gather *gather, bool *more, struct operation *operation);

/* The token for a stream: VIOS_OK with connection->token set if there is a user. */
int etcd_authenticate(struct etcd_connection *connection, struct operation *operation);

/* Whether a refusal means that a new token may help. */
bool etcd_token_refused(const struct etcd_refusal *refusal);
/* The next attempt or stream asks for a new one. */
void etcd_token_forget(struct etcd_connection *connection);

/* Compares with what is known of this etcd: VIOS_E_CORRUPT for another one. */
int etcd_check_cluster(struct etcd_connection *connection, const struct etcd_header *header,
                       struct vios_error *error);

/* etcd_list.c, etcd_commit.c, etcd_watch.c and etcd_care.c: members of the back end's table. */
int etcd_list(void *state, const char *const *prefixes, size_t count, struct store_list *lists,
              int64_t *revision, struct operation *operation);
int etcd_commit(void *state, const struct store_compare *compares, size_t compare_count,
                const struct store_change *changes, size_t change_count, int64_t *revision,
                struct operation *operation);
/* Removes the mark, if there is one; not waiting long. */
void etcd_commit_end(struct etcd_connection *connection);
int etcd_watch_open(void *state, void **watch, const char *prefix, int64_t revision,
                    struct operation *operation);
int etcd_watch_next(void *watch, struct store_change_list *changes, struct operation *operation);
void etcd_watch_close(void *watch);
int etcd_compact(void *state, int64_t revision, struct operation *operation);
int etcd_backup(void *state, const char *path, struct operation *operation);
int etcd_check(void *state, struct operation *operation);

/* Forgets the history but for ETCD_LOG_REVISIONS when it is time; what fails is left to the
 * next one. */
void etcd_compact_sometimes(struct etcd_connection *connection, int64_t revision,
                            const struct operation *operation);

#endif
