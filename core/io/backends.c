/* backends.c - see the header. */
#include "io/backends.h"

#include "base/json.h"
#include "base/parse.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int malformed(const char *name, const json_error_t *json_error, struct vios_error *error)
{
    return error_set(error, VIOS_E_USAGE, name, "see core/io/PROTOCOL.md", "%s", json_error->text);
}

static struct worker *next_home(struct io *io)
{
    return io->workers[io->next_home++ % io->worker_count];
}

static int check_name(const char *name, struct vios_error *error)
{
    size_t length = strlen(name);
    bool good = length > 0 && length < sizeof((struct nbd_export *)0)->name;
    for (size_t i = 0; good && i < length; i++) {
        good = isgraph((unsigned char)name[i]);
    }
    return good ? VIOS_OK
                : error_set(error, VIOS_E_USAGE, name, "write 1 to 159 visible characters",
                            "no good name for an export");
}

/* --- files --- */

static int export_file(struct io *io, const char *name, const char *lpar, const json_t *backend,
                       bool shared, int *fd, struct nbd_export **export, struct vios_error *error)
{
    struct file_configuration file = {.name = name, .lpar = lpar, .fd = *fd, .shared = shared};
    const char *kind;
    int direct = 0, gated = 0, read_only = 0;
    json_error_t json_error;
    if (json_unpack_ex((json_t *)backend, &json_error, 0, "{s:s, s:s, s?b, s?b, s?b !}", "kind",
                       &kind, "path", &file.path, "direct", &direct, "gated", &gated, "read_only",
                       &read_only) != 0) {
        return malformed(name, &json_error, error);
    }
    file.direct = direct;
    file.gated = gated;
    file.read_only = read_only;
    int status = file_backend_open(export, &file, io->pool, io->gate, next_home(io), error);
    if (status == VIOS_OK) {
        *fd = -1;
    }
    return status;
}

/* --- pagers --- */

static int read_replica(const json_t *json, struct pager_replica *replica, struct vios_error *error)
{
    const char *node, *address;
    json_error_t json_error;
    if (json_unpack_ex((json_t *)json, &json_error, 0, "{s:s, s:s !}", "node", &node, "address",
                       &address) != 0) {
        return malformed("replica", &json_error, error);
    }
    if (strlen(address) >= sizeof replica->address) {
        return error_set(error, VIOS_E_USAGE, address, "use a shorter run_dir",
                         "the address is longer than %zu bytes", sizeof replica->address - 1);
    }
    snprintf(replica->node, sizeof replica->node, "%s", node);
    snprintf(replica->address, sizeof replica->address, "%s", address);
    return parse_name(node, "node", error);
}

static int read_region(const json_t *json, struct pager_region *region, struct vios_error *error)
{
    json_int_t index, number, offset, size_bytes;
    json_t *replicas;
    json_error_t json_error;
    if (json_unpack_ex((json_t *)json, &json_error, 0, "{s:I, s:I, s:I, s:I, s:o !}", "index",
                       &index, "number", &number, "offset", &offset, "size_bytes", &size_bytes,
                       "replicas", &replicas) != 0) {
        return malformed("region", &json_error, error);
    }
    if (index < 0 || index >= PAGER_REGIONS_MAX || number < 0 || offset < 0 || size_bytes <= 0 ||
        !json_is_array(replicas) || json_array_size(replicas) > PAGER_REPLICAS_MAX) {
        return error_set(error, VIOS_E_USAGE, "region", NULL, "a number is out of its range");
    }
    *region = (struct pager_region){
        .index = (uint32_t)index,
        .number = (uint64_t)number,
        .offset = (uint64_t)offset,
        .size_bytes = (uint64_t)size_bytes,
        .replica_count = json_array_size(replicas),
    };
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < region->replica_count; i++) {
        status = read_replica(json_array_get(replicas, i), &region->replicas[i], error);
    }
    return status;
}

/* *regions is the caller's. NULL or null: none. */
static int read_regions(const json_t *json, struct pager_region **regions, size_t *count,
                        struct vios_error *error)
{
    *regions = NULL;
    *count = json_array_size(json);
    if (json && !json_is_null(json) && !json_is_array(json)) {
        return error_set(error, VIOS_E_USAGE, "regions", NULL, "regions is no array");
    }
    if (*count > PAGER_REGIONS_MAX) {
        return error_set(error, VIOS_E_USAGE, "regions", NULL, "more than %d regions",
                         PAGER_REGIONS_MAX);
    }
    *regions = calloc(*count + 1, sizeof **regions);
    if (!*regions) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the regions");
    }
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < *count; i++) {
        status = read_region(json_array_get(json, i), &(*regions)[i], error);
    }
    return status;
}

