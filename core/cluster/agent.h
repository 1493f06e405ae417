/*
 * agent.h - one node's part in its cluster: keep-alives, the renewal of /alive, promises while the
 * store is away, fences, split decisions and the election of the primary (DESIGN "Cluster",
 * "Fencing"; MISSION §4, §7).
 *
 * A pure state machine. In: the time (agent_tick), messages (agent_receive), what the store
 * answered (agent_answered). Out: the calls of `struct agent_outlet`. It has no clock, no thread,
 * no socket and no store, so the daemon and the simulator run the same code. One caller at a time;
 * an outlet must not call back into the agent.
 *
 * The store is asked on two lanes, each with one request at a time: RENEWAL, which nothing else
 * may delay, and CONTROL, for everything else.
 *
 * The parts: alive.c and promise.c say until when this node may serve; election.c elects; fence.c
 * is what a primary does to silent nodes; partition.c watches for splits; view.c explains.
 */
#ifndef CLUSTER_AGENT_H
#define CLUSTER_AGENT_H

#include "base/recorder.h"
#include "cluster/matrix.h"
#include "cluster/roster.h"
#include "store/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_RENEWALS_PER_TTL 5 /* and the margin of T is as long as their distance */
#define AGENT_COMPARES_MAX 4
#define AGENT_CHANGES_MAX 2
#define AGENT_KEY_SIZE 160
#define AGENT_FACTS_MAX 8

enum agent_lane { AGENT_RENEWAL, AGENT_CONTROL };
#define AGENT_LANES 2

enum agent_request_kind {
    AGENT_LIST,  /* fill answer.listing, part by part in its order */
    AGENT_READ,  /* the value at `key` into answer.value */
    AGENT_COMMIT /* store_commit */
};

/* What the store is to be asked. The texts are the agent's, until the answer. */
struct agent_request {
    enum agent_request_kind kind;
    enum agent_lane lane;
    const char *key;
    struct store_compare compares[AGENT_COMPARES_MAX];
    size_t compare_count;
    struct store_change changes[AGENT_CHANGES_MAX];
    size_t change_count;
};

struct agent_answer {
    enum agent_lane lane;
    int status;                     /* as store.h has it; of a READ VIOS_E_NOT_FOUND too */
    int64_t revision;               /* of a commit that was done */
    struct store_value *value;      /* of a READ; the caller's */
    struct roster_listing *listing; /* of a LIST; the caller's */
};

enum agent_notice_kind {
    AGENT_NEW_PRIMARY, /* `node` was committed at `epoch`; "" when the known one is gone */
    AGENT_NODE_STATE,  /* `node` is now `state` */
    AGENT_FENCED,  /* this incarnation is fenced: kill its guests, then begin anew with the next */
    AGENT_REMOVED, /* this node is no member any more */
    AGENT_LOSES,   /* this node is on the losing side of split `epoch`; it has `time_ms` */
    AGENT_FOREIGN, /* another daemon runs under this node's name */
    AGENT_PROMISES /* the store is away; `node` is "on" when guests go on by promises, or "off" */
};

struct agent_notice {
    enum agent_notice_kind kind;
    const char *node;
    int64_t epoch;
    enum member_state state;
    int64_t time_ms;
};

struct agent_outlet {
    /* One datagram; may be lost. */
    void (*send)(void *context, const char *node, const uint8_t *data, size_t size);
    /* Ask the store; agent_answered() follows, once, later. */
    void (*request)(void *context, const struct agent_request *request);
    /* Nothing of this node is touched after `until_stop`, and nothing may be after `until_kill`. */
    void (*serve)(void *context, int64_t until_stop_ms, int64_t until_kill_ms);
    /* Note durably that promises are made (true), or that the outage is over. False: it failed. */
    bool (*promised)(void *context, bool are_made);
    void (*notice)(void *context, const struct agent_notice *notice);
    /* Adds what else /alive is to say. */
    void (*extend)(void *context, json_t *record);
    void *context;
};

