/* scale.h - clusters of agents only: one of 500 that elects again, and what a node costs. */
#ifndef SIM_SCALE_H
#define SIM_SCALE_H

#include <stdbool.h>
#include <stddef.h>

/* Elects, kills the primary, elects again, and everybody agrees. Otherwise `why` not. */
bool scale_elects_again(size_t nodes, char why[200]);

/* Keep-alive bytes and CPU of a node per second at several sizes; 0. */
int scale_print(void);

#endif
