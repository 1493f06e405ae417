/* view.h - incidents as people and scripts see them: from the VIOS DB, and from manifests on disk.
 */
#ifndef FFDC_VIEW_H
#define FFDC_VIEW_H

#include "ffdc/manifest.h"

/* {correlator, time, last, trigger, component, priority, node, state, count, size_bytes, nodes}, of
 * the nodes {node, state}. */
json_t *view_row(const struct manifest *manifest);

/* The same, with signature and file, and of the nodes {node, state, why, size_bytes, digest, epoch,
 * clock_offset_ms}. */
json_t *view_incident(const struct manifest *manifest);

#endif
