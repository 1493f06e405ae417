/* guest_exports.c - io's side of a guest. See the header. */
#include "lpar/guest_exports.h"

#include "lpar/qemu.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void socket_path(const struct node *node, const char *uuid, char *path, size_t size)
{
    snprintf(path, size, "%s/lpar/%s/disk.sock", node->run_dir, uuid);
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
    socket_path(node, lpar->uuid, path, sizeof path);
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

/* The names of io's exports of this LPAR's disks; the caller's, also on failure. */
static int find_disks(struct node *node, const char *uuid, json_t **names,
                      struct operation *operation)
{
    char prefix[64];
    size_t i;
    json_t *answer = NULL, *name;
    snprintf(prefix, sizeof prefix, "lu/%s-", uuid);
    *names = json_array();
    int status =
        io_client_call(node->io, json_pack("{s:s, s:i}", "do", "hello", "level", IO_CLIENT_LEVEL),
                       NULL, 0, &answer, operation);
    json_array_foreach(json_object_get(answer, "exports"), i, name)
    {
        const char *text = json_string_value(name);
        if (text && strncmp(text, prefix, strlen(prefix)) == 0) {
            json_array_append(*names, name);
        }
    }
    json_decref(answer);
    return status;
}

int guest_exports_drop(struct node *node, const char *uuid, struct operation *operation)
{
    char path[4200];
    size_t i;
    json_t *names, *name;
    int status = find_disks(node, uuid, &names, operation);
    undo(node, json_pack("{s:s, s:s}", "do", "forget", "lpar", uuid), &status, operation);
    json_array_foreach(names, i, name)
    {
        undo(node, json_pack("{s:s, s:O}", "do", "drop", "name", name), &status, operation);
    }
    json_decref(names);
    socket_path(node, uuid, path, sizeof path);
    undo(node, json_pack("{s:s, s:s}", "do", "unlisten", "path", path), &status, operation);
    return status;
}
