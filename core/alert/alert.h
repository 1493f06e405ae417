/*
 * alert.h - thresholds: the part of the daemon that says when something is running out, slow or
 * failing, before it fails (MISSION §3, "thresholds"). Read in this order:
 *
 * metric.h     what can be measured, in which unit, and whether more or less of it is worse
 * threshold.h  when a value that is beyond its limit is raised, and cleared again: pure
 * record.h     /alert/NAME, a threshold as it was set, and /alarm/..., one that is crossed
 * sampler.h    how each metric is measured on this node
 * watcher.h    the thread that measures, and commits what was crossed
 *
 * No event is written here. The record of an alarm is there while its threshold is crossed, so it
 * outlives daemons and primaries, and the primary makes the events, class "threshold", of its
 * being made and deleted (event/derive.h): each exactly once.
 */
#ifndef ALERT_ALERT_H
#define ALERT_ALERT_H

#include "node/part.h"

extern const struct part alert_part;

extern const struct method_group alert_methods;

#endif
