/* storage.h - pools and LUs as a part of the daemon: its methods and jobs. */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include "node/part.h"

extern const struct part storage_part;

#endif
