/*
 * header.h - what a hibernation file is of: the header of file_format.h as texts and numbers, and
 * what a reader expects of it. No I/O.
 */
#ifndef HIBERNATION_HEADER_H
#define HIBERNATION_HEADER_H

#include "base/error.h"
#include "base/parse.h"
#include "hibernation/file_format.h"

#include <stdbool.h>
#include <stddef.h>

struct hibernation_header {
    char file[UUID_TEXT_SIZE];
    char cluster[UUID_TEXT_SIZE];
    char lpar[UUID_TEXT_SIZE];
    char name[NAME_MAX_LENGTH + 1]; /* of the LPAR */
    char node[NAME_MAX_LENGTH + 1]; /* that it ran on */
    int64_t incarnation, generation;
    uint64_t memory_bytes;
    char machine[HIBERNATION_WORD_SIZE], qemu[HIBERNATION_WORD_SIZE];
    int64_t created_ms;
    bool encrypted;
    uint32_t key_id;
};

/* What a file has to be of. */
struct hibernation_expected {
    const char *name;      /* of the LPAR, for errors */
    const char *cluster;   /* uuid */
    const char *lpar;      /* uuid */
    int64_t generation;    /* of the LPAR's record; a file of another one is of no use */
    uint64_t memory_bytes; /* 0: any */
    const char *machine;   /* NULL: any */
};

#define HIBERNATION_OBJECT_SIZE 96

/* An error's object: `hibernation of "web1"`. Returns `text`. */
char *hibernation_object(const char *name, char text[HIBERNATION_OBJECT_SIZE]);

/* VIOS_E_INVALID: it has what no reader would take. */
int hibernation_header_encode(const struct hibernation_header *header,
                              struct hibernation_wire_header *wire, struct vios_error *error);

/* Validates it completely. VIOS_E_CORRUPT; VIOS_E_INVALID: of a version that we do not know. The
 * error's object is the caller's, also below. */
int hibernation_header_parse(const struct hibernation_wire_header *wire,
                             struct hibernation_header *header, struct vios_error *error);

/* That it is of the cluster; before its key is looked for. VIOS_E_INVALID. */
int hibernation_header_check_cluster(const struct hibernation_header *header,
                                     const struct hibernation_expected *expected,
                                     struct vios_error *error);

/* The others, once the seal is checked. VIOS_E_STALE: another generation; else VIOS_E_INVALID. */
int hibernation_header_check(const struct hibernation_header *header,
                             const struct hibernation_expected *expected, struct vios_error *error);

#endif
