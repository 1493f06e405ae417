/*
 * requests.c - one row for each word of the control protocol.
 *
 * Each handler first unpacks its members strictly, so that an unknown one, a missing one or one of
 * the wrong type is refused before anything happens. A handler that has nothing to say but that it
 * is done leaves the answer empty.
 */
#include "io/requests.h"

#include "base/json.h"
#include "base/parse.h"
#include "io/backends.h"
#include "io/handover.h"
#include "io/statistics.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct request {
    struct io *io;
    struct control_message *message;
    struct control_message *answer;
    struct vios_error error;
    enum request_after after;
};

static int usage(struct request *request, const char *text)
{
    return error_set(&request->error, VIOS_E_USAGE, "request", "see core/io/PROTOCOL.md", "%s",
                     text);
}

static int unpack(struct request *request, const char *format, ...)
{
    json_error_t json_error;
    va_list arguments;
    va_start(arguments, format);
    int status = json_vunpack_ex(request->message->json, &json_error, 0, format, arguments);
    va_end(arguments);
    return status == 0 ? VIOS_OK : usage(request, json_error.text);
}

static int descriptors(struct request *request, size_t wanted)
{
    return request->message->fd_count == wanted
               ? VIOS_OK
               : usage(request, "the wrong number of descriptors came along");
}

static int answer(struct request *request, json_t *json)
{
    request->answer->json = json;
    return json ? VIOS_OK
                : error_set(&request->error, VIOS_E_NO_SPACE, NULL, NULL,
                            "no memory for the answer");
}

/* --- asking --- */

static json_t *export_names(struct io *io)
{
    size_t count;
    struct nbd_export **all = exports_all(io->exports, &count);
    json_t *names = json_array();
    for (size_t i = 0; all && i < count; i++) {
        json_array_append_new(names, json_string(all[i]->name));
        exports_release(all[i]);
    }
    free(all);
    return names;
}

static int do_hello(struct request *request)
{
    json_int_t level;
    struct io *io = request->io;
    int status = unpack(request, "{s:I !}", "level", &level);
    if (status != VIOS_OK) {
        return status;
    }
    if (level != IO_LEVEL) {
        return error_set(&request->error, VIOS_E_INVALID, "hello", "run programs of one version",
                         "this io speaks level %d only", IO_LEVEL);
    }
    pthread_mutex_lock(&io->lock);
    json_t *memory = io->memory ? page_memory_statistics(io->memory) : NULL;
    pthread_mutex_unlock(&io->lock);
    json_t *grants = json_incref(json_object_get(memory, "entries"));
    json_decref(memory);
    return answer(request, json_pack("{s:i, s:i, s:s, s:o, s:o, s:o}", "level", IO_LEVEL, "pid",
                                     (int)getpid(), "version", VIOS_VERSION, "listeners",
                                     listeners_describe(io->listeners), "exports", export_names(io),
                                     "grants", grants ? grants : json_array()));
}

static int do_statistics(struct request *request)
{
    int status = unpack(request, "{!}");
    if (status != VIOS_OK) {
        return status;
    }
    pthread_mutex_lock(&request->io->lock);
    json_t *json = statistics_make(request->io);
    pthread_mutex_unlock(&request->io->lock);
    return answer(request, json);
}

static int do_watch(struct request *request)
{
    int status = unpack(request, "{!}");
    request->after = AFTER_WATCH;
    return status;
}

/* --- the gate and the guests --- */

static int do_serve(struct request *request)
{
    json_int_t until_stop, until_kill;
    int status =
        unpack(request, "{s:I, s:I !}", "until_stop", &until_stop, "until_kill", &until_kill);
    if (status == VIOS_OK) {
        status = gate_serve(request->io->gate, until_stop, until_kill, &request->error);
    }
    return status;
}

static int do_guest(struct request *request)
{
    const char *lpar;
    int takeable;
    int status = unpack(request, "{s:s, s:b !}", "lpar", &lpar, "takeable", &takeable);
    if (status == VIOS_OK) {
        status = parse_uuid(lpar, &request->error);
    }
    if (status == VIOS_OK) {
        status = descriptors(request, 1);
    }
    if (status == VIOS_OK) {
        status = guests_add(request->io->guests, lpar, takeable, request->message->fds[0],
                            &request->error);
    }
    if (status == VIOS_OK) {
        control_take_descriptor(request->message, 0);
    }
    return status;
}

