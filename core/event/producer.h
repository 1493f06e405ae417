/*
 * producer.h - what this node saw, on its way to everybody (MISSION §3.3).
 *
 * Events are queued in memory and published in batches: what comes while a file is written goes
 * into the next one. So one fsync serves many events under load, and a single one is not delayed.
 * Two threads: one batches, the other publishes, which may take as long as the repository hangs.
 * When that takes longer than PRODUCER_PATIENCE_MS, or fails, batches go to the spool (spool.h),
 * and all later ones behind them, so that the order stays; they are published when the repository
 * is back. When the queue or the spool is full events are dropped, counted, and the count is an
 * event.
 */
#ifndef EVENT_PRODUCER_H
#define EVENT_PRODUCER_H

#include "base/operation.h"
#include "event/payload.h"
#include "node/node.h"

#define PRODUCER_QUEUE_MAX 4096
#define PRODUCER_PATIENCE_MS 2000
#define PRODUCER_RETRY_MS 500

struct producer;

int producer_start(struct producer **producer, struct node *node, struct vios_error *error);
/* What is queued is published or spooled first, unless the repository hangs. NULL does nothing. */
void producer_stop(struct producer *producer);

/* Takes it up; never blocks. From any thread. What is not of its form, or does not fit, is in the
 * log. */
void producer_emit(struct producer *producer, const struct event *event);

/* The same, and waits until everybody can see it: its sequence number. 0: the repository is away,
 * and the event is durable on this node, to be published when it is back. VIOS_E_NO_SPACE: the
 * spool is full. */
int producer_emit_and_wait(struct producer *producer, const struct event *event, int64_t *sequence,
                           struct operation *operation);

/* {"queued", "spooled_files", "lost", "repository": "ok" | why not}; the caller's. */
json_t *producer_show(struct producer *producer);

#endif
