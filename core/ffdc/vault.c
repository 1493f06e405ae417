/* vault.c - see vault.h. An errand has copies of all that it needs, for it may be given up. */
#include "ffdc/vault.h"

#include "base/file.h"
#include "base/json.h"
#include "storage/repository.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OBJECT "repository"
#define COPY_SIZE ((size_t)256 * 1024)

struct errand {
    atomic_int holders;
    struct vault vault;
    int (*act)(struct errand *errand, int folder, struct operation *operation);
    char folder[PATH_MAX]; /* below the repository, where it is to be done */
    char name[MANIFEST_FILE_SIZE];
    char source[PATH_MAX];
    char *text;
    uint64_t size_bytes; /* found */
    char digest[BUNDLE_DIGEST_SIZE];
};

/* --- where it is --- */

static int read_cluster(struct store *store, struct vault *vault, struct operation *operation)
{
    json_t *cluster = NULL;
    struct store_list pools = {0};
    int status = node_record(store, "/cluster", &cluster, NULL, operation);
    if (status == VIOS_OK) {
        status = store_list(store, "/pool/", &pools, NULL, operation);
    }
    if (status == VIOS_OK &&
        (!json_read_text(cluster, "name", vault->cluster, sizeof vault->cluster) ||
         !json_read_text(cluster, "uuid", vault->uuid, sizeof vault->uuid))) {
        status = operation_fail(operation, VIOS_E_CORRUPT, "/cluster", "look at it with db get",
                                "it has no name or no uuid");
    }
    vault->make = pools.count == 0;
    store_list_clear(&pools);
    json_decref(cluster);
    return status;
}

int vault_find(struct node *node, struct vault *vault, struct operation *operation)
{
    const char *path;
    struct store *store = NULL;
    int status = repository_path(node, OBJECT, &path, &operation->error);
    if (status != VIOS_OK) {
        return status;
    }
    snprintf(vault->path, sizeof vault->path, "%s", path);
    status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = read_cluster(store, vault, operation);
        node_store_return(node, store);
    }
    return status;
}

/* --- errands --- */

static void release(void *context)
{
    struct errand *errand = context;
    if (atomic_fetch_sub(&errand->holders, 1) == 1) {
        free(errand->text);
        free(errand);
    }
}

static struct errand *errand_new(const struct vault *vault, const char *correlator,
                                 const char *node, struct operation *operation)
{
    struct errand *errand = calloc(1, sizeof *errand);
    if (!errand) {
        operation_no_memory(operation, OBJECT);
        return NULL;
    }
    atomic_init(&errand->holders, 2);
    errand->vault = *vault;
    snprintf(errand->folder, sizeof errand->folder, VAULT_FOLDER "/%s%s%s", correlator,
             node ? "/" : "", node ? node : "");
    return errand;
}

/* On its thread: the repository is there and is ours, and so is the folder. */
static int check_marker(const struct vault *vault, int folder, struct vios_error *error)
{
    char *text = NULL;
    size_t size;
    int status = file_read(folder, REPOSITORY_MARKER, REPOSITORY_MARKER_MAX, &text, &size, error);
    if (status == VIOS_OK) {
        status = repository_check_marker(text, vault->uuid, error);
    } else if (status == VIOS_E_NOT_FOUND && vault->make) {
        status = repository_write_marker(folder, vault->cluster, vault->uuid, error);
    } else if (status == VIOS_E_NOT_FOUND) {
        status = error_set(error, VIOS_E_INVALID, OBJECT, "mount its file system there",
                           "it is not mounted on this node");
    }
    free(text);
    return status;
}

static int open_below(struct errand *errand, int *folder, struct vios_error *error)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", errand->vault.path, errand->folder);
    int status = file_make_folders(path, 0700, error);
    if (status == VIOS_OK) {
        *folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        status = *folder < 0 ? error_set_errno(error, OBJECT, "cannot open %.200s", path) : VIOS_OK;
    }
    return status;
}

