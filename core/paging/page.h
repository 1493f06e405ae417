/*
 * page.h - what page memory and pager both ask of a page's content.
 */
#ifndef PAGING_PAGE_H
#define PAGING_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Whether `size` > 0 bytes are all zero. Each byte is compared with its neighbour, which
 * memcmp does at the speed of memory; most pages that are not zero show it at once. */
static inline bool page_is_zero(const uint8_t *data, size_t size)
{
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

#endif
