/*
 * resize.c - see resize.h.
 *
 * QEMU learns the size of an NBD export when it connects. So io looks at the file anew and closes
 * the connection; QEMU connects again (the listening socket is still there) no later than with its
 * next request, which we make ourselves, since an idle guest makes none. After that block_resize
 * to the same size succeeds, and the guest hears of it from its virtio disk.
 */
#include "lpar/resize.h"

#include "lpar/guest.h"
#include "lpar/qemu.h"

#include <stdio.h>
#include <string.h>

#define TELL_TIMEOUT_MS 20000
#define CALL_TIMEOUT_MS 5000
#define TELL_PAUSE_MS 50 /* QEMU connects again in the background */
#define IO_EVERY 20      /* tries, until io is asked once more: it may have been replaced */

static int ask_io(struct node *node, const char *export, struct operation *operation)
{
    return io_client_call(node->io, json_pack("{s:s, s:s}", "do", "resize", "name", export), NULL,
                          0, NULL, operation);
}

static int call(struct guest *guest, const char *command, json_t *arguments,
                struct operation *operation)
{
    struct operation calling;
    operation_start(&calling, CALL_TIMEOUT_MS, operation->cancel);
    int status = guest_call(guest, command, arguments, NULL, &calling);
    if (status < 0) {
        operation->error = calling.error;
    }
    return status;
}

static int tell_qemu(struct guest *guest, const char *disk, uint64_t size_bytes,
                     struct operation *operation)
{
    char read[80];
    snprintf(read, sizeof read, "qemu-io %s \"read 0 512\"", disk);
    int status =
        call(guest, "human-monitor-command", json_pack("{s:s}", "command-line", read), operation);
    return status == VIOS_OK
               ? call(guest, "block_resize",
                      json_pack("{s:s, s:I}", "node-name", disk, "size", (json_int_t)size_bytes),
                      operation)
               : status;
}

static int tell(struct node *node, struct guest *guest, const struct lpar_disk *disk,
                uint64_t size_bytes, struct operation *operation)
{
    struct guest_status now;
    struct operation waiting;
    char export[160], object[96];
    int status = VIOS_E_IO;
    guest_status(guest, &now);
    qemu_export_name(guest_lpar(guest), disk, now.start, export, sizeof export);
    operation_start(&waiting, TELL_TIMEOUT_MS, operation->cancel);
    for (int i = 0; status != VIOS_OK; i++) {
        status = i % IO_EVERY == 0 ? ask_io(node, export, &waiting) : VIOS_OK;
        if (status == VIOS_OK) {
            status = tell_qemu(guest, disk->id, size_bytes, &waiting);
        }
        if (status == VIOS_OK) {
            break;
        }
        struct vios_error why = waiting.error;
        int rested = operation_sleep(&waiting, TELL_PAUSE_MS);
        if (rested == VIOS_E_CANCELLED) {
            operation->error = waiting.error;
            return rested;
        }
        if (rested < 0) {
            return operation_fail(
                operation, VIOS_E_TIMEOUT, lpar_object(guest_lpar(guest)->name, object),
                "it sees the new size when it starts anew",
                "its disk %s could not be enlarged while it runs: %.200s", disk->id, why.message);
        }
    }
    return status;
}

static int resized(struct node *node, const char *name, const char *udid, uint64_t size_bytes,
                   bool *told, struct operation *operation)
{
    int status = VIOS_OK;
    struct guest *guest = node->lpars ? lpars_find(node->lpars, name) : NULL;
    *told = false;
    if (guest && !guest_is_connected(guest)) { /* its QEMU may have seen the size before, or not */
        char object[96];
        status = operation_fail(operation, VIOS_E_LOCKED, lpar_object(name, object),
                                "say it again when it runs",
                                "it is just being started, and may not know yet");
    } else if (guest) {
        const struct lpar *lpar = guest_lpar(guest);
        for (size_t i = 0; status == VIOS_OK && i < lpar->disk_count; i++) {
            if (strcmp(lpar->disks[i].lu, udid) == 0) {
                status = tell(node, guest, &lpar->disks[i], size_bytes, operation);
                *told = status == VIOS_OK;
            }
        }
    }
    guest_release(guest);
    return status;
}

const struct lu_guest_operations lpar_lu_operations = {.resized = resized};
