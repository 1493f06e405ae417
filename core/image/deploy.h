/*
 * deploy.h - image.deploy (MISSION §2, steps 3, 7 and 8): an LPAR whose disks come from an image.
 *
 * Each disk is an LU of its own: a linked clone of the image's file where the file system can, else
 * a copy. An image's own LUs are never mapped to a guest.
 */
#ifndef IMAGE_DEPLOY_H
#define IMAGE_DEPLOY_H

#include "node/method.h"

/* The method. It answers when the guest runs; when only the start fails, the LPAR is there,
 * stopped. */
int deploy_call(struct call *call, const json_t *parameters, json_t **result,
                struct operation *operation);

#endif
