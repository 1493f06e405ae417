/* least.h - the least that an LPAR must have for its record to be one. */
#ifndef TESTS_LPAR_LEAST_H
#define TESTS_LPAR_LEAST_H

#include "lpar/record.h"

#include <stdio.h>
#include <string.h>

/* A new UUID, one CPU, the least memory; all else is unset. */
static void least_lpar(struct lpar *lpar, const char *name)
{
    memset(lpar, 0, sizeof *lpar);
    uuid_make(lpar->uuid);
    snprintf(lpar->name, sizeof lpar->name, "%s", name);
    snprintf(lpar->machine, sizeof lpar->machine, "%s", LPAR_MACHINE);
    snprintf(lpar->accel, sizeof lpar->accel, "%s", LPAR_ACCEL);
    snprintf(lpar->cpu, sizeof lpar->cpu, "%s", LPAR_CPU);
    lpar->cpus = 1;
    lpar->memory_bytes = LPAR_MEMORY_MIN;
}

#endif