static int do_forget(struct request *request)
{
    const char *lpar;
    int status = unpack(request, "{s:s !}", "lpar", &lpar);
    if (status == VIOS_OK) {
        guests_remove(request->io->guests, lpar);
    }
    return status;
}

/* --- listeners --- */

static int do_listen(struct request *request)
{
    const char *path, *as;
    char address[4200];
    int status = unpack(request, "{s:s, s:s !}", "path", &path, "as", &as);
    if (status == VIOS_OK) {
        status = listeners_check_identity(as, &request->error);
    }
    if (status == VIOS_OK) {
        status = listeners_add(request->io->listeners, path, as, -1, address, sizeof address,
                               &request->error);
    }
    return status == VIOS_OK ? answer(request, json_pack("{s:s}", "path", address)) : status;
}

static int do_unlisten(struct request *request)
{
    const char *path;
    int status = unpack(request, "{s:s !}", "path", &path);
    if (status == VIOS_OK) {
        status = listeners_remove(request->io->listeners, path, &request->error);
    }
    return status;
}

/* --- peers --- */

static int do_identity(struct request *request)
{
    struct tls_identity identity;
    int status = unpack(request, "{s:s, s:s, s:s !}", "certificate", &identity.certificate, "key",
                        &identity.key, "authority", &identity.authority);
    if (status == VIOS_OK) {
        status = tls_context_set(peers_tls(request->io->peers), &identity, &request->error);
    }
    return status;
}

static int do_peers(struct request *request)
{
    json_t *allowed;
    int status = unpack(request, "{s:o !}", "allowed", &allowed);
    if (status == VIOS_OK) {
        status = peers_allow(request->io->peers, allowed, &request->error);
    }
    if (status == VIOS_OK) {
        nbd_server_recheck(request->io->server);
    }
    return status;
}

/* --- exports --- */

static int do_export(struct request *request)
{
    const char *name, *lpar = "";
    json_t *backend;
    int none = -1, *fd = &none, shared = 0, replace = 0;
    struct io *io = request->io;
    int status = unpack(request, "{s:s, s?s, s?b, s?b, s:o !}", "name", &name, "lpar", &lpar,
                        "shared", &shared, "replace", &replace, "backend", &backend);
    if (status == VIOS_OK && request->message->fd_count > 0) {
        status = descriptors(request, 1);
        fd = &request->message->fds[0];
    }
    const struct backend_options options = {.shared = shared, .replace = replace};
    if (status == VIOS_OK) {
        pthread_mutex_lock(&io->lock);
        status = backend_export(io, name, lpar, backend, options, fd, &request->error);
        pthread_mutex_unlock(&io->lock);
    }
    return status;
}

static int do_drop(struct request *request)
{
    const char *name;
    struct io *io = request->io;
    struct operation operation;
    int status = unpack(request, "{s:s !}", "name", &name);
    if (status != VIOS_OK) {
        return status;
    }
    struct nbd_export *export = exports_get(io->exports, name);
    if (export && export->node[0]) {
        exports_release(export);
        return error_set(&request->error, VIOS_E_INVALID, name, "revoke it",
                         "page memory is not dropped");
    }
    operation_start(&operation, IO_DRAIN_MS, NULL);
    if (export) {
        exports_release(export); /* the table still holds it, or it is going anyway */
        status = exports_drop(io->exports, export, &operation);
        request->error = operation.error;
    }
    return status;
}

/* The export that the request names, held. */
static int get_export(struct request *request, struct nbd_export **export)
{
    const char *name;
    int status = unpack(request, "{s:s !}", "name", &name);
    if (status == VIOS_OK && !(*export = exports_get(request->io->exports, name))) {
        status = error_set(&request->error, VIOS_E_NOT_FOUND, name, NULL, "no such export");
    }
    return status;
}

/* Its pager, which stays, goes on changing it. */
static int do_state(struct request *request)
{
    struct nbd_export *export;
    struct control_message *answer = request->answer;
    int status = get_export(request, &export);
    if (status != VIOS_OK) {
        return status;
    }
    int fd = pager_is(export) ? fcntl(pager_state_descriptor(export), F_DUPFD_CLOEXEC, 0) : -1;
    if (!pager_is(export)) {
        status = error_set(&request->error, VIOS_E_INVALID, export->name, NULL, "it is no pager");
    } else if (fd < 0) {
        status = error_set_errno(&request->error, export->name, "cannot copy a descriptor");
    } else {
        answer->fds[answer->fd_count++] = fd;
    }
    exports_release(export);
    return status;
}

