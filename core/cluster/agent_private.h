/* agent_private.h - the agent's inside, shared by the files of core/cluster that are its parts. */
#ifndef CLUSTER_AGENT_PRIVATE_H
#define CLUSTER_AGENT_PRIVATE_H

#include "base/state_machine.h"
#include "cluster/agent.h"
#include "cluster/keepalive.h"
#include "cluster/renewal.h"
#include "cluster/split.h"

#define AGENT_REASON_SIZE 160

enum election_state {
    ELECTION_FOLLOWER,
    ELECTION_REQUIRED,
    ELECTION_CHECKING,
    ELECTION_ELECTOR,
    ELECTION_LOCKING,
    ELECTION_WAITING,
    ELECTION_COMMITTING,
    ELECTION_PRIMARY,
    ELECTION_RESIGNING
};

/* What the request on the control lane is for. */
enum control_purpose {
    CONTROL_NONE,
    CONTROL_LIST,
    CONTROL_LOCK,
    CONTROL_COMMIT,
    CONTROL_RESIGN,
    CONTROL_FENCE,
    CONTROL_SPLIT
};

/* What is known of a fence that this node sent for a member. */
enum fence_sent { FENCE_NOT_SENT, FENCE_IN_FLIGHT, FENCE_SENT };

struct peer {                /* by number of the roster */
    enum member_state state; /* as told last */
    bool state_told;
    int64_t clock_offset_ms; /* what it said last, against our clock */
    int64_t heard_ms;
    int64_t store_bad_since_ms;       /* it says that it cannot renew; 0: it can */
    char declined[AGENT_REASON_SIZE]; /* it passed an election on; "": it did not */
    bool promised;                    /* in the present round */
    enum fence_sent fence_sent;
    int64_t fence_incarnation;
};

struct own_side {          /* see partition_own_side() */
    size_t count, members; /* live nodes: of all sides, of its own */
    bool wins;
    enum split_rule rule;
    bool known; /* since the last listing */
    uint64_t signature;
};

struct agent {
    char name[NAME_MAX_LENGTH + 1];
    int64_t level, ttl_ms, keepalive_ms;
    struct recorder *recorder;
    struct agent_outlet outlet;
    int64_t wall_ms, ticked_ms; /* at the last tick */
    int64_t due_ms;

    struct roster *roster;
    struct matrix *matrix;
    uint16_t own; /* ROSTER_NOBODY before the first listing */
    struct peer *peers;
    size_t peer_count;
    struct agent_fact facts[AGENT_FACTS_MAX];
    size_t fact_count;
    int64_t next_keepalive_ms;
    struct roster_row row; /* as told last */

    /* alive.c: until when this node serves */
    struct renewal renewal;
    int64_t rejoins;
    int64_t next_renewal_ms;
    int predecessors;              /* readings of what an earlier daemon sent */
    bool renewing;                 /* a request is on the renewal lane */
    bool reading_own;              /* it is a READ */
    int64_t renewal_sent_ms;       /* of the request */
    bool told_unfit;               /* it said that this node cannot be primary */
    struct roster_row renewal_row; /* as it was told in it */
    bool store_ok;                 /* the last renewal succeeded */
    int64_t until_stop_ms;
    bool fenced, foreign, removed; /* said so; nothing is renewed any more */
    char *renewal_text;
    char alive_key[AGENT_KEY_SIZE], node_key[AGENT_KEY_SIZE];
    char fence_key[AGENT_KEY_SIZE], rejoin_key[AGENT_KEY_SIZE];
    char *rejoin_text;

    /* promise.c */
    uint64_t round;
    int64_t round_started_ms; /* 0: no round */
    int64_t next_ask_ms;
    int64_t banned_until_ms; /* promises bind this node until then */
    bool promise_noted;      /* durably */
    bool by_promises;

    /* the control lane */
    enum control_purpose purpose;
    int64_t asked_ms;
    int64_t next_list_ms;
    int64_t listed_ms; /* when the last listing came */
    bool list_soon;
    char key[AGENT_KEY_SIZE], compare_key[AGENT_KEY_SIZE];
    char *text;

    /* election.c */
    struct state_machine election;
    char election_name[NAME_MAX_LENGTH + 16];
    char reason[AGENT_REASON_SIZE]; /* why a primary is required */
    int64_t required_ms;            /* since when */
    int64_t timer_ms;               /* of ELECTOR and WAITING */
    int64_t fresh_after_ms; /* a listing asked for later than this is fresh; 0: none needed */
    bool asked_by_elector;
    bool resign_asked;
    char resign_to[NAME_MAX_LENGTH + 1];
    int64_t locked_epoch;              /* of the lock that is being committed */
    int64_t primary_revision;          /* while PRIMARY */
    char primary[NAME_MAX_LENGTH + 1]; /* committed, the highest epoch known; "" */
    int64_t epoch;
    int64_t deposed_ms;    /* the primary before was given up as lost at that time; 0: not */
    uint16_t deposed;      /* which one */
    int64_t deposed_start; /* a daemon that is started again was dead indeed */

