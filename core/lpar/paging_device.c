/* paging_device.c - plugging the paging device into a running guest. See the header. */
#include "lpar/paging_device.h"

#include "base/json.h"
#include "lpar/guest.h"
#include "lpar/qemu.h"
#include "lpar/run_folder.h"
#include "paging/paging.h"

#include <stdio.h>
#include <string.h>

#define CALL_TIMEOUT_MS 15000
#define LEAVE_TIMEOUT_MS 15000
#define LEAVE_POLL_MS 100
#define USES_TIMEOUT_MS 2000

static int call(struct guest *guest, const char *command, json_t *arguments, json_t **result,
                struct operation *operation)
{
    struct operation calling;
    operation_start(&calling, CALL_TIMEOUT_MS, operation->cancel);
    int status = guest_call(guest, command, arguments, result, &calling);
    if (status < 0) {
        operation->error = calling.error;
    }
    return status;
}

/* 1: one of what `command` lists has this `name` as its `member`; 0: none has. */
static int lists(struct guest *guest, const char *command, json_t *arguments, const char *member,
                 const char *name, struct operation *operation)
{
    json_t *list = NULL, *item;
    size_t i;
    int found = call(guest, command, arguments, &list, operation);
    json_array_foreach(list, i, item)
    {
        const char *text = json_get_text(item, member);
        found = found == 0 && text && strcmp(text, name) == 0 ? 1 : found;
    }
    json_decref(list);
    return found;
}

static int has_device(struct guest *guest, struct operation *operation)
{
    return lists(guest, "qom-list", json_pack("{s:s}", "path", "/machine/peripheral"), "name",
                 "vpaging", operation);
}

static int has_node(struct guest *guest, struct operation *operation)
{
    return lists(guest, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), "node-name",
                 "paging", operation);
}

static int plug(struct guest *guest, struct operation *operation)
{
    struct guest_status now;
    char export[160], slot[8];
    guest_status(guest, &now);
    paging_export_name(guest_lpar(guest)->uuid, now.start, export, sizeof export);
    snprintf(slot, sizeof slot, "0x%x", LPAR_SLOT_PAGING);
    int status = has_node(guest, operation);
    if (status == 0) {
        status =
            call(guest, "blockdev-add", qemu_block_node("paging", export, false), NULL, operation);
    }
    if (status < 0) {
        return status;
    }
    return call(guest, "device_add",
                json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "driver", "virtio-blk-pci", "id",
                          "vpaging", "drive", "paging", "serial", "paging", "werror", "stop",
                          "rerror", "stop", "addr", slot),
                NULL, operation);
}

int lpar_attach_paging(struct node *node, const char *name, struct operation *operation)
{
    struct guest *guest = node->lpars ? lpars_find(node->lpars, name) : NULL;
    int status = VIOS_OK;
    char object[96];
    if (guest && !guest_is_connected(guest)) { /* its QEMU may have been made without the device */
        status = operation_fail(operation, VIOS_E_LOCKED, lpar_object(name, object),
                                "try again when it runs", "it is just being started");
    } else if (guest) {
        status = has_device(guest, operation);
        status = status == 0 ? plug(guest, operation) : status;
    }
    guest_release(guest);
    return status < 0 ? status : VIOS_OK;
}

/* device_del is a request to the guest: the node cannot go before the device has. */
static int unplug(struct guest *guest, struct operation *operation)
{
    struct operation leaving;
    char object[96];
    operation_start(&leaving, LEAVE_TIMEOUT_MS, operation->cancel);
    int status = has_device(guest, operation);
    if (status > 0) {
        status = call(guest, "device_del", json_pack("{s:s}", "id", "vpaging"), NULL, operation);
    }
    while (status >= 0 && (status = has_device(guest, operation)) > 0) {
        status = operation_sleep(&leaving, LEAVE_POLL_MS);
        if (status == VIOS_E_TIMEOUT) {
            status = operation_fail(operation, status, lpar_object(guest_lpar(guest)->name, object),
                                    "swap it off in the guest, or stop the guest",
                                    "the guest does not let its paging device go");
        } else if (status < 0) {
            operation->error = leaving.error;
        }
    }
    if (status == 0 && (status = has_node(guest, operation)) > 0) {
        status =
            call(guest, "blockdev-del", json_pack("{s:s}", "node-name", "paging"), NULL, operation);
    }
    return status;
}

int lpar_detach_paging(struct node *node, const char *name, struct operation *operation)
{
    struct guest *guest = node->lpars ? lpars_find(node->lpars, name) : NULL;
    int status = VIOS_OK;
    if (guest && guest_is_connected(guest)) {
        status = unplug(guest, operation);
    }
    guest_release(guest);
    return status;
}

int lpar_uses_paging(struct node *node, const char *name, struct operation *operation)
{
    if (!atomic_load(&node->active)) {
        return operation_fail(operation, VIOS_E_TIMEOUT, name, NULL,
                              "the guests are not all taken up yet");
    }
    struct guest *guest = lpars_find(node->lpars, name);
    int status = 0;
    /* Also one that nobody is connected to. */
    if (guest && run_folder_lives(node->run_dir, guest_lpar(guest)->uuid)) {
        struct operation asking;
        operation_start(&asking, USES_TIMEOUT_MS, operation->cancel);
        status = has_node(guest, &asking);
        if (status < 0) {
            operation->error = asking.error;
        }
    }
    guest_release(guest);
    return status;
}
