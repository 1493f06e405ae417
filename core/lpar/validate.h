/*
 * validate.h - whether a guest could be hibernated where it runs, and restarted on this node: each
 * check by itself, changing nothing. The jobs lpar.hibernate and lpar.restart go by the same checks
 * before they touch anything, so that what `lpar validate` says and what they do cannot differ.
 */
#ifndef LPAR_VALIDATE_H
#define LPAR_VALIDATE_H

#include "hibernation/file_format.h"
#include "lpar/record.h"
#include "node/node.h"

enum validate_what {
    VALIDATE_HIBERNATE, /* on the node that runs it */
    VALIDATE_RESTART,   /* on the node where it is to go on: it is hibernated */
    VALIDATE_MOVE,      /* likewise, before it is hibernated, or while it runs */
    VALIDATE_MIGRATE    /* on the node that runs it, to go on elsewhere while it runs */
};

struct validation {
    enum validate_what what;
    char qemu[HIBERNATION_WORD_SIZE]; /* the version its state is of, "7.2.22"; "": not known.
                                         MOVE: given; else found */
    uint64_t pages_bytes;             /* HIBERNATE: found; what is in its paging device */
    json_t *checks; /* NULL: the first failure is the last check. Else all are made, and appended:
                       {"check","ok","why","hint"}, with why and hint "" for what is good */
};

/* VIOS_OK, or the first failure, which is also the error of `operation`. */
int validate(struct node *node, struct store *store, const struct lpar *lpar,
             struct validation *validation, struct operation *operation);

#endif
