/*
 * create.h - a new LPAR: its LUs found, and all of it written in one commit.
 *
 * An LU is a disk of one LPAR at most: its record names it. The LPAR's record and those of its LUs
 * change together, so that no crash leaves a disk that two have or that nobody can free.
 */
#ifndef LPAR_CREATE_H
#define LPAR_CREATE_H

#include "lpar/record.h"
#include "node/method.h"
#include "storage/lu.h"

#define LPAR_ALSO_MAX 16 /* compares, and changes, that a caller adds to the commit */

/* LUs with their records as they were read. */
struct lpar_lus {
    struct lu lus[LPAR_DISKS_MAX];
    struct store_value values[LPAR_DISKS_MAX];
    size_t count;
};

/*
 * Finds the LUs that the words of `disk` mean (see spec_build). Free with lpar_lus_clear(), also
 * after a failure. VIOS_E_NOT_FOUND with near names, VIOS_E_CONFLICT for one that is a disk already
 * or a file of an image, VIOS_E_LOCKED, VIOS_E_USAGE for one that is given twice.
 */
int lpar_lus_find(struct store *store, const json_t *parameters, struct lpar_lus *found,
                  struct operation *operation);
void lpar_lus_clear(struct lpar_lus *found);

/* What else has to hold, and to happen, in the commit. */
struct lpar_also {
    const struct store_compare *compares;
    size_t compare_count;
    const struct store_change *changes;
    size_t change_count;
};

/*
 * Writes the record of `lpar`, which must be new, and of each LU as `lus` has it with `lpar` as its
 * LPAR: where a caller's job made the LUs, it sets them to LU_READY and lets go of them before.
 * `values` is how they were read. With lpar->job set nobody starts it before that job ends.
 * `also` may be NULL.
 *
 * Done already (the same uuid is there): VIOS_OK, so a job may repeat it when it keeps the uuid.
 * VIOS_E_EXISTS: the name is taken. VIOS_E_CONFLICT: an LU, or what `also` compares, changed since
 * it was read. VIOS_E_UNKNOWN: say it again.
 */
int lpar_create_commit(struct store *store, const struct lpar *lpar, struct lu *lus,
                       const struct store_value *values, size_t count, const struct lpar_also *also,
                       struct operation *operation);

/* The method lpar.create. */
int lpar_call_create(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation);

#endif
