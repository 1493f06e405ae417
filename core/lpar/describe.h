/*
 * describe.h - what the guests of this node are doing, for a capture (node/part.h): a line for
 * each,
 *
 *     {"name","uuid","generation","state","why","qemu_pid","answers":{"query-status":{...},...},
 *      "unanswered":"why some of these are not there"}
 *
 * with what its QEMU says to each of a few QMP commands that change nothing.
 */
#ifndef LPAR_DESCRIBE_H
#define LPAR_DESCRIBE_H

#include "node/node.h"

#define DESCRIBE_GUEST_MS 1000 /* for one guest, of what the operation leaves */

/* Appends the lines to `lines`. It ends with the operation: guests it did not come to are there
 * without answers. A QEMU that is stopped, as at a fence, is not asked: an answer that does not
 * come breaks the connection. */
void lpar_describe(struct node *node, json_t *lines, struct operation *operation);

#endif
