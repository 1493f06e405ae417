/* restart_state.c - see restart_state.h. */
#include "lpar/restart_state.h"

#include "lpar/hold.h"
#include "lpar/saved.h"

#include <string.h>

static const char *const NAMES[RESTART_STATES] = {
    [RESTART_INVALID] = "Invalid",
    [RESTART_REMOTE_RESTARTABLE] = "Remote Restartable",
    [RESTART_SOURCE_RESTARTING] = "Source Remote Restarting",
    [RESTART_DESTINATION_RESTARTING] = "Destination Remote Restarting",
    [RESTART_DESTINATION_RESTARTED] = "Destination Remote Restarted",
    [RESTART_REMOTE_RESTARTED] = "Remote Restarted",
    [RESTART_STORAGE_UPDATE_FAILED] = "Local Storage Update Failed",
};

const char *restart_state_name(enum restart_state state)
{
    return NAMES[state];
}

/* Its job claims what nobody owns, and its commit makes its node the owner. */
static enum restart_state during_restart(const struct restart_facts *facts)
{
    if (facts->owned) {
        return facts->works_here ? RESTART_DESTINATION_RESTARTED : RESTART_REMOTE_RESTARTED;
    }
    return facts->works_here ? RESTART_DESTINATION_RESTARTING : RESTART_SOURCE_RESTARTING;
}

enum restart_state restart_state(const struct restart_facts *facts)
{
    bool left = !facts->hibernated && facts->saved == RESTART_SAVED_OTHER;
    bool lost = facts->hibernated && facts->saved != RESTART_SAVED_CURRENT;
    if (facts->work == RESTART_WORK_RESTART) {
        return during_restart(facts);
    }
    if (left && facts->work == RESTART_WORK_NONE) { /* another job may be about to remove it */
        return RESTART_STORAGE_UPDATE_FAILED;
    }
    return facts->own_disk || lost ? RESTART_INVALID : RESTART_REMOTE_RESTARTABLE;
}

static bool has_own_disk(const struct lpar *lpar)
{
    for (size_t i = 0; i < lpar->disk_count; i++) {
        if (!lpar->disks[i].lu[0]) {
            return true;
        }
    }
    return false;
}

static enum restart_saved read_saved(struct store *store, const struct lpar *lpar,
                                     struct operation *operation)
{
    struct saved saved;
    int status = saved_load(store, lpar->name, &saved, operation);
    if (status == VIOS_OK) {
        return saved_is_current(lpar, &saved) ? RESTART_SAVED_CURRENT : RESTART_SAVED_OTHER;
    }
    return status == VIOS_E_CORRUPT ? RESTART_SAVED_OTHER : RESTART_SAVED_NONE;
}

void restart_state_read(struct store *store, const struct lpar *lpar, const char *here,
                        struct restart_facts *facts, struct operation *operation)
{
    struct lpar_work work;
    const struct vios_error before = operation->error;
    *facts = (struct restart_facts){
        .own_disk = has_own_disk(lpar),
        .owned = lpar->owner[0] != 0,
        .hibernated = !lpar->owner[0] && lpar->wanted == LPAR_HIBERNATED,
        .saved = read_saved(store, lpar, operation),
    };
    if (lpar_work(store, lpar, &work, operation) == VIOS_OK && work.job[0]) {
        facts->work =
            strcmp(work.kind, "lpar.restart") == 0 ? RESTART_WORK_RESTART : RESTART_WORK_OTHER;
        facts->works_here = strcmp(work.node, here) == 0;
    }
    operation->error = before;
}
