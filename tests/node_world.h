/* node_world.h - the node of a unit test, its store, and jobs on it. */
#ifndef TESTS_NODE_WORLD_H
#define TESTS_NODE_WORLD_H

#include "job/job.h"
#include "node/node.h"
#include "store/store.h"
#include "tests/tap.h"

static struct node node = {.name = "n1", .cluster = "c", .incarnation = 1};
static char address[192]; /* of its store */

/* A new, empty store in the file `path`, which the node has from now on. */
__attribute__((unused)) static void make_store(const char *path)
{
    struct operation operation;
    struct store *store;
    store_pool_free(node.stores);
    snprintf(address, sizeof address, "sqlite:%s", path);
    node.stores = store_pool_new(address);
    operation_start(&operation, 10000, NULL);
    if (store_open(&store, address, true, &operation) != VIOS_OK) {
        printf("# %s\n", operation.error.message);
        exit(1);
    }
    store_close(store);
}

/* node_store_return() it. */
__attribute__((unused)) static struct store *open_store(struct operation *operation)
{
    struct store *store = NULL;
    operation_start(operation, 10000, NULL);
    if (node_store(&node, &store, operation) != VIOS_OK) {
        printf("# %s\n", operation->error.message);
        exit(1);
    }
    return store;
}

/* `json` NULL: it is deleted. */
__attribute__((unused)) static void put(const char *key, const char *json)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    struct store_change change = {key, json};
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_OK);
    node_store_return(&node, store);
}

/* Runs a job to its end, by an engine of its own. `result` may be NULL. */
__attribute__((unused)) static int run_job(const struct job_kind *kind, json_t *data,
                                           json_t **result, struct operation *operation)
{
    char id[JOB_ID_SIZE];
    json_t *ignored = NULL;
    operation_start(operation, 60000, NULL);
    int status =
        jobs_start(&node.jobs, address, "n1", node.incarnation, &kind, 1, &node, &operation->error);
    if (status < 0) {
        json_decref(data);
        return status;
    }
    status = job_submit(node.jobs, kind, "it", data, NULL, id, operation);
    if (status == VIOS_OK) {
        status = job_wait(node.jobs, id, NULL, NULL, result ? result : &ignored, operation);
    }
    json_decref(ignored);
    jobs_stop(node.jobs);
    node.jobs = NULL;
    return status;
}

#endif
