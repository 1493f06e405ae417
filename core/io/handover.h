/*
 * handover.h - `give` and `take`: what outlives an io process, as a description and descriptors.
 *
 *   arena      {"size_bytes"} and the memfd of the page memory
 *   pager      {"exports":[{"name","lpar","serving","backend","descriptor":index or null}]}: every
 *              export that was asked for, files too, with the pagers' state memfds
 *   listeners  {"listeners":[{"path","as"}]} and as many sockets
 * Taken in this order, each client that comes back finds everything behind its socket.
 */
#ifndef IO_HANDOVER_H
#define IO_HANDOVER_H

#include "io/control.h"

/* Fills answer->json with {"ok","what","description"} and adds the descriptors, which are then its
 * own. With io's lock. */
int handover_give(struct io *io, const char *what, struct control_message *answer,
                  struct vios_error *error);

int handover_take(struct io *io, const char *what, const json_t *description,
                  struct control_message *request, struct vios_error *error);

#endif
