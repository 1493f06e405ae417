/*
 * daemon.h - one node's control plane: its folders, its server, and, once it has a cluster, the
 * io, the driver of its agent, jobs and parts, begun in that order and ended in reverse.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "base/config.h"

#include <stdbool.h>

#define DAEMON_STORE_ADDRESS_SIZE 4200

struct daemon;

struct daemon_settings {
    struct config *config;   /* stays the caller's */
    const char *config_path; /* NULL: none */
    const char *program_dir; /* where io and place are */
    bool stop_guests;        /* when it ends, guests and io end too */
};

/* Where the VIOS DB is: as configured, else as joining brought it, else a file of this node's own.
 */
void daemon_store_address(const struct config *config, char address[DAEMON_STORE_ADDRESS_SIZE]);

/* Takes the folders (one daemon per state folder: VIOS_E_LOCKED), listens, and takes part in its
 * cluster when it has one. */
int daemon_start(struct daemon **daemon, const struct daemon_settings *settings,
                 struct vios_error *error);

/* Serves until it is told to end. True: it is to begin anew, since this incarnation is fenced. */
bool daemon_run(struct daemon *daemon);

/* Ends everything that began. NULL does nothing. */
void daemon_free(struct daemon *daemon);

#endif
