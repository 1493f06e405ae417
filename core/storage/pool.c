/* pool.c - see pool.h. */
#include "storage/pool.h"

#include "base/file.h"
#include "base/json.h"
#include "storage/lu.h"
#include "storage/repository.h"
#include "store/missing.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define POOL_PREFIX "/pool/"
#define MARKER_MAX 4096 /* bytes */

static const char *const STATE_NAMES[] = {"ready", "making", "deleting"};

char *pool_object(const char *name, char text[96])
{
    snprintf(text, 96, "pool \"%.63s\"", name);
    return text;
}

char *pool_key(const char *name, char key[STORE_KEY_MAX])
{
    snprintf(key, STORE_KEY_MAX, POOL_PREFIX "%s", name);
    return key;
}

/* --- the record --- */

static bool read_state(const char *text, enum pool_state *state)
{
    for (int i = 0; text && i < 3; i++) {
        if (strcmp(text, STATE_NAMES[i]) == 0) {
            *state = (enum pool_state)i;
            return true;
        }
    }
    return false;
}

int pool_parse(const char *name, const char *text, struct pool *pool, struct vios_error *error)
{
    char object[96];
    const char *uuid = NULL, *state = NULL, *job = NULL;
    int version = 0, overcommit = 0;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    memset(pool, 0, sizeof *pool);
    bool good = json_unpack(json, "{s:i, s:s, s:s, s:i, s?s}", "v", &version, "uuid", &uuid,
                            "state", &state, "overcommit", &overcommit, "job", &job) == 0 &&
                version == 1 && parse_uuid(uuid, NULL) == VIOS_OK &&
                read_state(state, &pool->state) && overcommit >= 0 &&
                overcommit <= POOL_OVERCOMMIT_MAX && (!job || strlen(job) < sizeof pool->job) &&
                parse_name(name, "pool", NULL) == VIOS_OK;
    if (good) {
        snprintf(pool->name, sizeof pool->name, "%s", name);
        snprintf(pool->uuid, sizeof pool->uuid, "%s", uuid);
        snprintf(pool->job, sizeof pool->job, "%s", job ? job : "");
        pool->overcommit = overcommit;
    }
    json_decref(json);
    return good ? VIOS_OK
                : error_set(error, VIOS_E_CORRUPT, pool_object(name, object),
                            "look at it with db get", "its record is damaged");
}

char *pool_format(const struct pool *pool)
{
    json_t *json = json_pack("{s:i, s:s, s:s, s:i}", "v", 1, "uuid", pool->uuid, "state",
                             STATE_NAMES[pool->state], "overcommit", pool->overcommit);
    if (pool->job[0]) {
        json_object_set_new(json, "job", json_string(pool->job));
    }
    return json_into_text(json);
}

int pool_load_any(struct store *store, const char *name, struct pool *pool,
                  struct operation *operation)
{
    char key[STORE_KEY_MAX], object[96];
    struct store_value value = {0};
    int status = store_get(store, pool_key(name, key), &value, operation);
    if (status == VIOS_OK) {
        status = pool_parse(name, value.json, pool, &operation->error);
        pool->revision = value.revision;
    }
    store_value_clear(&value);
    return status == VIOS_E_NOT_FOUND ? operation_fail(operation, status, pool_object(name, object),
                                                       NULL, "there is no such pool")
                                      : status;
}

int pool_load(struct store *store, const char *name, struct pool *pool, struct operation *operation)
{
    int status = pool_load_any(store, name, pool, operation);
    if (status == VIOS_E_NOT_FOUND || (status == VIOS_OK && pool->state != POOL_READY)) {
        status =
            store_missing(store, POOL_PREFIX, "pool", name, "there is no such pool", operation);
    }
    return status;
}

int pool_choose(struct store *store, const char *name, struct pool *pool,
                struct operation *operation)
{
    struct store_list list;
    struct pool one;
    size_t found = 0;
    if (name) {
        return pool_load(store, name, pool, operation);
    }
    int status = store_list(store, POOL_PREFIX, &list, NULL, operation);
    for (size_t i = 0; status == VIOS_OK && i < list.count; i++) {
        status = pool_parse(list.values[i].key + strlen(POOL_PREFIX), list.values[i].json, &one,
                            &operation->error);
        if (status == VIOS_OK && one.state == POOL_READY) {
            *pool = one;
            pool->revision = list.values[i].revision;
            found++;
        }
    }
    store_list_clear(&list);
    if (status == VIOS_OK && found == 0) {
        status = operation_fail(operation, VIOS_E_NOT_FOUND, "pool", "make one: pool create NAME",
                                "there is no pool");
    } else if (status == VIOS_OK && found > 1) {
        status = operation_fail(operation, VIOS_E_USAGE, "pool", "give --pool NAME",
                                "there are %zu pools", found);
    }
    return status;
}

/* --- its folder --- */

