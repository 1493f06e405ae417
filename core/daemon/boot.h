/*
 * boot.h - which incarnation of this node the daemon is (DESIGN "Fencing"): the same as before on
 * the same boot, the next on a new boot, or when the one before is fenced.
 *
 * STATE_DIR/boot {"v","boot_id","incarnation","start"} says on which boot this node ran last, and
 * what its last daemon called itself. That one is dead (the state folder is locked), so its record
 * is taken over at once; a record of an unknown start is watched for a TTL first, for it may be of
 * a living daemon with the same name and another state folder. A record of start 0 comes from `db
 * restore`: nobody writes it, and every incarnation of this node that ever ran is below ours.
 */
#ifndef DAEMON_BOOT_H
#define DAEMON_BOOT_H

#include "node/node.h"

struct boot_choice {
    int64_t incarnation;
    int64_t start;   /* of this daemon; higher than its predecessors' on this boot */
    int64_t known_n; /* of the own /alive record, with its revision; 0: there is none */
    int64_t known_revision;
    int64_t rejoins; /* the fenced incarnation that ends with this one; 0: none */
};

/* Chooses, and notes it in STATE_DIR/boot. VIOS_E_CONFLICT: another daemon runs under this node's
 * name. */
int boot_choose(struct node *node, struct boot_choice *choice, struct operation *operation);

#endif