static int do_errand(void *context, struct operation *operation)
{
    struct errand *errand = context;
    int folder = -1;
    int root = open(errand->vault.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = root < 0 ? error_set_errno(&operation->error, OBJECT, "cannot open it")
                          : check_marker(&errand->vault, root, &operation->error);
    if (status == VIOS_OK) {
        status = open_below(errand, &folder, &operation->error);
    }
    if (status == VIOS_OK) {
        status = errand->act(errand, folder, operation);
    }
    if (folder >= 0) {
        close(folder);
    }
    if (root >= 0) {
        close(root);
    }
    return status;
}

static int run(struct limited *limited, struct errand *errand, struct operation *operation)
{
    struct limited_work work = {.name = "ffdc-vault",
                                .limit_ms = VAULT_LIMIT_MS,
                                .run = do_errand,
                                .release = release,
                                .context = errand};
    return limited_run(limited, &work, operation);
}

/* --- putting --- */

static int copy_all(int from, int to, struct operation *operation)
{
    char *data = malloc(COPY_SIZE);
    ssize_t got = 1;
    int status = data ? VIOS_OK : operation_no_memory(operation, OBJECT);
    while (status == VIOS_OK && got > 0) {
        got = read(from, data, COPY_SIZE);
        status = got < 0 ? error_set_errno(&operation->error, OBJECT, "cannot read the bundle")
                         : file_write_all(to, data, (size_t)got, &operation->error);
        status = status == VIOS_OK ? operation_check(operation) : status;
    }
    free(data);
    return status;
}

static int publish(struct errand *errand, int folder, int to, const char *temporary,
                   struct vios_error *error)
{
    if (fsync(to) != 0 || renameat(folder, temporary, folder, errand->name) != 0 ||
        fsync(folder) != 0) {
        return error_set_errno(error, OBJECT, "cannot finish the bundle");
    }
    return VIOS_OK;
}

static int act_put(struct errand *errand, int folder, struct operation *operation)
{
    char temporary[MANIFEST_FILE_SIZE + 8];
    snprintf(temporary, sizeof temporary, ".%s.tmp", errand->name);
    int from = open(errand->source, O_RDONLY | O_CLOEXEC);
    int to = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int status = from < 0 || to < 0
                     ? error_set_errno(&operation->error, OBJECT, "cannot make the bundle")
                     : copy_all(from, to, operation);
    if (status == VIOS_OK) {
        status = publish(errand, folder, to, temporary, &operation->error);
    }
    if (status != VIOS_OK && to >= 0) {
        unlinkat(folder, temporary, 0);
    }
    if (from >= 0) {
        close(from);
    }
    if (to >= 0) {
        close(to);
    }
    return status;
}

int vault_put(struct limited *limited, const struct vault *vault, const struct manifest *manifest,
              const char *node, const char *source, struct operation *operation)
{
    struct errand *errand = errand_new(vault, manifest->correlator, node, operation);
    if (!errand) {
        return operation->error.code;
    }
    errand->act = act_put;
    manifest_file(manifest, errand->name);
    snprintf(errand->source, sizeof errand->source, "%s", source);
    int status = run(limited, errand, operation);
    release(errand);
    return status;
}

static int act_put_text(struct errand *errand, int folder, struct operation *operation)
{
    return file_replace(folder, MANIFEST_NAME, errand->text, strlen(errand->text), 0600,
                        &operation->error);
}

int vault_put_manifest(struct limited *limited, const struct vault *vault,
                       const struct manifest *manifest, struct operation *operation)
{
    struct errand *errand = errand_new(vault, manifest->correlator, NULL, operation);
    if (!errand) {
        return operation->error.code;
    }
    errand->act = act_put_text;
    errand->text = manifest_format(manifest);
    if (!errand->text) {
        release(errand);
        release(errand);
        return operation_no_memory(operation, OBJECT);
    }
    int status = run(limited, errand, operation);
    release(errand);
    return status;
}

/* --- looking, removing --- */

static int act_look(struct errand *errand, int folder, struct operation *operation)
{
    int fd = openat(folder, errand->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int status = fd < 0 ? error_set_errno(&operation->error, OBJECT, "cannot open the bundle")
                        : bundle_digest(fd, errand->digest, &errand->size_bytes, &operation->error);
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

int vault_look(struct limited *limited, const struct vault *vault, const struct manifest *manifest,
               const char *node, struct manifest_node *entry, struct operation *operation)
{
    struct errand *errand = errand_new(vault, manifest->correlator, node, operation);
    if (!errand) {
        return operation->error.code;
    }
    errand->act = act_look;
    manifest_file(manifest, errand->name);
    int status = run(limited, errand, operation);
    if (status == VIOS_OK) {
        entry->size_bytes = errand->size_bytes;
        memcpy(entry->digest, errand->digest, sizeof entry->digest);
    }
    release(errand);
    return status;
}

static int act_remove(struct errand *errand, int folder, struct operation *operation)
{
    char path[2 * PATH_MAX];
    (void)folder;
    snprintf(path, sizeof path, "%s/%s", errand->vault.path, errand->folder);
    return file_remove_tree(path, &operation->error);
}

int vault_remove(struct limited *limited, const struct vault *vault, const char *correlator,
                 struct operation *operation)
{
    struct errand *errand = errand_new(vault, correlator, NULL, operation);
    if (!errand) {
        return operation->error.code;
    }
    errand->act = act_remove;
    int status = run(limited, errand, operation);
    release(errand);
    return status;
}
