/*
 * job_record.h - the record /job/ID as a struct, and its JSON; internal to core/job.
 *
 *   {"v":1,"kind","object","operation","actor","node","incarnation","state","step","writes",
 *    "cancel","progress","state_data","result","error","created","changed"}
 */
#ifndef JOB_JOB_RECORD_H
#define JOB_JOB_RECORD_H

#include "base/clock.h"
#include "base/state_machine.h"
#include "job/job.h"

#define JOB_KEY_SIZE (JOB_ID_SIZE + 8)

enum job_state { JOB_RUNNING, JOB_UNDOING, JOB_DONE, JOB_FAILED, JOB_CANCELLED, JOB_STATES };

/* Their names, and the moves allowed. */
extern const struct state_row job_state_rows[JOB_STATES];

struct job_record {
    char id[JOB_ID_SIZE];
    char *kind, *object;
    char *operation; /* UUID */
    char *actor;     /* may be NULL */
    char *node;      /* owner */
    int64_t incarnation;
    enum job_state state;
    size_t step;                      /* the one being run or undone; the kind's count when done */
    int64_t writes;                   /* by its owners */
    bool cancel;                      /* somebody asked for it */
    json_t *progress, *data, *result; /* each may be NULL */
    struct vios_error error;          /* code VIOS_OK: none */
    char created[CLOCK_TEXT_SIZE], changed[CLOCK_TEXT_SIZE];
};

/* "/job/j-18". Returns `key`. */
char *job_record_key(const char *id, char key[JOB_KEY_SIZE]);

/* N of "j-N"; -1 for anything else. */
long job_record_number(const char *id);

/* A copy in `record`; VIOS_E_CORRUPT, naming the key, for what is no record. */
int job_record_decode(const struct store_value *value, struct job_record *record,
                      struct vios_error *error);

/* free() it; NULL without memory. */
char *job_record_encode(const struct job_record *record);

/* For `job list`, and with `whole` for `job show`. */
json_t *job_record_describe(const struct job_record *record, bool whole);

bool job_record_finished(const struct job_record *record);
void job_record_clear(struct job_record *record);

#endif
