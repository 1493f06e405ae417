/*
 * network.h - a guest's network card on a bridge of this host. The daemon opens the tap, so
 * that QEMU needs neither the device nor the right to it; the tap goes when QEMU does.
 */
#ifndef LPAR_NETWORK_H
#define LPAR_NETWORK_H

#include "base/error.h"

/* VIOS_E_NOT_FOUND: no such interface on this node; VIOS_E_INVALID: it is no bridge. */
int network_check_bridge(const char *bridge, struct vios_error *error);

/* A descriptor of a new tap that is up and in `bridge`. VIOS_E_NOT_FOUND: no such interface;
 * VIOS_E_INVALID: it is no bridge; VIOS_E_DENIED: the daemon may not do this. */
int network_open_tap(const char *bridge, struct vios_error *error);

#endif
