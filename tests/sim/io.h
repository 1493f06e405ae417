/*
 * io.h - a node's data plane: the real gate with the node's clock and kill timer, and the guests'
 * writes, each in a thread of its own that may stop between any two of its steps (core/storage,
 * file_backend.c): wait for the gate, enter it (arm, then check), submit, leave, look at the gate
 * again, answer. What the kernel was given lands, also when the process is dead.
 */
#ifndef SIM_IO_H
#define SIM_IO_H

#include "tests/sim/world.h"

struct copy;
struct lpar;

void ios_new(struct world *world);
void ios_free(struct world *world);

/* The process begins, once what the last one gave to the kernel has landed. */
void io_start(struct node *node, int64_t delay_us);
void io_kill(struct node *node);
/* With its machine. */
void io_crash(struct node *node);

/* The daemon says until when: node->until_stop_ms. */
void io_serve(struct node *node);

/* A request of a copy; it is answered by copy_answered(), if io lives. */
void io_submit(struct copy *copy, size_t slot);

/* Something of that guest is on its way in this node's io or kernel. */
bool io_is_busy(const struct node *node, const struct lpar *lpar);
/* The gate is closed, or nobody knows. */
bool io_is_closed(const struct node *node);
/* Io is given a guest: it is stopped at once while the gate is closed. */
void io_add_guest(struct copy *copy);
/* At a thaw: what it does first. */
void io_look(struct node *node);

/* Nothing of that incarnation is between the gate and the disk. */
void io_judge_stopped(struct node *node, int64_t incarnation);

#endif
