/* capture_guest.c - see capture.h. */
#include "image/capture.h"

#include "base/json.h"
#include "lpar/guest_exports.h"
#include "lpar/qemu.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define POLL_MS 100  /* between two looks at how far QEMU is: for the progress, and the end */
#define END_MS 30000 /* to take everything away again */
#define ID_SIZE 32   /* "capture0": of the job, and of the block node of its target */

struct capture {
    struct node *node;
    struct guest *guest;
    const struct lpar *lpar;
    const struct image *image;
    const char *work_path;
    int64_t start; /* the generation that its QEMU started at */
};

static char *id_of(size_t i, char id[ID_SIZE])
{
    snprintf(id, ID_SIZE, "capture%zu", i);
    return id;
}

static void export_name(const struct capture *capture, size_t i, char name[160])
{
    snprintf(name, 160, "lu/%s/%lld", capture->image->files[i].udid, (long long)capture->start);
}

/* --- io --- */

static int export_target(const struct capture *capture, size_t i, struct operation *operation)
{
    char name[160], path[PATH_MAX];
    export_name(capture, i, name);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", capture->work_path,
                         capture->image->files[i].udid) >= sizeof path) {
        return operation_fail(operation, VIOS_E_INVALID, name, NULL, "its path is too long");
    }
    json_t *request = json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:b, s:b, s:b}}", "do", "export",
                                "name", name, "lpar", capture->lpar->uuid, "backend", "kind",
                                "file", "path", path, "direct", 0, "gated", 0, "read_only", 0);
    return io_client_call(capture->node->io, request, NULL, 0, NULL, operation);
}

static void drop_target(const struct capture *capture, size_t i, struct operation *operation)
{
    char name[160];
    struct vios_error before = operation->error;
    export_name(capture, i, name);
    (void)io_client_call(capture->node->io, json_pack("{s:s, s:s}", "do", "drop", "name", name),
                         NULL, 0, NULL, operation);
    operation->error = before; /* absent is as good as gone */
}

/* --- QEMU --- */

static int add_node(const struct capture *capture, size_t i, struct operation *operation)
{
    char id[ID_SIZE], name[160];
    export_name(capture, i, name);
    return guest_call(capture->guest, "blockdev-add", qemu_block_node(id_of(i, id), name, false),
                      NULL, operation);
}

static void delete_node(const struct capture *capture, size_t i, struct operation *operation)
{
    char id[ID_SIZE];
    struct vios_error before = operation->error;
    (void)guest_call(capture->guest, "blockdev-del", json_pack("{s:s}", "node-name", id_of(i, id)),
                     NULL, operation);
    operation->error = before;
}

static int begin(const struct capture *capture, struct operation *operation)
{
    json_t *actions = json_array();
    for (size_t i = 0; i < capture->image->file_count; i++) {
        char id[ID_SIZE];
        json_array_append_new(actions, json_pack("{s:s, s:{s:s, s:s, s:s, s:s, s:b}}", "type",
                                                 "blockdev-backup", "data", "job-id", id_of(i, id),
                                                 "device", capture->lpar->disks[i].id, "target", id,
                                                 "sync", "full", "auto-dismiss", 0));
    }
    return guest_call(capture->guest, "transaction", json_pack("{s:o}", "actions", actions), NULL,
                      operation);
}

static bool is_ours(const struct capture *capture, const char *id)
{
    for (size_t i = 0; id && i < capture->image->file_count; i++) {
        char own[ID_SIZE];
        if (strcmp(id, id_of(i, own)) == 0) {
            return true;
        }
    }
    return false;
}

/* How far QEMU's jobs are: the sums, how many there are and how many have ended. */
struct state {
    json_int_t done, total;
    size_t count, ended;
    char failure[200];
};

static int look(const struct capture *capture, struct state *state, struct operation *operation)
{
    size_t i;
    json_t *jobs = NULL, *job;
    memset(state, 0, sizeof *state);
    int status = guest_call(capture->guest, "query-jobs", NULL, &jobs, operation);
    json_array_foreach(jobs, i, job)
    {
        const char *error = json_get_text(job, "error");
        const char *now = json_get_text(job, "status");
        if (is_ours(capture, json_get_text(job, "id"))) {
            state->count++;
            state->ended += now && strcmp(now, "concluded") == 0;
            state->done += json_get_integer(job, "current-progress");
            state->total += json_get_integer(job, "total-progress");
            if (error && !state->failure[0]) {
                snprintf(state->failure, sizeof state->failure, "%s", error);
            }
        }
    }
    json_decref(jobs);
    return status;
}

static int await_end(const struct capture *capture, const struct copy_progress *progress,
                     struct operation *operation)
{
    struct state state;
    char object[96];
    int status = look(capture, &state, operation);
    while (status == VIOS_OK && state.ended < state.count && !state.failure[0]) {
        progress->told(progress->context, (uint64_t)state.done, (uint64_t)state.total);
        status = operation_sleep(operation, POLL_MS);
        if (status == VIOS_OK) {
            status = look(capture, &state, operation);
        }
    }
    lpar_object(capture->lpar->name, object);
    if (status == VIOS_OK && state.failure[0]) {
        status = operation_fail(operation, VIOS_E_IO, object, NULL, "QEMU could not copy it: %s",
                                state.failure);
    } else if (status == VIOS_OK && state.count < capture->image->file_count) {
        status = operation_fail(operation, VIOS_E_IO, object, "see its log",
                                "QEMU lost the copying of its disks");
    }
    return status;
}

/* Ends what is under way in QEMU and takes the targets away again, whatever is there of it. */
static void end(const struct capture *capture)
{
    struct operation ending;
    struct state state = {.count = 1};
    operation_start(&ending, END_MS, NULL);
    for (size_t i = 0; i < capture->image->file_count; i++) {
        char id[ID_SIZE];
        (void)guest_call(capture->guest, "job-cancel", json_pack("{s:s}", "id", id_of(i, id)), NULL,
                         &ending);
    }
    while (look(capture, &state, &ending) == VIOS_OK && state.ended < state.count &&
           operation_sleep(&ending, POLL_MS) == VIOS_OK) {
    }
    for (size_t i = 0; i < capture->image->file_count; i++) {
        char id[ID_SIZE];
        (void)guest_call(capture->guest, "job-dismiss", json_pack("{s:s}", "id", id_of(i, id)),
                         NULL, &ending);
        delete_node(capture, i, &ending);
        drop_target(capture, i, &ending);
    }
}

int capture_guest(struct node *node, struct guest *guest, const struct image *image,
                  const char *work_path, const struct copy_progress *progress,
                  struct operation *operation)
{
    struct guest_status status_now;
    guest_status(guest, &status_now);
    struct capture capture = {.node = node,
                              .guest = guest,
                              .lpar = guest_lpar(guest),
                              .image = image,
                              .work_path = work_path,
                              .start = status_now.start};
    int status = VIOS_OK;
    assert(capture.lpar->disk_count == image->file_count);
    end(&capture);
    for (size_t i = 0; status == VIOS_OK && i < image->file_count; i++) {
        status = export_target(&capture, i, operation);
        if (status == VIOS_OK) {
            status = add_node(&capture, i, operation);
        }
    }
    if (status == VIOS_OK) {
        status = begin(&capture, operation);
    }
    if (status == VIOS_OK) {
        status = await_end(&capture, progress, operation);
    }
    end(&capture);
    return status;
}
