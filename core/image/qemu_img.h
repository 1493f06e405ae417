/*
 * qemu_img.h - runs qemu-img as a child: no shell, its own process group, nothing of our
 * descriptors but the files it is to work on, and limits on what it may use, since images may
 * be made to harm it. It dies with the thread that called.
 */
#ifndef IMAGE_QEMU_IMG_H
#define IMAGE_QEMU_IMG_H

#include "base/operation.h"

#include <stddef.h>

#define QEMU_IMG_PROGRAM "/usr/bin/qemu-img"
#define QEMU_IMG_OUTPUT_MAX (64 * 1024)

/* The names by which its files are opened; a name with a protocol in it never gets there. */
#define QEMU_IMG_FROM "/proc/self/fd/3"
#define QEMU_IMG_TO "/proc/self/fd/4"

struct qemu_img {
    const char *const *arguments; /* with the program's name, NULL at the end */
    const char *name;             /* of the image, for errors */
    int from, to;                 /* -1: none */
    unsigned long memory_bytes;   /* of address space */
    unsigned long cpu_s;          /* of processor time; 0: no limit */
    int passes;                   /* an exit status that is no failure, besides 0 */

    /* What it writes to stdout, as it comes; on the calling thread. */
    void (*output)(void *context, const char *text, size_t size);
    void *context;
};

/*
 * Waits for its end. VIOS_E_INVALID with the last line that it wrote to stderr when it fails, or
 * with the limit that it ran into; VIOS_E_NO_SPACE when that line says so. Killed on cancel and
 * deadline.
 */
int qemu_img_run(const struct qemu_img *run, struct operation *operation);

#endif
