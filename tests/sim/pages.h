/* pages.h - see below */
#ifndef SIM_PAGES_H
#define SIM_PAGES_H
#include "tests/sim/world.h"
struct pages {
    int none;
};
static inline void pages_claim(struct pages *pages, struct node *node, int64_t generation)
{
    (void)pages;
    (void)node;
    (void)generation;
}
#endif
