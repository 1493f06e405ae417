/*
 * page_name.h - the name of a region's export: `page/<lpar uuid>/<index>.<number>/<generation>`.
 * Page memory serves it and the pager asks for it.
 */
#ifndef PAGING_PAGE_NAME_H
#define PAGING_PAGE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void page_name_format(char *text, size_t size, const char *lpar, uint32_t index, uint64_t number,
                      uint64_t generation);

struct page_name {
    char lpar[40]; /* uuid */
    uint32_t index;
    uint64_t number, generation;
};

/* Takes only the very form that page_name_format writes. */
bool page_name_parse(const char *text, struct page_name *name);

#endif