static int read_policy(const char *text, enum pager_policy *policy, struct vios_error *error)
{
    static const char *const names[] = {"mirror", "single", "disk"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *policy = (enum pager_policy)i;
            return VIOS_OK;
        }
    }
    return error_set(error, VIOS_E_USAGE, text, "write mirror, single or disk", "no such policy");
}

static void replica_changed(void *context, const char *lpar, uint32_t region, uint64_t number,
                            const char *node, const char *state, const char *why)
{
    struct io *io = context;
    events_publish(io->events,
                   json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s}", "event", "replica", "lpar",
                             lpar, "region", (json_int_t)region, "number", (json_int_t)number,
                             "node", node, "state", state, "why", why ? why : ""));
}

static int check_pager_room(struct io *io, struct vios_error *error)
{
    size_t count, pagers = 0;
    struct nbd_export **all = exports_all(io->exports, &count);
    for (size_t i = 0; i < count; i++) {
        pagers += pager_is(all[i]) != 0;
        exports_release(all[i]);
    }
    free(all);
    return pagers < PAGERS_MAX ? VIOS_OK
                               : error_set(error, VIOS_E_NO_SPACE, "pager", NULL,
                                           "there are %d pagers already", PAGERS_MAX);
}

static int export_pager(struct io *io, const char *name, const char *lpar, const json_t *backend,
                        int state_fd, struct nbd_export **export, struct vios_error *error)
{
    const char *kind, *policy;
    json_int_t generation, size_bytes;
    json_t *disk_json = NULL, *regions_json = NULL;
    json_error_t json_error;
    if (json_unpack_ex((json_t *)backend, &json_error, 0, "{s:s, s:I, s:I, s:s, s?o, s?o !}",
                       "kind", &kind, "generation", &generation, "size_bytes", &size_bytes,
                       "policy", &policy, "disk", &disk_json, "regions", &regions_json) != 0) {
        return malformed(name, &json_error, error);
    }
    if (generation < 0 || size_bytes <= 0) {
        return error_set(error, VIOS_E_USAGE, name, NULL, "a number is out of its range");
    }
    struct pager_region *regions = NULL;
    struct pager_configuration pager = {
        .name = name,
        .lpar = lpar,
        .generation = (uint64_t)generation,
        .size_bytes = (uint64_t)size_bytes,
        .disk = json_string_value(disk_json),
        .tls = peers_tls(io->peers),
    };
    struct pager_hooks hooks = {replica_changed, io};
    int status = read_policy(policy, &pager.policy, error);
    if (status == VIOS_OK) {
        status = read_regions(regions_json, &regions, &pager.region_count, error);
    }
    if (status == VIOS_OK) {
        status = check_pager_room(io, error);
    }
    pager.regions = regions;
    if (status == VIOS_OK) {
        status = pager_open(export, &pager, state_fd, next_home(io), &hooks, error);
    }
    free(regions);
    return status;
}

/* --- both --- */

/* The members that may change afterwards (claim, regions) do not make another back end. */
static bool same_backend(const json_t *one, const json_t *other)
{
    json_t *left = json_copy((json_t *)one), *right = json_copy((json_t *)other);
    json_object_del(left, "generation");
    json_object_del(right, "generation");
    json_object_del(left, "regions");
    json_object_del(right, "regions");
    bool same = json_equal(left, right);
    json_decref(left);
    json_decref(right);
    return same;
}

/* VIOS_OK: it is there already. VIOS_E_NOT_FOUND: it is not. */
static int find_equal(struct io *io, const char *name, const char *lpar, const json_t *backend,
                      struct vios_error *error)
{
    struct nbd_export *export = exports_get(io->exports, name);
    if (!export) {
        return VIOS_E_NOT_FOUND;
    }
    json_t *there = exports_backend(io->exports, export);
    bool same = there && strcmp(export->lpar, lpar) == 0 && same_backend(there, backend);
    json_decref(there);
    exports_release(export);
    return same ? VIOS_OK
                : error_set(error, VIOS_E_EXISTS, name, "drop it first",
                            "it is there with another back end");
}

