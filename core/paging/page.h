/*
 * page.h - what a page is: the unit in which memory is lent, sent and checked.
 */
#ifndef PAGING_PAGE_H
#define PAGING_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PAGE_BYTES 4096u

/* `bytes` rounded up to whole pages. */
static inline uint64_t page_round_up(uint64_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

/* Whether `size` > 0 bytes are all zero. Each byte is compared with its neighbour, which
 * memcmp does at the speed of memory; most pages that are not zero show it at once. */
static inline bool page_is_zero(const uint8_t *data, size_t size)
{
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

#endif
