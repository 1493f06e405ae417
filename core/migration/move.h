/*
 * move.h - the move of one guest from a node to another, as a record of the VIOS DB.
 *
 *     /migration/NAME  {"v":1,"state":"moving","cause":"split 2","from":"n4","incarnation":1,
 *                       "generation":3,"target":"n2","error":"","began":TIME,"ended":""}
 *
 * The primary alone writes it. When the move is over it stays, as "moved" or "dropped", until the
 * next one: it says what became of the last.
 */
#ifndef MIGRATION_MOVE_H
#define MIGRATION_MOVE_H

#include "base/clock.h"
#include "base/parse.h"
#include "store/store.h"

#include <stdint.h>

#define MOVE_PREFIX "/migration/"
#define MOVE_CAUSE_SIZE 128
#define MOVE_ERROR_SIZE 400

enum move_state {
    MOVE_MOVING,
    MOVE_MOVED,  /* it runs elsewhere */
    MOVE_DROPPED /* nothing was left to move: it was stopped, removed, or may stay */
};

enum move_source { /* with what it went on */
                   MOVE_FROM_NOTHING,
                   MOVE_FROM_MEMORY, /* its hibernation */
                   MOVE_FROM_STORAGE /* its disks alone */
};

struct move {
    char name[NAME_MAX_LENGTH + 1]; /* of the LPAR */
    enum move_state state;
    char cause[MOVE_CAUSE_SIZE]; /* for people: "split 2", "n4 is lost", "n4 is drained" */
    bool drains;                 /* the node that it leaves is well */
    char from[NAME_MAX_LENGTH + 1];
    int64_t incarnation;              /* of that node, which owned it */
    int64_t generation;               /* of the LPAR, when last seen with that owner */
    char target[NAME_MAX_LENGTH + 1]; /* that was asked last; "" */
    enum move_source source;
    char error[MOVE_ERROR_SIZE]; /* why the last try failed; "" */
    char began[CLOCK_TEXT_SIZE], ended[CLOCK_TEXT_SIZE];
    int64_t revision; /* 0: it has no record yet */
};

/* Validates all of it. VIOS_E_CORRUPT. */
int move_parse(const struct store_value *value, struct move *move, struct vios_error *error);

/* free() it; NULL: no memory. */
char *move_format(const struct move *move);

/* "/migration/NAME". Returns `key`. */
char *move_key(const char *name, char key[STORE_KEY_MAX]);

const char *move_state_name(enum move_state state);

#endif
