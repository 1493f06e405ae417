/* guest_exports.c - io's side of a guest. See the header. */
#include "lpar/guest_exports.h"

#include "lpar/qemu.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void socket_path(const struct node *node, const struct lpar *lpar, char *path, size_t size)
{
    snprintf(path, size, "%s/lpar/%s/disk.sock", node->run_dir, lpar->uuid);
}

/* Disks are plain files of this node: no other node may take this guest over, so neither the
 * gate nor the stop at T is for them (DESIGN "The gate"). */
static int export_disk(struct node *node, const struct lpar *lpar, const struct lpar_disk *disk,
                       int64_t start, struct operation *operation)
{
    char name[160];
    qemu_export_name(lpar, disk, start, name, sizeof name);
    json_t *request = json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:b, s:b, s:b}}", "do", "export",
                                "name", name, "lpar", lpar->uuid, "backend", "kind", "file", "path",
                                disk->file, "direct", 0, "gated", 0, "read_only", disk->read_only);
    return io_client_call(node->io, request, NULL, 0, NULL, operation);
}

int guest_exports_make(struct node *node, const struct lpar *lpar, const struct run_folder *folder,
                       int64_t start, struct operation *operation)
{
    char path[4200], as[64];
    socket_path(node, lpar, path, sizeof path);
    snprintf(as, sizeof as, "lpar:%s", lpar->uuid);
    int status =
        io_client_call(node->io,
                       json_pack("{s:s, s:s, s:I, s:s}", "do", "claim", "lpar", lpar->uuid,
                                 "generation", (json_int_t)lpar->generation, "node", node->name),
                       NULL, 0, NULL, operation);
    for (size_t i = 0; status == VIOS_OK && i < lpar->disk_count; i++) {
        status = export_disk(node, lpar, &lpar->disks[i], start, operation);
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

int guest_exports_watch(struct node *node, const struct lpar *lpar, int process_fd,
                        struct operation *operation)
{
    return io_client_call(
        node->io, json_pack("{s:s, s:s, s:b}", "do", "guest", "lpar", lpar->uuid, "takeable", 0),
        &process_fd, 1, NULL, operation);
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

int guest_exports_drop(struct node *node, const struct lpar *lpar, int64_t start,
                       struct operation *operation)
{
    char path[4200];
    int status = VIOS_OK;
    socket_path(node, lpar, path, sizeof path);
    undo(node, json_pack("{s:s, s:s}", "do", "forget", "lpar", lpar->uuid), &status, operation);
    for (size_t i = 0; i < lpar->disk_count; i++) {
        char name[160];
        qemu_export_name(lpar, &lpar->disks[i], start, name, sizeof name);
        undo(node, json_pack("{s:s, s:s}", "do", "drop", "name", name), &status, operation);
    }
    undo(node, json_pack("{s:s, s:s}", "do", "unlisten", "path", path), &status, operation);
    return status;
}
