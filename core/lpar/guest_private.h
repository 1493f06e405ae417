/* guest_private.h - what guest.c, lpars.c and supervisor.c share, and nobody else sees. */
#ifndef LPAR_GUEST_PRIVATE_H
#define LPAR_GUEST_PRIVATE_H

#include "lpar/guest.h"
#include "lpar/qemu_facts.h"
#include "lpar/qmp.h"
#include "lpar/run_folder.h"

#include <pthread.h>

struct lpars {
    struct node *node;
    struct cancel *cancel;  /* triggered by lpars_close() */
    pthread_mutex_t lock;   /* the list, references, threads */
    pthread_cond_t changed; /* a guest left, or a thread ended */
    struct guest *first;
    size_t threads;
    struct qemu_facts *qemu; /* has a lock of its own */
};

struct guest {
    struct lpars *lpars;
    struct guest *next;
    unsigned references; /* under lpars->lock */
    struct lpar lpar;    /* as it was at its start */
    struct console *console;
    int wake; /* eventfd: look at the guest again */

    pthread_mutex_t qmp_lock; /* qmp */
    struct qmp *qmp;          /* NULL: not connected */

    pthread_mutex_t exports_lock; /* held while io is told of its exports anew, or drops them */
    bool exports_ended;           /* they are dropped, and not made again */

    pthread_mutex_t lock; /* the rest */
    bool connected;       /* it has, or had, a supervisor */
    bool refresh;         /* ask query-status */
    bool unpublished;     /* the state changed since /lpar-run was written */
    bool leave_record;
    bool look;                  /* at the record, now */
    char incoming[JOB_ID_SIZE]; /* the job for which it waits; "": it does not (incoming.h) */
    bool shut_down;             /* a SHUTDOWN event came: it ends by its own will */
    uint64_t own_resets;        /* that nobody asked QEMU for */
    int process_fd;             /* pidfd; -1 before it is connected */
    struct guest_status status;
};

/* Starts the thread of a guest that was connected. */
int supervisor_start(struct guest *guest, struct vios_error *error);

/* A new QMP and console connection. */
int guest_open_qmp(struct guest *guest, struct operation *operation);
void guest_open_console(struct guest *guest);

void guest_set_state(struct guest *guest, const char *state, const char *why);
void guest_wake(struct guest *guest);

/* Out of the table. The caller holds a reference of its own: the table's goes. */
void lpars_unlist(struct guest *guest);

#endif
