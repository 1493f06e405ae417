/*
 * qemu.h - the command line of a guest. A pure function of its record and of the numbers that
 * the launcher gives its descriptors, so that a test can hold it against a golden one.
 *
 * QEMU runs in the guest's run folder: the disk socket is named relative to it, since a
 * socket's path may have 107 bytes only. Listening sockets, kernel, initrd and taps come as
 * open descriptors: QEMU needs no right to anything else.
 */
#ifndef LPAR_QEMU_H
#define LPAR_QEMU_H

#include "lpar/record.h"

#define QEMU_PROGRAM "/usr/bin/qemu-system-x86_64"
#define QEMU_RECONNECT_S 60 /* how long a guest's I/O waits for a lost io */

/* The numbers in the new process. */
enum qemu_descriptor {
    QEMU_FD_LOCK = 3, /* its end frees the lock: the guest is gone */
    QEMU_FD_QMP,
    QEMU_FD_CONSOLE,
    QEMU_FD_KERNEL,
    QEMU_FD_INITRD,
    QEMU_FD_TAP, /* the first of LPAR_NICS_MAX */
    QEMU_FD_END = QEMU_FD_TAP + LPAR_NICS_MAX
};

/* The export that a QEMU started at `start` connects to for a disk: lu/<udid>/<start>, and
 * lu/<uuid>-<disk id>/<start> for a file of the node's own. */
void qemu_export_name(const struct lpar *lpar, const struct lpar_disk *disk, int64_t start,
                      char *name, size_t size);

/* A block node on io's NBD server; the caller's. */
json_t *qemu_block_node(const char *node_name, const char *export_name, bool read_only);

struct qemu_start {
    int64_t generation;        /* that it starts at */
    const char *paging_export; /* of its paging device; NULL: it has none */
    bool incoming;             /* it waits for its state (migration.h), and does not boot */
};

/* The arguments, argv[0] first and NULL last; free with qemu_arguments_free(). */
char **qemu_arguments(const struct lpar *lpar, const char *program, const struct qemu_start *start);
void qemu_arguments_free(char **arguments);

#endif