    /* fence.c */
    uint16_t fencing; /* whom the commit on the control lane fences */

    /* partition.c */
    uint64_t partition; /* signature of the sides seen last; 0: whole */
    int64_t partition_since_ms;
    bool primary_loses;  /* it is on the other side of a split that ours wins */
    int64_t loses_split; /* told */
    struct own_side *own_side;
};

/* agent.c */
bool agent_request(struct agent *agent, struct agent_request *request, enum control_purpose purpose,
                   int64_t now_ms);
bool control_idle(const struct agent *agent, int64_t now_ms); /* a commit may be sent */
/* Something may have changed, and a listing at once tells what. Otherwise the store did not take
 * the commit, and asking again without a pause would be asking all the time. */
bool agent_was_sent(int status);
void agent_note(struct agent *agent, const char *format, ...) __attribute__((format(printf, 2, 3)));
void agent_fill_message(struct agent *agent, struct keepalive *message, int64_t now_ms);
void agent_send(struct agent *agent, uint16_t node, const struct keepalive *message);
/* To everybody, neighbour or not. */
void agent_broadcast(struct agent *agent, const struct keepalive *message);
struct peer *agent_peer(struct agent *agent, uint16_t node);
/* This incarnation of this node lost the last split; the record may still show the one before. */
bool agent_lost_split(const struct agent *agent);
char *agent_json_text(json_t *record); /* takes it over; NULL: no memory */

/* alive.c: the renewal */
void alive_start(struct agent *agent, const struct agent_settings *settings, int64_t now_ms);
void alive_tick(struct agent *agent, int64_t now_ms);
void alive_answered(struct agent *agent, const struct agent_answer *answer, int64_t now_ms);
/* The own record, as the listing has it, says whether this incarnation is fenced. */
void alive_listed(struct agent *agent);
bool alive_store_ok(const struct agent *agent, int64_t now_ms);
void alive_serve(struct agent *agent, int64_t sent_ms);

/* promise.c */
void promise_tick(struct agent *agent, int64_t now_ms);
void promise_asked(struct agent *agent, uint16_t from, const struct keepalive *message,
                   int64_t now_ms);
void promise_given(struct agent *agent, uint16_t from, const struct keepalive *message);
/* A fence for the member is sent now; then, what came of it. */
void promise_fence_sent(struct agent *agent, uint16_t node, int64_t incarnation);
void promise_fence_ended(struct agent *agent, uint16_t node, int status);
/* After the first listing: what an earlier daemon of this node may have sent. */
void promise_recall(struct agent *agent);

/* election.c */
void election_start(struct agent *agent);
void election_step(struct agent *agent, int64_t now_ms);
void election_listed(struct agent *agent, int64_t now_ms);
void election_answered(struct agent *agent, enum control_purpose purpose,
                       const struct agent_answer *answer, int64_t now_ms);
/* `from` says who is primary. */
void election_heard(struct agent *agent, uint16_t from, const struct keepalive *message,
                    int64_t now_ms);
void election_asked(struct agent *agent, uint16_t from, const struct keepalive *message);
void election_resigned(struct agent *agent, const struct keepalive *message);
int64_t election_due_ms(const struct agent *agent);
/* A lock of another that is younger than the timer: when it may be taken; 0: there is none. */
int64_t election_locked_until_ms(const struct agent *agent);

/* requirement.c */
#define REQUIREMENTS_MAX (AGENT_FACTS_MAX + 5)
size_t requirement_list(const struct agent *agent, int64_t now_ms,
                        struct agent_fact facts[REQUIREMENTS_MAX]);
/* All pass; otherwise `why` is the first that does not. */
bool requirement_met(const struct agent *agent, int64_t now_ms, char why[AGENT_REASON_SIZE]);
/* The same, for the own record: that it is there proves that the store can be written. */
bool requirement_met_on_record(const struct agent *agent, int64_t now_ms,
                               char why[AGENT_REASON_SIZE]);

/* fence.c: at most one commit */
void fence_step(struct agent *agent, int64_t now_ms);
void fence_answered(struct agent *agent, const struct agent_answer *answer);

/* partition.c */
/* The side that this node is on, by the last listing and what it hears; the agent's. It is found
 * anew only when one of them has changed, so that a renewal costs the same in a large cluster. */
const struct own_side *partition_own_side(const struct agent *agent, int64_t now_ms);
void partition_listed(struct agent *agent, int64_t now_ms);
/* True: a decision was sent. */
bool partition_step(struct agent *agent, int64_t now_ms);
void partition_answered(struct agent *agent, const struct agent_answer *answer);

#endif
