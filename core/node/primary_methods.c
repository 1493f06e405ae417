/* primary_methods.c - primary.*, cluster.matrix and cluster.simulate: this node's agent, asked. */
#include "base/clock.h"
#include "base/json.h"
#include "node/driver.h"
#include "node/job_methods.h"
#include "node/method.h"
#include "node/node.h"
#include "node/others.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HAND_OVER_MS 30000 /* until somebody else is primary */

/* One object or list that `view` makes of the agent. */
static int show(struct call *call, json_t *(*view)(const struct agent *agent, int64_t now_ms),
                json_t **result, struct operation *operation)
{
    int64_t now_ms;
    const struct agent *agent = driver_lock(call->node->driver, &now_ms);
    *result = view(agent, now_ms);
    driver_unlock(call->node->driver);
    return *result ? VIOS_OK : operation_no_memory(operation, NULL);
}

static int primary_show(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    (void)parameters;
    return show(call, agent_show_primary, result, operation);
}

static int primary_explain(struct call *call, const json_t *parameters, json_t **result,
                           struct operation *operation)
{
    (void)parameters;
    return show(call, agent_explain_primary, result, operation);
}

static json_t *history(const struct agent *agent, int64_t now_ms)
{
    (void)now_ms;
    return agent_show_history(agent);
}

static int primary_history(struct call *call, const json_t *parameters, json_t **result,
                           struct operation *operation)
{
    (void)parameters;
    return show(call, history, result, operation);
}

/* Until another node is primary; the error at the deadline says where to look. */
static int await_successor(struct node *node, struct operation *operation)
{
    struct operation wait;
    operation_start(&wait, HAND_OVER_MS, operation->cancel);
    int status = driver_await_primary(node->driver, node->name, &wait);
    operation->error = wait.error;
    return status != VIOS_E_TIMEOUT
               ? status
               : operation_fail(operation, status, "primary",
                                "see \"vios primary explain\" on the other nodes",
                                "no other node was elected in %d s", HAND_OVER_MS / 1000);
}

static int primary_resign(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation)
{
    const char *to = json_get_text(parameters, "to");
    struct node *node = call->node;
    char primary[NAME_MAX_LENGTH + 1];
    int64_t now_ms;
    others_primary(node, primary);
    if (primary[0] && !strchr(call->actor, '@')) { /* forwarded once: it may have changed again */
        return others_pass(call, primary, "primary.resign", parameters, result, operation);
    }
    struct agent *agent = driver_lock(node->driver, &now_ms);
    int status = agent_resign(agent, to, &operation->error);
    agent_tick(agent, now_ms, clock_wall_ms()); /* at once */
    driver_unlock(node->driver);
    if (status == VIOS_OK) {
        status = await_successor(node, operation);
    }
    return status == VIOS_OK ? show(call, agent_show_primary, result, operation) : status;
}

static int cluster_matrix(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation)
{
    (void)parameters;
    return show(call, agent_show_matrix, result, operation);
}

static int cluster_simulate(struct call *call, const json_t *parameters, json_t **result,
                            struct operation *operation)
{
    int64_t now_ms;
    const struct agent *agent = driver_lock(call->node->driver, &now_ms);
    int status = agent_simulate_split(agent, json_object_get(parameters, "sides"), now_ms, result,
                                      &operation->error);
    driver_unlock(call->node->driver);
    return status;
}

static const struct method METHODS[] = {
    {"primary.show", "", ROLE_VIEWER, 0, primary_show},
    {"primary.explain", "", ROLE_VIEWER, 0, primary_explain},
    {"primary.history", "", ROLE_VIEWER, 0, primary_history},
    {"primary.resign", "to:node?", ROLE_ADMIN, METHOD_CHANGES | METHOD_LASTS, primary_resign},
    {"cluster.matrix", "", ROLE_VIEWER, 0, cluster_matrix},
    {"cluster.simulate", "sides:list", ROLE_VIEWER, 0, cluster_simulate},
};

const struct method_group primary_methods = {METHODS, sizeof METHODS / sizeof METHODS[0]};
