/*
 * roster.h - what one node knows of the others from the VIOS DB: the records /node/N, /alive/N,
 * /fence/N/I, /primary, /split/K and /cluster as they were listed last, and since when, by this
 * node's own clock, each /alive record has stood still (DESIGN "Fencing"). Nobody's clock is
 * compared with another's.
 *
 * A member keeps its number for as long as the roster lives, also when it is removed and comes
 * back, so that rows and messages may hold numbers. Pure: no I/O, no clock of its own.
 */
#ifndef CLUSTER_ROSTER_H
#define CLUSTER_ROSTER_H

#include "base/parse.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROSTER_MEMBERS_MAX 1024
#define ROSTER_ROW_MAX 16    /* neighbours of a node, and so members that a row names */
#define ROSTER_NOBODY 0xffff /* the number of no member */
#define ROSTER_UNFIT_SIZE 160
#define ROSTER_HISTORY_MAX 20      /* elections that /primary remembers */
#define ROSTER_SPLIT_TIME_MS 10000 /* unless /cluster says otherwise */

enum member_state { MEMBER_UP, MEMBER_SUSPECT, MEMBER_DOWN, MEMBER_DRAINED };
/* "up", "suspect", "down", "drained". */
const char *member_state_name(enum member_state state);

/* Whom a node hears. */
struct roster_row {
    size_t count;
    uint16_t hears[ROSTER_ROW_MAX];
};
bool roster_row_names(const struct roster_row *row, uint16_t node);

enum fence_state { FENCE_NONE, FENCE_CLOSING, FENCE_FREE };

struct roster_member {
    char name[NAME_MAX_LENGTH + 1];
    bool present; /* /node/N is there */
    bool witness; /* votes, and is nothing else */
    bool drained;
    int64_t level;

    bool recorded;    /* /alive/N is there */
    int64_t revision; /* of it; 0: there is none */
    int64_t incarnation, start;
    int64_t first_seen_ms; /* when that revision was listed first, by our clock */
    int64_t start_seen_ms; /* when this incarnation and start were */
    bool changed;          /* it was seen to change since this node looks */
    struct roster_row row;
    char unfit[ROSTER_UNFIT_SIZE]; /* why it cannot be primary; "": it can */

    enum fence_state fence; /* of that incarnation */
    int64_t fence_alive;    /* the revision of /alive/N that the fence found */
    int64_t fence_revision;
    int64_t fence_seen_ms; /* when it was listed first */
};

enum primary_state { PRIMARY_NONE, PRIMARY_LOCKING, PRIMARY_COMMITTED, PRIMARY_RESIGNED };

struct roster_primary { /* /primary */
    enum primary_state state;
    uint16_t node; /* ROSTER_NOBODY when it resigned, or is no member */
    char name[NAME_MAX_LENGTH + 1];
    char to[NAME_MAX_LENGTH + 1]; /* whom the one that resigned prefers; "" */
    int64_t incarnation, start, epoch;
    int64_t revision;      /* 0: there is none */
    int64_t first_seen_ms; /* that revision, by our clock */
};

struct roster_split { /* /split/K with the highest K */
    int64_t number;   /* 0: there was none */
    int64_t allowed_ms;
    int64_t first_seen_ms;
    size_t loser_count;
    struct {
        uint16_t node;
        int64_t incarnation;
    } losers[ROSTER_MEMBERS_MAX];
};

struct roster_cluster {    /* /cluster */
    int64_t level;         /* of software: a primary has it at least; 0: any will do */
    int64_t split_time_ms; /* for the losers of a split to save their guests */
    bool has_placement;    /* a function says where guests go (node/place_function.h) */
};

/* What one listing brought, in the order in which it must be read: a fence that is not there was
 * not there when /alive was read. */
struct roster_listing {
    struct store_list alive, fences, primary, splits, nodes, cluster;
};
#define ROSTER_PREFIXES 6
/* "/alive/", "/fence/", "/primary", "/split/", "/node/", "/cluster". */
const char *roster_prefix(size_t index);
struct store_list *roster_listing_part(struct roster_listing *listing, size_t index);
void roster_listing_clear(struct roster_listing *listing);

struct roster;

/* `own`, this node's name: its own record counts as changing from the first. */
struct roster *roster_new(const char *own);
void roster_free(struct roster *roster);

/* Takes a listing that was asked for at `asked_ms` and came at `now_ms`: what is in it was so at
 * some time between the two, and ages are counted so that they are never too high. A record that
 * does not parse is as good as absent. False: no memory, or more than ROSTER_MEMBERS_MAX names;
 * then nothing was taken. */
bool roster_update(struct roster *roster, const struct roster_listing *listing, int64_t asked_ms,
                   int64_t now_ms);

/* For so long before the listing that is taken next nothing could be listed: a record that stands
 * still in it did so without that time, for who could not read could perhaps not renew either. */
void roster_unseen(struct roster *roster, int64_t unseen_ms);

bool roster_listed(const struct roster *roster); /* ever */
/* When the last listing was asked for, by our clock. */
int64_t roster_asked_ms(const struct roster *roster);

/* Numbers are below roster_count(); some of them may not be present. */
size_t roster_count(const struct roster *roster);
const struct roster_member *roster_member(const struct roster *roster, uint16_t number);
/* ROSTER_NOBODY when no record ever named it. */
uint16_t roster_find(const struct roster *roster, const char *name);
/* Those present, sorted by name; the roster's, until the next update. */
const uint16_t *roster_present(const struct roster *roster, size_t *count);

const struct roster_primary *roster_primary(const struct roster *roster);
/* The text of /primary as it was listed, for its history; NULL when there is none. */
const char *roster_primary_json(const struct roster *roster);
const struct roster_split *roster_split(const struct roster *roster);
/* The last split decision named this incarnation of the member a loser. */
bool roster_lost_split(const struct roster *roster, uint16_t number);
const struct roster_cluster *roster_cluster(const struct roster *roster);

/* The same for all who know the same members: a promise is good only between such. */
uint64_t roster_members_hash(const struct roster *roster);

/* How long its /alive record stood still, as far as the last listing tells; INT64_MAX when there is
 * none. It does not grow while the store is away: then nothing is known. */
int64_t roster_age_ms(const struct roster *roster, uint16_t number);

#endif
