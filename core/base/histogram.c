/*
 * histogram.c - buckets: 0 to 7 exactly, then eight for each power of two.
 */
#include "base/histogram.h"

#include <string.h>

static unsigned bucket_of(uint64_t value)
{
    if (value < 8) {
        return (unsigned)value;
    }
    if (value >> HISTOGRAM_BITS) {
        value = (UINT64_C(1) << HISTOGRAM_BITS) - 1;
    }
    unsigned power = 63u - (unsigned)__builtin_clzll(value); /* 3 or more */
    return 8 * (power - 2) + (unsigned)(value >> (power - 3)) - 8;
}

static uint64_t middle_of(unsigned bucket)
{
    if (bucket < 8) {
        return bucket;
    }
    unsigned power = bucket / 8 + 2;
    uint64_t width = UINT64_C(1) << (power - 3);
    return (8 + bucket % 8) * width + width / 2;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    atomic_fetch_add_explicit(&histogram->counts[bucket_of(value)], 1, memory_order_relaxed);
}

static uint64_t count_in(const struct histogram *histogram, unsigned bucket)
{
    return atomic_load_explicit(&histogram->counts[bucket], memory_order_relaxed);
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        total += count_in(histogram, i);
    }
    return total;
}

uint64_t histogram_percentile(const struct histogram *histogram, unsigned per_mille)
{
    uint64_t total = histogram_count(histogram);
    uint64_t wanted = (total * per_mille + 999) / 1000, seen = 0;
    if (total == 0) {
        return 0;
    }
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += count_in(histogram, i);
        if (seen >= wanted && seen > 0) {
            return middle_of(i);
        }
    }
    return middle_of(HISTOGRAM_BUCKETS - 1); /* counts moved meanwhile */
}

/* --- as JSON --- */

json_t *histogram_to_json(const struct histogram *histogram)
{
    json_t *list = json_array();
    for (unsigned i = 0; list && i < HISTOGRAM_BUCKETS; i++) {
        uint64_t count = count_in(histogram, i);
        if (count > 0) {
            json_array_append_new(list, json_pack("[i, I]", (int)i, (json_int_t)count));
        }
    }
    return list;
}

bool histogram_from_json(const json_t *json, struct histogram *histogram)
{
    size_t index;
    const json_t *pair;
    memset(histogram, 0, sizeof *histogram);
    json_array_foreach(json, index, pair)
    {
        json_int_t bucket, count;
        if (json_unpack((json_t *)pair, "[I, I!]", &bucket, &count) != 0 || bucket < 0 ||
            bucket >= HISTOGRAM_BUCKETS || count < 0) {
            return false;
        }
        atomic_store_explicit(&histogram->counts[bucket], (uint64_t)count, memory_order_relaxed);
    }
    return json_is_array(json);
}

bool histogram_subtract(struct histogram *histogram, const struct histogram *earlier)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t before = count_in(earlier, i);
        if (count_in(histogram, i) < before) {
            return false;
        }
        atomic_fetch_sub_explicit(&histogram->counts[i], before, memory_order_relaxed);
    }
    return true;
}
