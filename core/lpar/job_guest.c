/* job_guest.c - see job_guest.h. */
#include "lpar/job_guest.h"

#include "base/json.h"
#include "lpar/guest_exports.h"
#include "lpar/hold.h"
#include "lpar/run_folder.h"
#include "node/node.h"

#define DRAIN_MS 60000 /* for what the guest had written to reach its disks */

int job_guest_find(struct job *job, struct lpar *lpar, struct guest **guest)
{
    *guest = NULL;
    int status = lpar_job_load(job, lpar_job_name(job), lpar);
    if (status < 0) {
        return status;
    }
    *guest = lpars_find(job_node(job)->lpars, lpar->name);
    if (!*guest || !guest_is_connected(*guest) ||
        lpar->generation != json_get_integer(job->data, "generation")) {
        guest_release(*guest);
        *guest = NULL;
        return lpar_job_fail(job, VIOS_E_CONFLICT, "see lpar show", "it does not run any more");
    }
    return VIOS_OK;
}

int job_guest_drain(struct job *job, const struct lpar *lpar)
{
    struct guest *guest = lpars_find(job_node(job)->lpars, lpar->name);
    struct guest_status now;
    struct operation draining;
    if (!guest || !guest_is_connected(guest)) {
        guest_release(guest);
        return lpar_job_fail(job, VIOS_E_CONFLICT, "see lpar show", "it does not run any more");
    }
    guest_status(guest, &now);
    job_limit(job, &draining, DRAIN_MS);
    int status = job_keep(job, &draining,
                          guest_exports_serve(job_node(job), lpar, now.start, "drain", &draining));
    guest_release(guest);
    return status;
}

/* Its I/O is served, and it goes on. */
static int go_on(struct job *job, struct guest *guest, const struct lpar *lpar)
{
    struct guest_status now;
    struct operation waiting;
    guest_status(guest, &now);
    operation_start(&waiting, DRAIN_MS, NULL);
    int status = guest_exports_serve(job_node(job), lpar, now.start, "open", &waiting);
    if (status == VIOS_OK) {
        status = guest_call(guest, "cont", NULL, NULL, &waiting);
    }
    if (status < 0 && !run_folder_lives(job_node(job)->run_dir, lpar->uuid)) {
        status = VIOS_OK; /* it ended: its supervisor says so */
    }
    return job_keep(job, &waiting, status);
}

int job_guest_go_on(struct job *job)
{
    struct lpar lpar;
    int status = lpar_job_load(job, lpar_job_name(job), &lpar);
    if (status < 0) {
        return status == VIOS_E_NOT_FOUND || status == VIOS_E_STALE ? VIOS_OK : status;
    }
    struct guest *guest = lpars_find(job_node(job)->lpars, lpar.name);
    if (guest && guest_is_connected(guest)) {
        status = go_on(job, guest, &lpar);
    }
    guest_release(guest);
    return status;
}
