/*
 * restart_state.h - the states of an LPAR that administrators of remote restarts know, from the
 * records, as the node that answers sees them:
 *
 *     Invalid                         it cannot go on elsewhere: a disk of it is a file of one
 * node; or it is hibernated, and its memory is void, damaged or gone Remote Restartable it could;
 * `lpar validate` says where Source Remote Restarting        another node restarts it, and has not
 * committed yet Destination Remote Restarting   this node does Destination Remote Restarted    this
 * node has committed the restart, whose job goes on Remote Restarted                another node
 * has Local Storage Update Failed     it went on, and the file of its memory could not be removed:
 *                                     `lpar cleanup`
 */
#ifndef LPAR_RESTART_STATE_H
#define LPAR_RESTART_STATE_H

#include "lpar/record.h"

enum restart_state {
    RESTART_INVALID,
    RESTART_REMOTE_RESTARTABLE,
    RESTART_SOURCE_RESTARTING,
    RESTART_DESTINATION_RESTARTING,
    RESTART_DESTINATION_RESTARTED,
    RESTART_REMOTE_RESTARTED,
    RESTART_STORAGE_UPDATE_FAILED,
    RESTART_STATES
};

enum restart_saved { RESTART_SAVED_NONE, RESTART_SAVED_CURRENT, RESTART_SAVED_OTHER };
enum restart_work { RESTART_WORK_NONE, RESTART_WORK_RESTART, RESTART_WORK_OTHER };

struct restart_facts {
    bool own_disk;            /* a disk of it is a file of one node */
    bool owned;               /* a node runs it, or is to */
    bool hibernated;          /* none is, and its memory is kept */
    enum restart_saved saved; /* its hibernation; OTHER: it is void, or its record damaged */
    enum restart_work work;   /* the job that is at work on it */
    bool works_here;          /* that is run by the node that answers */
};

/* Pure. */
enum restart_state restart_state(const struct restart_facts *facts);

/* "Remote Restartable". */
const char *restart_state_name(enum restart_state state);

/* The facts, as node `here` reads them. A record that cannot be read now is taken for absent. */
void restart_state_read(struct store *store, const struct lpar *lpar, const char *here,
                        struct restart_facts *facts, struct operation *operation);

#endif