int pool_path(const struct node *node, const char *pool, const char *below, char path[PATH_MAX],
              struct vios_error *error)
{
    char object[96];
    const char *repository;
    int status = repository_path(node, pool_object(pool, object), &repository, error);
    if (status < 0) {
        return status;
    }
    int length = snprintf(path, PATH_MAX, "%s/pools/%s%s%s", repository, pool, below ? "/" : "",
                          below ? below : "");
    return length < PATH_MAX - LU_FILE_SIZE
               ? VIOS_OK
               : error_set(error, VIOS_E_INVALID, pool_object(pool, object),
                           "mount the repository elsewhere", "its path is too long");
}

static int check_marker(const struct pool *pool, const char *text, struct vios_error *error)
{
    char object[96];
    const char *cluster = NULL, *uuid = NULL;
    json_t *json = json_loads(text, 0, NULL);
    int status = VIOS_OK;
    if (json_unpack(json, "{s:s, s:s}", "cluster", &cluster, "uuid", &uuid) != 0) {
        status = error_set(error, VIOS_E_INVALID, pool_object(pool->name, object),
                           "look at " POOL_MARKER " in its folder", "its marker is damaged");
    } else if (strcmp(uuid, pool->uuid) != 0) {
        status = error_set(
            error, VIOS_E_INVALID, pool_object(pool->name, object), "mount the right file system",
            "its folder has the marker of another pool, of cluster \"%.63s\"", cluster);
    }
    json_decref(json);
    return status;
}

int pool_check(const struct node *node, const struct pool *pool, struct vios_error *error)
{
    char path[PATH_MAX], object[96], *text = NULL;
    size_t size;
    int status = pool_path(node, pool->name, NULL, path, error);
    if (status < 0) {
        return status;
    }
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || file_read(folder, POOL_MARKER, MARKER_MAX, &text, &size, NULL) < 0) {
        status = error_set(error, VIOS_E_INVALID, pool_object(pool->name, object),
                           "mount its file system there",
                           "it is not mounted on this node: %.200s has no marker", path);
    } else {
        status = check_marker(pool, text, error);
    }
    free(text);
    if (folder >= 0) {
        close(folder);
    }
    return status;
}

int pool_space(const struct node *node, const char *pool, struct pool_space *space,
               struct vios_error *error)
{
    char path[PATH_MAX], object[96];
    struct statvfs info;
    int status = pool_path(node, pool, NULL, path, error);
    if (status < 0) {
        return status;
    }
    if (statvfs(path, &info) != 0) {
        return error_set_errno(error, pool_object(pool, object), "cannot ask for its space");
    }
    space->size_bytes = (uint64_t)info.f_blocks * info.f_frsize;
    space->free_bytes = (uint64_t)(geteuid() == 0 ? info.f_bfree : info.f_bavail) * info.f_frsize;
    return VIOS_OK;
}

static int no_space(const char *pool, const char *object, const char *what, uint64_t need,
                    uint64_t have, struct vios_error *error)
{
    char need_text[PARSE_SIZE_TEXT], have_text[PARSE_SIZE_TEXT];
    return error_set(error, VIOS_E_NO_SPACE, object, "give --pool, or remove LUs",
                     "no space in pool \"%.63s\" (need %s, %s %s)", pool,
                     size_format(need, need_text), what, size_format(have, have_text));
}

int pool_check_space(const struct node *node, const char *pool, uint64_t bytes, const char *object,
                     struct vios_error *error)
{
    struct pool_space space;
    int status = pool_space(node, pool, &space, error);
    return status == VIOS_OK && bytes > space.free_bytes
               ? no_space(pool, object, "free", bytes, space.free_bytes, error)
               : status;
}

/* What all LUs of the pool may grow to. */
static int count_promised(struct store *store, const char *pool, uint64_t *bytes,
                          struct operation *operation)
{
    struct store_list list;
    struct lu lu;
    *bytes = 0;
    int status = store_list(store, "/lu/", &list, NULL, operation);
    for (size_t i = 0; status == VIOS_OK && i < list.count; i++) {
        status = lu_parse(list.values[i].key + strlen("/lu/"), list.values[i].json, &lu,
                          &operation->error);
        *bytes += status == VIOS_OK && strcmp(lu.pool, pool) == 0 ? lu.size_bytes : 0;
    }
    store_list_clear(&list);
    return status;
}

int pool_check_promise(const struct node *node, struct store *store, const struct pool *pool,
                       uint64_t bytes, const char *object, struct operation *operation)
{
    struct pool_space space;
    uint64_t before;
    if (pool->overcommit == 0) {
        return VIOS_OK;
    }
    int status = pool_space(node, pool->name, &space, &operation->error);
    if (status == VIOS_OK) {
        status = count_promised(store, pool->name, &before, operation);
    }
    if (status < 0) {
        return status;
    }
    uint64_t most = space.size_bytes / 100 * (uint64_t)pool->overcommit;
    uint64_t left = before < most ? most - before : 0;
    return bytes > left ? no_space(pool->name, object, "its overcommit leaves", bytes, left,
                                   &operation->error)
                        : VIOS_OK;
}
