/* adoption.c - see adoption.h. */
#include "daemon/adoption.h"

#include "base/log.h"
#include "base/thread.h"
#include "node/driver.h"

#include <stdlib.h>

#define TRY_MS 10000 /* a look, and what it takes up */

struct adoption {
    struct node *node;
    struct runner runner;
};

static void *run(void *argument)
{
    struct adoption *adoption = argument;
    struct node *node = adoption->node;
    struct operation operation;
    uint64_t seen = 0;
    int status;
    do {
        operation_start(&operation, TRY_MS, adoption->runner.cancel);
        if (driver_term(node->driver, NULL) &&
            jobs_adopt_fenced(node->jobs, &operation) != VIOS_OK) {
            log_debug("job", "the jobs of fenced nodes: %s", operation.error.message);
        }
        operation_start(&operation, ADOPTION_LOOK_MS, adoption->runner.cancel);
        status = driver_await_change(node->driver, &seen, &operation);
    } while (status == VIOS_OK || status == VIOS_E_TIMEOUT);
    return NULL;
}

int adoption_start(struct adoption **adoption, struct node *node, struct vios_error *error)
{
    struct adoption *made = calloc(1, sizeof *made);
    *adoption = NULL;
    if (!made) {
        return error_no_memory(error, NULL);
    }
    made->node = node;
    int status = runner_start(&made->runner, "adoption", run, made, "jobs", error);
    if (status != VIOS_OK) {
        free(made);
        return status;
    }
    *adoption = made;
    return VIOS_OK;
}

void adoption_stop(struct adoption *adoption)
{
    if (adoption) {
        runner_stop(&adoption->runner);
        free(adoption);
    }
}
