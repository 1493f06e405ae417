/* handover.c - see the header. */
#include "io/handover.h"

#include "base/json.h"
#include "base/log.h"
#include "io/backends.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A duplicate: the original may be closed before the answer has left. */
static int lend(struct control_message *answer, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy >= 0) {
        answer->fds[answer->fd_count++] = copy;
    }
    return copy;
}

/* `next` is NULL after the last batch. */
static int answer_with(struct control_message *answer, const char *what, json_t *description,
                       const char *next)
{
    answer->json =
        json_pack("{s:s, s:o, s:s*}", "what", what, "description", description, "next", next);
    return VIOS_OK;
}

/* --- giving --- */

static int give_listeners(struct io *io, const char *after, struct control_message *answer,
                          struct vios_error *error)
{
    json_t *list;
    bool more;
    int status =
        listeners_give(io->listeners, after, HANDOVER_BATCH_MAX, answer->fds, &list, &more, error);
    if (status != VIOS_OK) {
        return status;
    }
    size_t count = answer->fd_count = json_array_size(list);
    json_t *last = count > 0 ? json_object_get(json_array_get(list, count - 1), "path") : NULL;
    return answer_with(answer, "listeners", json_pack("{s:o}", "listeners", list),
                       more ? json_string_value(last) : NULL);
}

static int give_arena(struct io *io, const char *after, struct control_message *answer,
                      struct vios_error *error)
{
    struct page_memory *memory = io_page_memory(io, -1, error);
    struct stat status;
    (void)after; /* there is one only */
    if (!memory) {
        return error->code;
    }
    int fd = page_memory_descriptor(memory);
    if (fd < 0 || fstat(fd, &status) != 0) {
        return error_set_errno(error, "arena", "fstat");
    }
    if (lend(answer, fd) < 0) {
        return error_set_errno(error, "arena", "dup");
    }
    return answer_with(answer, "arena",
                       json_pack("{s:I}", "size_bytes", (json_int_t)io->page_memory_bytes), NULL);
}

static const char *serving(const struct nbd_export *export)
{
    return export->state == EXPORT_STANDBY ? "standby" : "open";
}

/* How a successor makes this export again; NULL with VIOS_OK: it need not, because page memory's
 * exports come out of the arena. */
static int describe_export(struct io *io, struct nbd_export *export, struct control_message *answer,
                           json_t **description, struct vios_error *error)
{
    json_t *backend = exports_backend(io->exports, export);
    json_t *descriptor = json_null();
    *description = NULL;
    if (!backend) {
        return VIOS_OK;
    }
    if (pager_is(export)) {
        descriptor = json_integer((json_int_t)answer->fd_count);
        if (lend(answer, pager_state_descriptor(export)) < 0) {
            json_decref(descriptor);
            json_decref(backend);
            return error_set_errno(error, export->name, "cannot copy its state's descriptor");
        }
    }
    *description =
        json_pack("{s:s, s:s, s:s, s:o, s:o}", "name", export->name, "lpar", export->lpar,
                  "serving", serving(export), "backend", backend, "descriptor", descriptor);
    return VIOS_OK;
}

static int by_name(const void *one, const void *other)
{
    const struct nbd_export *const *left = one, *const *right = other;
    return strcmp((*left)->name, (*right)->name);
}

/* Appends to `list` until the batch is full. `*next`: the last one's name, when there are more. */
static int fill_batch(struct io *io, struct nbd_export **all, size_t count, const char *after,
                      json_t *list, const char **next, struct control_message *answer,
                      struct vios_error *error)
{
    size_t bytes = 0;
    const char *last = NULL;
    *next = NULL;
    for (size_t i = 0; i < count; i++) {
        json_t *one = NULL;
        if (strcmp(all[i]->name, after) <= 0) {
            continue;
        }
        if (json_array_size(list) >= HANDOVER_BATCH_MAX || bytes >= HANDOVER_BATCH_BYTES_MAX) {
            *next = last;
            break;
        }
        int status = describe_export(io, all[i], answer, &one, error);
        if (status != VIOS_OK) {
            return status;
        }
        if (one) {
            bytes += json_dumpb(one, NULL, 0, JSON_COMPACT);
            json_array_append_new(list, one);
            last = all[i]->name;
        }
    }
    return VIOS_OK;
}

