/*
 * migration.h - the part of the daemon that moves guests from nodes that are lost, are losing a
 * split, or are being drained, to others, with nobody asking for it (MISSION §4; DESIGN "Split",
 * "Takeover"). Read in this order:
 *
 * move.h        /migration/NAME, the journal of one guest's move: what is to happen with it
 * leaving.h     which owners are lost, are losing, or are drained
 * plan.h        what is next for it, by the records alone: pure
 * mover.h       the primary's thread, which writes the journal, and has the targets act
 * departure.h   the thread of the node that a guest is to leave: it hibernates it, if it can
 *
 * The primary only writes what it wants; a guest's owner, or the node that is to be, acts, by the
 * jobs that administrators have too: lpar.hibernate, lpar.takeover, lpar.start, lpar.restart. Each
 * of them makes its own commit, which nobody else's can be beside. So a primary that dies leaves
 * nothing half done: the next one reads the journal and what the guest's record says by then.
 */
#ifndef MIGRATION_MIGRATION_H
#define MIGRATION_MIGRATION_H

#include "node/part.h"

extern const struct part migration_part;

#endif