static int set_state(struct request *request, enum nbd_export_state state)
{
    struct nbd_export *export;
    struct io *io = request->io;
    struct operation operation;
    int status = get_export(request, &export);
    if (status != VIOS_OK) {
        return status;
    }
    operation_start(&operation, IO_DRAIN_MS, NULL);
    status = exports_set_state(io->exports, export, state, &operation);
    request->error = operation.error;
    exports_release(export);
    return status;
}

static int do_standby(struct request *request)
{
    return set_state(request, EXPORT_STANDBY);
}

static int do_open(struct request *request)
{
    return set_state(request, EXPORT_OPEN);
}

static int do_drain(struct request *request)
{
    return set_state(request, EXPORT_DRAINING);
}

static int do_resize(struct request *request)
{
    struct nbd_export *export;
    uint64_t size_bytes = 0;
    struct io *io = request->io;
    struct operation operation;
    int status = get_export(request, &export);
    if (status != VIOS_OK) {
        return status;
    }
    operation_start(&operation, IO_DRAIN_MS, NULL);
    status = exports_resize(io->exports, export, &size_bytes, &operation);
    request->error = operation.error;
    exports_release(export);
    return status == VIOS_OK
               ? answer(request, json_pack("{s:I}", "size_bytes", (json_int_t)size_bytes))
               : status;
}

/* --- paging --- */

static int do_claim(struct request *request)
{
    const char *lpar, *node;
    json_int_t generation;
    struct io *io = request->io;
    int status = unpack(request, "{s:s, s:I, s:s !}", "lpar", &lpar, "generation", &generation,
                        "node", &node);
    if (status == VIOS_OK) {
        status = parse_uuid(lpar, &request->error);
    }
    if (status == VIOS_OK) {
        status = parse_name(node, "node", &request->error);
    }
    if (status == VIOS_OK && generation < 0) {
        status = usage(request, "the generation is negative");
    }
    if (status != VIOS_OK) {
        return status;
    }
    pthread_mutex_lock(&io->lock);
    if (io->memory) { /* without one there are no regions to claim */
        status = page_memory_claim(io->memory, lpar, (uint64_t)generation, node, &request->error);
    }
    if (status == VIOS_OK) {
        status = backend_claim(io, lpar, (uint64_t)generation, &request->error);
    }
    pthread_mutex_unlock(&io->lock);
    return status;
}

