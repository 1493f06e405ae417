/*
 * matrix.h - who hears whom (MISSION §4.1, §4.6), from the keep-alives that arrive here and the
 * rows in them. From it node death, a one-way loss, and a slow node are told apart. Pure.
 *
 * Each node sends to, and expects from, its neighbours on the ring of names: all others up to
 * MATRIX_NEIGHBOURS + 1 members, so that the matrix is complete; beyond, the cost stays constant.
 * A node that misses its own ticks widens its suspicion of others by as much: it is the slow one.
 */
#ifndef CLUSTER_MATRIX_H
#define CLUSTER_MATRIX_H

#include "cluster/roster.h"

#define MATRIX_NEIGHBOURS ROSTER_ROW_MAX
#define MATRIX_SUSPICION_KEEPALIVES 3 /* silent for so many keep-alives: not heard */
#define MATRIX_WIDEN_MAX 8            /* times, by false suspicions (flap damping) */
#define MATRIX_WIDEN_MS 60000         /* without another one, and the widening is over */

struct matrix;

/* The roster is borrowed, `own` is this node's number in it. */
struct matrix *matrix_new(const struct roster *roster, int64_t keepalive_ms);
void matrix_free(struct matrix *matrix);

/* After the roster was updated: who are the neighbours of `own` now. */
void matrix_arrange(struct matrix *matrix, uint16_t own, int64_t now_ms);

/* The neighbours; the matrix's. */
const uint16_t *matrix_neighbours(const struct matrix *matrix, size_t *count);
bool matrix_is_neighbour(const struct matrix *matrix, uint16_t node);
/* Whether two of `count` places on the ring, in the order of names from 0, are neighbours. */
bool matrix_are_neighbours(size_t place, size_t other, size_t count);

/* A keep-alive of `node` arrived, with its row. */
void matrix_heard(struct matrix *matrix, uint16_t node, const struct roster_row *row, bool slow,
                  int64_t now_ms);

/* Our own tick came `late_ms` late: nobody could be heard meanwhile. */
void matrix_late(struct matrix *matrix, int64_t late_ms, int64_t now_ms);

/* A node that we had given up was there all the time: be slower to suspect. */
void matrix_widen(struct matrix *matrix, int64_t now_ms);

/* How long a neighbour may be silent. */
int64_t matrix_suspicion_ms(const struct matrix *matrix, int64_t now_ms);

/* The most keep-alives in a row that did not come from this neighbour since this was asked last,
 * those that are missing now with them. 0 for a node that is none. */
int64_t matrix_take_missed(struct matrix *matrix, uint16_t node, int64_t now_ms);

/* We hear this neighbour. Its own number is heard always, a stranger's never. */
bool matrix_hears(const struct matrix *matrix, uint16_t node, int64_t now_ms);

/* What `from` says of `node`: we hear it, and its row names `node`. The row of one that we do not
 * hear is old, and counts as hearing nobody. */
bool matrix_says(const struct matrix *matrix, uint16_t from, uint16_t node, int64_t now_ms);
/* The row it sent last; the matrix's. Only of a neighbour that we hear. */
const struct roster_row *matrix_peer_row(const struct matrix *matrix, uint16_t from);

/* A neighbour that neither we nor anybody we hear hears. False for a node that is not our
 * neighbour: those who are must tell. False also when we hear nobody at all: then it may be us. */
bool matrix_lost(const struct matrix *matrix, uint16_t node, int64_t now_ms);

/* Our own row. */
void matrix_row(const struct matrix *matrix, struct roster_row *row, int64_t now_ms);

bool matrix_is_slow(const struct matrix *matrix, uint16_t node);
/* We missed our own ticks a moment ago. */
bool matrix_own_slow(const struct matrix *matrix, int64_t now_ms);

#endif
