/* qemu.c - the command line of a guest. See the header. */
#include "lpar/qemu.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 128

struct list {
    char **items;
    size_t count;
};

static void add(struct list *list, const char *text)
{
    assert(list->count + 1 < ARGUMENTS_MAX);
    list->items[list->count] = strdup(text);
    assert(list->items[list->count]);
    list->count++;
}

__attribute__((format(printf, 3, 4))) static void add_option(struct list *list, const char *option,
                                                             const char *format, ...)
{
    char text[LPAR_APPEND_MAX + 64];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert(length >= 0 && (size_t)length < sizeof text);
    add(list, option);
    add(list, text);
}

void qemu_export_name(const struct lpar *lpar, const struct lpar_disk *disk, int64_t start,
                      char *name, size_t size)
{
    if (disk->lu[0]) {
        snprintf(name, size, "lu/%s/%lld", disk->lu, (long long)start);
    } else {
        snprintf(name, size, "lu/%s-%s/%lld", lpar->uuid, disk->id, (long long)start);
    }
}

json_t *qemu_block_node(const char *node_name, const char *export_name, bool read_only)
{
    json_t *node =
        json_pack("{s:s, s:s, s:{s:s, s:s}, s:s, s:i, s:i, s:b, s:{s:b}, s:s}", "driver", "nbd",
                  "node-name", node_name, "server", "type", "unix", "path", "disk.sock", "export",
                  export_name, "reconnect-delay", QEMU_RECONNECT_S, "open-timeout", 10, "read-only",
                  read_only, "cache", "direct", 1, "discard", "unmap");
    assert(node);
    return node;
}

static void add_block_node(struct list *list, const char *id, const char *export, bool read_only)
{
    json_t *node = qemu_block_node(id, export, read_only);
    char *text = json_dumps(node, JSON_COMPACT);
    assert(text);
    add_option(list, "-blockdev", "%s", text);
    free(text);
    json_decref(node);
}

static void add_machine(struct list *list, const struct lpar *lpar)
{
    add_option(list, "-name", "%s", lpar->name);
    add_option(list, "-uuid", "%s", lpar->uuid);
    add_option(list, "-machine", "%s,graphics=off", lpar->machine);
    add_option(list, "-accel", "%s", lpar->accel);
    add_option(list, "-cpu", "%s", lpar->cpu);
    add_option(list, "-smp", "%d", lpar->cpus);
    add_option(list, "-m", "size=%lluM", (unsigned long long)(lpar->memory_bytes >> 20));
    add(list, "-nodefaults");
    add(list, "-no-user-config");
    add_option(list, "-display", "none");
    add(list, "-no-reboot");
    add(list, "-S");
    add_option(list, "-sandbox",
               "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add_option(list, "-chardev", "socket,id=qmp,fd=%d,server=on,wait=off", QEMU_FD_QMP);
    add_option(list, "-mon", "chardev=qmp,mode=control");
    if (lpar->serial_console) {
        add_option(list, "-chardev", "socket,id=console,fd=%d,server=on,wait=off", QEMU_FD_CONSOLE);
        add_option(list, "-serial", "chardev:console");
    }
    add_option(list, "-device", "pvpanic");
    add_option(list, "-device", "ib700"); /* a watchdog, for guests that want one */
    add_option(list, "-action", "panic=pause,watchdog=pause");
}

static void add_boot(struct list *list, const struct lpar *lpar)
{
    if (!lpar->kernel[0]) {
        add_option(list, "-boot", "strict=on");
        return;
    }
    add_option(list, "-kernel", "/proc/self/fd/%d", QEMU_FD_KERNEL);
    if (lpar->initrd[0]) {
        add_option(list, "-initrd", "/proc/self/fd/%d", QEMU_FD_INITRD);
    }
    if (lpar->append[0]) {
        add_option(list, "-append", "%s", lpar->append);
    }
}

static void add_disks(struct list *list, const struct lpar *lpar, int64_t start)
{
    for (size_t i = 0; i < lpar->disk_count; i++) {
        const struct lpar_disk *disk = &lpar->disks[i];
        char export[160];
        qemu_export_name(lpar, disk, start, export, sizeof export);
        add_block_node(list, disk->id, export, disk->read_only);
        add_option(list, "-device",
                   "virtio-blk-pci,drive=%s,id=v%s,serial=%s,werror=stop,rerror=stop,addr=0x%x,"
                   "bootindex=%zu",
                   disk->id, disk->id, disk->serial, (unsigned)disk->slot, i + 1);
    }
}

static void add_paging(struct list *list, const char *export)
{
    add_block_node(list, "paging", export, false);
    add_option(list, "-device",
               "virtio-blk-pci,drive=paging,id=vpaging,serial=paging,werror=stop,rerror=stop,"
               "addr=0x%x",
               LPAR_SLOT_PAGING);
}

static void add_nic(struct list *list, const struct lpar_nic *nic, size_t i)
{
    if (nic->backend == NIC_USER) {
        add_option(list, "-netdev", "user,id=%s", nic->id);
    } else if (nic->backend == NIC_BRIDGE) {
        add_option(list, "-netdev", "tap,id=%s,fd=%d,vhost=off", nic->id, QEMU_FD_TAP + (int)i);
    }
    char netdev[32] = "";
    if (nic->backend != NIC_NONE) {
        snprintf(netdev, sizeof netdev, "netdev=%s,", nic->id);
    }
    add_option(list, "-device", "virtio-net-pci,%sid=v%s,mac=%s,romfile=,addr=0x%x", netdev,
               nic->id, nic->mac, (unsigned)nic->slot);
}

char **qemu_arguments(const struct lpar *lpar, const char *program, const struct qemu_start *start)
{
    struct list list = {.items = calloc(ARGUMENTS_MAX, sizeof(char *))};
    assert(list.items);
    add(&list, program);
    add_machine(&list, lpar);
    add_boot(&list, lpar);
    add_disks(&list, lpar, start->generation);
    if (start->paging_export) {
        add_paging(&list, start->paging_export);
    }
    for (size_t i = 0; i < lpar->nic_count; i++) {
        add_nic(&list, &lpar->nics[i], i);
    }
    if (start->incoming) {
        add_option(&list, "-incoming", "defer");
    }
    return list.items;
}

void qemu_arguments_free(char **arguments)
{
    for (size_t i = 0; arguments && arguments[i]; i++) {
        free(arguments[i]);
    }
    free(arguments);
}