static int read_grant_regions(struct request *request, const json_t *json,
                              struct page_memory_region **regions, size_t *count)
{
    *count = json_array_size(json);
    if (!json_is_array(json) || *count > PAGE_MEMORY_ENTRIES) {
        return usage(request, "regions is no array, or too long");
    }
    *regions = calloc(*count + 1, sizeof **regions);
    if (!*regions) {
        return error_set(&request->error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for a grant");
    }
    for (size_t i = 0; i < *count; i++) {
        json_error_t json_error;
        json_int_t index, number, size_bytes;
        if (json_unpack_ex(json_array_get(json, i), &json_error, 0, "{s:I, s:I, s:I !}", "index",
                           &index, "number", &number, "size_bytes", &size_bytes) != 0) {
            return usage(request, json_error.text);
        }
        if (index < 0 || index > UINT32_MAX || number < 0 || size_bytes <= 0) {
            return usage(request, "a number is out of its range");
        }
        (*regions)[i] = (struct page_memory_region){.index = (uint32_t)index,
                                                    .number = (uint64_t)number,
                                                    .size_bytes = (uint64_t)size_bytes};
    }
    return VIOS_OK;
}

static int do_grant(struct request *request)
{
    const char *lpar, *node;
    json_int_t generation;
    json_t *json;
    struct page_memory_region *regions = NULL;
    size_t count = 0;
    struct io *io = request->io;
    int status = unpack(request, "{s:s, s:s, s:I, s:o !}", "lpar", &lpar, "node", &node,
                        "generation", &generation, "regions", &json);
    if (status == VIOS_OK && generation < 0) {
        status = usage(request, "the generation is negative");
    }
    if (status == VIOS_OK) {
        status = read_grant_regions(request, json, &regions, &count);
    }
    if (status == VIOS_OK) {
        pthread_mutex_lock(&io->lock);
        struct page_memory *memory = io_page_memory(io, -1, &request->error);
        status = memory ? page_memory_grant(memory, lpar, node, (uint64_t)generation, regions,
                                            count, &request->error)
                        : request->error.code;
        pthread_mutex_unlock(&io->lock);
    }
    free(regions);
    return status;
}

static int do_revoke(struct request *request)
{
    const char *lpar;
    struct io *io = request->io;
    int status = unpack(request, "{s:s !}", "lpar", &lpar);
    if (status == VIOS_OK) {
        status = parse_uuid(lpar, &request->error);
    }
    if (status == VIOS_OK) {
        pthread_mutex_lock(&io->lock);
        if (io->memory) {
            page_memory_revoke(io->memory, lpar);
        }
        pthread_mutex_unlock(&io->lock);
    }
    return status;
}

static int do_regions(struct request *request)
{
    const char *lpar;
    json_t *regions;
    struct io *io = request->io;
    int status = unpack(request, "{s:s, s:o !}", "lpar", &lpar, "regions", &regions);
    if (status == VIOS_OK) {
        status = parse_uuid(lpar, &request->error);
    }
    if (status == VIOS_OK) {
        pthread_mutex_lock(&io->lock);
        status = backend_set_regions(io, lpar, regions, &request->error);
        pthread_mutex_unlock(&io->lock);
    }
    return status;
}

/* --- life --- */

static int do_give(struct request *request)
{
    const char *what, *after = "";
    int status = unpack(request, "{s:s, s?s !}", "what", &what, "after", &after);
    if (status == VIOS_OK) {
        pthread_mutex_lock(&request->io->lock);
        status = handover_give(request->io, what, after, request->answer, &request->error);
        pthread_mutex_unlock(&request->io->lock);
    }
    return status == VIOS_OK ? answer(request, request->answer->json) : status;
}

static int do_take(struct request *request)
{
    const char *what;
    json_t *description;
    int status = unpack(request, "{s:s, s:o !}", "what", &what, "description", &description);
    if (status == VIOS_OK) {
        pthread_mutex_lock(&request->io->lock);
        status = handover_take(request->io, what, description, request->message, &request->error);
        pthread_mutex_unlock(&request->io->lock);
    }
    return status;
}

static int do_stop(struct request *request)
{
    int status = unpack(request, "{!}");
    if (status == VIOS_OK) {
        io_drain(request->io);
        request->after = AFTER_STOP;
    }
    return status;
}

/* --- the table --- */

static const struct {
    const char *word;
    int (*handle)(struct request *request);
} WORDS[] = {
    {"hello", do_hello},       {"serve", do_serve},
    {"listen", do_listen},     {"unlisten", do_unlisten},
    {"export", do_export},     {"drop", do_drop},
    {"standby", do_standby},   {"open", do_open},
    {"drain", do_drain},       {"claim", do_claim},
    {"grant", do_grant},       {"revoke", do_revoke},
    {"regions", do_regions},   {"guest", do_guest},
    {"forget", do_forget},     {"statistics", do_statistics},
    {"watch", do_watch},       {"give", do_give},
    {"take", do_take},         {"stop", do_stop},
    {"identity", do_identity}, {"peers", do_peers},
    {"resize", do_resize},     {"state", do_state},
};

static int dispatch(struct request *request)
{
    json_t *json = request->message->json;
    const char *word = json_get_text(json, "do");
    if (!json_is_object(json)) {
        return usage(request, "the line is no JSON object");
    }
    if (!word) {
        return usage(request, "\"do\" is missing or no text");
    }
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if (strcmp(WORDS[i].word, word) == 0) {
            json_object_del(json, "do"); /* what is left are the members that `unpack` knows */
            return WORDS[i].handle(request);
        }
    }
    return usage(request, "an unknown word in \"do\"");
}

static json_t *error_answer(const struct vios_error *error)
{
    return json_pack("{s:{s:s, s:s, s:s, s:s}}", "error", "code", error_name(error->code), "object",
                     error->object, "message", error->message, "hint", error->hint);
}

enum request_after request_run(struct io *io, struct control_message *message,
                               struct control_message *answer_message)
{
    struct request request = {.io = io, .message = message, .answer = answer_message};
    int status = dispatch(&request);
    if (status == VIOS_OK) {
        answer_message->json = answer_message->json ? answer_message->json : json_object();
        json_object_set_new(answer_message->json, "ok", json_true());
    } else {
        if (request.error.code == VIOS_OK) {
            error_set(&request.error, status, NULL, NULL, "it failed");
        }
        json_decref(answer_message->json);
        answer_message->json = error_answer(&request.error);
        for (size_t i = 0; i < answer_message->fd_count; i++) {
            close(answer_message->fds[i]);
        }
        answer_message->fd_count = 0;
        request.after = AFTER_NOTHING;
    }
    return request.after;
}
