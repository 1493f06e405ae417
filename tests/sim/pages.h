/*
 * pages.h - page memory: the real one (core/paging/page_memory.h), on a machine of its own, and a
 * guest's connections to it over a network that delays. A node is granted its guest's region under
 * the guest's generation; connections under a lower one are closed, but not at once. Invariant 10.
 */
#ifndef SIM_PAGES_H
#define SIM_PAGES_H

#include "tests/sim/world.h"

struct copy;
struct pages;

struct pages *pages_new(struct world *world);
void pages_free(struct pages *pages);

/* The owner's daemon pushes what the store says; it arrives some time later. */
void pages_claim(struct node *node, const struct lpar *lpar, int64_t generation);

/* The guest writes a page. */
void pages_write(struct copy *copy);

#endif
