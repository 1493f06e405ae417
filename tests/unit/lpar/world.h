/*
 * world.h - a node with guests, an io that says yes, and a repository whose pool "p1" is on an XFS
 * that clones, where its user may mount one.
 */
#ifndef TESTS_LPAR_WORLD_H
#define TESTS_LPAR_WORLD_H

#include "base/guests.h"
#include "lpar/guest.h"
#include "tests/loop_mount.h"
#include "tests/node_world.h"
#include "tests/unit/lpar/no_members.h"

static char repository[128], pool_folder[160], run_dir[128];
static bool have_clones; /* the pool is on a file system that clones */
static bool is_mounted;  /* it is on one of its own */

int io_client_call(struct io_client *client, json_t *request, const int *descriptors,
                   size_t descriptor_count, json_t **answer, struct operation *operation)
{
    (void)client, (void)descriptors, (void)descriptor_count, (void)operation;
    if (answer) {
        *answer = json_object();
    }
    json_decref(request);
    return VIOS_OK;
}

int io_client_fetch(struct io_client *client, json_t *request, int *descriptor,
                    struct operation *operation)
{
    (void)client, (void)operation;
    json_decref(request);
    *descriptor = -1;
    return VIOS_E_UNREACHABLE;
}

/* Puts the pool on a new file system. False, and it is a folder: its user may not mount one. */
static bool world_mount(const char *make)
{
    if (is_mounted) {
        loop_unmount(pool_folder);
    }
    is_mounted = loop_mount(pool_folder, make);
    mkdir(pool_folder, 0700);
    return is_mounted;
}

static void world_begin(void)
{
    char parent[160];
    snprintf(repository, sizeof repository, "%s/r", tap_folder());
    snprintf(run_dir, sizeof run_dir, "%s/run", tap_folder());
    snprintf(pool_folder, sizeof pool_folder, "%s/pools/p1", repository);
    snprintf(parent, sizeof parent, "%s/pools", repository);
    mkdir(repository, 0700);
    mkdir(parent, 0700);
    mkdir(run_dir, 0700);
    node.run_dir = run_dir;
    node.config = config_new();
    is_int(guests_new(&node.guests, NULL), VIOS_OK);
    is_int(config_set(node.config, "repository", repository, NULL), VIOS_OK);
    have_clones = world_mount(LOOP_XFS);
}

static void world_end(void)
{
    lpars_close(node.lpars);
    store_pool_free(node.stores);
    config_free(node.config);
    guests_free(node.guests);
    if (is_mounted) {
        loop_unmount(pool_folder);
    }
}

/* A new store, and no guests; what is in the pool stays. */
static void world_new(void)
{
    static int count;
    char path[160];
    struct vios_error error;
    lpars_close(node.lpars);
    node.lpars = NULL;
    snprintf(path, sizeof path, "%s/db%d", tap_folder(), count++);
    make_store(path);
    if (lpars_open(&node.lpars, &node, &error) != VIOS_OK) {
        printf("# %s\n", error.message);
        exit(1);
    }
}

#endif
