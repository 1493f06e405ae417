/* handover.c - see the header. */
#include "io/handover.h"

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

static void answer_with(struct control_message *answer, const char *what, json_t *description)
{
    answer->json = json_pack("{s:b, s:s, s:o}", "ok", 1, "what", what, "description", description);
}

/* --- giving --- */

static int give_listeners(struct io *io, struct control_message *answer, struct vios_error *error)
{
    int fds[LISTENERS_MAX];
    size_t count;
    json_t *list = listeners_describe(io->listeners, fds, &count);
    for (size_t i = 0; i < count; i++) {
        if (lend(answer, fds[i]) < 0) {
            json_decref(list);
            return error_set_errno(error, "listeners", "dup");
        }
    }
    answer_with(answer, "listeners", json_pack("{s:o}", "listeners", list));
    return VIOS_OK;
}

static int give_arena(struct io *io, struct control_message *answer, struct vios_error *error)
{
    struct page_memory *memory = io_page_memory(io, -1, error);
    struct stat status;
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
    answer_with(answer, "arena",
                json_pack("{s:I}", "size_bytes", (json_int_t)io->page_memory_bytes));
    return VIOS_OK;
}

static const char *serving(const struct nbd_export *export)
{
    return export->state == EXPORT_STANDBY ? "standby" : "open";
}

static int give_pager(struct io *io, struct control_message *answer, struct vios_error *error)
{
    size_t count;
    struct nbd_export **all = exports_all(io->exports, &count);
    json_t *list = json_array();
    (void)error;
    for (size_t i = 0; all && i < count; i++) {
        json_t *backend = exports_backend(io->exports, all[i]);
        json_t *descriptor = json_null();
        if (backend && pager_is(all[i]) && pager_state_descriptor(all[i]) >= 0 &&
            answer->fd_count < CONTROL_DESCRIPTORS_MAX) {
            json_int_t index = (json_int_t)answer->fd_count;
            if (lend(answer, pager_state_descriptor(all[i])) >= 0) {
                descriptor = json_integer(index);
            }
        }
        if (backend) { /* page memory's exports come out of the arena */
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:O, s:o}", "name", all[i]->name,
                                                  "lpar", all[i]->lpar, "serving", serving(all[i]),
                                                  "backend", backend, "descriptor", descriptor));
        }
        json_decref(backend);
        exports_release(io->exports, all[i]);
    }
    free(all);
    answer_with(answer, "pager", json_pack("{s:o}", "exports", list));
    return VIOS_OK;
}

/* --- taking --- */

static int malformed(const char *what, const char *text, struct vios_error *error)
{
    return error_set(error, VIOS_E_USAGE, what, "give back what `give` answered", "%s", text);
}

static int take_listeners(struct io *io, const json_t *description, struct control_message *request,
                          struct vios_error *error)
{
    json_error_t json_error;
    json_t *list, *one;
    size_t index;
    int status = VIOS_OK;
    if (json_unpack_ex((json_t *)description, &json_error, 0, "{s:o !}", "listeners", &list) != 0) {
        return malformed("listeners", json_error.text, error);
    }
    if (!json_is_array(list) || json_array_size(list) != request->fd_count) {
        return malformed("listeners", "as many descriptors as listeners", error);
    }
    json_array_foreach(list, index, one)
    {
        const char *path, *as;
        if (json_unpack_ex(one, &json_error, 0, "{s:s, s:s !}", "path", &path, "as", &as) != 0) {
            return malformed("listeners", json_error.text, error);
        }
        status = listeners_check_identity(as, error);
        if (status == VIOS_OK) {
            status = listeners_add(io->listeners, path, as, request->fds[index], NULL, 0, error);
        }
        if (status != VIOS_OK) {
            return status;
        }
        control_take_descriptor(request, index);
    }
    return VIOS_OK;
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

/* One export that cannot be had again must not keep the others away. */
static int take_export(struct io *io, const json_t *one, struct control_message *request,
                       struct vios_error *error)
{
    const char *name, *lpar, *state;
    json_t *backend, *descriptor;
    json_error_t json_error;
    if (json_unpack_ex((json_t *)one, &json_error, 0, "{s:s, s:s, s:s, s:o, s:o !}", "name", &name,
                       "lpar", &lpar, "serving", &state, "backend", &backend, "descriptor",
                       &descriptor) != 0) {
        return malformed("pager", json_error.text, error);
    }
    int none = -1, *fd = &none;
    json_int_t index = json_integer_value(descriptor);
    if (json_is_integer(descriptor) && index >= 0 && index < (json_int_t)request->fd_count) {
        fd = &request->fds[index];
    }
    int status = backend_export(io, name, lpar, backend, fd, error);
    struct nbd_export *export = status == VIOS_OK ? exports_get(io->exports, name) : NULL;
    if (export) {
        struct operation operation;
        operation_start(&operation, IO_DRAIN_MS, NULL);
        if (strcmp(state, "standby") == 0) {
            exports_set_state(io->exports, export, EXPORT_STANDBY, &operation);
        }
        exports_release(io->exports, export);
    }
    return status;
}

static int take_pager(struct io *io, const json_t *description, struct control_message *request,
                      struct vios_error *error)
{
    json_error_t json_error;
    json_t *list, *one;
    size_t index;
    if (json_unpack_ex((json_t *)description, &json_error, 0, "{s:o !}", "exports", &list) != 0) {
        return malformed("pager", json_error.text, error);
    }
    json_array_foreach(list, index, one)
    {
        struct vios_error why;
        if (take_export(io, one, request, &why) != VIOS_OK) {
            log_error("io", "an export could not be taken over: %s: %s", why.object, why.message);
        }
    }
    return VIOS_OK;
}

/* --- both --- */

static const struct {
    const char *what;
    int (*give)(struct io *io, struct control_message *answer, struct vios_error *error);
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

int handover_give(struct io *io, const char *what, struct control_message *answer,
                  struct vios_error *error)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        if (strcmp(ROWS[i].what, what) == 0) {
            return ROWS[i].give(io, answer, error);
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
