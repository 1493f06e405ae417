/* lookup.c - see lookup.h. */
#include "daemon/lookup.h"

#include "daemon/lanes.h"
#include "daemon/outlet.h"

#include <stdatomic.h>
#include <stdlib.h>

struct lookup {
    struct lane_work work;
    atomic_int holders; /* who asked, and the lane */
    const struct access_rules *rules;
    uid_t uid;
    struct outlet *outlet;
    struct access_verdict verdict; /* when `ended` */
    atomic_bool ended;
};

static void run(struct lane_work *work)
{
    struct lookup *lookup = (struct lookup *)((char *)work - offsetof(struct lookup, work));
    access_judge(lookup->rules, lookup->uid, &lookup->verdict);
    atomic_store(&lookup->ended, true);
    outlet_wake(lookup->outlet);
    lookup_release(lookup);
}

int lookup_start(struct lookup **lookup, struct lane *lane, const struct access_rules *rules,
                 uid_t uid, struct outlet *outlet, struct vios_error *error)
{
    struct lookup *made = calloc(1, sizeof *made);
    *lookup = NULL;
    if (!made) {
        return error_no_memory(error, NULL);
    }
    made->work.run = run;
    made->rules = rules;
    made->uid = uid;
    made->outlet = outlet_reference(outlet);
    atomic_init(&made->holders, 2);
    int status = lane_submit(lane, &made->work, error);
    if (status != VIOS_OK) {
        lookup_release(made); /* the lane's */
        lookup_release(made);
        return status;
    }
    *lookup = made;
    return VIOS_OK;
}

bool lookup_ended(const struct lookup *lookup, struct access_verdict *verdict)
{
    if (!atomic_load(&lookup->ended)) {
        return false;
    }
    *verdict = lookup->verdict;
    return true;
}

void lookup_release(struct lookup *lookup)
{
    if (lookup && atomic_fetch_sub(&lookup->holders, 1) == 1) {
        outlet_release(lookup->outlet);
        free(lookup);
    }
}
