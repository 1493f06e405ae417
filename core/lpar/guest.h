/*
 * guest.h - one guest that runs, or is about to, on this node; and the table of them.
 *
 * Each running guest has a supervisor thread: it hears QMP events, reads the console, and sees
 * the process end. The thread alone changes the guest's state; others ask for it, or talk QMP
 * through guest_call(), one at a time. A guest that ended is cleaned up by its supervisor (io's
 * exports, run folder, the record's owner), leaves the table last of all, and is freed with its
 * last reference.
 */
#ifndef LPAR_GUEST_H
#define LPAR_GUEST_H

#include "lpar/console.h"
#include "lpar/migration.h"
#include "lpar/record.h"
#include "node/node.h"

struct lpars; /* the table: node->lpars */
struct guest;

struct guest_status {
    /* "starting", "running", "paused", "panicked", "watchdog", "io-error", "stopping", ... */
    char state[24];
    char why[200];  /* for people; may be empty */
    pid_t qemu_pid; /* 0: none yet */
    int64_t start;  /* the generation it started at */
};

int lpars_open(struct lpars **lpars, struct node *node, struct vios_error *error);

/* Ends all supervisors, not the guests. */
void lpars_close(struct lpars *lpars);

/*
 * Puts a guest that is to start into the table, so that its memory counts; again for the same
 * name is fine. Memory admission: VIOS_E_NO_SPACE, with the numbers, when the guests of this
 * node and the page memory it lends would not fit the machine's memory.
 */
int lpars_reserve(struct lpars *lpars, const struct lpar *lpar, bool admit,
                  struct vios_error *error);

/* That it would be admitted now, or is in the table already; see above. */
int lpars_check_memory(struct lpars *lpars, const struct lpar *lpar, struct vios_error *error);

struct lpars_capacity {
    uint64_t memory_bytes; /* of the machine */
    uint64_t guests_bytes; /* of the guests that run, or start, here */
    uint64_t lent_bytes;   /* as page memory to other nodes */
    uint64_t free_bytes;   /* for more guests */
    size_t guests;
};

/* What the admission goes by. */
void lpars_capacity(struct lpars *lpars, struct lpars_capacity *capacity);

/* What this node's QEMU can be; the table's. */
struct qemu_facts *lpars_qemu(struct lpars *lpars);

/* Takes one that never connected out again; one that did is left alone, and so is one that
 * another job than `job` (NULL: whichever) reserved. */
void lpars_unreserve(struct lpars *lpars, const char *name, const char *job);

/* A reference, NULL when there is none; guest_release(). */
struct guest *lpars_find(struct lpars *lpars, const char *name);
void guest_release(struct guest *guest);

/* References to all; free the array, release each. */
struct guest **lpars_list(struct lpars *lpars, size_t *count);

/* Waits until `name` is not in the table. */
int lpars_await_gone(struct lpars *lpars, const char *name, struct operation *operation);

/*
 * Finds the QEMU of a reserved guest through its run folder, opens its QMP and console, hands
 * its process to io, and starts its supervisor. Done already: VIOS_OK. When QEMU is gone or
 * refused its arguments: VIOS_E_IO with its last words.
 */
int guest_connect(struct guest *guest, struct operation *operation);
bool guest_is_connected(struct guest *guest);

const struct lpar *guest_lpar(const struct guest *guest);
void guest_status(struct guest *guest, struct guest_status *status);
struct console *guest_console(struct guest *guest);

/* One QMP command, see qmp_call(); the supervisor then asks for the state again. */
int guest_call(struct guest *guest, const char *command, json_t *arguments, json_t **result,
               struct operation *operation);

/* Some commands that change nothing: each answer is put into `answers` under its command. Waits for
 * whoever talks to QEMU now, and for a connection that was lost, no longer than the operation
 * lasts. */
int guest_ask(struct guest *guest, const char *const *commands, size_t count, json_t *answers,
              struct operation *operation);

/* Of its QEMU, as "7.2.22". */
int guest_qemu_version(struct guest *guest, char version[32], struct operation *operation);

/* The way to its QEMU for a migration, out of it or into it. */
struct migration_port guest_port(struct guest *guest);

/* Its QEMU, started for that, has loaded its state. NULL, or one that does not answer: no. */
bool guest_is_loaded(struct guest *guest, struct operation *operation);

/* Waits until it no longer starts, and all nodes may see what it does instead. */
int guest_await_state(struct guest *guest, struct operation *operation);

/* Waits until it runs. One that stops again at once may be missed, so give it a limit. */
int guest_await_running(struct guest *guest, struct operation *operation);

/* How often it has reset itself, as its firmware does too, as far as QEMU has told. */
uint64_t guest_own_resets(struct guest *guest);

/* Waits until that is more than `resets`; VIOS_E_IO when its QEMU ends. */
int guest_await_own_reset(struct guest *guest, uint64_t resets, struct operation *operation);

/* Waits for the end of its QEMU. */
int guest_await_end(struct guest *guest, struct operation *operation);

/* SIGKILL; it is gone soon. */
void guest_kill(struct guest *guest);

/* Its QEMU is to wait for `job` of another node, see incoming.h: say so before it is connected. */
void guest_expect(struct guest *guest, const char *job);
bool guest_is_expected(struct guest *guest);

/* Its end will be recorded by the job that ends it, not by its supervisor. */
void guest_leave_record(struct guest *guest);

/* Tells io everything again about all guests. */
void lpars_restore_exports(struct lpars *lpars);

#endif
