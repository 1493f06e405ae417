/*
 * histogram.h - how long things took, as counts in buckets that widen with the value (an eighth
 * of it at most), so that percentiles are right to about 6 %.
 *
 * Adding is one relaxed atomic increment: any thread, no lock. Readers see a moment's blur.
 * Embedded in its owner; all zero is empty. The unit is the owner's.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HISTOGRAM_BITS 40 /* larger values count as 2^40 - 1 */
#define HISTOGRAM_BUCKETS (8 * (HISTOGRAM_BITS - 2))

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* How many values were added. */
uint64_t histogram_count(const struct histogram *histogram);

/* The value that `per_mille` of all (500: the median) do not exceed: the middle of its bucket. 0
 * when empty. */
uint64_t histogram_percentile(const struct histogram *histogram, unsigned per_mille);

/* --- for another process, which wants to know what was added lately --- */

/* [[bucket, count], ...] of those that are not empty; the caller's. NULL: no memory. */
json_t *histogram_to_json(const struct histogram *histogram);

/* The inverse. False: it is none, and `*histogram` is of no use. */
bool histogram_from_json(const json_t *json, struct histogram *histogram);

/* Leaves what was added since it was as `earlier`. False: it never was, as after a new beginning;
 * then `*histogram` is of no use. */
bool histogram_subtract(struct histogram *histogram, const struct histogram *earlier);

#endif
