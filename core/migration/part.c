/* part.c - the part itself. See migration.h. */
#include "migration/departure.h"
#include "migration/migration.h"
#include "migration/mover.h"

static int migration_start(struct node *node, struct vios_error *error)
{
    int status = mover_start(&node->mover, node, error);
    return status == VIOS_OK ? departure_start(&node->departure, node, error) : status;
}

static void migration_stop(struct node *node, bool stop_guests)
{
    (void)stop_guests;
    departure_stop(node->departure);
    mover_stop(node->mover);
    node->departure = NULL;
    node->mover = NULL;
}

const struct part migration_part = {
    .name = "migration",
    .start = migration_start,
    .stop = migration_stop,
};