static int give_pager(struct io *io, const char *after, struct control_message *answer,
                      struct vios_error *error)
{
    size_t count;
    const char *next;
    struct nbd_export **all = exports_all(io->exports, &count);
    if (!all) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the exports");
    }
    json_t *list = json_array();
    qsort(all, count, sizeof *all, by_name);
    int status = fill_batch(io, all, count, after, list, &next, answer, error);
    if (status == VIOS_OK) {
        answer_with(answer, "pager", json_pack("{s:O}", "exports", list), next);
    }
    for (size_t i = 0; i < count; i++) {
        exports_release(all[i]);
    }
    json_decref(list);
    free(all);
    return status;
}

/* --- taking --- */

static int malformed(const char *what, const char *text, struct vios_error *error)
{
    return error_set(error, VIOS_E_USAGE, what, "give back what `give` answered", "%s", text);
}

static int check_listeners(const json_t *list, struct vios_error *error)
{
    json_error_t json_error;
    size_t index;
    json_t *one;
    json_array_foreach(list, index, one)
    {
        const char *path, *as;
        if (json_unpack_ex(one, &json_error, 0, "{s:s, s:s !}", "path", &path, "as", &as) != 0) {
            return malformed("listeners", json_error.text, error);
        }
        int status = listeners_check_identity(as, error);
        if (status != VIOS_OK) {
            return status;
        }
    }
    return VIOS_OK;
}

static int take_listeners(struct io *io, const json_t *description, struct control_message *request,
                          struct vios_error *error)
{
    json_error_t json_error;
    json_t *list;
    if (json_unpack_ex((json_t *)description, &json_error, 0, "{s:o !}", "listeners", &list) != 0) {
        return malformed("listeners", json_error.text, error);
    }
    if (!json_is_array(list) || json_array_size(list) != request->fd_count) {
        return malformed("listeners", "as many descriptors as listeners", error);
    }
    int status = check_listeners(list, error);
    for (size_t i = 0; status == VIOS_OK && i < request->fd_count; i++) {
        const json_t *one = json_array_get(list, i);
        status = listeners_add(io->listeners, json_get_text(one, "path"), json_get_text(one, "as"),
                               request->fds[i], NULL, 0, error);
        if (status == VIOS_OK) {
            control_take_descriptor(request, i);
        }
    }
    return status;
}

static int take_arena(struct io *io, const json_t *description, struct control_message *request,
                      struct vios_error *error)
{
    json_error_t json_error;
    json_int_t size_bytes;
    if (json_unpack_ex((json_t *)description, &json_error, 0, "{s:I !}", "size_bytes",
                       &size_bytes) != 0) {
        return malformed("arena", json_error.text, error);
    }
    if (request->fd_count != 1) {
        return malformed("arena", "one descriptor", error);
    }
    if (io->memory) {
        return error_set(error, VIOS_E_EXISTS, "arena", "take it before anything else",
                         "there is a page memory already");
    }
    return io_page_memory(io, request->fds[0], error) ? VIOS_OK : error->code;
}

struct handed {
    const char *name, *lpar, *serving;
    json_t *backend;
    int *state_fd; /* NULL: it has none */
};

/* A pager without its state would be an empty one: then what the guest put there is lost. */
static int read_handed(const json_t *one, struct control_message *request, struct handed *handed,
                       struct vios_error *error)
{
    json_error_t json_error;
    json_t *descriptor;
    if (json_unpack_ex((json_t *)one, &json_error, 0, "{s:s, s:s, s:s, s:o, s:o !}", "name",
                       &handed->name, "lpar", &handed->lpar, "serving", &handed->serving, "backend",
                       &handed->backend, "descriptor", &descriptor) != 0) {
        return malformed("pager", json_error.text, error);
    }
    const char *kind = json_get_text(handed->backend, "kind");
    json_int_t index = json_integer_value(descriptor);
    bool has_state = json_is_integer(descriptor) && index >= 0 &&
                     (size_t)index < request->fd_count && request->fds[index] >= 0;
    if (!has_state && (!json_is_null(descriptor) || (kind && strcmp(kind, "pager") == 0))) {
        return malformed("pager", "a descriptor of an export did not come along", error);
    }
    handed->state_fd = has_state ? &request->fds[index] : NULL;
    return VIOS_OK;
}

