/*
 * watcher.h - the thread that measures what thresholds are set on, each WATCHER_PERIOD_MS, and
 * commits what was crossed or is over: one commit for each alarm, so each is one event.
 *
 * A node looks after the alarms of its own name, the primary also after the shared ones, those of
 * nodes that were removed, and no commit is one of a node that is fenced, or no primary any more.
 * What cannot be measured changes nothing; what is not there any more, here, is cleared.
 */
#ifndef ALERT_WATCHER_H
#define ALERT_WATCHER_H

#include "node/node.h"

#define WATCHER_PERIOD_MS 2000
#define WATCHER_CALL_MS 10000 /* for all calls to the VIOS DB of one round */

struct watcher;

int watcher_start(struct watcher **watcher, struct node *node, struct vios_error *error);
/* NULL does nothing. */
void watcher_stop(struct watcher *watcher);

/* --- for tests: a watcher without a thread, and one round of it --- */

struct watcher *watcher_new(struct node *node);
void watcher_free(struct watcher *watcher);
int watcher_round(struct watcher *watcher, struct operation *operation);

#endif
