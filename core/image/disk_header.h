/*
 * disk_header.h - what a disk file is, by its first and last bytes, and whether it stands alone.
 *
 * It is looked at before any other program opens the file: an image may name other files, or
 * servers, that its reader would open at once. VMDK, VHD, VHDX: those that qemu-img writes.
 */
#ifndef IMAGE_DISK_HEADER_H
#define IMAGE_DISK_HEADER_H

#include "base/operation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_format { DISK_RAW, DISK_QCOW2, DISK_VMDK, DISK_VHD, DISK_VHDX, DISK_FORMAT_COUNT };

#define DISK_HEAD_SIZE (64 * 1024) /* how much of the beginning is looked at */
#define DISK_TAIL_SIZE 512         /* and of the end */

/* "raw", "qcow2", "vmdk", "vhd", "vhdx". */
const char *disk_format_name(enum disk_format format);

/* The inverse; false for another name, and `*format` is left alone. */
bool disk_format_parse(const char *name, enum disk_format *format);

/*
 * The format, by magic bytes alone: what has none that is known is raw. `head` has the file's first
 * bytes, DISK_HEAD_SIZE or all; `tail` its last, DISK_TAIL_SIZE or fewer. VIOS_E_INVALID for what
 * names other files (backing, data, extents), is encrypted, is marked corrupt or is of a kind that
 * is not known.
 */
int disk_header_check(const uint8_t *head, size_t head_size, const uint8_t *tail, size_t tail_size,
                      const char *name, enum disk_format *format, struct vios_error *error);

#endif
