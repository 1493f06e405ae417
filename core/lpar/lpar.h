/*
 * lpar.h - the part of the daemon that runs guests (MISSION "lpar"; DESIGN "LPARs and
 * hibernation"): lpar.create, start, stop, list, show, console, remove.
 *
 * A guest outlives the daemon. When a daemon starts, it takes up every QEMU whose run folder
 * says it lives and whose start is still the LPAR's generation, ends those that are not,
 * and records as stopped what this node should run and does not (or starts it, with autostart).
 */
#ifndef LPAR_LPAR_H
#define LPAR_LPAR_H

#include "node/part.h"

extern const struct part lpar_part;

#endif
