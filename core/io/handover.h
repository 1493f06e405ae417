/*
 * handover.h - `give` and `take`: what outlives an io process, as descriptions and descriptors.
 *
 *   arena      {"size_bytes"} and the memfd of the page memory
 *   pager      {"exports":[{"name","lpar","serving","backend","descriptor":index or null}]}: every
 *              export that was asked for, files too, with the pagers' state memfds
 *   listeners  {"listeners":[{"path","as"}]} and as many sockets
 * Taken in this order, each client that comes back finds everything behind its socket.
 *
 * A line carries only so many descriptors, so both go in batches, ordered by name or path. A
 * batch that is not the last says behind which name the next one begins; what is made or
 * removed meanwhile neither repeats nor hides another. Each batch is taken as it was given.
 */
#ifndef IO_HANDOVER_H
#define IO_HANDOVER_H

#include "io/control.h"

#define HANDOVER_BATCH_MAX 64                 /* listeners or exports in one batch */
#define HANDOVER_BATCH_BYTES_MAX (512 * 1024) /* of its description, but always one export */

_Static_assert(HANDOVER_BATCH_MAX <= DESCRIPTORS_MAX, "a batch fits one line");

/* The batch behind the name `after` ("": the first). Fills answer->json with {"what",
 * "description","revision"}, "next" when there are more, and adds the descriptors, which are then
 * its own. With io's lock. */
int handover_give(struct io *io, const char *what, const char *after,
                  struct control_message *answer, struct vios_error *error);

/* {"pager":N,"listeners":N}: each counts the changes of what `give` answers, which says at which
 * count it was ("revision"). A new reference. */
json_t *handover_revisions(struct io *io);

/* Takes one batch, validated completely first. An export that cannot be had again does not keep
 * the others away; it is logged. With io's lock. */
int handover_take(struct io *io, const char *what, const json_t *description,
                  struct control_message *request, struct vios_error *error);

#endif
