/* guest_exports.c - io's side of a guest. See the header. */
#include "lpar/guest_exports.h"

#include "base/guests.h"
#include "base/json.h"
#include "lpar/qemu.h"
#include "storage/lu.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void socket_path(const struct node *node, const char *uuid, char *path, size_t size)
{
    snprintf(path, size, "%s/lpar/%s/disk.sock", node->run_dir, uuid);
}

/* The file as the record has it now. A guest that was taken over meanwhile would get its new
 * owner's; but then this node is fenced, its gate is closed, and it drops this before it opens. */
static int find_lu(struct node *node, const char *udid, char path[PATH_MAX],
                   struct operation *operation)
{
    struct lu lu;
    struct store *store = NULL;
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = lu_load(store, udid, &lu, NULL, operation);
        node_store_return(node, store);
    }
    return status == VIOS_OK ? lu_path(node, &lu, path, &operation->error) : status;
}

/* A plain file is of this node alone: neither the gate nor the stop at T is for it (DESIGN "The
 * gate"). */
static int export_disk(struct node *node, const struct lpar *lpar, const struct lpar_disk *disk,
                       int64_t start, bool joins, struct operation *operation)
{
    char name[160], path[PATH_MAX];
    bool shared = disk->lu[0];
    int status = shared ? find_lu(node, disk->lu, path, operation) : VIOS_OK;
    if (status < 0) {
        return status;
    }
    qemu_export_name(lpar, disk, start, name, sizeof name);
    json_t *request = json_pack("{s:s, s:s, s:s, s:b, s:{s:s, s:s, s:b, s:b, s:b}}", "do", "export",
                                "name", name, "lpar", lpar->uuid, "shared", joins, "backend",
                                "kind", "file", "path", shared ? path : disk->file, "direct",
                                shared, "gated", shared, "read_only", disk->read_only);
    return io_client_call(node->io, request, NULL, 0, NULL, operation);
}

/* From now on the LPAR is in its generation, and this node's. */
static int claim(struct node *node, const struct lpar *lpar, struct operation *operation)
{
    return io_client_call(node->io,
                          json_pack("{s:s, s:s, s:I, s:s}", "do", "claim", "lpar", lpar->uuid,
                                    "generation", (json_int_t)lpar->generation, "node", node->name),
                          NULL, 0, NULL, operation);
}

static int make(struct node *node, const struct lpar *lpar, const struct run_folder *folder,
                int64_t start, bool joins, struct operation *operation)
{
    char path[4200], as[64];
    socket_path(node, lpar->uuid, path, sizeof path);
    snprintf(as, sizeof as, "lpar:%s", lpar->uuid);
    int status = joins ? VIOS_OK : claim(node, lpar, operation);
    for (size_t i = 0; status == VIOS_OK && i < lpar->disk_count; i++) {
        status = export_disk(node, lpar, &lpar->disks[i], start, joins, operation);
    }
    if (status == VIOS_OK) {
        status = io_client_call(
            node->io, json_pack("{s:s, s:s, s:s}", "do", "listen", "path", path, "as", as), NULL, 0,
            NULL, operation);
    }
    if (status == VIOS_OK && folder->uid &&
        (fchownat(folder->fd, "disk.sock", folder->uid, folder->uid, AT_SYMLINK_NOFOLLOW) != 0 ||
         fchmodat(folder->fd, "disk.sock", 0600, 0) != 0)) {
        status = error_set_errno(&operation->error, path, "cannot give it to the guest");
    }
    return status;
}

int guest_exports_make(struct node *node, const struct lpar *lpar, const struct run_folder *folder,
                       int64_t start, struct operation *operation)
{
    return make(node, lpar, folder, start, false, operation);
}

int guest_exports_join(struct node *node, const struct lpar *lpar, const struct run_folder *folder,
                       int64_t start, struct operation *operation)
{
    return make(node, lpar, folder, start, true, operation);
}

int guest_exports_serve(struct node *node, const struct lpar *lpar, int64_t start, const char *how,
                        struct operation *operation)
{
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < lpar->disk_count; i++) {
        char name[160];
        qemu_export_name(lpar, &lpar->disks[i], start, name, sizeof name);
        status = io_client_call(node->io, json_pack("{s:s, s:s}", "do", how, "name", name), NULL, 0,
                                NULL, operation);
    }
    return status;
}

int guest_exports_watch(struct node *node, const struct lpar *lpar, int process_fd,
                        struct operation *operation)
{
    bool takeable = lpar_is_shared(lpar);
    int own = fcntl(process_fd, F_DUPFD_CLOEXEC, 0);
    int status = own >= 0
                     ? guests_add(node->guests, lpar->uuid, takeable, own, &operation->error)
                     : error_set_errno(&operation->error, lpar->name, "cannot copy its descriptor");
    if (status == VIOS_OK) {
        return io_client_call(
            node->io,
            json_pack("{s:s, s:s, s:b}", "do", "guest", "lpar", lpar->uuid, "takeable", takeable),
            &process_fd, 1, NULL, operation);
    }
    if (own >= 0) {
        close(own);
    }
    return status;
}

/* Absent is as good as gone; the first other failure is kept. */
static void undo(struct node *node, json_t *request, int *status, struct operation *operation)
{
    struct vios_error before = operation->error;
    int result = io_client_call(node->io, request, NULL, 0, NULL, operation);
    if (result == VIOS_OK || result == VIOS_E_NOT_FOUND || *status < 0) {
        operation->error = before;
    } else {
        *status = result;
    }
}

/* Drops io's files that are of this LPAR, or all that are gated when `uuid` is NULL. */
static int drop_disks(struct node *node, const char *uuid, struct operation *operation)
{
    size_t i;
    json_t *answer = NULL, *export;
    int status = io_client_call(node->io, json_pack("{s:s}", "do", "statistics"), NULL, 0, &answer,
                                operation);
    json_array_foreach(json_object_get(answer, "exports"), i, export)
    {
        const char *kind = json_get_text(export, "kind");
        const char *lpar = json_get_text(export, "lpar");
        bool gated = json_is_true(json_object_get(export, "gated"));
        if (kind && strcmp(kind, "file") == 0 && (uuid ? lpar && strcmp(lpar, uuid) == 0 : gated)) {
            json_t *name = json_object_get(export, "name");
            undo(node, json_pack("{s:s, s:O}", "do", "drop", "name", name), &status, operation);
        }
    }
    json_decref(answer);
    return status;
}

int guest_exports_drop_shared(struct node *node, struct operation *operation)
{
    return drop_disks(node, NULL, operation);
}

int guest_exports_drop(struct node *node, const char *uuid, struct operation *operation)
{
    char path[4200];
    int status = drop_disks(node, uuid, operation);
    guests_remove(node->guests, uuid);
    undo(node, json_pack("{s:s, s:s}", "do", "forget", "lpar", uuid), &status, operation);
    socket_path(node, uuid, path, sizeof path);
    undo(node, json_pack("{s:s, s:s}", "do", "unlisten", "path", path), &status, operation);
    return status;
}
