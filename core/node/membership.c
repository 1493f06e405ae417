/* membership.c - see membership.h: what founding, joining and admitting share. */
#include "node/membership.h"

#include "base/clock.h"
#include "base/json.h"
#include "node/members.h"

#include <stdio.h>

void membership_run_dir(const struct node *node, char *text, size_t size)
{
    snprintf(text, size, "unix:%s", node->run_dir);
}

char *membership_record(const char *name, const char *address, const char *run_dir,
                        const char *role, int64_t level, const char *serial)
{
    char since[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_ms(), since);
    json_t *record = json_pack("{s:i, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s}", "v", 1, "name",
                               name, "address", address, "role", role, "level", (json_int_t)level,
                               "nbd", run_dir, "state", "up", "since", since, "serial", serial);
    return json_into_text(record);
}

int membership_begin(struct node *node, struct operation *operation)
{
    return atomic_exchange(&node->changes_cluster, true)
               ? operation_fail(operation, VIOS_E_LOCKED, "this node", "wait for its end",
                                "it founds or joins a cluster already")
               : VIOS_OK;
}

void membership_end(struct node *node)
{
    atomic_store(&node->changes_cluster, false);
}
