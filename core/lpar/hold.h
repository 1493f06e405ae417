/*
 * hold.h - the job that holds an LPAR: `job` in its record names it, and no other changes the
 * record meanwhile (record.h). How jobs take it, ask for it, and change what they hold.
 */
#ifndef LPAR_HOLD_H
#define LPAR_HOLD_H

#include "job/job.h"
#include "lpar/record.h"

/* The job that is at work on an LPAR. */
struct lpar_work {
    char job[JOB_ID_SIZE]; /* "": none is; the rest says nothing then */
    char kind[40];
    char node[NAME_MAX_LENGTH + 1]; /* that runs it */
    int64_t incarnation;
};

/* From the records. A job that has ended, that nobody knows, or whose node is fenced and that
 * nobody else goes on with (job.h: is_local), is at work on nothing. */
int lpar_work(struct store *store, const struct lpar *lpar, struct lpar_work *work,
              struct operation *operation);

/* Whether a job is at work on it; also when that cannot be read just now. */
bool lpar_is_held(struct store *store, const struct lpar *lpar, struct operation *operation);

/* VIOS_E_LOCKED while its takeover is not finished, or another job than `id` (may be NULL) is at
 * work on the LPAR. */
int lpar_check_lock(struct store *store, const struct lpar *lpar, const char *id,
                    struct operation *operation);

/* The LPAR that a job is about: its data's "name". */
const char *lpar_job_name(const struct job *job);

/* Sets the job's error, about that LPAR; returns `code`. */
int lpar_job_fail(struct job *job, int code, const char *hint, const char *what);

/*
 * Makes the job the one that holds the LPAR `name`, once more when somebody else was first to
 * change the record or the outcome is unknown. VIOS_OK, too, when it does already. Otherwise
 * `change` gets the record, which names the job by then, and may refuse it with an error.
 */
int lpar_job_claim(struct job *job, const char *name, int (*change)(struct job *, struct lpar *),
                   struct lpar *lpar);

/* The record, which the job holds. VIOS_E_STALE: no more, since it was taken over. */
int lpar_job_load(struct job *job, const char *name, struct lpar *lpar);

/* Lets go of it, with what `change` (NULL: nothing) makes of the record besides. VIOS_OK, too, when
 * the job does not hold it, or when it is not there. */
int lpar_job_release(struct job *job, const char *name,
                     void (*change)(const struct job *, struct lpar *));

#endif