/* The generation in the state is right: a claim writes it there first, and its giver may have died
 * before it could say so. */
static json_t *current_backend(const struct handed *handed)
{
    json_t *backend = json_deep_copy(handed->backend);
    uint64_t there = handed->state_fd ? pager_state_generation(*handed->state_fd) : 0;
    if ((json_int_t)there > json_get_integer(backend, "generation")) {
        json_object_set_new(backend, "generation", json_integer((json_int_t)there));
    }
    return backend;
}

static int take_export(struct io *io, const struct handed *handed, struct vios_error *error)
{
    int none = -1;
    json_t *backend = current_backend(handed);
    int status =
        backend_export(io, handed->name, handed->lpar, backend, (struct backend_options){0},
                       handed->state_fd ? handed->state_fd : &none, error);
    json_decref(backend);
    struct nbd_export *export = status == VIOS_OK ? exports_get(io->exports, handed->name) : NULL;
    if (export) {
        struct operation operation;
        operation_start(&operation, IO_DRAIN_MS, NULL);
        if (strcmp(handed->serving, "standby") == 0) {
            exports_set_state(io->exports, export, EXPORT_STANDBY, &operation);
        }
        exports_release(export);
    }
    return status;
}

static int take_pager(struct io *io, const json_t *description, struct control_message *request,
                      struct vios_error *error)
{
    json_error_t json_error;
    json_t *list, *one;
    size_t index;
    struct handed handed;
    if (json_unpack_ex((json_t *)description, &json_error, 0, "{s:o !}", "exports", &list) != 0) {
        return malformed("pager", json_error.text, error);
    }
    json_array_foreach(list, index, one)
    {
        int status = read_handed(one, request, &handed, error);
        if (status != VIOS_OK) {
            return status;
        }
    }
    json_array_foreach(list, index, one)
    {
        struct vios_error why;
        if (read_handed(one, request, &handed, &why) != VIOS_OK ||
            take_export(io, &handed, &why) != VIOS_OK) {
            log_error("io", "an export could not be taken over: %s: %s", why.object, why.message);
        }
    }
    return VIOS_OK;
}

/* --- both --- */

static uint64_t revision(struct io *io, const char *what)
{
    if (strcmp(what, "listeners") == 0) {
        return listeners_revision(io->listeners);
    }
    return strcmp(what, "pager") == 0 ? exports_revision(io->exports) : 0;
}

json_t *handover_revisions(struct io *io)
{
    return json_pack("{s:I, s:I}", "listeners", (json_int_t)revision(io, "listeners"), "pager",
                     (json_int_t)revision(io, "pager"));
}

static const struct {
    const char *what;
    int (*give)(struct io *io, const char *after, struct control_message *answer,
                struct vios_error *error);
    int (*take)(struct io *io, const json_t *description, struct control_message *request,
                struct vios_error *error);
} ROWS[] = {
    {"listeners", give_listeners, take_listeners},
    {"arena", give_arena, take_arena},
    {"pager", give_pager, take_pager},
};

static int no_such(const char *what, struct vios_error *error)
{
    return error_set(error, VIOS_E_USAGE, what, "write listeners, arena or pager",
                     "nothing of this name is handed over");
}

int handover_give(struct io *io, const char *what, const char *after,
                  struct control_message *answer, struct vios_error *error)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        if (strcmp(ROWS[i].what, what) == 0) {
            json_int_t before = (json_int_t)revision(io, what); /* a change meanwhile shows */
            int status = ROWS[i].give(io, after, answer, error);
            if (status == VIOS_OK) {
                json_object_set_new(answer->json, "revision", json_integer(before));
            }
            return status;
        }
    }
    return no_such(what, error);
}

int handover_take(struct io *io, const char *what, const json_t *description,
                  struct control_message *request, struct vios_error *error)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        if (strcmp(ROWS[i].what, what) == 0) {
            return ROWS[i].take(io, description, request, error);
        }
    }
    return no_such(what, error);
}
