/*
 * io_kept.h - what the daemon keeps of an io for its successor: listening sockets, the page
 * memory's arena, and the exports with the pagers' state (core/io/PROTOCOL.md, give and take).
 *
 * Kept is what io gave last. io counts its changes, and each give says at which count it was, so
 * that one which was missed shows: io_kept_is_stale. Any thread may call these; one give or take at
 * a time, so that two cannot overtake each other.
 */
#ifndef NODE_IO_KEPT_H
#define NODE_IO_KEPT_H

#include "node/io_wire.h"

#include <jansson.h>

enum io_kept_what { IO_KEPT_ARENA, IO_KEPT_PAGER, IO_KEPT_LISTENERS, IO_KEPT_COUNT };

#define IO_KEPT_BATCHES_MAX 256 /* of one of them */

struct io_kept;

/* How to reach io: one exchange, as io_wire_exchange. All of one fetch must be with one process. */
struct io_kept_way {
    int (*exchange)(void *context, const json_t *request, const struct io_descriptors *sent,
                    json_t **answer, struct io_descriptors *received, bool *answered,
                    struct operation *operation);
    void *context;
};

/* NULL: no memory. */
struct io_kept *io_kept_new(void);
void io_kept_free(struct io_kept *kept);

/* What a request changes; IO_KEPT_COUNT: nothing that is kept. */
enum io_kept_what io_kept_changed_by(const json_t *request);

/*
 * Has io give it, and replaces what is kept when all of it came whole: else VIOS_E_CORRUPT, or why
 * the exchange failed, and the old is kept. `*answered`: false when io went away meanwhile.
 */
int io_kept_fetch(struct io_kept *kept, enum io_kept_what what, const struct io_kept_way *way,
                  bool *answered, struct operation *operation);

/* Hands everything to a new io: memory first, because a listener must not serve before there are
 * pages behind it. */
int io_kept_hand_over(struct io_kept *kept, const struct io_kept_way *way,
                      struct operation *operation);

/* Whether io has changed since it gave this, by the `revisions` of its statistics. */
bool io_kept_is_stale(struct io_kept *kept, enum io_kept_what what, const json_t *statistics);

const char *io_kept_name(enum io_kept_what what);

#endif
