/* ffdc_private.h - what the files of core/ffdc share beside ffdc.h. */
#ifndef FFDC_FFDC_PRIVATE_H
#define FFDC_FFDC_PRIVATE_H

#include "ffdc/ffdc.h"
#include "ffdc/limited.h"
#include "ffdc/vault.h"

#include <limits.h>
#include <pthread.h>

#define FFDC_RUNNING_MAX 8 /* captures of this node at once */
#define FFDC_UNNUMBERED "?"

struct ffdc_wanted { /* a signal that waits */
    char trigger[MANIFEST_TRIGGER_SIZE];
    char component[MANIFEST_COMPONENT_SIZE];
    char signature[MANIFEST_SIGNATURE_SIZE];
    enum manifest_priority priority;
    int64_t count;
    int64_t due_ms;
};

struct ffdc {
    struct node *node;
    struct cancel *cancel;
    struct limited *limited;
    char spool[PATH_MAX]; /* STATE_DIR/ffdc */
    int spool_fd;
    int poke;                  /* eventfd: there may be something to be added */
    pthread_mutex_t part_lock; /* held while a part is made */
    pthread_t worker, late, watcher;
    int threads; /* of these, in this order, that were started */
    struct listener *listener;

    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    struct ffdc_wanted queue[FFDC_QUEUE_MAX];
    size_t queued;
    struct {
        char signature[MANIFEST_SIGNATURE_SIZE];
        int64_t handled_ms;
    } recent[FFDC_QUEUE_MAX]; /* a ring */
    size_t recent_next;
    char running[FFDC_RUNNING_MAX][MANIFEST_CORRELATOR_SIZE];
    struct vault vault; /* as it was found last */
    bool vault_known;
};

/* --- ffdc.c --- */

/* Where the repository is: as found now, or, while the VIOS DB is away, before. */
int ffdc_vault(struct ffdc *ffdc, struct vault *vault, struct operation *operation);
/* Whether this process captures that incident just now, or may do so: one has no number yet. */
bool ffdc_is_running(struct ffdc *ffdc, const char *correlator);
/* A capture begins: its place, or a status below 0. */
int ffdc_begin(struct ffdc *ffdc, struct vios_error *error);
/* It has this correlator; "": it has ended. */
void ffdc_number(struct ffdc *ffdc, int place, const char *correlator);
void ffdc_poke(struct ffdc *ffdc);

/* --- capture.c --- */

/* Opens an incident for what is `wanted`, or counts it: `*repeated`. Captures it on all members;
 * `manifest` is what is known then. */
int capture_run(struct ffdc *ffdc, const struct ffdc_wanted *wanted, struct call *call,
                struct manifest *manifest, bool *repeated, struct operation *operation);
/* Asks the nodes again whose parts are missing. */
int capture_again(struct ffdc *ffdc, const char *correlator, struct call *call,
                  struct manifest *manifest, struct operation *operation);
/* The manifest beside the bundles becomes what the record is by then. */
void capture_publish(struct ffdc *ffdc, const struct manifest *manifest,
                     struct operation *operation);

/* --- part.c --- */

/* This node's part of the incident: made, unless it is there already, and brought to the
 * repository. Never fails: `entry` says what became of it. */
void part_make(struct ffdc *ffdc, const struct manifest *manifest, bool again,
               struct manifest_node *entry, struct operation *operation);

/* --- late.c --- */

void late_run(struct ffdc *ffdc);   /* the thread's, until the cancel */
void late_watch(struct ffdc *ffdc); /* likewise */

/* --- spool.c --- */

/* STATE_DIR/ffdc/C/NODE, made; and the bundle in it. */
int spool_open(struct ffdc *ffdc, const struct manifest *manifest, int *folder_fd,
               char path[PATH_MAX], struct vios_error *error);
/* The manifest of an incident that was opened while the VIOS DB was away. */
int spool_put_manifest(struct ffdc *ffdc, const struct manifest *manifest,
                       struct vios_error *error);
int spool_read_manifest(struct ffdc *ffdc, const char *correlator, struct manifest *manifest,
                        struct vios_error *error);
/* All of an incident. */
void spool_drop(struct ffdc *ffdc, const char *correlator);
/* Calls `each` with the correlators that lie there. */
void spool_each(struct ffdc *ffdc, void (*each)(void *context, const char *correlator),
                void *context);
/* Drops the oldest until there is room for one more. */
void spool_make_room(struct ffdc *ffdc);

/* --- prune.c --- */

/* Removes incidents: `correlator`, or those older than `older_ms`; NULL and 0: what is beyond the
 * limits. `*removed` is how many. */
int prune_run(struct ffdc *ffdc, const char *correlator, int64_t older_ms, int *removed,
              struct operation *operation);

extern const struct method_group ffdc_methods; /* methods.c */

#endif
