/*
 * deriver.h - the primary's thread that follows the VIOS DB: it makes events of the commits
 * (derive.h), knows all that is kept (index.h), and lets old events go (retention.h).
 */
#ifndef EVENT_DERIVER_H
#define EVENT_DERIVER_H

#include "event/index.h"
#include "node/node.h"

#define DERIVER_RETRY_MS 1000
#define DERIVER_NOTE_MS 60000   /* how long /events may lag behind when nothing becomes an event */
#define DERIVER_SWEEP_MS 600000 /* between two looks for orphans */

struct deriver;

/* This node has become the primary; `revision` is that of /primary. `index` stays the caller's. */
int deriver_start(struct deriver **deriver, struct node *node, struct event_index *index,
                  int64_t revision, struct vios_error *error);
/* NULL does nothing. */
void deriver_stop(struct deriver *deriver);

#endif
