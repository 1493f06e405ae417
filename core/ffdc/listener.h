/*
 * listener.h - the events of the cluster that are captured by themselves (MISSION §5.2): a table
 * of classes and operations. A thread on each node follows the events from its start on, by
 * event/source.h, and signals those of the table.
 *
 * Of all nodes the one signals whose name the file of the event has: the primary, which derived it
 * from the VIOS DB. The others capture because they are asked. What was not derived is not
 * believed: "event emit" makes no node go down.
 *
 * Equal signatures are one incident, which is counted: the same node going down again is, another
 * one is not. A node that is added is no failure: all of them are one incident, so that bringing up
 * a cluster is captured once, LISTENER_SETTLE_MS behind the first, when it can answer.
 */
#ifndef FFDC_LISTENER_H
#define FFDC_LISTENER_H

#include "ffdc/manifest.h"

#include "base/operation.h"
#include "node/node.h"

#define LISTENER_ELECTIONS 3 /* so many within the next are trouble */
#define LISTENER_ELECTIONS_MS 600000
#define LISTENER_SETTLE_MS 5000
#define LISTENER_END_MS 2000

/* When the last primaries were elected, by the times of these events; zeroes to begin with. */
struct listener_memory {
    int64_t elected_ms[LISTENER_ELECTIONS]; /* a ring */
    size_t next;
};

/* An event as it was read. */
struct listener_event {
    const json_t *json;    /* see event/payload.h */
    const char *publisher; /* the node whose file it is in */
    bool derived;
    int64_t sequence;
};

/* What is to be signalled, see struct ffdc_signal. */
struct listener_signal {
    char trigger[MANIFEST_TRIGGER_SIZE]; /* "node down n3, event 123456" */
    char component[MANIFEST_COMPONENT_SIZE];
    char signature[MANIFEST_SIGNATURE_SIZE];
    enum manifest_priority priority;
    int64_t delay_ms;
};

/* Whether the node `own` is to signal the event, and what. Every event is to be shown to it, in
 * order, whoever published it. */
bool listener_judge(struct listener_memory *memory, const char *own,
                    const struct listener_event *event, struct listener_signal *signal);

struct listener;

/* A thread of its own. */
int listener_start(struct listener **listener, struct node *node, struct vios_error *error);

/* A thread that hangs in a repository that hangs is left there after LISTENER_END_MS: it ends with
 * the process. NULL does nothing. */
void listener_stop(struct listener *listener);

#endif
