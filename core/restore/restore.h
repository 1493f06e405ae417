/*
 * restore.h - `db restore`: a backup in the place of a VIOS DB that is lost, damaged or to be moved
 * (plan.h says what of it is changed), and `db check` while no daemon runs.
 *
 * No daemon takes part in this: it is for when there is none. What happens is told line by line:
 *
 *     {"say":"progress","text":"..."}
 *     {"say":"report", ...}      what would be lost, see restore_run()
 *     {"say":"result", ...}      the last one, when all went well
 *     {"say":"error","error":{"code","object","message","hint"}}     the last one otherwise
 */
#ifndef RESTORE_RESTORE_H
#define RESTORE_RESTORE_H

#include "base/operation.h"

#include <jansson.h>

struct restore_request {
    const char *file;       /* the backup */
    const char *to;         /* the address of the VIOS DB that is to be replaced */
    const char *configured; /* the address that this node's daemon uses */
    const char *state_dir;  /* of this node; it need not be there */
    int64_t ttl_ms;         /* a cluster that lives changes its VIOS DB so often */
    bool dry_run;           /* only says what would be lost */
};

/* Where the lines go; takes over `line`. */
struct restore_outlet {
    void (*say)(void *context, json_t *line);
    void *context;
};

/*
 * The report: {file, to, backup: {revision, time, cluster}, now: {state, revision, why} (state
 * "OK", "damaged", "absent" or "unreachable"), losses: see loss.h, nodes, start, hibernations,
 * jobs}. The result is the report and {restores, epoch, revision, aside, retired}.
 *
 * VIOS_E_LOCKED: somebody still uses the VIOS DB. VIOS_E_INVALID, VIOS_E_CORRUPT: the backup is
 * none. When it fails, or is ended, while it writes, it can be repeated.
 */
int restore_run(const struct restore_request *request, const struct restore_outlet *outlet,
                struct operation *operation);

/* The result: {address, state: "OK", revision, keys}. `address` may be the path of a backup too. */
int restore_check_run(const char *address, const struct restore_outlet *outlet,
                      struct operation *operation);

#endif
