/* stub */
#include "tests/sim/guest.h"
#include "tests/sim/io.h"
#include "tests/sim/keeper.h"
void io_start(struct node *node, int64_t delay_us)
{
    (void)node;
    (void)delay_us;
}
void io_kill(struct node *node)
{
    (void)node;
}
void io_serve(struct node *node)
{
    (void)node;
}
void io_judge_stopped(struct node *node, int64_t incarnation)
{
    (void)node;
    (void)incarnation;
}
void keeper_start(struct node *node)
{
    (void)node;
}
void keeper_stop(struct node *node)
{
    (void)node;
}
void keeper_serves(struct node *node)
{
    (void)node;
}
bool keeper_drain(struct node *node)
{
    (void)node;
    return true;
}
void keeper_crash(struct node *node)
{
    (void)node;
}
void keeper_resumed(struct node *node)
{
    (void)node;
}
void keeper_look_at_time(struct node *node)
{
    (void)node;
}
void keeper_administer(struct world *world, const struct fault *fault)
{
    (void)world;
    (void)fault;
}
void keeper_want_all(struct world *world)
{
    (void)world;
}
void guest_judge_stopped(struct node *node, int64_t incarnation)
{
    (void)node;
    (void)incarnation;
}
void guest_judge_commit(struct world *world, const struct store_change *changes, size_t count,
                        struct oracle_counts *counts)
{
    (void)world;
    (void)changes;
    (void)count;
    (void)counts;
}
bool guest_all_well(struct world *world, char why[200])
{
    (void)world;
    (void)why;
    return true;
}
void guests_new(struct world *w)
{
    w->plain = true;
}
void guests_free(struct world *w)
{
    (void)w;
}
#include "tests/sim/scale.h"
bool scale_elects_again(size_t nodes, char why[200])
{
    (void)nodes;
    (void)why;
    return true;
}
int scale_print(void)
{
    return 0;
}
