/*
 * run_folder.h - RUN_DIR/lpar/UUID/: what a running guest leaves for a restarted daemon.
 *
 *   lock        held (flock) by the QEMU itself for as long as it lives: nobody needs to trust a
 *               process id to know whether there is a guest
 *   guest.json  {"v","name","uuid","generation","job"}: which start of which LPAR
 *   pid         "PID START_TIME\n", written by the new process before it becomes QEMU
 *   qmp.sock, console.sock, disk.sock, log
 *
 * The folder and its files are the daemon's, so that a guest that took over its QEMU cannot name
 * another process in them. The guest's own user id is the folder's group, which may pass (0710) to
 * the sockets, which are the guest's; without one the folder is 0700.
 */
#ifndef LPAR_RUN_FOLDER_H
#define LPAR_RUN_FOLDER_H

#include "base/operation.h"
#include "base/parse.h"
#include "job/job.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct run_folder {
    int fd;          /* of the folder; -1: not open */
    char path[4096]; /* absolute */
    uid_t uid;       /* of the guest; 0 when it runs as the daemon does */
};

struct run_guest {
    char name[NAME_MAX_LENGTH + 1];
    char uuid[UUID_TEXT_SIZE];
    int64_t generation;    /* at which it started */
    char job[JOB_ID_SIZE]; /* of another node, for which its QEMU waits (incoming.h); "" none */
};

struct run_process {
    pid_t pid;
    uint64_t start_time; /* field 22 of /proc/PID/stat: with it a reused pid is never taken */
};

/* Makes it when absent. With `uid_base` not 0 (and only as root) it gets a user id of its own:
 * uid_base + a part of the uuid, moved on when another guest here has it. */
int run_folder_make(struct run_folder *folder, const char *run_dir, const char *uuid,
                    int64_t uid_base, struct vios_error *error);

/* VIOS_E_NOT_FOUND when there is none. */
int run_folder_open(struct run_folder *folder, const char *run_dir, const char *uuid,
                    struct vios_error *error);

/* Closes the descriptor only. */
void run_folder_close(struct run_folder *folder);

/* Removes the folder with everything in it; absent is fine. */
int run_folder_remove(const char *run_dir, const char *uuid, struct vios_error *error);

int run_folder_write_guest(const struct run_folder *folder, const struct run_guest *guest,
                           struct vios_error *error);
int run_folder_read_guest(const struct run_folder *folder, struct run_guest *guest,
                          struct vios_error *error);

/* Takes the lock: a descriptor to be handed to QEMU; VIOS_E_LOCKED while a QEMU has it. */
int run_folder_lock(const struct run_folder *folder, struct vios_error *error);

/* The lock is held: there is a QEMU, or a process about to become one. */
bool run_folder_is_locked(const struct run_folder *folder);

/* There is a folder, and a QEMU holds its lock. */
bool run_folder_lives(const char *run_dir, const char *uuid);

/* Waits for the pid file (the process writes it at once) and opens a pidfd on exactly that
 * process; VIOS_E_NOT_FOUND when it has ended. */
int run_folder_process(const struct run_folder *folder, struct run_process *process,
                       struct operation *operation);

/* Field 22 of /proc/PID/stat ("self" for pid 0); 0 when there is no such process. Only calls
 * that are safe between fork and exec. */
uint64_t run_process_start_time(pid_t pid);

/* Listens on the unix socket `name` in the folder, which then belongs to the guest; replaces
 * one that is there. A descriptor or a status. */
int run_folder_listen(const struct run_folder *folder, const char *name, struct vios_error *error);
int run_folder_connect(const struct run_folder *folder, const char *name,
                       struct operation *operation);

/* The last line of `log` that says anything; "" when there is none. */
void run_folder_last_words(const struct run_folder *folder, char *text, size_t size);

#endif
