/*
 * oracle.h - the invariants, judged by one who knows everything, at the moment of each event.
 *
 *  1 At most one committed primary an epoch; epochs and generations only grow; a committed primary
 *    is replaced by a higher epoch only.
 *  2 No effect of an old primary is accepted: fences, splits and intents carry the epoch that is
 *    the present one in the same revision.
 *  3 A lock of another that is younger than the election timer is not taken.
 *  4 A fence notes the present revision of /alive; it is `free` only when the incarnation has
 *    certainly stopped; no renewal of a fenced incarnation lands, and no time of one grows.
 *  5 No acknowledged write is lost; none lands in a file behind its new owner's back; no answer
 *    leaves after T.
 *  6 Never two runnable copies of a guest.
 *  7 A hibernation of another generation is never restored; an old memory never meets a newer disk.
 *  8 Split decisions are those of a second implementation, and decisions are apart.
 *  9 When the faults are over, all is well within a bound.
 * 10 Page memory serves no request of an older generation once it accepted a higher one.
 *
 * Not covered, as DESIGN "Takeover" says: what a node whose machine was paused does from its thaw
 * until the time that its stopped clock allows (node_is_zombie): it computes beside its successor,
 * and acknowledges to its own guest writes that go to a dead file; on pools without clones they
 * even land. Likewise a daemon and an io that are frozen together: nobody is left to stop the
 * guests.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "cluster/agent.h"
#include "tests/sim/world.h"

struct oracle;

struct oracle *oracle_new(struct world *world);
void oracle_free(struct oracle *oracle);

/* A commit is about to happen: what is there is what was before. */
void oracle_commit(struct world *world, const struct store_change *changes, size_t count);

/* The node's agent asks for a listing; gets one; asks for anything. */
void oracle_lists(struct node *node);
void oracle_listed(struct node *node, const struct roster_listing *listing);
void oracle_asks(struct node *node, const struct agent_request *request);

/* Its daemon allows the node to serve until node->until_stop_ms. */
void oracle_serves(struct node *node);

/* Everything is well: one primary, known to all; all renew; each guest that is wanted runs once.
 * Otherwise `why`. */
bool oracle_all_well(struct world *world, char why[200]);

/* Elections and other things that happened, for the statistics. */
struct oracle_counts {
    long elections, fences, frees, rejoins, splits, takeovers, hibernations, restores, restarts;
};
const struct oracle_counts *oracle_counts(const struct oracle *oracle);

#endif
