/*
 * disk.h - the guests' disks: files with inodes, and what everybody may expect of them. Each write
 * has a number of its own, growing for each guest; a block holds the number written last.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "tests/sim/world.h"

#define DISK_BLOCKS 6

struct inode {
    struct inode *next;
    struct lpar *lpar;
    char name[48];
    int64_t opened; /* the highest generation that served it */
    int64_t blocks[DISK_BLOCKS];
};

struct disk {
    struct inode *inodes;
    int64_t acknowledged[DISK_BLOCKS]; /* the highest number that its guest was told */
    int64_t last_write;
};

struct inode *disk_find(struct lpar *lpar, const char *name);
/* The file is made, or replaced: the name is another inode's from now on. */
struct inode *disk_make(struct lpar *lpar, const char *name, const struct inode *from);
void disk_free(struct lpar *lpar);

/* A guest of that generation starts on it: nothing that was acknowledged is missing. */
void disk_judge_start(struct inode *inode, int64_t generation);

/* A write lands. `excused`: its machine was paused meanwhile, and the pool has no clones. */
void disk_land(struct inode *inode, int64_t generation, size_t block, int64_t number, bool excused);

#endif
