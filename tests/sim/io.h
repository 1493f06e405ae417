/* stub */
#ifndef SIM_IO_H
#define SIM_IO_H
#include "tests/sim/world.h"
void io_start(struct node *node, int64_t delay_us);
void io_kill(struct node *node);
void io_serve(struct node *node);
void io_judge_stopped(struct node *node, int64_t incarnation);
#endif
