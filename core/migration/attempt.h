/*
 * attempt.h - within core/migration: what the primary has asked targets to do, and what came of it.
 * Only in its memory: the next primary sees by the guests' records what is at work.
 */
#ifndef MIGRATION_ATTEMPT_H
#define MIGRATION_ATTEMPT_H

#include "job/job.h"
#include "migration/plan.h"
#include "node/node.h"

struct attempt {
    struct attempt *next;
    char name[NAME_MAX_LENGTH + 1];   /* of the LPAR */
    char target[NAME_MAX_LENGTH + 1]; /* that was asked last; "" */
    char job[JOB_ID_SIZE];            /* at work there; "": none */
    int64_t incarnation;              /* of the node that runs that job; 0: not known yet */
    int failures;                     /* in a row */
    int64_t not_before_ms;            /* clock_now_ms() of the next try */
    bool unreadable;                  /* its hibernation is damaged: only its disks are left */
    char error[MOVE_ERROR_SIZE];      /* of the last failure; "" */
};

/* Has the target do it: submits a job there, which goes on by itself. VIOS_E_INVALID for a plan
 * that no target carries out. */
int attempt_ask(struct node *node, struct attempt *attempt, enum plan plan, const struct lpar *lpar,
                const char *target, struct operation *operation);

/* Notes how its job ended, when it has. */
void attempt_look(struct node *node, struct attempt *attempt, struct operation *operation);

/* Nobody goes on with its job: its target was fenced. */
void attempt_void(struct attempt *attempt);

/* It could not even be asked of anybody. */
void attempt_refused(struct attempt *attempt, const char *why);

#endif
