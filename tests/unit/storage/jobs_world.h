/* jobs_world.h - one node, a repository and a store, for the jobs of pools and LUs. */
#ifndef TESTS_UNIT_STORAGE_JOBS_WORLD_H
#define TESTS_UNIT_STORAGE_JOBS_WORLD_H

#include "storage/jobs.h"
#include "storage/lu_store.h"
#include "storage/pool_folder.h"
#include "storage/repository.h"
#include "tests/job_crash.h"
#include "tests/node_world.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#define CLUSTER_UUID "99999999-2222-4333-8444-555555555555"
#define POOL_UUID "88888888-2222-4333-8444-555555555555"

static char world[96];

__attribute__((unused)) static size_t count_keys(const char *prefix)
{
    struct operation operation;
    struct store_list list = {0};
    struct store *store = open_store(&operation);
    is_int(store_list(store, prefix, &list, NULL, &operation), VIOS_OK);
    size_t count = list.count;
    store_list_clear(&list);
    node_store_return(&node, store);
    return count;
}

__attribute__((unused)) static void end_world(void)
{
    store_pool_free(node.stores);
    config_free(node.config);
}

/* A new world without a pool. */
__attribute__((unused)) static const char *make_world(void)
{
    static int count;
    char path[128];
    snprintf(world, sizeof world, "%s/w%d", tap_folder(), count++);
    snprintf(path, sizeof path, "%s/db", world);
    mkdir(world, 0700);
    make_store(path);
    config_free(node.config);
    node.config = config_new();
    is_int(config_set(node.config, "repository", world, NULL), VIOS_OK);
    put("/cluster", "{\"v\":1,\"name\":\"c\",\"uuid\":\"" CLUSTER_UUID "\"}");
    return address;
}

/* With the pool p1. */
__attribute__((unused)) static const char *make_pool_world(void)
{
    const struct pool pool = {.name = "p1", .uuid = POOL_UUID};
    struct vios_error error = {0};
    make_world();
    char *json = pool_format(&pool);
    put("/pool/p1", json);
    free(json);
    ok(pool_folder_make(&node, &pool, &error) == VIOS_OK, "%s", error.message);
    return address;
}

/* The records of an LU of p1, and its file, an empty one; close() that. */
__attribute__((unused)) static int put_lu(const struct lu *lu)
{
    char key[STORE_KEY_MAX], record[64], path[256];
    char *json = lu_format(lu, NULL);
    put(lu_key(lu->udid, key), json);
    put(lu_name_key(lu, key), lu_name_record(lu, record));
    free(json);
    snprintf(path, sizeof path, "%s/pools/p1/lu/%s", world, lu->file);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    is_int(ftruncate(fd, (off_t)lu->size_bytes), 0);
    return fd;
}

static int counted;

static int count_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)path, (void)status, (void)kind;
    counted += where->level > 0;
    return 0;
}

/* How many files and folders lie in this folder of the world. */
__attribute__((unused)) static int count_files(const char *folder)
{
    char path[256];
    counted = 0;
    snprintf(path, sizeof path, "%s/%s", world, folder);
    nftw(path, count_one, 8, FTW_PHYS);
    return counted;
}

#endif
