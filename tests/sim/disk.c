/* disk.c - see disk.h: invariant 5. */
#include "tests/sim/disk.h"

#include "tests/sim/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct inode *disk_find(struct lpar *lpar, const char *name)
{
    struct inode *inode = lpar->disk.inodes;
    while (inode && strcmp(inode->name, name) != 0) {
        inode = inode->next; /* the newest of a name is the first */
    }
    return inode;
}

struct inode *disk_make(struct lpar *lpar, const char *name, const struct inode *from)
{
    struct inode *inode = sim_alloc(sizeof *inode);
    inode->lpar = lpar;
    snprintf(inode->name, sizeof inode->name, "%s", name);
    if (from) {
        memcpy(inode->blocks, from->blocks, sizeof inode->blocks);
    }
    inode->next = lpar->disk.inodes;
    lpar->disk.inodes = inode;
    return inode;
}

void disk_free(struct lpar *lpar)
{
    while (lpar->disk.inodes) {
        struct inode *next = lpar->disk.inodes->next;
        free(lpar->disk.inodes);
        lpar->disk.inodes = next;
    }
}

void disk_judge_start(struct inode *inode, int64_t generation)
{
    struct lpar *lpar = inode->lpar;
    for (size_t i = 0; i < DISK_BLOCKS; i++) {
        if (inode->blocks[i] < lpar->disk.acknowledged[i]) {
            world_fail(lpar->world, 5,
                       "%s starts in generation %lld on %s, where block %zu has write %lld: %lld "
                       "was acknowledged",
                       lpar->name, (long long)generation, inode->name, i,
                       (long long)inode->blocks[i], (long long)lpar->disk.acknowledged[i]);
        }
    }
    inode->opened = generation > inode->opened ? generation : inode->opened;
}

void disk_land(struct inode *inode, int64_t generation, size_t block, int64_t number, bool excused)
{
    struct lpar *lpar = inode->lpar;
    if (inode->opened > generation && excused) {
        world_note(lpar->world, "disk: an excused write %lld of generation %lld lands in %s",
                   (long long)number, (long long)generation, inode->name);
        return; /* as if it had not: what it breaks is not covered */
    }
    if (inode->opened > generation) {
        world_fail(lpar->world, 5,
                   "write %lld of generation %lld lands in %s, which generation %lld uses",
                   (long long)number, (long long)generation, inode->name, (long long)inode->opened);
    }
    world_note(lpar->world, "disk: write %lld of generation %lld lands in %s, block %zu",
               (long long)number, (long long)generation, inode->name, block);
    inode->blocks[block] = number;
}