struct agent_settings {
    const char *name;
    int64_t incarnation;             /* of this node */
    int64_t start;                   /* random, of this daemon */
    int64_t known_n, known_revision; /* of the own /alive record when this starts; 0: none */
    int64_t rejoins; /* an incarnation of before, whose guests are dead: the first renewal frees it,
                      * fenced or not. Given until a renewal succeeded (`serve`); 0: none */
    int64_t level;   /* of this software */
    int64_t ttl_ms, keepalive_ms;
    bool promised; /* promises were out when the last daemon ended: wait for their end */
    struct recorder *recorder; /* may be NULL */
    struct agent_outlet outlet;
};

/* A requirement on a primary that the node measures itself (MISSION §7.8): repository, memory ...
 */
struct agent_fact {
    char name[24];
    char value[96];
    char limit[64];
    bool passes;
};

struct agent;

/* NULL: no memory. Texts are copied. */
struct agent *agent_new(const struct agent_settings *settings, int64_t now_ms, int64_t wall_ms);
void agent_free(struct agent *agent);

/* Call at or after agent_due_ms(); early calls do no harm. `wall_ms` is for time stamps only. */
void agent_tick(struct agent *agent, int64_t now_ms, int64_t wall_ms);
int64_t agent_due_ms(const struct agent *agent);

/* A message that `from` is known to have sent. False: it was not one, and is dropped. */
bool agent_receive(struct agent *agent, const char *from, const uint8_t *data, size_t size,
                   int64_t now_ms);

/* Something says that the listing is old: it is listed again as soon as the lane is free. */
void agent_list_soon(struct agent *agent);

void agent_answered(struct agent *agent, const struct agent_answer *answer, int64_t now_ms);

/* What the requirements are judged by from now on; at most AGENT_FACTS_MAX. What is not printable
 * ASCII in a text becomes "?". */
void agent_set_facts(struct agent *agent, const struct agent_fact *facts, size_t count);

/* Hands the primary's role to `to`, or to whoever is elected when NULL. VIOS_OK: begun, see
 * agent_is_primary(); otherwise the error says why not. */
int agent_resign(struct agent *agent, const char *to, struct vios_error *error);

/* --- looking --- */

/* It is the committed primary and its own time is not over: it may act as such. */
bool agent_is_primary(const struct agent *agent, int64_t now_ms);

/* The committed primary as this node knows it: "" when there is none. */
const char *agent_primary(const struct agent *agent, int64_t *epoch);

/* What a commit of a primary compares: the revision of /primary. 0 when this node is not it. */
int64_t agent_primary_revision(const struct agent *agent);

/* False while promises bind this node: nothing but its renewal may be committed. */
bool agent_may_commit(const struct agent *agent, int64_t now_ms);

enum member_state agent_member_state(const struct agent *agent, const char *name, int64_t now_ms);

/* The most keep-alives in a row that did not come from one neighbour, which is not down, since this
 * was asked last. Of one who asks. */
int64_t agent_take_missed(struct agent *agent, int64_t now_ms);

/* By how much the clock of another node is ahead of ours, as it said last; 0 when it never did. */
int64_t agent_clock_offset_ms(const struct agent *agent, const char *name);

const struct roster *agent_roster(const struct agent *agent);
const struct matrix *agent_matrix(const struct agent *agent);

/* Until when this node serves. */
int64_t agent_until_stop_ms(const struct agent *agent);

/* Objects for `primary show`, `primary explain`, `primary history`, `cluster matrix` and `cluster
 * simulate`; the caller's. NULL: no memory. */
json_t *agent_show_primary(const struct agent *agent, int64_t now_ms);
json_t *agent_explain_primary(const struct agent *agent, int64_t now_ms);
json_t *agent_show_history(const struct agent *agent);
json_t *agent_show_matrix(const struct agent *agent, int64_t now_ms);

/* What a split into `sides` (an array of arrays of names) would bring: {rule, winner, sides}. Names
 * that are left out are with the first side; a node that is down takes no part. Fails for a name
 * that is unknown or given twice. */
int agent_simulate_split(const struct agent *agent, const json_t *sides, int64_t now_ms,
                         json_t **result, struct vios_error *error);

#endif
