/* refusals.c - see refusals.h. */
#include "daemon/refusals.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "daemon/audit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct refusal {
    char port[8], who[96], why[200];
    int64_t wall_ms;
    int64_t untold; /* before this one */
};

struct refusals {
    struct node *node;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    bool stopping;
    struct refusal waiting[REFUSALS_WAITING_MAX];
    size_t count;
    int budget; /* records that may be written at once */
    int64_t refilled_ms;
    int64_t untold;
    pthread_t thread;
};

static void *run(void *argument)
{
    struct refusals *refusals = argument;
    pthread_mutex_lock(&refusals->lock);
    while (!refusals->stopping) {
        if (refusals->count == 0) {
            pthread_cond_wait(&refusals->changed, &refusals->lock);
            continue;
        }
        struct refusal first = refusals->waiting[0];
        refusals->count--;
        memmove(&refusals->waiting[0], &refusals->waiting[1],
                refusals->count * sizeof refusals->waiting[0]);
        pthread_mutex_unlock(&refusals->lock);
        audit_refusal(refusals->node, first.port, first.who, first.why, first.untold,
                      first.wall_ms);
        pthread_mutex_lock(&refusals->lock);
    }
    pthread_mutex_unlock(&refusals->lock);
    return NULL;
}

int refusals_new(struct refusals **refusals, struct node *node, struct vios_error *error)
{
    struct refusals *made = calloc(1, sizeof *made);
    *refusals = NULL;
    if (!made) {
        return error_no_memory(error, NULL);
    }
    made->node = node;
    made->budget = REFUSALS_AT_ONCE;
    made->refilled_ms = clock_now_ms();
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    if (thread_start(&made->thread, "refusals", run, made) != 0) {
        pthread_mutex_destroy(&made->lock);
        pthread_cond_destroy(&made->changed);
        free(made);
        return error_set(error, VIOS_E_NO_SPACE, "audit", NULL, "no thread for it");
    }
    *refusals = made;
    return VIOS_OK;
}

void refusals_free(struct refusals *refusals)
{
    if (!refusals) {
        return;
    }
    pthread_mutex_lock(&refusals->lock);
    refusals->stopping = true;
    pthread_cond_broadcast(&refusals->changed);
    pthread_mutex_unlock(&refusals->lock);
    pthread_join(refusals->thread, NULL);
    pthread_cond_destroy(&refusals->changed);
    pthread_mutex_destroy(&refusals->lock);
    free(refusals);
}

/* Takes one from the budget, which grows by one in each period. */
static bool may_tell(struct refusals *refusals)
{
    int64_t grown = (clock_now_ms() - refusals->refilled_ms) / REFUSALS_PERIOD_MS;
    refusals->refilled_ms += grown * REFUSALS_PERIOD_MS;
    grown += refusals->budget;
    refusals->budget = grown < REFUSALS_AT_ONCE ? (int)grown : REFUSALS_AT_ONCE;
    if (refusals->budget == 0 || refusals->count == REFUSALS_WAITING_MAX) {
        return false;
    }
    refusals->budget--;
    return true;
}

void refusals_note(struct refusals *refusals, const char *port, const char *who, const char *why)
{
    pthread_mutex_lock(&refusals->lock);
    if (may_tell(refusals)) {
        struct refusal *refusal = &refusals->waiting[refusals->count++];
        *refusal = (struct refusal){.wall_ms = clock_wall_ms(), .untold = refusals->untold};
        snprintf(refusal->port, sizeof refusal->port, "%s", port);
        snprintf(refusal->who, sizeof refusal->who, "%s", who);
        snprintf(refusal->why, sizeof refusal->why, "%s", why);
        refusals->untold = 0;
        log_warning("rpc", "refused at the %s port, %s: %s", port, refusal->who, refusal->why);
        pthread_cond_signal(&refusals->changed);
    } else {
        refusals->untold++;
    }
    pthread_mutex_unlock(&refusals->lock);
}