/* Never served: its back end is closed at its home. */
struct discarded {
    struct task task;
    struct nbd_export *export;
};

static void discard_there(struct task *task)
{
    struct discarded *discarded = (struct discarded *)task;
    discarded->export->operations->close(discarded->export, NULL);
    free(discarded);
}

static void discard(struct nbd_export *export)
{
    struct discarded *discarded = calloc(1, sizeof *discarded);
    if (discarded) { /* else it leaks, when there is no memory anyway */
        discarded->task.run = discard_there;
        discarded->export = export;
        worker_post(export->home, &discarded->task);
    }
}

int backend_export(struct io *io, const char *name, const char *lpar, const json_t *backend,
                   struct backend_options options, int *fd, struct vios_error *error)
{
    const char *kind = json_get_text(backend, "kind");
    struct nbd_export *export = NULL;
    int status = check_name(name, error);
    if (status == VIOS_OK && lpar[0]) {
        status = parse_uuid(lpar, error);
    }
    if (status != VIOS_OK) {
        return status;
    }
    status = options.replace ? VIOS_E_NOT_FOUND : find_equal(io, name, lpar, backend, error);
    if (status != VIOS_E_NOT_FOUND) {
        return status;
    }
    if (kind && strcmp(kind, "file") == 0) {
        status = export_file(io, name, lpar, backend, options.shared, fd, &export, error);
    } else if (kind && strcmp(kind, "pager") == 0) {
        status = export_pager(io, name, lpar, backend, *fd, &export, error);
    } else {
        status =
            error_set(error, VIOS_E_USAGE, name, "write file or pager", "no such kind of back end");
    }
    if (status != VIOS_OK) {
        return status;
    }
    json_t *copy = json_deep_copy(backend);
    status = options.replace ? exports_replace(io->exports, export, copy, error)
                             : exports_add(io->exports, export, copy, error);
    if (status != VIOS_OK) {
        discard(export);
        json_decref(copy);
    }
    return status;
}

/* Calls `change` for each pager of the LPAR; the first failure ends it. */
static int for_each_pager(struct io *io, const char *lpar,
                          int (*change)(struct io *io, struct nbd_export *export, void *context,
                                        struct vios_error *error),
                          void *context, struct vios_error *error)
{
    size_t count;
    int status = VIOS_OK;
    struct nbd_export **all = exports_all(io->exports, &count);
    if (!all) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the exports");
    }
    for (size_t i = 0; i < count; i++) {
        if (status == VIOS_OK && pager_is(all[i]) && strcmp(all[i]->lpar, lpar) == 0) {
            status = change(io, all[i], context, error);
        }
        exports_release(all[i]);
    }
    free(all);
    return status;
}

/* Keeps how the export was asked for up to date, for a successor. */
static void remember(struct io *io, struct nbd_export *export, const char *member, json_t *value)
{
    json_t *before = exports_backend(io->exports, export);
    json_t *after = json_copy(before);
    json_object_set_new(after, member, value);
    exports_set_backend(io->exports, export, after);
    json_decref(before);
}

struct new_regions {
    const json_t *json;
    struct pager_region *regions;
    size_t count;
};

static int set_regions(struct io *io, struct nbd_export *export, void *context,
                       struct vios_error *error)
{
    struct new_regions *wanted = context;
    int status = pager_set_regions(export, wanted->regions, wanted->count, error);
    if (status == VIOS_OK) {
        remember(io, export, "regions", json_deep_copy(wanted->json));
    }
    return status;
}

int backend_set_regions(struct io *io, const char *lpar, const json_t *regions,
                        struct vios_error *error)
{
    struct new_regions wanted = {.json = regions};
    int status = read_regions(regions, &wanted.regions, &wanted.count, error);
    if (status == VIOS_OK) {
        status = for_each_pager(io, lpar, set_regions, &wanted, error);
    }
    free(wanted.regions);
    return status;
}

static int claim(struct io *io, struct nbd_export *export, void *context, struct vios_error *error)
{
    uint64_t generation = *(uint64_t *)context;
    int status = pager_claim(export, generation, error);
    if (status == VIOS_OK) {
        remember(io, export, "generation", json_integer((json_int_t)generation));
    }
    return status;
}

int backend_claim(struct io *io, const char *lpar, uint64_t generation, struct vios_error *error)
{
    return for_each_pager(io, lpar, claim, &generation, error);
}
