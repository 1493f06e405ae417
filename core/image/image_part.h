/*
 * image_part.h - the part of the daemon that knows images (MISSION §2): image.discover, import,
 * send, capture, list, show, verify, deploy, flatten, rename, remove.
 */
#ifndef IMAGE_IMAGE_PART_H
#define IMAGE_IMAGE_PART_H

#include "node/part.h"

extern const struct part image_part;

#endif
